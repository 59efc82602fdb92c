import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readPid } from '../../src/database/embedded/data-folder.ts';
import {
  defaultMongodCacheDir,
  resolveMongodBinary,
} from '../../src/database/embedded/mongod-binary.ts';
import { isGone, Sandbox } from '../support/embedded-mongod-sandbox.ts';

/** Two services start one after the other, each with a MongoDB of its own; a busy machine takes its time. */
const TIMEOUT_MS = 180_000;

/** A service as `npm start` runs it, and what it has printed. */
class RunningService {
  readonly child: ChildProcess;
  readonly exit: Promise<unknown[]>;
  output = '';
  readonly #dataDir: string;

  constructor({ root, dataDir }: Sandbox, binary: string) {
    this.#dataDir = dataDir;
    this.child = spawn(process.execPath, [resolve('src/main.ts')], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...{
          PATH: process.env.PATH,
          JWT_SECRET: 'a secret of this test, long enough to sign with',
        },
        ...{ DATA_DIR: dataDir, MONGOD_BINARY: binary, PORT: '0' },
      },
    });
    this.exit = once(this.child, 'exit');
    this.child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.output += text;
    });
  }

  /** Waits until it has printed this. */
  async printed(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.child.exitCode !== null) throw new Error(`ended with: ${this.output}`);
      await delay(10);
    }
  }

  get mongod(): number {
    const pid = readPid(join(this.#dataDir, 'db', 'mongod.lock'));
    if (pid === undefined) throw new Error('no mongod runs');
    return pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await this.exit;
  }
}

async function mongodBinary(): Promise<string> {
  const { MONGOD_BINARY, PATH = '', XDG_CACHE_HOME } = process.env;
  return resolveMongodBinary({
    cacheDir: defaultMongodCacheDir(XDG_CACHE_HOME),
    path: PATH,
    ...(MONGOD_BINARY === undefined ? {} : { binary: MONGOD_BINARY }),
  });
}

// Ctrl-C under npm arrives twice: from the terminal, which signals the whole group, and from npm, which passes it on.
test('Ctrl-C again and again stops the service cleanly, with its MongoDB, and it can be started again', {
  timeout: TIMEOUT_MS,
}, async () => {
  const binary = await mongodBinary();
  await using sandbox = await Sandbox.create(binary);
  for (const run of ['first', 'second']) {
    await using service = new RunningService(sandbox, binary);
    await service.printed('Tenantry is ready');
    const { mongod } = service;
    service.child.kill('SIGINT');
    service.child.kill('SIGINT');
    await service.printed('stopping on SIGINT');
    service.child.kill('SIGINT');
    expect(await service.exit, `${run} run: ${service.output}`).toEqual([0, null]);
    expect(service.output).toMatch(/stopped\W*$/);
    expect(service.output).not.toContain('second SIGINT');
    expect(await isGone(mongod)).toBe(true);
    expect(await readFile(join(sandbox.dataDir, 'db', 'mongod.lock'), 'utf8')).toBe('');
  }
});
