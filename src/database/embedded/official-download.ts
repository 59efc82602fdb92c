import { once } from 'node:events';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { MongodSourceError } from './embedded-errors.ts';
import type { MongodDownload } from './mongod-download.ts';

/**
 * 7.0 can open data written by 6.0 (the wheel) and 8.0 can open data written by 7.0; no other choice
 * lets a data folder move between all three.
 */
const VERSION = '7.0.28';
const FIRST_BYTE_LIMIT_MS = 30_000;

/** MongoDB's own build for this distribution and architecture, checked against the MD5 published beside it. */
export const officialDownload: MongodDownload = {
  name: `the official download (MongoDB ${VERSION})`,

  async download({ workDir, onProgress }) {
    onProgress(`downloading MongoDB ${VERSION} from mongodb.org`);
    // The built package has .js files where the source tree has .ts.
    const extension = extname(fileURLToPath(import.meta.url));
    const worker = new Worker(new URL(`./official-download-worker${extension}`, import.meta.url), {
      workerData: { version: VERSION, workDir },
      stdout: true,
      stderr: true,
    });
    const silence = setTimeout(() => void worker.terminate(), FIRST_BYTE_LIMIT_MS);
    for (const input of [worker.stdout, worker.stderr]) {
      createInterface({ input }).on('line', (line) => {
        clearTimeout(silence);
        if (line.trim() !== '') onProgress(line.trim());
      });
    }
    try {
      return await resultOf(worker);
    } finally {
      clearTimeout(silence);
      await worker.terminate();
    }
  },
};

/** A terminated worker exits without a message and without an error. */
async function resultOf(worker: Worker): Promise<string> {
  const exit = once(worker, 'exit').then(() => {
    throw new MongodSourceError(`no answer in ${FIRST_BYTE_LIMIT_MS / 1000} s`);
  });
  try {
    const [path] = await Promise.race([once(worker, 'message'), exit]);
    return path;
  } catch (error) {
    if (error instanceof MongodSourceError) throw error;
    throw new MongodSourceError(error instanceof Error ? error.message : String(error), error);
  } finally {
    exit.catch(() => undefined);
  }
}
