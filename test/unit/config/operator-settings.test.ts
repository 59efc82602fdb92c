import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { ConfigError } from '../../../src/config/config-error.ts';
import type { Environment } from '../../../src/config/setting-reader.ts';

const OPERATOR = {
  OPERATOR_EMAIL: 'grace@ops.example',
  OPERATOR_PASSWORD: 'a passphrase of grace',
};

function faultsOf(environment: Environment): readonly { name: string; message: string }[] {
  try {
    parseConfig(environment);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults;
  }
}

describe('the first operator', () => {
  test('is nobody unless the settings say so', () => {
    const { config, secrets } = parseConfig({});
    expect(config.operators).toEqual({ signup: 'open' });
    expect(secrets.operatorPassword).toBeUndefined();
  });

  test('has an address in the settings and a password among the secrets', () => {
    const { config, secrets } = parseConfig(OPERATOR);
    expect(config.operators).toEqual({ email: 'grace@ops.example', signup: 'open' });
    expect(secrets.operatorPassword).toBe('a passphrase of grace');
    expect(JSON.stringify(config)).not.toContain('passphrase');
  });

  test.each([
    [{ OPERATOR_PASSWORD: '' }, 'OPERATOR_PASSWORD', /must be set when OPERATOR_EMAIL is/],
    [{ OPERATOR_EMAIL: '' }, 'OPERATOR_EMAIL', /must be set when OPERATOR_PASSWORD is/],
    [{ OPERATOR_EMAIL: 'grace' }, 'OPERATOR_EMAIL', /must be an e-mail address, not "grace"/],
    [{ OPERATOR_PASSWORD: 'short' }, 'OPERATOR_PASSWORD', /must have at least 8 characters/],
    [{ OPERATOR_PASSWORD: 'x'.repeat(257) }, 'OPERATOR_PASSWORD', /at most 256 characters/],
    [{ OPERATOR_PASSWORD: 'password1' }, 'OPERATOR_PASSWORD', /one of the most common/],
    [{ OPERATOR_PASSWORD: 'Grace@ops.example' }, 'OPERATOR_PASSWORD', /your e-mail address/],
    [{ SIGNUP: 'closed' }, 'SIGNUP', /must be one of open, operators/],
  ])('%j is a fault of %s', (change, name, message) => {
    const faults = faultsOf({ ...OPERATOR, ...change });
    expect(faults).toMatchObject([{ name, message: expect.stringMatching(message) }]);
  });

  test.each(['hunter2', 'Password1', 'passphrase-of-grace@ops.example'])(
    'no fault shows the password %j',
    (password) => {
      for (const email of ['', 'nobody', 'passphrase-of-grace@ops.example'])
        for (const { message } of faultsOf({ OPERATOR_EMAIL: email, OPERATOR_PASSWORD: password }))
          if (email !== password) expect(message).not.toContain(password);
    },
  );
});
