import { format, inspect } from 'node:util';
import pino from 'pino';
import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { Secrets } from '../../../src/config/secrets.ts';
import { keySet, makeKey } from '../../support/tokens.ts';

const key = makeKey('EdDSA');
const secrets = new Secrets({
  jwtSecret: 'hunter2-jwt',
  jwtPreviousSecrets: ['hunter2-old'],
  signingKeys: keySet(key.privatePem),
  mongoUrl: 'mongodb://me:hunter2@localhost',
  smtpUrl: 'smtp://me:hunter2@localhost',
});

test('secrets can be read by name', () => {
  expect(secrets.jwtSecret).toBe('hunter2-jwt');
  expect(secrets.jwtPreviousSecrets).toEqual(['hunter2-old']);
  expect(secrets.signingKeys).toMatchObject([{ kid: key.kid }]);
  expect(secrets.mongoUrl).toBe('mongodb://me:hunter2@localhost');
  expect(secrets.smtpUrl).toBe('smtp://me:hunter2@localhost');
});

test.each<[string, (value: Secrets) => string]>([
  ['JSON', (it) => JSON.stringify({ it })],
  ['inspect', (it) => inspect({ it }, { depth: null, showHidden: true })],
  [
    'inspect without customization',
    (it) => inspect(it, { customInspect: false, showHidden: true }),
  ],
  ['format', (it) => format('%s %o %O %j', it, it, it, it)],
  ['a template', (it) => `${it}`],
  ['spreading', (it) => inspect({ ...it })],
  ['enumeration', (it) => inspect([Object.entries(it), Reflect.ownKeys(it)])],
  ['structured cloning', (it) => inspect(structuredClone(it))],
  ['the log', (it) => logged(it)],
])('secrets are not shown by %s', (_, show) => {
  expect(show(secrets)).not.toContain('hunter2');
  expect(show(secrets)).not.toContain(key.kid);
});

function logged(value: Secrets): string {
  const lines: string[] = [];
  const log = pino({}, { write: (line) => lines.push(line) });
  log.info(value);
  log.info({ value }, 'settings %o %j', value, value);
  expect(lines).toHaveLength(2);
  return lines.join('');
}

test('a config holds no secret', () => {
  const { config } = parseConfig({
    MONGO_URL: 'mongodb://me:hunter2@localhost',
    SMTP_URL: 'smtp://me:hunter2@localhost',
    MAIL_FROM: 'a@acme.example',
    JWT_SECRET: 'hunter2kJ3v9Qx0Tz7Lr2Wm5Yb8Nc1Hd4Gf6Sp0',
  });
  expect(JSON.stringify(config)).not.toMatch(/hunter2|me:/);
});
