import net from 'node:net';
import tls from 'node:tls';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import type { Mailer } from '../../../src/mail/mailer.ts';
import { optionsFor } from '../../../src/mail/smtp-mailer.ts';
import { someCertificate } from '../../support/certificate.ts';
import { startSilentServer, startSmtpServer } from '../../support/smtp-server.ts';
import { FROM, LINK, mailerTo, NOW, someMail } from './some-mail.ts';

/** The error that sending ends with. */
async function failureOf(mailer: Mailer, mail = someMail()): Promise<AppError> {
  try {
    await mailer.send(mail);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('the mail was sent');
}

const UNAVAILABLE = { kind: 'unavailable', code: 'mail_unavailable', retryAfter: 30 };

describe('a mail', () => {
  test('arrives whole', async () => {
    await using server = await startSmtpServer();
    await using mailer = mailerTo(server);
    await mailer.send(someMail({ subject: 'Invitation to join Müller 株式会社 🔑' }));
    const [mail] = server.mails;
    expect(mail).toMatchObject({
      from: FROM.address,
      recipients: ['ada@acme.example'],
      secure: false,
      text: `Accept:\n${LINK}`,
      html: `<p>Accept: <a href="${LINK}">${LINK}</a></p>`,
    });
    expect(mail?.headers).toMatchObject({
      from: 'Tenantry <no-reply@tenantry.example>',
      to: 'ada@acme.example',
      subject: 'Invitation to join Müller 株式会社 🔑',
      date: 'Mon, 23 Nov 2026 09:30:00 +0000',
      'auto-submitted': 'auto-generated',
      'message-id': expect.stringMatching(/^<[^@\s]+@tenantry\.example>$/),
      'mime-version': '1.0',
    });
    expect(NOW.toUTCString()).toContain('23 Nov 2026 09:30:00');
  });

  test.each([
    'x\r\nBcc: eve@evil.example',
    'x\nBcc: eve@evil.example',
    'x\rBcc: eve@evil.example',
    'x\u2028Bcc: eve@evil.example',
    'x\u0085Bcc: eve@evil.example',
    'x\0\r\n\r\n<script>',
    `x =?UTF-8?Q?=0D=0ABcc:_eve@evil.example?=`,
    `${'é'.repeat(80)}\r\nBcc: eve@evil.example`,
  ])('with the subject %j has no more headers and recipients than another', async (subject) => {
    await using server = await startSmtpServer();
    await using mailer = mailerTo(server);
    await mailer.send(someMail());
    await mailer.send(someMail({ subject }));
    const [usual, mail] = server.mails;
    expect(Object.keys(mail?.headers ?? {})).toEqual(Object.keys(usual?.headers ?? {}));
    expect(mail?.recipients).toEqual(['ada@acme.example']);
    expect(mail?.text).toBe(usual?.text);
  });

  test('to what is no address is refused before anything is said', async () => {
    await using server = await startSmtpServer();
    await using mailer = mailerTo(server);
    for (const to of ['a@b.example,c@d.example', 'a@b.example\r\nRCPT TO:<c@d.example>', 'x', ''])
      expect(await failureOf(mailer, someMail({ to }))).toMatchObject({ code: 'mail_refused' });
    expect(server.commands).toEqual([]);
  });

  test('many at once share a few connections', async () => {
    await using server = await startSmtpServer();
    await using mailer = mailerTo(server);
    const to = Array.from({ length: 20 }, (_, index) => `person-${index}@acme.example`);
    await Promise.all(to.map((one) => mailer.send(someMail({ to: one }))));
    expect(server.mails.map(({ recipients }) => recipients.join()).sort()).toEqual(to.sort());
    const greetings = server.commands.filter((one) => /^EHLO/i.test(one));
    expect(greetings.length).toBeLessThanOrEqual(5);
  });
});

describe('a recipient that is refused', () => {
  test.each(['550 5.1.1 no such user', '550', '553 5.1.3 bad', '552 5.2.2 full', '551'])(
    'with %s is invalid input',
    async (recipientReply) => {
      await using server = await startSmtpServer({ recipientReply });
      await using mailer = mailerTo(server);
      expect(await failureOf(mailer)).toMatchObject({
        kind: 'invalid',
        code: 'mail_refused',
        message: 'email: does not take mail, says the mail server',
        errors: [{ path: '/email' }],
        retryAfter: undefined,
      });
    },
  );

  test.each([
    '451 4.7.1 greylisted',
    '450',
    '421 too many',
    '503 5.5.1 sequence',
    '530 5.7.0 auth',
  ])('with %s for now is a matter of trying again', async (recipientReply) => {
    await using server = await startSmtpServer({ recipientReply });
    await using mailer = mailerTo(server);
    expect(await failureOf(mailer)).toMatchObject(UNAVAILABLE);
  });

  test('costs the next mail nothing', async () => {
    await using server = await startSmtpServer({ recipientReply: '550' });
    await using mailer = mailerTo(server);
    await failureOf(mailer);
    delete server.behaviour.recipientReply;
    await mailer.send(someMail());
    expect(server.mails).toHaveLength(1);
  });
});

describe('a server that fails', () => {
  test.each(['451 later', '554 5.7.1 spam'])('after the mail, with %s', async (reply) => {
    await using server = await startSmtpServer({ dataReply: () => reply });
    await using mailer = mailerTo(server);
    expect(await failureOf(mailer)).toMatchObject(UNAVAILABLE);
  });

  test('by not being there', async () => {
    const unused = net.createServer();
    await new Promise<void>((resolve) => unused.listen(0, '127.0.0.1', resolve));
    const { port } = unused.address() as net.AddressInfo;
    await new Promise((resolve) => unused.close(resolve));
    await using mailer = mailerTo({ port });
    const failure = await failureOf(mailer);
    expect(failure).toMatchObject(UNAVAILABLE);
    expect(inspect(failure)).toContain('ECONNREFUSED');
  });

  test('by saying nothing', async () => {
    await using server = await startSilentServer();
    await using mailer = mailerTo(server, { patienceMs: 200 });
    const failures = await Promise.all(Array.from({ length: 12 }, () => failureOf(mailer)));
    for (const failure of failures) expect(failure).toMatchObject(UNAVAILABLE);
  });

  test('by saying nothing, when the mailer is disposed of', async () => {
    await using server = await startSilentServer();
    const mailer = mailerTo(server);
    const failure = failureOf(mailer);
    await mailer[Symbol.asyncDispose]();
    expect(await failure).toMatchObject(UNAVAILABLE);
  });

  test('does not get its words about the mail into the error', async () => {
    await using server = await startSmtpServer({
      dataReply: (raw) => `554 5.7.1 no: ${raw.replaceAll(/=?\r\n/g, '').slice(-1_500)}`,
    });
    await using mailer = mailerTo(server);
    const shown = inspect(await failureOf(mailer), { depth: null, showHidden: true });
    expect(shown).toContain('EMESSAGE');
    expect(shown).toContain('554');
    expect(shown).not.toMatch(/s3cret|token|Accept/);
  });
});

describe('a password', () => {
  const credentials = { user: 'me@acme.example', pass: 'hunter2:/?#' };
  const user = `${encodeURIComponent(credentials.user)}:${encodeURIComponent(credentials.pass)}`;

  test('signs in', async () => {
    await using server = await startSmtpServer({ credentials });
    await using mailer = mailerTo(server, { user });
    await mailer.send(someMail());
    expect(server.mails).toMatchObject([{ user: credentials.user }]);
  });

  test.each([
    ['is wrong', 'me:hunter2wrong'],
    ['is missing', ''],
  ])('that %s is the operator’s to mend, and is not shown', async (_, wrong) => {
    await using server = await startSmtpServer({ credentials });
    await using mailer = mailerTo(server, { user: wrong });
    const failure = await failureOf(mailer);
    expect(failure).toMatchObject(UNAVAILABLE);
    const shown = inspect([failure, mailer], { depth: null, showHidden: true });
    expect(shown).toMatch(/5[03]\d/);
    expect(inspect(failure, { depth: null, showHidden: true })).not.toContain('hunter2');
    expect(JSON.stringify(mailer)).not.toContain('hunter2');
  });

  test('is not sent without TLS beyond this machine', async () => {
    await using server = await startSmtpServer({ credentials });
    await using mailer = mailerTo(server, { user, host: '0.0.0.0' });
    const failure = await failureOf(mailer);
    expect(failure).toMatchObject(UNAVAILABLE);
    expect(server.commands.join('\n')).not.toMatch(/AUTH/i);
  });
});

describe('TLS', () => {
  test('is used with smtps and STARTTLS, for servers whose certificate is vouched for', async () => {
    const certificate = await someCertificate();
    const before = tls.getCACertificates('default');
    for (const [scheme, mode] of [
      ['smtps', 'implicit'],
      ['smtp', 'starttls'],
    ] as const) {
      const credentials = { user: 'me', pass: 'hunter2' };
      await using server = await startSmtpServer({ certificate, credentials, tls: mode });
      await using doubtful = mailerTo(server, { scheme, user: 'me:hunter2', host: '0.0.0.0' });
      expect(await failureOf(doubtful)).toMatchObject(UNAVAILABLE);
      expect(server.commands.join('\n')).not.toMatch(/AUTH|MAIL/i);
      try {
        tls.setDefaultCACertificates([...before, certificate.cert]);
        await using mailer = mailerTo(server, { scheme, user: 'me:hunter2', host: '0.0.0.0' });
        await mailer.send(someMail());
        expect(server.mails).toMatchObject([{ secure: true, user: 'me' }]);
      } finally {
        tls.setDefaultCACertificates(before);
      }
    }
  });

  test.each([
    ['mail.example.com', false, true, { ignoreTLS: false, requireTLS: true, secure: false }],
    ['mail.example.com', false, false, { ignoreTLS: false, requireTLS: false, secure: false }],
    ['mail.example.com', true, true, { ignoreTLS: false, requireTLS: false, secure: true }],
    ['localhost', false, true, { ignoreTLS: true, requireTLS: false, secure: false }],
    ['::1', false, false, { ignoreTLS: true, requireTLS: false, secure: false }],
    ['localhost', true, true, { ignoreTLS: false, requireTLS: false, secure: true }],
  ])('to %s, smtps %s, with a password %s: %o', (host, implicitTls, signsIn, expected) => {
    const credentials = signsIn ? { credentials: { user: 'a', pass: 'b' } } : {};
    const options = optionsFor({ host, port: 25, implicitTls, ...credentials });
    expect(options).toMatchObject(expected);
    for (const limit of ['connectionTimeout', 'greetingTimeout', 'socketTimeout'] as const)
      expect(options[limit]).toBeLessThanOrEqual(10_000);
  });
});
