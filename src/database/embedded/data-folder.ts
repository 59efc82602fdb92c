import { readFileSync, writeFileSync } from 'node:fs';
import { access, constants, mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DataFolderInUseError, EmbeddedMongodError } from './embedded-errors.ts';

/** SQLITE_BUSY: another connection holds the lock (https://www.sqlite.org/rescode.html#busy). */
const SQLITE_BUSY = 5;

/**
 * The folder that the embedded MongoDB keeps everything in, held by one service at a time.
 *
 * The lock is one of the operating system, taken through SQLite because Node has no call for it. It ends
 * with the process, kill -9 included: there is no stale lock to judge by age or by a process id that
 * may have been given to another program since.
 */
export class DataFolder implements Disposable {
  readonly path: string;
  readonly #lock: DatabaseSync;

  private constructor(path: string, lock: DatabaseSync) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes the folder when needed (readable by this user only) and locks it.
   *
   * @throws DataFolderInUseError naming the service that holds it
   * @throws EmbeddedMongodError when the folder cannot be made, written or locked
   */
  static async open(folder: string): Promise<DataFolder> {
    const path = await prepare(folder);
    return new DataFolder(path, takeLock(path));
  }

  /** MongoDB's data files. */
  get database(): string {
    return join(this.path, 'db');
  }

  /** The log of the running `mongod`; the one before is kept beside it, as `mongod.log.1`. */
  get log(): string {
    return join(this.path, 'mongod.log');
  }

  [Symbol.dispose](): void {
    if (this.#lock.isOpen) this.#lock.close();
  }
}

async function prepare(folder: string): Promise<string> {
  try {
    await mkdir(join(folder, 'db'), { recursive: true, mode: 0o700 });
    // mongod's own paths are compared with this one, whatever symbolic link led here.
    const path = await realpath(folder);
    await access(join(path, 'db'), constants.R_OK | constants.W_OK | constants.X_OK);
    return path;
  } catch (error) {
    throw new EmbeddedMongodError(`The data folder ${folder} cannot be used: ${error}`, error);
  }
}

function takeLock(path: string): DatabaseSync {
  const pidFile = join(path, 'service.pid');
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(join(path, 'service.lock'), { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    writeFileSync(pidFile, `${process.pid}\n`);
    return lock;
  } catch (error) {
    lock?.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) {
      throw new DataFolderInUseError(path, 'service', readPid(pidFile));
    }
    throw new EmbeddedMongodError(`The data folder ${path} cannot be locked: ${error}`, error);
  }
}

/**
 * Reads a process id from a file.
 *
 * @returns undefined when there is none, or no process has that id
 */
export function readPid(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    return isRunning(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
