import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  MongodSourceError,
  MongodUnavailableError,
} from '../../../../src/database/embedded/embedded-errors.ts';
import {
  defaultMongodCacheDir,
  type MongodBinaryOptions,
  resolveMongodBinary,
} from '../../../../src/database/embedded/mongod-binary.ts';
import { sha256OfFile } from '../../../../src/database/embedded/mongod-cache.ts';
import type { MongodDownload } from '../../../../src/database/embedded/mongod-download.ts';
import { temporaryFolder, writeFakeMongod, writeScript } from './fake-mongod.ts';

const unreachable: MongodDownload = {
  name: 'a server that is away',
  download: () => Promise.reject(new MongodSourceError('getaddrinfo ENOTFOUND\nsecond line')),
};

function serving(version: string): MongodDownload {
  return {
    name: `a server with ${version}`,
    download: ({ workDir }) => writeFakeMongod(join(workDir, 'mongod'), version),
  };
}

async function cacheOf(version: string): Promise<{ cacheDir: string; path: string }> {
  const cacheDir = await temporaryFolder();
  const file = await writeFakeMongod(join(cacheDir, 'new'), version);
  const path = join(cacheDir, `mongod-${version}-${await sha256OfFile(file)}`);
  await rename(file, path);
  return { cacheDir, path };
}

async function refusalOf(options: MongodBinaryOptions): Promise<MongodUnavailableError> {
  const error = await resolveMongodBinary(options).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(MongodUnavailableError);
  return error as MongodUnavailableError;
}

describe('MONGOD_BINARY', () => {
  test('is used, whatever else there is', async () => {
    const { cacheDir } = await cacheOf('7.0.28');
    const binary = await writeFakeMongod(join(await temporaryFolder(), 'my-mongod'), '6.0.5');
    expect(await resolveMongodBinary({ binary, cacheDir, downloads: [] })).toBe(binary);
  });

  test('that points to nothing is an error, although another mongod is there', async () => {
    const { cacheDir } = await cacheOf('7.0.28');
    const binary = join(cacheDir, 'nothing');
    const error = await refusalOf({ binary, cacheDir, downloads: [serving('7.0.28')] });
    expect(error.attempts).toEqual([
      { source: `MONGOD_BINARY (${binary})`, reason: 'is not an executable file' },
    ]);
  });

  test('that is too old is an error', async () => {
    const folder = await temporaryFolder();
    const binary = await writeFakeMongod(join(folder, 'mongod'), '4.4.0');
    const error = await refusalOf({ binary, cacheDir: folder, downloads: [] });
    expect(error.message).toContain(
      `MONGOD_BINARY (${binary}): is MongoDB 4.4.0; 6.0 or newer is needed`,
    );
  });
});

describe('PATH', () => {
  test('the first mongod in it that is new enough; older ones are named', async () => {
    const folders = [await temporaryFolder(), await temporaryFolder(), await temporaryFolder()];
    const [, old, good] = folders as [string, string, string];
    await writeFakeMongod(join(old, 'mongod'), '5.0.0');
    const expected = await writeFakeMongod(join(good, 'mongod'), '6.0.5');
    const notes: string[] = [];
    const options = { cacheDir: old, path: folders.join(delimiter), downloads: [] };
    const onProgress = (note: string) => void notes.push(note);
    expect(await resolveMongodBinary({ ...options, onProgress })).toBe(expected);
    expect(notes).toEqual([
      `skipping ${join(old, 'mongod')}: is MongoDB 5.0.0; 6.0 or newer is needed`,
    ]);
  });

  test('relative entries and folders called mongod do not count', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'mongod'));
    const error = await refusalOf({
      cacheDir: folder,
      path: `.${delimiter}${folder}`,
      downloads: [],
    });
    expect(error.attempts[0]).toEqual({ source: 'PATH', reason: 'no mongod in it' });
  });
});

describe('the cache folder', () => {
  test('serves without a download, the newest version first', async () => {
    const { cacheDir } = await cacheOf('6.0.5');
    const newer = await cacheOf('10.0.0');
    const path = join(cacheDir, newer.path.slice(newer.cacheDir.length + 1));
    await rename(newer.path, path);
    expect(await resolveMongodBinary({ cacheDir, downloads: [unreachable] })).toBe(path);
  });

  test('a damaged file is refused by its SHA-256 and replaced by the next download', async () => {
    const { cacheDir, path } = await cacheOf('6.0.5');
    await writeFakeMongod(path, '6.0.6');
    const error = await refusalOf({ cacheDir, downloads: [] });
    expect(error.attempts[1]?.source).toBe(`the cache folder (${path})`);
    expect(error.attempts[1]?.reason).toMatch(/^damaged \(its SHA-256 is [0-9a-f]{64}\): refused$/);
    expect(await resolveMongodBinary({ cacheDir, downloads: [serving('6.0.5')] })).toBe(path);
    expect(await resolveMongodBinary({ cacheDir, downloads: [] })).toBe(path);
  });

  test('half a file, as a crash would leave it, is never taken', async () => {
    const { cacheDir, path } = await cacheOf('6.0.5');
    await writeFile(path, '#!/bin/sh\necho "db ver');
    expect((await refusalOf({ cacheDir, downloads: [] })).attempts[1]?.reason).toMatch(/^damaged/);
  });
});

