import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import type { Environment } from '../../../src/config/setting-reader.ts';
import { faultsOf, namesOfFaults } from './config-faults.ts';

const SECRET = 'kJ3v9Qx0Tz7Lr2Wm5Yb8Nc1Hd4Gf6Sp0';
const config = (environment: Environment) => parseConfig(environment).config;

describe('a number', () => {
  test.each([
    ['80x'],
    ['1e3'],
    [' 80'],
    ['80 '],
    ['-1'],
    ['+80'],
    ['0x50'],
    ['080'],
    ['8000.0'],
    ['65536'],
    ['99999999999999999999'],
    ['٨٠'],
    ['NaN'],
    ['true'],
  ])('is not %j', (PORT) => {
    expect(faultsOf({ PORT })).toEqual([
      {
        name: 'PORT',
        message: `must be a whole number from 0 to 65535, not ${JSON.stringify(PORT)}`,
      },
    ]);
  });

  test.each([
    ['PORT', '0', '65535', [], ['65536']],
    ['JWT_EXPIRES_IN', '60', '2592000', ['59', '0'], ['2592001']],
    ['REFRESH_EXPIRES_IN', '3600', '31622400', ['3599'], ['31622401']],
    ['REFRESH_IDLE_EXPIRES_IN', '3600', '31622400', ['3599'], ['31622401']],
    ['BCRYPT_COST', '10', '15', ['9', '4'], ['16']],
    ['MAX_COLLECTIONS', '1', '1000000', ['0'], ['1000001']],
    ['MAX_INDEXES_PER_ORGANIZATION', '1', '64', ['0'], ['65']],
    ['QUOTA_MAX_RECORDS', '0', '999999999999999', ['-1'], ['1000000000000000']],
    ['QUOTA_MAX_BYTES', '0', '999999999999999', ['-1'], ['1000000000000000']],
    ['QUOTA_MAX_MEMBERS', '1', '999999999999999', ['0'], ['1000000000000000']],
  ])('has limits: %s from %s to %s', (name, least, most, tooLow, tooHigh) => {
    const rest = name === 'JWT_EXPIRES_IN' ? { REFRESH_EXPIRES_IN: '31622400' } : {};
    for (const value of [least, most])
      expect(namesOfFaults({ ...rest, [name]: value })).toEqual([]);
    for (const value of [...tooLow, ...tooHigh]) {
      expect(namesOfFaults({ ...rest, [name]: value })).toEqual([name]);
    }
  });

  test('may be a cheap bcrypt cost in tests only', () => {
    const test = { NODE_ENV: 'test', JWT_SECRET: SECRET };
    expect(config({ ...test, BCRYPT_COST: '4' }).passwords.bcryptCost).toBe(4);
    expect(namesOfFaults({ ...test, BCRYPT_COST: '3' })).toEqual(['BCRYPT_COST']);
    expect(namesOfFaults({ NODE_ENV: 'development', BCRYPT_COST: '4' })).toEqual(['BCRYPT_COST']);
  });

  test('of seconds for a refresh token is not below that for an access token', () => {
    expect(faultsOf({ JWT_EXPIRES_IN: '7200', REFRESH_EXPIRES_IN: '7199' })).toEqual([
      { name: 'REFRESH_EXPIRES_IN', message: 'must not be less than JWT_EXPIRES_IN (7200)' },
    ]);
    expect(namesOfFaults({ JWT_EXPIRES_IN: '7200', REFRESH_EXPIRES_IN: '7200' })).toEqual([]);
    expect(faultsOf({ JWT_EXPIRES_IN: '7200', REFRESH_IDLE_EXPIRES_IN: '7199' })).toEqual([
      { name: 'REFRESH_IDLE_EXPIRES_IN', message: 'must not be less than JWT_EXPIRES_IN (7200)' },
    ]);
  });
});

describe('a choice', () => {
  test.each([
    ['NODE_ENV', 'prod', 'must be one of development, test, production, not "prod"'],
    ['NODE_ENV', 'Production', 'must be one of development, test, production, not "Production"'],
    [
      'LOG_LEVEL',
      'verbose',
      'must be one of fatal, error, warn, info, debug, trace, silent, not "verbose"',
    ],
  ])('%s is not %s', (name, value, message) => {
    expect(faultsOf({ JWT_SECRET: SECRET, [name]: value })).toEqual([{ name, message }]);
  });

  test.each(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])(
    '%s is a log level',
    (level) => {
      expect(config({ LOG_LEVEL: level }).logging.level).toBe(level);
    },
  );
});

describe('a host', () => {
  test.each(['127.0.0.1', '::1', '::', 'localhost', 'db_1', 'a.example.com', '1and1.example'])(
    'may be %s',
    (HOST) => {
      expect(config({ HOST }).server.host).toBe(HOST);
    },
  );

  test.each(['http://localhost', 'localhost:8000', '[::1]', '300.1.1.1', 'a b', '.', '127.0.0.1 '])(
    'is not %j',
    (HOST) => {
      expect(namesOfFaults({ HOST })).toEqual(['HOST']);
    },
  );
});

describe('a database name', () => {
  test.each(['a', 'organization_master', 'd'.repeat(63), '東'.repeat(21), 'local_1'])(
    'may be %s',
    (MASTER_DB) => {
      expect(config({ MASTER_DB }).database.masterDb).toBe(MASTER_DB);
    },
  );

  test.each([
    'd'.repeat(64),
    '東'.repeat(22),
    'admin',
    'local',
    'config',
    'Admin',
    ...[...'/\\. "$*<>:|?\0'].map((character) => `a${character}b`),
  ])('is not %j', (name) => {
    expect(namesOfFaults({ MASTER_DB: name, TENANT_DB: name })).toEqual(['MASTER_DB', 'TENANT_DB']);
  });

  test('differs from the other one by more than case', () => {
    expect(namesOfFaults({ MASTER_DB: 'Orgs', TENANT_DB: 'orgs' })).toEqual(['TENANT_DB']);
  });
});
