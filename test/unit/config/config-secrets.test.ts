import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { errorOf, faultsOf, namesOfFaults } from './config-faults.ts';

const SECRET = 'kJ3v9Qx0Tz7Lr2Wm5Yb8Nc1Hd4Gf6Sp0';
const SAMPLE = 'replace-this-with-the-output-of-openssl-rand-base64-48';

describe('MONGO_URL', () => {
  test.each([
    ['mongodb://localhost', 'localhost:27017'],
    ['mongodb://me:p%40ss@a:1,b:2/db?replicaSet=r', 'a:1,b:2'],
    ['mongodb+srv://me:pass@cluster0.example.net/?appName=x', 'cluster0.example.net'],
    ['mongodb://[::1]:27017', '[::1]:27017'],
  ])('may be %s', (MONGO_URL, address) => {
    const { config, secrets } = parseConfig({ MONGO_URL });
    expect(config.database.address).toBe(address);
    expect(secrets.mongoUrl).toBe(MONGO_URL);
  });

  test.each([
    ['localhost:27017', 'Invalid scheme'],
    ['http://localhost', 'Invalid scheme'],
    ['mongodb://', 'host'],
    ['mongodb://a b', 'white space'],
    ['mongodb://localhost:99999', 'Unable to parse <host>'],
    ['mongodb://localhost/?foo=1', 'option foo is not supported'],
    ['mongodb://me:hunter2@localhost/?foo=1', 'option foo is not supported'],
    ['mongodb://me:hunter2@hunter2@localhost', 'percent-encoded'],
    ['mongodb://me:hunter2/hunter2@localhost', 'percent-encoded'],
    ['mongodb://me:hunter2?hunter2@localhost', 'percent-encoded'],
    ['mongodb://me:hunter2%@localhost', 'percent-encoded'],
    ['mongodb://me:hunter2@localhost:99999', 'Unable to parse <host>'],
    ['mongodb://me:hunter2', 'Unable to parse <host>'],
  ])('is not %s, and the reason holds no password', (MONGO_URL, reason) => {
    const error = errorOf({ MONGO_URL });
    expect(error?.faults.map(({ name }) => name)).toEqual(['MONGO_URL']);
    expect(error?.message).toContain(reason);
    expect(error?.message).not.toContain('hunter2');
  });
});

test('MONGO_URL with a secret among its options is refused without the words of the driver', () => {
  const MONGO_URL = 'mongodb://localhost/?tlsCertificateKeyFilePassword=hunter2&foo=1';
  expect(faultsOf({ MONGO_URL })).toEqual([
    {
      name: 'MONGO_URL',
      message: 'must be a MongoDB connection string (mongodb:// or mongodb+srv://)',
    },
  ]);
});

describe('JWT_SECRET', () => {
  test.each(['test', 'production'])('is missing: a fault in %s', (NODE_ENV) => {
    expect(faultsOf({ NODE_ENV })).toEqual([
      {
        name: 'JWT_SECRET',
        message: 'must be set outside development; "openssl rand -base64 48" makes one',
      },
    ]);
  });

  test.each(['development', 'test', 'production'])('is short: a fault in %s', (NODE_ENV) => {
    expect(faultsOf({ NODE_ENV, JWT_SECRET: SECRET.slice(1) })).toEqual([
      { name: 'JWT_SECRET', message: 'must be at least 32 bytes long; it has 31' },
    ]);
    expect(namesOfFaults({ NODE_ENV, JWT_SECRET: SECRET })).toEqual([]);
  });

  test('is measured in bytes', () => {
    expect(namesOfFaults({ JWT_SECRET: 'ключдляподписи12' })).toEqual(['JWT_SECRET']);
    expect(namesOfFaults({ JWT_SECRET: 'ключдляподписи1234' })).toEqual([]);
  });

  test.each(['test', 'production'])('is a sample: a fault in %s', (NODE_ENV) => {
    expect(faultsOf({ NODE_ENV, JWT_SECRET: SAMPLE })).toEqual([
      {
        name: 'JWT_SECRET',
        message: 'is a sample or easy to guess; "openssl rand -base64 48" makes a good one',
      },
    ]);
  });

  test('is a sample: a warning in development', () => {
    const { secrets, warnings } = parseConfig({ JWT_SECRET: SAMPLE });
    expect(secrets.jwtSecret).toBe(SAMPLE);
    expect(warnings).toEqual([
      expect.stringMatching(/^JWT_SECRET is a sample .* would not start\.$/),
    ]);
  });
});
