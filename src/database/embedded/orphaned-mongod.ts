import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { DataFolder } from './data-folder.ts';
import { EmbeddedMongodError } from './embedded-errors.ts';
import { signatureArguments } from './mongod-process.ts';

const POLL_MS = 50;
/**
 * A clean stop takes about 1 s; but a SIGTERM that arrives while 6.0.5 replays its oplog after a crash stops it
 * never. SIGKILL loses nothing that was acknowledged, so there is no reason to wait long.
 */
const TERMINATE_LIMIT_MS = 3_000;
const KILL_LIMIT_MS = 10_000;

/**
 * Stops what a killed service left running on this folder. Stopped rather than adopted: a child of this process
 * has its options, its descriptor limit and a watched exit; an adopted one has none of them, and a clean
 * restart costs about 2 s.
 *
 * @param folder - locked by this process, so a `mongod` of ours on it belongs to no live service. One
 *   that was started in another way is left alone.
 * @returns the ids of the processes that were stopped
 * @throws EmbeddedMongodError when one does not even yield to SIGKILL, or belongs to another user
 */
export async function stopOrphanedMongods(folder: DataFolder): Promise<number[]> {
  const pids = await findOurMongods(folder);
  for (const pid of pids) {
    const stopped =
      (await endedAfter('SIGTERM', TERMINATE_LIMIT_MS, pid, folder)) ||
      (await endedAfter('SIGKILL', KILL_LIMIT_MS, pid, folder));
    if (!stopped) throw cannotStop(pid, folder);
  }
  return pids;
}

/** Where `mongod` keeps its process id while it runs. */
export function mongodLockFile(folder: DataFolder): string {
  return join(folder.database, 'mongod.lock');
}

async function endedAfter(
  signal: NodeJS.Signals,
  limitMs: number,
  pid: number,
  folder: DataFolder,
): Promise<boolean> {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw cannotStop(pid, folder, error);
  }
  const deadline = Date.now() + limitMs;
  while ((await findOurMongods(folder)).includes(pid)) {
    if (Date.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

function cannotStop(pid: number, folder: DataFolder, cause?: unknown): EmbeddedMongodError {
  return new EmbeddedMongodError(
    `A mongod that a killed service left behind (process ${pid}) still uses ${folder.path} and cannot be stopped.`,
    cause,
  );
}

/**
 * Looks through the process table, for no file can be trusted with this: a file of ours may name a process id
 * that another program has got since, and `mongod` writes its own only after it has opened all its data.
 */
async function findOurMongods(folder: DataFolder): Promise<number[]> {
  const signature = ` ${signatureArguments(folder).join(' ')} `;
  const processes = process.platform === 'linux' ? await readProc() : await askPs();
  return processes.filter(({ command }) => command.includes(signature)).map(({ pid }) => pid);
}

interface RunningProcess {
  pid: number;
  /** The command line; empty when the process has ended and its parent has yet to collect it. */
  command: string;
}

/** proc(5); minimal installations of Linux have no `ps`. */
async function readProc(): Promise<RunningProcess[]> {
  const pids = (await readdir('/proc')).map(Number).filter(Number.isSafeInteger);
  return Promise.all(
    pids.map(async (pid) => {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return { pid, command: command.replaceAll('\0', ' ') };
    }),
  );
}

async function askPs(): Promise<RunningProcess[]> {
  const options = { maxBuffer: 16 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)('ps', ['-axww', '-o', 'pid=,args='], options);
  return stdout.split('\n').map((line) => ({ pid: Number.parseInt(line, 10), command: line }));
}
