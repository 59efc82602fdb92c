import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ConfigError } from '../../../src/config/config-error.ts';
import { loadConfig } from '../../../src/config/env.ts';
import { makeKey } from '../../support/tokens.ts';

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tenantry-env-'));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

const writeDotEnv = (text: string) => writeFile(join(directory, '.env'), text);

test('settings come from the environment where there is no .env', () => {
  const { config } = loadConfig({ directory, environment: { PORT: '1234' } });
  expect(config.server.port).toBe(1234);
});

test('settings come from .env, and the environment wins', async () => {
  await writeDotEnv('# a comment\nPORT=1111\nexport HOST="0.0.0.0"\nMASTER_DB=one # remark\n');
  const { config } = loadConfig({ directory, environment: { PORT: '2222' } });
  expect(config.server).toEqual({ host: '0.0.0.0', port: 2222 });
  expect(config.database.masterDb).toBe('one');
});

test('an empty variable of the environment unsets that of .env', async () => {
  await writeDotEnv('MONGO_URL=mongodb://localhost\n');
  expect(loadConfig({ directory, environment: {} }).secrets.mongoUrl).toBe('mongodb://localhost');
  expect(
    loadConfig({ directory, environment: { MONGO_URL: '' } }).secrets.mongoUrl,
  ).toBeUndefined();
});

test('.env may come from an editor on Windows', async () => {
  await writeDotEnv('\ufeffPORT=1111\r\nHOST=localhost\r\n');
  expect(loadConfig({ directory, environment: {} }).config.server).toEqual({
    host: 'localhost',
    port: 1111,
  });
});

test('quoted values of .env keep what would be a comment', async () => {
  const secret = 'kJ3v9Qx0#z7Lr2Wm5Yb8Nc1Hd4Gf6Sp0';
  await writeDotEnv(`JWT_SECRET="${secret}"\n`);
  expect(loadConfig({ directory, environment: {} }).secrets.jwtSecret).toBe(secret);
});

test('faults of .env and of the environment are reported together', async () => {
  await writeDotEnv('PORT=x\n');
  const load = () => loadConfig({ directory, environment: { LOG_LEVEL: 'loud' } });
  expect(load).toThrow(ConfigError);
  expect(load).toThrow('PORT must');
  expect(load).toThrow('LOG_LEVEL must');
});

test('a .env that cannot be read is a fault', async () => {
  await mkdir(join(directory, '.env'));
  expect(() => loadConfig({ directory, environment: {} })).toThrow(
    expect.objectContaining({
      name: 'ConfigError',
      faults: [{ name: '.env', message: 'cannot be read: EISDIR' }],
    }),
  );
});

test('the environment is that of the process, unless told otherwise', () => {
  vi.stubEnv('NODE_ENV', 'development');
  vi.stubEnv('PORT', '4321');
  expect(loadConfig({ directory }).config.server.port).toBe(4321);
});

test('keys come from .env, and from a file that a setting names from there', async () => {
  const { privatePem, kid } = makeKey('EdDSA');
  const kids = () =>
    loadConfig({ directory, environment: {} }).secrets.signingKeys?.map((key) => key.kid);
  await writeDotEnv(`JWT_PRIVATE_KEYS="${privatePem}"\nPORT=1\n`);
  expect(kids()).toEqual([kid]);
  await writeDotEnv(`JWT_PRIVATE_KEYS="${privatePem.replaceAll('\n', '\\n')}"\n`);
  expect(kids()).toEqual([kid]);
  await writeDotEnv(`JWT_PRIVATE_KEYS=${privatePem.replaceAll('\n', '\\n')}\n`);
  expect(kids()).toEqual([kid]);
  await writeDotEnv('JWT_PRIVATE_KEYS_FILE=keys.pem\n');
  await writeFile(join(directory, 'keys.pem'), privatePem);
  expect(kids()).toEqual([kid]);
  await rm(join(directory, 'keys.pem'));
  expect(kids).toThrow('JWT_PRIVATE_KEYS_FILE must name a file that can be read (ENOENT)');
});
