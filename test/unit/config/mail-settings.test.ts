import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { isLoopback } from '../../../src/config/loopback.ts';
import { readMailbox } from '../../../src/config/mailbox.ts';
import type { Environment } from '../../../src/config/setting-reader.ts';
import { readSmtpUrl } from '../../../src/config/smtp-url.ts';
import { errorOf, faultsOf, namesOfFaults } from './config-faults.ts';

const JWT_SECRET = 'kJ3v9Qx0Tz7Lr2Wm5Yb8Nc1Hd4Gf6Sp0';
const MAIL_FROM = 'no-reply@acme.example';
const SMTP_URL = 'smtp://mail.example.com';
const PRODUCTION = { NODE_ENV: 'production', JWT_SECRET };
const mailOf = (environment: Environment) => parseConfig(environment).config.mail;

describe('SMTP_URL', () => {
  test.each([
    ['smtp://h', { host: 'h', port: 587, implicitTls: false }],
    ['smtp://h:25/', { host: 'h', port: 25, implicitTls: false }],
    ['smtps://mail.example.com', { host: 'mail.example.com', port: 465, implicitTls: true }],
    ['smtp://[::1]:1025', { host: '::1', port: 1025, implicitTls: false }],
    [
      'smtp://me%40acme.example:p%3A%2F%3F%23%40ss@h',
      {
        host: 'h',
        port: 587,
        implicitTls: false,
        credentials: { user: 'me@acme.example', pass: 'p:/?#@ss' },
      },
    ],
  ])('may be %s', (url, server) => {
    expect(readSmtpUrl(url)).toEqual({ server });
    const { config, secrets } = parseConfig({ SMTP_URL: url, MAIL_FROM });
    expect(config.mail).toMatchObject({
      delivery: 'smtp',
      server: `${server.host}:${server.port}`,
    });
    expect(secrets.smtpUrl).toBe(url);
  });

  test.each([
    'mail.example.com:25',
    'http://h',
    'smtp:h',
    'smtp://',
    'smtp://h:99999',
    'smtp://h:0',
    'smtp://h:x',
    'smtp://h/hunter2',
    'smtp://h?tls=hunter2',
    'smtp://h#hunter2',
    'smtp://me@h',
    'smtp://:hunter2@h',
    'smtp://me:hunter2%@h',
    'smtp://me:hunter2#@h',
    'smtp://me:hunter2/@h',
    'smtp://me:hunter 2@h',
    'smtp://me:hunter2@ä.example',
    'smtp://me:hunter2@a%00b',
  ])('is not %s, and the reason holds no part of it', (url) => {
    const error = errorOf({ SMTP_URL: url, MAIL_FROM });
    expect(error?.faults.map(({ name }) => name)).toEqual(['SMTP_URL']);
    expect(error?.message).not.toMatch(/hunter|me:|example/);
  });
});

describe('MAIL_FROM', () => {
  test.each([
    ['a@b.example', { address: 'a@b.example' }],
    ['  a@b.example ', { address: 'a@b.example' }],
    ['<no-reply@localhost>', { address: 'no-reply@localhost' }],
    ['Acme Inc. <a@b.example>', { name: 'Acme Inc.', address: 'a@b.example' }],
    ['Müller & Söhne <a@b.example>', { name: 'Müller & Söhne', address: 'a@b.example' }],
    ['"Acme, Inc." <a@b.example>', { name: 'Acme, Inc.', address: 'a@b.example' }],
    ['"say \\"hi\\"" <a+b@b.example>', { name: 'say "hi"', address: 'a+b@b.example' }],
  ])('may be %s', (text, mailbox) => {
    expect(readMailbox(text)).toEqual(mailbox);
    expect(mailOf({ SMTP_URL, MAIL_FROM: text }).from).toEqual(mailbox);
  });

  test.each([
    'nobody',
    'a@',
    '@b.example',
    'a b@c.example',
    'a@b.example, c@d.example',
    'a@b.example; c@d.example',
    'a@b.example c@d.example',
    '<a@b.example> <c@d.example>',
    'Acme <a@b.example>, Globex <c@d.example>',
    'Acme, Inc. <a@b.example>',
    'team: a@b.example;',
    'a@b.example (comment)',
    'Acme (comment) <a@b.example>',
    '"quoted local"@b.example',
    'a@[127.0.0.1]',
    'a@b.example\r\nBcc: c@d.example',
    '"x\r\nBcc: c@d.example" <a@b.example>',
    'x\nBcc: <a@b.example>',
    'a@b..example',
    'a@-b.example',
    '.a@b.example',
    'ä@b.example',
    `${'a'.repeat(250)}@b.example`,
  ])('is not %j', (text) => {
    expect(readMailbox(text)).toBeUndefined();
    expect(namesOfFaults({ SMTP_URL, MAIL_FROM: text })).toEqual(['MAIL_FROM']);
  });

  test('is required with SMTP_URL, and only then', () => {
    expect(namesOfFaults({ SMTP_URL })).toEqual(['MAIL_FROM']);
    expect(namesOfFaults({})).toEqual([]);
    expect(namesOfFaults(PRODUCTION)).toEqual([]);
  });

  test('is read in linear time', () => {
    expect(readMailbox(`${' '.repeat(100_000)}x`)).toBeUndefined();
    expect(readMailbox(`"${'\\a'.repeat(100_000)}`)).toBeUndefined();
    expect(readMailbox(`${'a '.repeat(50_000)}<`)).toBeUndefined();
  });
});

