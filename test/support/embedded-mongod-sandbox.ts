import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MongoClient } from 'mongodb';
import { readPid } from '../../src/database/embedded/data-folder.ts';
import {
  EmbeddedMongod,
  type EmbeddedMongodOptions,
} from '../../src/database/embedded/embedded-mongod.ts';

const CHILD = fileURLToPath(new URL('./embedded-mongod-child.ts', import.meta.url));

/** A service in a process of its own, and what it printed about its embedded MongoDB. */
export interface ServiceProcess {
  child: ChildProcess;
  url: string;
  maxCollections: number;
  /** Process id of its mongod. */
  mongod: number;
}

/** One data folder for one test, and everything the test starts on it. */
export class Sandbox implements AsyncDisposable {
  readonly root: string;
  readonly dataDir: string;
  readonly logged: { level: string; obj: object; msg: string }[] = [];
  readonly #binary: string;
  readonly #started: EmbeddedMongod[] = [];
  readonly #children: ChildProcess[] = [];

  private constructor(root: string, binary: string) {
    this.root = root;
    this.dataDir = join(root, 'data');
    this.#binary = binary;
  }

  static async create(binary: string): Promise<Sandbox> {
    return new Sandbox(await realpath(await mkdtemp(join(tmpdir(), 'tenantry-embedded-'))), binary);
  }

  async start(options: Partial<EmbeddedMongodOptions> = {}): Promise<EmbeddedMongod> {
    const log = (level: string) => (obj: object, msg: string) =>
      void this.logged.push({ level, obj, msg });
    const embedded = await EmbeddedMongod.start({
      dataDir: this.dataDir,
      binary: { binary: this.#binary, cacheDir: this.root },
      logger: { info: log('info'), warn: log('warn') },
      ...options,
    });
    this.#started.push(embedded);
    return embedded;
  }

  /** Starts a service in a process of its own, under a shell prelude such as `ulimit -n 4096`. */
  async startService(prelude = 'true'): Promise<ServiceProcess> {
    const command = [process.execPath, CHILD, this.dataDir, this.#binary];
    const child = this.spawn('/bin/sh', ['-c', `${prelude}; exec "$@"`, 'sh', ...command]);
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    return { child, ...JSON.parse(line) };
  }

  /** Runs any program; its standard input is closed, and it is terminated, at the end of the test. */
  spawn(program: string, args: string[]) {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    return child;
  }

  /** Process id of the mongod that runs on the data folder. */
  get mongod(): number | undefined {
    return readPid(join(this.dataDir, 'db', 'mongod.lock'));
  }

  /** What mongod's lock file holds: nothing after a clean stop. */
  get lockContent(): Promise<string> {
    return readFile(join(this.dataDir, 'db', 'mongod.lock'), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exit = once(child, 'exit');
      // A service stops its mongod when its input ends; a program that does not read it is terminated.
      child.stdin?.end();
      if (child.spawnfile !== '/bin/sh') child.kill();
      await exit;
    }
    await Promise.all(this.#started.map((embedded) => embedded.stop()));
    await rm(this.root, { recursive: true, force: true });
  }
}

/** Runs `use` with a client of its own. */
export async function connected<T>(
  url: string,
  use: (client: MongoClient) => Promise<T>,
): Promise<T> {
  const client = await new MongoClient(url, { serverSelectionTimeoutMS: 5000 }).connect();
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** Keeps a document with this id, acknowledged by the majority. */
export function keep(url: string, _id: string): Promise<unknown> {
  return connected(url, (client) =>
    client
      .db('app')
      .collection<{ _id: string }>('kept')
      .insertOne({ _id }, { writeConcern: { w: 'majority' } }),
  );
}

/** The ids of everything that was kept, sorted. */
export function kept(url: string): Promise<string[]> {
  return connected(url, async (client) => {
    const documents = client.db('app').collection<{ _id: string }>('kept').find().sort({ _id: 1 });
    return (await documents.toArray()).map(({ _id }) => _id);
  });
}

/** Whether a process has ended, even if its parent has yet to collect it. */
export async function isGone(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) === '';
}

/** The port in a URL. */
export function portOf(url: string): number {
  return Number(new URL(url).port);
}
