import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';

describe('a variable that is no setting', () => {
  test.each([
    ['MONGO_URI', 'MONGO_URL'],
    ['MONGOURL', 'MONGO_URL'],
    ['MNOGO_URL', 'MONGO_URL'],
    ['MONGODB_URI', 'MONGO_URL'],
    ['DATABASE_URL', 'MONGO_URL'],
    ['mongo_url', 'MONGO_URL'],
    ['port', 'PORT'],
    ['JWT_SECRETS', 'JWT_SECRET'],
    ['JTW_SECRET', 'JWT_SECRET'],
    ['SECRET_KEY', 'JWT_SECRET'],
    ['JWT_EXPIRE_IN', 'JWT_EXPIRES_IN'],
    ['MASTERDB', 'MASTER_DB'],
    ['BCRYPT_ROUNDS', 'BCRYPT_COST'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['MAX_COLLECTON', 'MAX_COLLECTIONS'],
  ])('but resembles one: %s is reported as %s', (name, setting) => {
    expect(parseConfig({ [name]: 'hunter2' }).warnings).toEqual([
      `${name} is not a setting of this service and has no effect; ${setting} is.`,
    ]);
  });

  test('is not reported when it resembles none', () => {
    const usual = [
      'HOSTNAME',
      'HOME',
      'PATH',
      'PWD',
      'SHELL',
      'LANG',
      'LOGNAME',
      'USER',
      'TERM',
      'POST',
    ];
    const others = [
      'XDG_DATA_HOME',
      'XDG_CONFIG_DIRS',
      'NODE_OPTIONS',
      'NODE_PATH',
      'JAVA_DIR',
      'CI',
    ];
    const environment = Object.fromEntries([...usual, ...others].map((name) => [name, '/x']));
    expect(parseConfig(environment).warnings).toEqual([]);
  });

  test('is not reported when it is empty, or the setting that another name stands for is there', () => {
    expect(parseConfig({ MONGO_URI: '' }).warnings).toEqual([]);
    const both = { MONGO_URL: 'mongodb://localhost', DATABASE_URL: 'postgres://localhost' };
    expect(parseConfig(both).warnings).toEqual([]);
  });
});
