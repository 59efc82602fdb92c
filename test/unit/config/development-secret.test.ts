import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/config-error.ts';
import { developmentSecret } from '../../../src/config/development-secret.ts';
import { isSampleSecret } from '../../../src/config/sample-secret.ts';

let folder = '';
let dataDir = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantry-secret-'));
  dataDir = join(folder, 'a', 'data');
});

afterEach(() => rm(folder, { recursive: true }));

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

test('a secret is made once and kept, for its owner only', async () => {
  const secret = await developmentSecret(dataDir);
  expect(Buffer.from(secret, 'base64url')).toHaveLength(48);
  expect(isSampleSecret(secret)).toBe(false);
  expect(await modeOf(join(dataDir, 'jwt-secret'))).toBe(0o600);
  expect(await developmentSecret(dataDir)).toBe(secret);
  expect(await readdir(dataDir)).toEqual(['jwt-secret']);
  expect(await readFile(join(dataDir, 'jwt-secret'), 'utf8')).toBe(`${secret}\n`);
  expect(await modeOf(dataDir)).toBe(0o700);
});

test('two folders have two secrets', async () => {
  expect(await developmentSecret(join(folder, 'one'))).not.toBe(
    await developmentSecret(join(folder, 'two')),
  );
});

test('many starts at once get one secret', async () => {
  const secrets = await Promise.all(Array.from({ length: 50 }, () => developmentSecret(dataDir)));
  expect(new Set(secrets).size).toBe(1);
  expect(await readdir(dataDir)).toEqual(['jwt-secret']);
});

test('several processes at once get one secret', async () => {
  const secrets = await Promise.all(Array.from({ length: 4 }, () => secretOfAnotherProcess()));
  expect(secrets[0]).toMatch(/^[\w-]{64}$/);
  expect(new Set(secrets)).toEqual(new Set([await developmentSecret(dataDir)]));
  expect(await readdir(dataDir)).toEqual(['jwt-secret']);
});

async function secretOfAnotherProcess(): Promise<string> {
  const module = new URL('../../../src/config/development-secret.ts', import.meta.url).href;
  const script = `import { developmentSecret } from ${JSON.stringify(module)};
    process.stdout.write(await developmentSecret(process.argv[1]));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  expect(code).toBe(0);
  return output;
}

test('a kept secret that others could read no longer can be', async () => {
  const secret = await developmentSecret(dataDir);
  await chmod(join(dataDir, 'jwt-secret'), 0o644);
  expect(await developmentSecret(dataDir)).toBe(secret);
  expect(await modeOf(join(dataDir, 'jwt-secret'))).toBe(0o600);
});

test.each(['', '\n', 'too short\n'])(
  'a file that holds %j is a fault, and is left alone',
  async (content) => {
    await developmentSecret(dataDir);
    const file = join(dataDir, 'jwt-secret');
    await writeFile(file, content);
    await expect(developmentSecret(dataDir)).rejects.toThrow(ConfigError);
    await expect(developmentSecret(dataDir)).rejects.toThrow(
      /JWT_SECRET is not set, and .*jwt-secret holds no secret/,
    );
    expect(await readFile(file, 'utf8')).toBe(content);
  },
);

test('a data folder that cannot be one is a fault', async () => {
  await writeFile(join(folder, 'file'), '');
  await expect(developmentSecret(join(folder, 'file'))).rejects.toThrow(
    expect.objectContaining({
      name: 'ConfigError',
      message: expect.stringMatching(/DATA_DIR .*ENOTDIR/),
    }),
  );
});
