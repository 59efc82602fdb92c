import { rename, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { AppError } from '../../errors.ts';
import { collectionBudget } from './collection-budget.ts';
import { DataFolder, readPid } from './data-folder.ts';
import { DataFolderInUseError, EmbeddedMongodError } from './embedded-errors.ts';
import { type MongodBinaryOptions, resolveMongodBinary } from './mongod-binary.ts';
import { classifyFailure, readLogTail, type StartFailure, summarizeLog } from './mongod-log.ts';
import { MongodProcess, type ProcessExit, REPLICA_SET } from './mongod-process.ts';
import { mongodLockFile, stopOrphanedMongods } from './orphaned-mongod.ts';
import { becomePrimary } from './replica-set.ts';

/** What {@link EmbeddedMongod.start} needs. */
export interface EmbeddedMongodOptions {
  /** Holds the data (`db/`), the log (`mongod.log`) and the lock; made when needed. */
  dataDir: string;
  /** How to find a `mongod`; without `onProgress`, progress goes to the logger. */
  binary: MongodBinaryOptions;
  logger: EmbeddedMongodLogger;
  /** Picks the port; default: one that is free. For tests. */
  choosePort?: () => Promise<number>;
}

/** The part of a pino logger that is used. */
export interface EmbeddedMongodLogger {
  info(obj: object, msg: string): void;
  warn(obj: object, msg: string): void;
}

/** Recovery after a crash reads the journal, and 9,000 organizations took 13 s to open. */
const START_LIMIT_MS = 5 * 60 * 1000;
/** A port or a just abandoned data folder may be taken between looking and starting. */
const START_ATTEMPTS = 4;
/** How long a mongod that stopped answering gets to end by itself. */
const EXIT_GRACE_MS = 10_000;

/**
 * The MongoDB that comes with the service: a one-node replica set on a free loopback port, started and
 * stopped with it. It has no access control, like any MongoDB as installed: whoever has an account
 * on this machine can connect to it.
 */
export class EmbeddedMongod implements AsyncDisposable {
  /** Works for transactions and change streams. The port is another one after each start. */
  readonly url: string;
  /** How many organizations the descriptor limit in force allows; see {@link collectionBudget}. */
  readonly maxCollections: number;
  /** Settles when `mongod` ends, for whatever reason. After an unexpected end: {@link stop}, then start anew. */
  readonly exited: Promise<ProcessExit>;
  readonly #mongod: MongodProcess;
  readonly #folder: DataFolder;

  private constructor(mongod: MongodProcess, folder: DataFolder) {
    this.#mongod = mongod;
    this.#folder = folder;
    this.url = `mongodb://127.0.0.1:${mongod.port}/?replicaSet=${REPLICA_SET}`;
    this.maxCollections = collectionBudget(mongod.descriptorLimit);
    this.exited = mongod.exited;
  }

  /**
   * Finds a `mongod`, starts it and waits until it takes writes.
   *
   * @throws DataFolderInUseError when another service, or another `mongod`, uses the folder; it is not disturbed
   * @throws MongodUnavailableError when there is no `mongod`
   * @throws EmbeddedMongodError when it does not come up; nothing is left running
   */
  static async start(options: EmbeddedMongodOptions): Promise<EmbeddedMongod> {
    if (process.platform === 'win32') {
      throw new EmbeddedMongodError(
        'The embedded MongoDB needs Linux or macOS; on Windows set MONGO_URL.',
      );
    }
    const { logger } = options;
    const folder = await DataFolder.open(options.dataDir);
    try {
      const onProgress = (message: string) => logger.info({}, message);
      const binary = await resolveMongodBinary({ onProgress, ...options.binary });
      await rotateLog(folder);
      const mongod = await startMongod(binary, folder, options);
      const embedded = new EmbeddedMongod(mongod, folder);
      const { pid, port, descriptorLimit } = mongod;
      const { maxCollections } = embedded;
      logger.info(
        { binary, pid, port, descriptorLimit, maxCollections },
        'embedded MongoDB is ready',
      );
      return embedded;
    } catch (error) {
      folder[Symbol.dispose]();
      if (!isSystemError(error)) throw error;
      throw new EmbeddedMongodError(
        `The embedded MongoDB cannot be started: ${error.message}`,
        error,
      );
    }
  }

  /** Stops `mongod` cleanly, waits for its end and gives the data folder free. May be called more than once. */
  async stop(): Promise<void> {
    await this.#mongod.stop();
    this.#folder[Symbol.dispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

async function startMongod(
  binary: string,
  folder: DataFolder,
  { logger, choosePort = freePort }: EmbeddedMongodOptions,
): Promise<MongodProcess> {
  for (let attempt = 1; ; attempt++) {
    for (const pid of await stopOrphanedMongods(folder)) {
      logger.warn({ pid }, 'stopped the mongod that a killed service left behind');
    }
    const logStart = await sizeOf(folder.log);
    const mongod = await MongodProcess.spawn(binary, folder, await choosePort());
    try {
      await bringUp(mongod);
      return mongod;
    } catch (error) {
      const endedByItself = mongod.exitSignal.aborted;
      const exit = await mongod.stop();
      const log = await readLogTail(folder.log, logStart);
      const failure = classifyFailure(log);
      if (!TRANSIENT.has(failure) || attempt === START_ATTEMPTS) {
        const end = `it ended with ${exit.signal ?? `exit code ${exit.code}`}.`;
        throw startError(folder, failure, endedByItself ? end : String(error), log, error);
      }
      logger.warn({ failure, port: mongod.port }, 'mongod did not start, trying again');
    }
  }
}

const TRANSIENT: ReadonlySet<StartFailure> = new Set(['port_in_use', 'folder_in_use']);

/** @throws when it ended, or is not to be waited for any longer */
async function bringUp(mongod: MongodProcess): Promise<void> {
  const signal = AbortSignal.any([mongod.exitSignal, AbortSignal.timeout(START_LIMIT_MS)]);
  try {
    await becomePrimary(mongod.port, mongod.pid, signal);
  } catch (error) {
    // A connection that broke, or another server on the port, mostly means that mongod is about to end
    // by itself, and its log will tell why: let it, before it is stopped.
    await Promise.race([mongod.exited, delay(EXIT_GRACE_MS, undefined, { ref: false })]);
    throw error;
  }
}

function startError(
  folder: DataFolder,
  failure: StartFailure,
  otherwise: string,
  log: string,
  cause: unknown,
): AppError {
  if (failure === 'folder_in_use') {
    return new DataFolderInUseError(folder.path, 'mongod', readPid(mongodLockFile(folder)));
  }
  const lines = [
    `mongod did not start: ${failure === 'other' ? otherwise : ADVICE[failure]}`,
    ...summarizeLog(log),
    `Its log: ${folder.log}`,
  ];
  return new EmbeddedMongodError(lines.join('\n  '), cause);
}

const ADVICE: Record<Exclude<StartFailure, 'other' | 'folder_in_use'>, string> = {
  port_in_use: 'each port that was free a moment before was taken by another program.',
  disk_full: 'the disk is full.',
  data_refused:
    'it refuses the data files, which are damaged or were written by another major version of MongoDB. ' +
    'Run that version through MONGOD_BINARY, or restore the data folder from a backup.',
};

/** A call to the operating system failed: no permission, no space, no more processes. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

/** One log of the run before is kept, so that logs never fill the disk however often the service starts. */
async function rotateLog(folder: DataFolder): Promise<void> {
  if ((await sizeOf(folder.log)) > 0) await rename(folder.log, `${folder.log}.1`);
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
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
