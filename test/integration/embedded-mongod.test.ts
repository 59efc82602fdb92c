import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test as base, beforeAll, describe } from 'vitest';
import {
  DataFolderInUseError,
  EmbeddedMongodError,
} from '../../src/database/embedded/embedded-errors.ts';
import {
  defaultMongodCacheDir,
  resolveMongodBinary,
} from '../../src/database/embedded/mongod-binary.ts';
import {
  connected,
  isGone,
  keep,
  kept,
  portOf,
  Sandbox,
} from '../support/embedded-mongod-sandbox.ts';

let binary = '';

beforeAll(async () => {
  const { MONGOD_BINARY, PATH = '', XDG_CACHE_HOME } = process.env;
  binary = await resolveMongodBinary({
    cacheDir: defaultMongodCacheDir(XDG_CACHE_HOME),
    path: PATH,
    ...(MONGOD_BINARY === undefined ? {} : { binary: MONGOD_BINARY }),
  });
}, 600_000);

const test = base.extend<{ sandbox: Sandbox }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of the fixtures from the pattern
  sandbox: async ({}, use) => {
    const sandbox = await Sandbox.create(binary);
    try {
      await use(sandbox);
    } finally {
      await sandbox[Symbol.asyncDispose]();
    }
  },
});

// Most of the time goes into waiting for mongod to stop, so the tests run side by side.
describe.concurrent('an embedded mongod', () => {
  test('takes transactions and change streams, and stops cleanly', async ({ sandbox, expect }) => {
    const embedded = await sandbox.start();
    const pid = sandbox.mongod;
    await connected(embedded.url, async (client) => {
      const collection = client.db('app').collection('events');
      await collection.insertOne({ before: 'the stream' });
      const changes = collection.watch();
      // The first call opens the stream on the server; it must be open before the write.
      expect(await changes.tryNext()).toBeNull();
      await client.withSession((session) =>
        session.withTransaction(() => collection.insertOne({ in: 'transaction' }, { session })),
      );
      expect(await changes.next()).toMatchObject({
        operationType: 'insert',
        fullDocument: { in: 'transaction' },
      });
      await changes.close();
    });
    expect(sandbox.logged.map(({ msg }) => msg)).toEqual(['embedded MongoDB is ready']);
    expect(sandbox.logged[0]?.obj).toMatchObject({
      binary,
      pid,
      maxCollections: embedded.maxCollections,
    });
    await embedded.stop();
    await embedded.stop();
    expect(await embedded.exited).toEqual({ code: 0, signal: null });
    expect(await isGone(Number(pid))).toBe(true);
    expect(await sandbox.lockContent).toBe('');
  });

  test('listens on loopback only, in a session of its own, and keeps its files from others', async ({
    sandbox,
    expect,
  }) => {
    const { url } = await sandbox.start();
    const options = await connected(url, (client) =>
      client.db('admin').command({ getCmdLineOpts: 1 }),
    );
    expect(options.parsed.net).toMatchObject({ bindIp: '127.0.0.1', port: portOf(url) });
    const status = await readFile(`/proc/${sandbox.mongod}/stat`, 'utf8');
    // proc(5): after the name in parentheses come state, parent, process group and session.
    const [, , , , session] = status.slice(status.lastIndexOf(')')).split(' ');
    expect(Number(session)).toBe(sandbox.mongod);
    for (const name of ['', 'db', 'mongod.log']) {
      expect((await stat(join(sandbox.dataDir, name))).mode & 0o077).toBe(0);
    }
  });

  test('keeps data from run to run, on whatever port, and one old log', async ({
    sandbox,
    expect,
  }) => {
    const first = await sandbox.start();
    await keep(first.url, 'first');
    await first.stop();
    await writeFile(join(sandbox.dataDir, 'mongod.log.1'), 'the log of long ago');
    const port = await quietPort();
    const choosePort = () => Promise.resolve(port);
    const second = await sandbox.start({ choosePort });
    expect(portOf(second.url)).not.toBe(portOf(first.url));
    await keep(second.url, 'second');
    await second.stop();
    const third = await sandbox.start({ choosePort });
    expect(portOf(third.url)).toBe(port);
    expect(await kept(third.url)).toEqual(['first', 'second']);
    const oldLog = await readFile(join(sandbox.dataDir, 'mongod.log.1'), 'utf8');
    expect(oldLog).toContain(`"port":${port}`);
    expect(oldLog).not.toContain('long ago');
  });

  describe('after a kill -9', () => {
    test('of mongod, the service is told, and a new start has everything acknowledged', async ({
      sandbox,
      expect,
    }) => {
      const embedded = await sandbox.start();
      await keep(embedded.url, 'acknowledged');
      process.kill(Number(sandbox.mongod), 'SIGKILL');
      expect(await embedded.exited).toEqual({ code: null, signal: 'SIGKILL' });
      await embedded.stop();
      expect(await kept((await sandbox.start()).url)).toEqual(['acknowledged']);
    });

    test('of the service, the next start stops its mongod and keeps the data', async ({
      sandbox,
      expect,
    }) => {
      const { child, url, mongod } = await sandbox.startService();
      await keep(url, 'by the first');
      child.kill('SIGKILL');
      await once(child, 'exit');
      await keep(url, 'by the orphan');
      const embedded = await sandbox.start();
      expect(await isGone(mongod)).toBe(true);
      expect(sandbox.mongod).not.toBe(mongod);
      expect(sandbox.logged).toContainEqual({
        level: 'warn',
        msg: 'stopped the mongod that a killed service left behind',
        obj: { pid: mongod },
      });
      expect(await kept(embedded.url)).toEqual(['by the first', 'by the orphan']);
    });

    test('of the service and its mongod, the next start works', async ({ sandbox, expect }) => {
      const { child, url, mongod } = await sandbox.startService();
      await keep(url, 'kept');
      child.kill('SIGKILL');
      process.kill(mongod, 'SIGKILL');
      await once(child, 'exit');
      expect(await kept((await sandbox.start()).url)).toEqual(['kept']);
    });

    test('a process that has got the old process id is left alone', async ({ sandbox, expect }) => {
      await (await sandbox.start()).stop();
      const bystander = sandbox.spawn('sleep', ['600']);
      await writeFile(join(sandbox.dataDir, 'db', 'mongod.lock'), `${bystander.pid}\n`);
      await sandbox.start();
      expect(await isGone(Number(bystander.pid))).toBe(false);
    });
  });

  test('goes down with a service that calls process.exit()', async ({ sandbox, expect }) => {
    const { child, mongod } = await sandbox.startService();
    child.stdin?.write('exit\n');
    await once(child, 'exit');
    await expect.poll(() => isGone(mongod), { timeout: 20_000 }).toBe(true);
    expect(await sandbox.lockContent).toBe('');
  });

  describe('on a data folder in use', () => {
    test('by a service is refused, and that service is not disturbed', async ({
      sandbox,
      expect,
    }) => {
      const { child, url, mongod } = await sandbox.startService();
      const error = await sandbox.start().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DataFolderInUseError);
      expect(error).toMatchObject({ folder: sandbox.dataDir, pid: child.pid });
      expect(String(error)).toContain(
        `The data folder ${sandbox.dataDir} is in use by another service (process ${child.pid})`,
      );
      expect(sandbox.mongod).toBe(mongod);
      await keep(url, 'undisturbed');
      expect(await kept(url)).toEqual(['undisturbed']);
    });

    test('by a mongod that someone started by hand is refused, and that one is left alone', async ({
      sandbox,
      expect,
    }) => {
      await (await sandbox.start()).stop();
      const options = [
        '--port',
        String(await quietPort()),
        '--bind_ip',
        '127.0.0.1',
        '--nounixsocket',
      ];
      const logPath = join(sandbox.root, 'by-hand.log');
      const dbPath = join(sandbox.dataDir, 'db');
      const byHand = sandbox.spawn(binary, ['--dbpath', dbPath, '--logpath', logPath, ...options]);
      await expect.poll(() => sandbox.mongod, { timeout: 20_000 }).toBe(byHand.pid);
      await expect(sandbox.start()).rejects.toMatchObject({
        code: 'data_folder_in_use',
        pid: byHand.pid,
      });
      expect(await isGone(Number(byHand.pid))).toBe(false);
      byHand.kill();
      await once(byHand, 'exit');
      await sandbox.start();
    });
  });

  describe('that does not start', () => {
    test('because its port was taken in between tries another one', async ({ sandbox, expect }) => {
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const ports = [(taken.address() as AddressInfo).port, await quietPort()];
      const { url } = await sandbox.start({
        choosePort: () => Promise.resolve(Number(ports.shift())),
      });
      expect(sandbox.logged[0]).toMatchObject({ level: 'warn', obj: { failure: 'port_in_use' } });
      await keep(url, 'works');
      taken.close();
    });

    test('because its data is damaged says so, with the lines of its log, and frees the folder', async ({
      sandbox,
      expect,
    }) => {
      await (await sandbox.start()).stop();
      const metadata = join(sandbox.dataDir, 'db', 'WiredTiger.wt');
      await rename(metadata, `${metadata}.good`);
      await writeFile(metadata, 'no longer what it was');
      const error = await sandbox.start().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(EmbeddedMongodError);
      expect(String(error)).toMatch(
        /: mongod did not start: it refuses the data files, which are damaged/,
      );
      expect(String(error)).toContain('WiredTiger metadata corruption detected');
      expect(String(error)).toContain(`Its log: ${join(sandbox.dataDir, 'mongod.log')}`);
      await rename(`${metadata}.good`, metadata);
      await sandbox.start();
    });

    test('because MONGOD_BINARY is not there says what to do, and frees the folder', async ({
      sandbox,
      expect,
    }) => {
      const nothing = { binary: join(sandbox.root, 'nothing'), cacheDir: sandbox.root };
      await expect(sandbox.start({ binary: nothing })).rejects.toThrow(
        `MONGOD_BINARY (${nothing.binary}): is not an executable file`,
      );
      await sandbox.start();
    });

    test('for whatever else says how it ended and what it wrote', async ({ sandbox, expect }) => {
      const broken = join(sandbox.root, 'mongod');
      const script = `#!/bin/sh
        [ "$1" = --version ] && echo 'db version v6.0.5' && exit
        echo 'out of luck' >&2; exit 3`;
      await writeFile(broken, script, { mode: 0o755 });
      const error = await sandbox
        .start({ binary: { binary: broken, cacheDir: sandbox.root } })
        .catch((thrown: unknown) => thrown);
      expect(String(error)).toBe(
        `EmbeddedMongodError: mongod did not start: it ended with exit code 3.
  out of luck
  Its log: ${join(sandbox.dataDir, 'mongod.log')}`,
      );
      await sandbox.start();
    });

    test('because of the operating system says which call failed, and frees the folder', async ({
      sandbox,
      expect,
    }) => {
      const log = join(sandbox.dataDir, 'mongod.log');
      await mkdir(log, { recursive: true });
      await mkdir(`${log}.1`);
      await writeFile(join(`${log}.1`, 'file'), '');
      const error = await sandbox.start().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(EmbeddedMongodError);
      expect(String(error)).toMatch(/cannot be started: ENOTEMPTY.*rename/);
      await rm(log, { recursive: true });
      await sandbox.start();
    });

    test('because there is no mongod at all lists what was tried', async ({ sandbox, expect }) => {
      const nowhere = { cacheDir: sandbox.root, path: '', downloads: [] };
      await expect(sandbox.start({ binary: nowhere })).rejects.toThrow(
        /PATH: no mongod in it\n.*the cache folder .*: no mongod in it\nAny one of these helps:\n.*MONGO_URL/,
      );
    });
  });

  describe('has a collection budget', () => {
    test('that follows the descriptor limit of its process', async ({ sandbox, expect }) => {
      const { maxCollections, mongod } = await sandbox.startService('ulimit -n 4096');
      expect(maxCollections).toBe(1198);
      expect(await readFile(`/proc/${mongod}/limits`, 'utf8')).toMatch(
        /Max open files +4096 +4096/,
      );
    });

    test('and a soft limit that was raised to the hard one', async ({ sandbox, expect }) => {
      const { maxCollections, mongod } = await sandbox.startService(
        'ulimit -Sn 1024; ulimit -Hn 5000',
      );
      expect(maxCollections).toBe(1500);
      expect(await readFile(`/proc/${mongod}/limits`, 'utf8')).toMatch(
        /Max open files +5000 +5000/,
      );
    });
  });
});

/** A free port below the range that systems hand out by themselves, so that nothing else takes it meanwhile. */
async function quietPort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(randomInt(20_000, 30_000), '127.0.0.1');
    try {
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    } catch {
      // Taken: draw another one.
    } finally {
      server.close();
    }
  }
}
