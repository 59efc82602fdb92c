import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** A file of the cache; its name says what its content must hash to. */
export interface CachedMongod {
  readonly path: string;
  readonly version: string;
  readonly sha256: string;
}

const CACHED_NAME = /^mongod-(\d+\.\d+\.\d+)-([0-9a-f]{64})$/;
const WORK_PREFIX = '.download-';
const ABANDONED_AFTER_MS = 24 * 60 * 60 * 1000;

/** The cached binaries, newest version first. Their content has not been checked: see {@link sha256OfFile}. */
export async function listCachedMongods(cacheDir: string): Promise<CachedMongod[]> {
  const cached = (await entriesOf(cacheDir)).flatMap((name) => {
    const [, version, sha256] = CACHED_NAME.exec(name) ?? [];
    if (version === undefined || sha256 === undefined) return [];
    return [{ path: join(cacheDir, name), version, sha256 }];
  });
  return cached.sort((a, b) => b.version.localeCompare(a.version, 'en', { numeric: true }));
}

/**
 * Moves a verified binary into the cache. The rename is atomic, so a crash or a second process never
 * leaves half a file under the final name.
 *
 * @param file - on the same file system as `cacheDir`: a file in a {@link createWorkFolder}
 * @returns the path in the cache
 */
export async function storeMongod(
  file: string,
  cacheDir: string,
  version: string,
  sha256: string,
): Promise<string> {
  const path = join(cacheDir, `mongod-${version}-${sha256}`);
  await rename(file, path);
  return path;
}

/** Makes an empty folder inside the cache for one download, and removes those that crashed downloads left a day ago. */
export async function createWorkFolder(cacheDir: string): Promise<string> {
  await mkdir(cacheDir, { recursive: true, mode: 0o700 });
  const folders = (await entriesOf(cacheDir)).filter((name) => name.startsWith(WORK_PREFIX));
  await Promise.all(folders.map((name) => removeIfAbandoned(join(cacheDir, name))));
  return mkdtemp(join(cacheDir, WORK_PREFIX));
}

/** @returns the SHA-256 of a file, in lower-case hex */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}

async function removeIfAbandoned(folder: string): Promise<void> {
  const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: Date.now() }));
  if (Date.now() - mtimeMs > ABANDONED_AFTER_MS) await rm(folder, { recursive: true, force: true });
}

/** A folder that cannot be read counts as empty: the download that follows will tell what is wrong with it. */
function entriesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
