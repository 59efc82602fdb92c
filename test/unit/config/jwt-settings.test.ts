import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { makeKey } from '../../support/tokens.ts';
import { errorOf, faultsOf, namesOfFaults } from './config-faults.ts';

const SECRET = 'kJ3v9Qx0Tz7Lr2Wm5Yb8Nc1Hd4Gf6Sp0';
const OLD = 'Vb7Nm3Qw9Er1Ty5Ui2Op8As4Df6Gh0Jk';
const SAMPLE = 'replace-this-with-the-output-of-openssl-rand-base64-48';
const ed = makeKey('EdDSA');
const es = makeKey('ES256');

describe('JWT_PREVIOUS_SECRETS', () => {
  test.each([
    [OLD, [OLD]],
    [`${OLD},${SECRET}`, [OLD, SECRET]],
    [`  ${OLD} ,\n${SECRET} `, [OLD, SECRET]],
  ])('%j are %j', (JWT_PREVIOUS_SECRETS, secrets) => {
    expect(parseConfig({ JWT_PREVIOUS_SECRETS }).secrets.jwtPreviousSecrets).toEqual(secrets);
  });

  test.each(['development', 'production'])('are a fault in %s when one is short', (NODE_ENV) => {
    for (const [value, bytes] of [
      ['short', 5],
      [`${OLD},`, 0],
      [`${OLD},,${SECRET}`, 0],
      [`${OLD} ${SECRET.slice(1)},${OLD.slice(1)}`, 31],
    ] as const)
      expect(faultsOf({ NODE_ENV, JWT_SECRET: SECRET, JWT_PREVIOUS_SECRETS: value })).toEqual([
        {
          name: 'JWT_PREVIOUS_SECRETS',
          message: `must be secrets with commas between them, each at least 32 bytes long; it has ${bytes}`,
        },
      ]);
  });

  test('are a fault outside development when one can be guessed', () => {
    const settings = { JWT_SECRET: SECRET, JWT_PREVIOUS_SECRETS: `${OLD},${SAMPLE}` };
    const message =
      'holds one that is a sample or easy to guess; "openssl rand -base64 48" makes a good one';
    expect(faultsOf({ ...settings, NODE_ENV: 'production' })).toEqual([
      { name: 'JWT_PREVIOUS_SECRETS', message },
    ]);
    expect(parseConfig(settings).warnings).toEqual([
      `JWT_PREVIOUS_SECRETS ${message}. Outside development the service would not start.`,
    ]);
  });
});

test.each(['JWT_SECRET', 'JWT_PREVIOUS_SECRETS'])('%s is no key', (name) => {
  for (const pem of [ed.privatePem, es.publicPem])
    expect(faultsOf({ [name]: pem })).toEqual([
      { name, message: 'must be random text; a key in PEM belongs into JWT_PRIVATE_KEYS' },
    ]);
});

describe('JWT_PRIVATE_KEYS', () => {
  const kidsOf = (JWT_PRIVATE_KEYS: string) =>
    parseConfig({ JWT_PRIVATE_KEYS }).secrets.signingKeys?.map(({ kid }) => kid);

  test('are one or several, on lines of their own or on one line', () => {
    expect(kidsOf(ed.privatePem)).toEqual([ed.kid]);
    expect(kidsOf(ed.privatePem + es.privatePem)).toEqual([ed.kid, es.kid]);
    expect(kidsOf((es.privatePem + ed.publicPem).replaceAll('\n', '\\n'))).toEqual([
      es.kid,
      ed.kid,
    ]);
  });

  test('leave JWT_SECRET needed', () => {
    const settings = { NODE_ENV: 'production', JWT_PRIVATE_KEYS: ed.privatePem };
    expect(namesOfFaults(settings)).toEqual(['JWT_SECRET']);
    expect(namesOfFaults({ ...settings, JWT_SECRET: SECRET })).toEqual([]);
  });

  test('that cannot be used are named, and not shown', () => {
    const encrypted = es.privateKey.export({
      ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hunter2' },
    });
    for (const JWT_PRIVATE_KEYS of [
      String(encrypted),
      ed.privatePem.slice(0, -9),
      ed.publicPem,
      'MC4CAQAwBQYDK2VwBCIEIA',
    ]) {
      const error = errorOf({ JWT_PRIVATE_KEYS });
      expect(error?.faults.map(({ name }) => name)).toEqual(['JWT_PRIVATE_KEYS']);
      expect(error?.message).toMatch(/\n {2}JWT_PRIVATE_KEYS must hold .*; /);
      expect(error?.message).not.toMatch(/MC4C|MIG|VwBCI/);
    }
  });
});

describe('JWT_PRIVATE_KEYS_FILE', () => {
  const settings = { JWT_PRIVATE_KEYS_FILE: 'keys.pem' };

  test('names a file with the keys', () => {
    const files: Record<string, string> = { 'keys.pem': ed.privatePem + es.privatePem };
    const { secrets } = parseConfig(settings, (path) => files[path] ?? '');
    expect(secrets.signingKeys?.map(({ kid }) => kid)).toEqual([ed.kid, es.kid]);
  });

  test('is a fault when it holds no good key', () => {
    const parse = () => parseConfig(settings, () => 'nothing');
    expect(parse).toThrow(/JWT_PRIVATE_KEYS_FILE must hold .*; it holds none\. /);
  });

  test('is a fault when it cannot be read, and what it says is not shown: it may be a key', () => {
    const refuse = () => {
      throw Object.assign(new Error('no such file: hunter2'), { code: 'ENOENT' });
    };
    const parse = () => parseConfig({ JWT_PRIVATE_KEYS_FILE: 'hunter2' }, refuse);
    expect(parse).toThrow('JWT_PRIVATE_KEYS_FILE must name a file that can be read (ENOENT)');
    expect(parse).not.toThrow('hunter2');
  });

  test('does not go with JWT_PRIVATE_KEYS', () => {
    expect(faultsOf({ ...settings, JWT_PRIVATE_KEYS: ed.privatePem })).toEqual([
      { name: 'JWT_PRIVATE_KEYS_FILE', message: 'must not be set beside JWT_PRIVATE_KEYS' },
    ]);
  });
});

describe.each(['JWT_ISSUER', 'JWT_AUDIENCE'])('%s', (name) => {
  test.each(['acme', 'https://auth.acme.example/', 'urn:acme:auth', 'a'.repeat(200)])(
    'may be %s',
    (value) => {
      expect(namesOfFaults({ [name]: value })).toEqual([]);
    },
  );

  test.each(['two words', 'acme\n', 'añb', 'a'.repeat(201), ':', '//:x', '1:2'])(
    'is not %j',
    (value) => {
      const [fault] = faultsOf({ [name]: value });
      expect(fault?.name).toBe(name);
      expect(fault?.message).toMatch(/^must be a name or a URI, at most 200 characters/);
    },
  );
});
