import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { DataFolder } from './data-folder.ts';
import { EmbeddedMongodError } from './embedded-errors.ts';

/** How a process ended, as Node reports it. */
export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Name of the one-node replica set. Transactions and change streams need a replica set. */
export const REPLICA_SET = 'tenantry';

/**
 * mongod's default, half of the memory, is meant for a machine of its own; this one shares it with the
 * service. The operating system's file cache stands behind it, so a larger data set still works.
 */
const CACHE_GB = '0.5';
/** The default is 5 % of the free disk. Change streams can look back as far as the oplog reaches. */
const OPLOG_MB = '512';
/** A clean stop takes about 1 s; a checkpoint to a slow disk may take longer. */
const STOP_LIMIT_MS = 30_000;

/**
 * Tells on descriptor 3 how many descriptors mongod may open. Node has no call for that, and none is needed to
 * raise it: Node raises its own soft limit to the hard one when it starts, and children inherit it.
 * `exec` keeps the process, so the child's id is that of mongod.
 */
const START_SCRIPT = 'ulimit -n >&3; exec 3>&-; exec "$@"';

/** A running `mongod` of ours, not necessarily ready. */
export class MongodProcess {
  readonly pid: number;
  readonly port: number;
  /** Most files and connections it may have open at once (`ulimit -n`). */
  readonly descriptorLimit: number;
  readonly exited: Promise<ProcessExit>;
  /** Aborts when the process ends. */
  readonly exitSignal: AbortSignal;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, pid: number, port: number, descriptorLimit: number) {
    this.#child = child;
    this.pid = pid;
    this.port = port;
    this.descriptorLimit = descriptorLimit;
    const exit = new AbortController();
    this.exitSignal = exit.signal;
    this.exited = exitOf(child);
    // The last resort against a mongod that outlives a process.exit() or an uncaught exception.
    const terminate = () => void child.kill('SIGTERM');
    process.on('exit', terminate);
    void this.exited.then(() => {
      process.off('exit', terminate);
      exit.abort();
    });
  }

  /** @throws EmbeddedMongodError when not even a shell can be started */
  static async spawn(binary: string, folder: DataFolder, port: number): Promise<MongodProcess> {
    const log = await open(folder.log, 'a', 0o600);
    try {
      const command = [binary, ...mongodArguments(folder, port)];
      const child = spawn('/bin/sh', ['-c', START_SCRIPT, 'sh', ...command], {
        stdio: ['ignore', log.fd, log.fd, 'pipe'],
        // A session of its own: Ctrl-C in the terminal goes to the service only, which then stops
        // taking requests before it stops mongod.
        detached: true,
      });
      await once(child, 'spawn');
      const limit = Number.parseInt(await text(child.stdio[3] as Readable), 10);
      // "unlimited" is not a number.
      const descriptorLimit = Number.isNaN(limit) ? Number.POSITIVE_INFINITY : limit;
      return new MongodProcess(child, child.pid ?? 0, port, descriptorLimit);
    } catch (error) {
      throw new EmbeddedMongodError(`mongod could not be started: ${error}`, error);
    } finally {
      await log.close();
    }
  }

  /** Stops it cleanly, with SIGKILL as the last resort; the journal keeps acknowledged writes even then. */
  async stop(): Promise<ProcessExit> {
    this.#child.kill('SIGTERM');
    const lastResort = setTimeout(() => void this.#child.kill('SIGKILL'), STOP_LIMIT_MS);
    const exit = await this.exited;
    clearTimeout(lastResort);
    return exit;
  }
}

/** The part of the command line that tells a `mongod` of ours on this folder from any other process. */
export function signatureArguments(folder: DataFolder): string[] {
  return ['--dbpath', folder.database, '--logpath', folder.log, '--logappend'];
}

function mongodArguments(folder: DataFolder, port: number): string[] {
  return [
    ...signatureArguments(folder),
    ...['--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket'],
    ...['--replSet', REPLICA_SET, '--oplogSize', OPLOG_MB],
    ...['--wiredTigerCacheSizeGB', CACHE_GB],
    // Nothing to gain on loopback, and 6.0.5 leaks memory to any client through zlib (CVE-2025-14847).
    ...['--networkMessageCompressors', 'disabled'],
    // Up to 200 MB of metrics for MongoDB's support.
    ...['--setParameter', 'diagnosticDataCollectionEnabled=false'],
  ];
}

function exitOf(child: ChildProcess): Promise<ProcessExit> {
  const { exitCode: code, signalCode: signal } = child;
  if (code !== null || signal !== null) return Promise.resolve({ code, signal });
  return new Promise((resolve) => {
    child.once('exit', (exitCode, exitSignal) => resolve({ code: exitCode, signal: exitSignal }));
  });
}
