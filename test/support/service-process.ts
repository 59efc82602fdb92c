import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { inject } from 'vitest';

/** The service as `npm start` runs it, on the project's MongoDB, with a database of its own that is dropped at the end. */
export class ServiceProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  /** Exit code and signal. */
  readonly exit: Promise<unknown[]>;
  /** What it has printed: its log. */
  output = '';
  url = '';
  /** Comes when it has printed something, or has ended. */
  #news = Promise.withResolvers<void>();
  readonly #directory: string;
  readonly #database: string;

  private constructor(directory: string, database: string, settings: Record<string, string>) {
    this.#directory = directory;
    this.#database = database;
    this.child = spawn(process.execPath, [resolve('src/main.ts')], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...{ PATH: process.env.PATH, NODE_ENV: 'test', PORT: '0', BCRYPT_COST: '4' },
        ...{ MONGO_URL: inject('mongoUrl'), MASTER_DB: database, RATE_LIMITS: 'off' },
        ...{ JWT_SECRET: randomBytes(48).toString('base64'), DATA_DIR: directory, ...settings },
      },
    });
    this.exit = once(this.child, 'exit');
    const news = () => {
      this.#news.resolve();
      this.#news = Promise.withResolvers<void>();
    };
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (text) => {
        this.output += text;
        news();
      });
    this.child.once('exit', news);
  }

  /** @param settings - environment variables. @returns when it serves */
  static async start(settings: Record<string, string> = {}): Promise<ServiceProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'tenantry-'));
    const database = `test_${randomBytes(6).toString('hex')}`;
    const service = new ServiceProcess(directory, database, settings);
    const ready = /Tenantry is ready: (http:\/\/[^/]+)\/docs/;
    await service.printed(ready);
    service.url = ready.exec(service.output)?.[1] ?? '';
    return service;
  }

  /** Waits until it has printed this. */
  async printed(text: RegExp): Promise<void> {
    while (!text.test(this.output)) {
      const { exitCode, signalCode } = this.child;
      if (exitCode !== null || signalCode !== null) throw new Error(`ended: ${this.output}`);
      await this.#news.promise;
    }
  }

  async post(path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
    for (;;) {
      const answer = await fetch(this.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
      // A machine that is busy with other tests: the service protects itself from that, as it should.
      if (answer.status !== 503) return answer;
      await delay(1_000 * Number(answer.headers.get('retry-after') ?? 1));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await this.exit;
    const client = new MongoClient(inject('mongoUrl'));
    await client.db(this.#database).dropDatabase();
    await client.close();
    await rm(this.#directory, { recursive: true });
  }
}
