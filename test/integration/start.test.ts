import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);

/** Three processes start from nothing; a busy machine takes its time. */
const TIMEOUT_MS = 120_000;

/** Starts the service with these settings alone. @returns how it ended; a start that succeeds never does */
async function failedStart(settings: Record<string, string>) {
  const directory = await mkdtemp(join(tmpdir(), 'tenantry-start-'));
  try {
    return await run(process.execPath, [resolve('src/main.ts')], {
      cwd: directory,
      env: { PATH: process.env.PATH, JWT_SECRET: 'a'.repeat(20) + directory, ...settings },
    });
  } catch (error) {
    return error as { code: number; stderr: string };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test.for([
  [{ PORT: '99999', JWT_EXPIRES_IN: 'abc' }, ['PORT', 'JWT_EXPIRES_IN']],
  // Port 1 of this machine: nothing listens there.
  [{ MONGO_URL: 'mongodb://127.0.0.1:1/' }, ['MONGO_URL']],
  [
    {
      NODE_ENV: 'production',
      JWT_SECRET: '',
      JWT_PRIVATE_KEYS_FILE: 'nowhere.pem',
      SMTP_URL: 'smtp://a',
    },
    ['JWT_SECRET', 'JWT_PRIVATE_KEYS_FILE', 'MAIL_FROM'],
  ],
] as const)(
  'a start with %o ends with 1 and names %o',
  { timeout: TIMEOUT_MS },
  async ([settings, names]) => {
    const ended = await failedStart(settings);
    expect(ended).toMatchObject({ code: 1 });
    for (const name of names) expect(ended.stderr).toContain(name);
  },
);