describe('PUBLIC_URL', () => {
  test.each([
    ['https://acme.example', 'https://acme.example'],
    ['https://acme.example/', 'https://acme.example'],
    ['https://ACME.example/a/b//', 'https://acme.example/a/b'],
    ['http://[::1]:8000', 'http://[::1]:8000'],
  ])('may be %s', (PUBLIC_URL, publicUrl) => {
    expect(mailOf({ PUBLIC_URL }).publicUrl).toBe(publicUrl);
  });

  test.each([
    'acme.example',
    '/path',
    'ftp://acme.example',
    'javascript:alert(1)',
    'https://',
    'https://acme.example?a=1',
    'https://acme.example/?',
    'https://acme.example/#x',
    'https://me:secret@acme.example',
    'https://acme .example',
    'https://acme.example/\nx',
  ])('is not %j', (PUBLIC_URL) => {
    expect(namesOfFaults({ PUBLIC_URL })).toEqual(['PUBLIC_URL']);
  });

  test.each([
    [{}, 'http://127.0.0.1:8000'],
    [{ HOST: '::1', PORT: '9000' }, 'http://[::1]:9000'],
    [{ HOST: 'box.example' }, 'http://box.example:8000'],
    [{ HOST: '0.0.0.0' }, 'http://localhost:8000'],
    [{ HOST: '::' }, 'http://localhost:8000'],
  ])('given %j, is %s when not set', (environment: Environment, publicUrl) => {
    expect(mailOf(environment).publicUrl).toBe(publicUrl);
  });

  test('is required where mails are sent in production', () => {
    const mail = { SMTP_URL, MAIL_FROM };
    expect(namesOfFaults({ ...PRODUCTION, ...mail })).toEqual(['PUBLIC_URL']);
    expect(namesOfFaults({ ...PRODUCTION })).toEqual([]);
    expect(namesOfFaults(mail)).toEqual([]);
  });

  test.each([
    ['http://acme.example', 1],
    ['http://127.0.0.2:8000', 0],
    ['http://[::1]', 0],
    ['http://localhost', 0],
    ['http://localhost.acme.example', 1],
    ['https://acme.example', 0],
  ])('in production, %s gives %i warnings', (PUBLIC_URL, count) => {
    const { warnings } = parseConfig({ ...PRODUCTION, SMTP_URL, MAIL_FROM, PUBLIC_URL });
    expect(warnings.filter((one) => one.startsWith('PUBLIC_URL is plain http'))).toHaveLength(
      count,
    );
  });
});

describe('without SMTP_URL', () => {
  test.each([
    ['development', 'outbox', 0],
    ['test', 'outbox', 0],
    ['production', 'none', 1],
  ])('in %s the delivery is %s', (NODE_ENV, delivery, warned) => {
    const { config, warnings } = parseConfig({ NODE_ENV, JWT_SECRET });
    expect(config.mail.delivery).toBe(delivery);
    expect(warnings.filter((one) => one.startsWith('SMTP_URL is not set'))).toHaveLength(warned);
  });
});

test('all faults come at once', () => {
  const faults = faultsOf({ ...PRODUCTION, SMTP_URL: 'x', MAIL_FROM: 'x', PORT: 'x' });
  expect(faults.map(({ name }) => name).sort()).toEqual([
    'MAIL_FROM',
    'PORT',
    'PUBLIC_URL',
    'SMTP_URL',
  ]);
});

test('a mailbox is one address of one line, whatever it was read from', () => {
  const piece = fc.constantFrom(...'ab@.,;:<>"\\() \r\n', 'x@y.example', 'é');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const mailbox = readMailbox(pieces.join(''));
      if (mailbox === undefined) return;
      expect(mailbox.address).toMatch(/^[^\s@,;:<>"()\\]+@[^\s@,;:<>"()\\]+$/);
      expect(mailbox.name ?? '').not.toMatch(/[\r\n]/);
    }),
    { seed: 12, numRuns: 5_000 },
  );
});

test.each([
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['localhost', true],
  ['LOCALHOST', true],
  ['a.localhost', true],
  ['128.0.0.1', false],
  ['0.0.0.0', false],
  ['::2', false],
  ['notlocalhost', false],
  ['localhost.example', false],
])('%s is this machine: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});
