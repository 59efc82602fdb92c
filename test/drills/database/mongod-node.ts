import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Document, MongoClient } from 'mongodb';
import { removeFolder, temporaryFolder, tracked } from '../support/drill-processes.ts';
import { untilTrue } from '../support/waiting.ts';

/** How a {@link MongodNode} differs from a standalone server in a temporary folder. */
export interface MongodNodeOptions {
  /** Holds `db/`; by default a temporary one, removed at the end. */
  folder?: string;
  replicaSet?: string;
  /** Further arguments of `mongod`. */
  args?: readonly string[];
}

const START_LIMIT_MS = 60_000;

/** One `mongod`, run by the drill itself, so that the drill can do to it what an operating system may. */
export class MongodNode implements AsyncDisposable {
  readonly port: number;
  readonly #binary: string;
  readonly #folder: string;
  readonly #options: MongodNodeOptions;
  #child: ChildProcess | undefined;

  private constructor(binary: string, port: number, folder: string, options: MongodNodeOptions) {
    this.#binary = binary;
    this.port = port;
    this.#folder = folder;
    this.#options = options;
  }

  /** Starts a `mongod` on an empty folder. @returns when it answers */
  static async create(binary: string, options: MongodNodeOptions = {}): Promise<MongodNode> {
    const folder = options.folder ?? (await temporaryFolder());
    await mkdir(join(folder, 'db'), { recursive: true });
    const node = new MongodNode(binary, await freePort(), folder, options);
    await node.start();
    return node;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Reaches this node and no other, whatever its state. */
  get directUrl(): string {
    return `mongodb://${this.address}/?directConnection=true`;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Starts it on the data it left. @returns when it answers; @throws when it ends first */
  async start(): Promise<void> {
    const { replicaSet, args = [] } = this.#options;
    const child = spawn(
      this.#binary,
      [
        ...['--dbpath', join(this.#folder, 'db'), '--logpath', join(this.#folder, 'mongod.log')],
        ...['--logappend', '--port', String(this.port), '--bind_ip', '127.0.0.1', '--nounixsocket'],
        ...['--wiredTigerCacheSizeGB', '0.25', '--oplogSize', '128'],
        ...['--setParameter', 'diagnosticDataCollectionEnabled=false'],
        ...(replicaSet === undefined ? [] : ['--replSet', replicaSet]),
        ...args,
      ],
      { stdio: 'ignore' },
    );
    child.once('exit', () => {
      if (this.#child === child) this.#child = undefined;
    });
    this.#child = tracked(child);
    await this.#answering();
  }

  /** Ends it at once, as a power cut does, suspended or not. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** Ends it cleanly; a primary steps down first. */
  shutDown(): Promise<void> {
    return this.#end('SIGTERM');
  }

  /** Makes it hang: connections stay open, and nothing answers. */
  suspend(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Runs one command on this node, over a connection of its own. */
  async command(body: Document): Promise<Document> {
    const client = new MongoClient(this.directUrl, { serverSelectionTimeoutMS: 2_000 });
    try {
      return await client.db('admin').command(body);
    } finally {
      await client.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#options.folder === undefined) await removeFolder(this.#folder);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  async #answering(): Promise<void> {
    await untilTrue('mongod answers', START_LIMIT_MS, async () => {
      if (!this.running) throw new Error('mongod ended at its start');
      return (await this.command({ hello: 1 }).catch(() => undefined)) !== undefined;
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
