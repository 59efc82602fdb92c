import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../errors.ts';

export class NoSpoolSpaceError extends AppError {
  constructor(cause: unknown) {
    super(
      ...(['unavailable', 'no_spool_space'] as const),
      'There is no room for the temporary file that this export needs.',
      { cause, retryAfter: 60 },
    );
  }
}

/**
 * A temporary file without a name: nobody else sees it, and it is gone when it is closed, or when the process ends,
 * however that ends. It is in `TMPDIR`.
 */
export class SpoolFile implements AsyncDisposable {
  readonly #handle: FileHandle;
  #size = 0;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** @param name - one that no other file has */
  static async open(name: string): Promise<SpoolFile> {
    const path = join(tmpdir(), name);
    try {
      const handle = await open(path, 'wx+', 0o600);
      await unlink(path);
      return new SpoolFile(handle);
    } catch (error) {
      throw spaceError(error);
    }
  }

  get size(): number {
    return this.#size;
  }

  /** @throws NoSpoolSpaceError */
  async write(chunks: readonly Uint8Array[]): Promise<void> {
    try {
      const { bytesWritten } = await this.#handle.writev([...chunks]);
      const expected = chunks.reduce((sum, { length }) => sum + length, 0);
      if (bytesWritten !== expected) throw new NoSpoolSpaceError(undefined);
      this.#size += bytesWritten;
    } catch (error) {
      throw spaceError(error);
    }
  }

  /** @yields what was written, from the beginning */
  async *read(): AsyncGenerator<Buffer, void> {
    yield* this.#handle.createReadStream({
      ...{ start: 0, autoClose: false, highWaterMark: 256 * 1024 },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

function spaceError(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^(ENOSPC|EDQUOT|EFBIG|EROFS|EACCES|ENOENT)$/.test(code)
    ? new NoSpoolSpaceError(error)
    : error;
}