describe('downloads', () => {
  test('a cache folder that cannot be made or read is named, with the reason', async () => {
    const file = await writeFakeMongod(join(await temporaryFolder(), 'file'), '7.0.28');
    const error = await refusalOf({
      cacheDir: join(file, 'cache'),
      downloads: [serving('7.0.28')],
    });
    expect(error.attempts[2]?.reason).toMatch(/ENOTDIR.*file\/cache/);
    const cacheDir = await temporaryFolder();
    const folder = `mongod-7.0.28-${'0'.repeat(64)}`;
    await mkdir(join(cacheDir, folder));
    expect((await refusalOf({ cacheDir, downloads: [] })).attempts[1]).toEqual({
      source: `the cache folder (${join(cacheDir, folder)})`,
      reason: expect.stringMatching(/^cannot be read \(.*EISDIR/),
    });
  });

  test('the next one is tried when one fails; what it gives is kept, and nothing else', async () => {
    const cacheDir = join(await temporaryFolder(), 'made', 'when needed');
    const downloads = [unreachable, serving('4.0.0'), serving('7.0.28')];
    const notes: string[] = [];
    const onProgress = (note: string) => void notes.push(note);
    const path = await resolveMongodBinary({ cacheDir, downloads, onProgress });
    const content = "#!/bin/sh\necho 'db version v7.0.28'\necho 'Build Info: {}'\n";
    const sha256 = createHash('sha256').update(content).digest('hex');
    expect(path).toBe(join(cacheDir, `mongod-7.0.28-${sha256}`));
    expect(await readdir(cacheDir)).toEqual([`mongod-7.0.28-${sha256}`]);
    expect(notes).toEqual([
      'a server that is away failed: getaddrinfo ENOTFOUND\nsecond line',
      'a server with 4.0.0 failed: is MongoDB 4.0.0; 6.0 or newer is needed',
      `MongoDB 7.0.28 is ready: ${path}`,
    ]);
  });

  test('several processes at once end with one whole file', async () => {
    const cacheDir = await temporaryFolder();
    const resolving = Array.from({ length: 8 }, () =>
      resolveMongodBinary({ cacheDir, downloads: [serving('7.0.28')] }),
    );
    const paths = new Set(await Promise.all(resolving));
    expect(paths.size).toBe(1);
    expect((await readdir(cacheDir)).map((name) => join(cacheDir, name))).toEqual([...paths]);
  });

  test('a folder that a crashed download left is removed after a day, one in use is not', async () => {
    const cacheDir = await temporaryFolder();
    const old = join(cacheDir, '.download-old');
    await mkdir(old);
    await mkdir(join(cacheDir, '.download-new'));
    await utimes(old, new Date(0), new Date(0));
    await resolveMongodBinary({ cacheDir, downloads: [serving('7.0.28')] });
    await expect(stat(old)).rejects.toThrow('ENOENT');
    expect(await readdir(cacheDir)).toContain('.download-new');
  });
});

test('when there is nothing, the error lists every attempt and what to do', async () => {
  const cacheDir = await temporaryFolder();
  const bin = await temporaryFolder();
  const broken = await writeScript(
    join(bin, 'mongod'),
    'echo "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file" >&2',
    'exit 127',
  );
  const error = await refusalOf({ cacheDir, path: bin, downloads: [unreachable] });
  expect(error.code).toBe('mongod_unavailable');
  expect(error.message).toBe(
    `No usable mongod (the MongoDB server) was found. Tried:
  - PATH (${broken}): mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file
    install libcurl 4 (Debian, Ubuntu: apt-get install libcurl4; Fedora, RHEL: dnf install libcurl)
  - the cache folder (${cacheDir}): no mongod in it
  - a server that is away: getaddrinfo ENOTFOUND
    second line
Any one of these helps:
  - set MONGO_URL to a MongoDB that already runs (6.0 or newer)
  - install MongoDB 6.0 or newer, so that mongod is on the PATH (https://www.mongodb.com/docs/manual/installation/)
  - set MONGOD_BINARY to the path of a mongod, 6.0 or newer`,
  );
});

describe('defaultMongodCacheDir', () => {
  test.each([undefined, '', 'relative/folder'])('is in ~/.cache for XDG_CACHE_HOME %j', (xdg) => {
    expect(defaultMongodCacheDir(xdg)).toBe(join(homedir(), '.cache', 'tenantry'));
  });

  test('follows an absolute XDG_CACHE_HOME', () => {
    expect(defaultMongodCacheDir('/var/cache/me')).toBe('/var/cache/me/tenantry');
  });
});
