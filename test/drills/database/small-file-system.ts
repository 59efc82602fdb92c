import { execFile, spawnSync } from 'node:child_process';
import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeFolder, temporaryFolder } from '../support/drill-processes.ts';

const run = promisify(execFile);
const CHUNK = Buffer.alloc(1024 * 1024, 1);

/** A file system in memory that can be filled up, and given space again. Needs the right to mount one. */
export class SmallFileSystem implements AsyncDisposable {
  readonly folder: string;
  readonly #unmount = () => void spawnSync('umount', ['--lazy', this.folder]);

  private constructor(folder: string) {
    this.folder = folder;
    process.once('exit', this.#unmount);
  }

  /** @returns the file system, or why there can be none here */
  static async mount(megabytes: number): Promise<SmallFileSystem | string> {
    if (process.platform !== 'linux') return `no tmpfs on ${process.platform}`;
    if (process.getuid?.() !== 0) return 'only root may mount a file system';
    const folder = await temporaryFolder();
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]);
      return new SmallFileSystem(folder);
    } catch (error) {
      await removeFolder(folder);
      return `mounting is refused: ${error instanceof Error ? error.message.trim() : error}`;
    }
  }

  /** Takes up all space but so many megabytes. */
  async leave(megabytes: number): Promise<void> {
    const file = await open(this.#ballast, 'a');
    try {
      while ((await this.#freeBytes()) > megabytes * CHUNK.length) await file.write(CHUNK);
    } finally {
      await file.close();
    }
  }

  /** Gives back what {@link leave} took. */
  async free(): Promise<void> {
    await rm(this.#ballast);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#unmount);
    await run('umount', [this.folder]);
    await removeFolder(this.folder);
  }

  get #ballast(): string {
    return join(this.folder, 'ballast');
  }

  async #freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.folder);
    return bavail * bsize;
  }
}
