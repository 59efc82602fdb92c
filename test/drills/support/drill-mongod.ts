import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { REPLICA_SET } from '../../../src/database/embedded/mongod-process.ts';
import { becomePrimary } from '../../../src/database/embedded/replica-set.ts';
import type { Topology } from './drill.ts';
import { killed, removeFolder, temporaryFolder, tracked } from './drill-processes.ts';
import { untilTrue } from './waiting.ts';

const START_LIMIT_MS = 60_000;

/** The two kinds of MongoDB every drill of a crash runs on. */
export const TOPOLOGIES = ['standalone', 'one-node replica set'] as const satisfies Topology[];
export type SingleNodeTopology = (typeof TOPOLOGIES)[number];

/** A mongod of one drill, in a folder of its own, that can be killed and started again on the same data. */
export class DrillMongod implements AsyncDisposable {
  readonly topology: SingleNodeTopology;
  readonly url: string;
  readonly #binary: string;
  readonly #folder: string;
  readonly #port: number;
  #child: ChildProcess | undefined;

  private constructor(binary: string, topology: SingleNodeTopology, folder: string, port: number) {
    this.#binary = binary;
    this.topology = topology;
    this.#folder = folder;
    this.#port = port;
    const query = topology === 'standalone' ? 'directConnection=true' : `replicaSet=${REPLICA_SET}`;
    this.url = `mongodb://127.0.0.1:${port}/?${query}`;
  }

  /** @returns once it takes writes */
  static async start(binary: string, topology: SingleNodeTopology): Promise<DrillMongod> {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'db'));
    const mongod = new DrillMongod(binary, topology, folder, await freePort());
    await mongod.restart();
    return mongod;
  }

  /** Kills it as a power cut would, as far as a process can tell. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await killed(this.#child);
  }

  /** Starts it on the data it had. @returns once it takes writes */
  async restart(): Promise<void> {
    const child = spawn(this.#binary, this.#arguments(), { stdio: 'ignore' });
    this.#child = tracked(child);
    await once(child, 'spawn');
    if (this.topology === 'standalone') await this.#answering();
    else await becomePrimary(this.#port, child.pid ?? 0, AbortSignal.timeout(START_LIMIT_MS));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await removeFolder(this.#folder);
  }

  #arguments(): string[] {
    const { topology } = this;
    return [
      ...['--dbpath', join(this.#folder, 'db'), '--logpath', join(this.#folder, 'log')],
      ...['--port', String(this.#port), '--bind_ip', '127.0.0.1', '--nounixsocket'],
      ...['--wiredTigerCacheSizeGB', '0.25'],
      ...['--setParameter', 'diagnosticDataCollectionEnabled=false'],
      ...(topology === 'standalone' ? [] : ['--replSet', REPLICA_SET, '--oplogSize', '128']),
    ];
  }

  async #answering(): Promise<void> {
    await untilTrue('mongod answers', START_LIMIT_MS, async () => {
      const client = new MongoClient(this.url, { serverSelectionTimeoutMS: 500 });
      try {
        await client.db('admin').command({ ping: 1 });
        return true;
      } catch {
        return false;
      } finally {
        await client.close();
      }
    });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
      server.close(() => resolve(port));
    });
  });
}
