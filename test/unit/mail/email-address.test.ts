import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalizeEmail } from '../../../src/admins/admin-document.ts';
import { isEmailAddress } from '../../../src/mail/email-address.ts';
import { startSmtpServer } from '../../support/smtp-server.ts';
import { mailerTo, someMail } from './some-mail.ts';

const ACCEPTED = [
  'ada@acme.example',
  'Ada.Lovelace+test@Mail.ACME.example',
  "o'brien@acme.example",
  '!#$%&*+/=?^_`{|}~-@acme.example',
  'a@xn--mller-kva.example',
  'a@1and1.example',
  'a@1.2.3.example',
  `${'a'.repeat(64)}@acme.example`,
];

const REFUSED = [
  '',
  'ada',
  '@acme.example',
  'ada@',
  'ada@localhost',
  'a@b@acme.example',
  'a@b.example,c@d.example',
  'a@b.example;c@d.example',
  'a@b.example c@d.example',
  'a@b.example\r\nBcc: c@d.example',
  'a@b.example\n',
  '\ta@b.example',
  'a@b.example>',
  '<a@b.example>',
  'Ada <a@b.example>',
  'a(comment)@b.example',
  'a@b.example(comment)',
  '"a b"@acme.example',
  '"a@c.example"@acme.example',
  'a\\@c.example@acme.example',
  'a@[127.0.0.1]',
  'a@[x@evil.example]',
  'a@127.0.0.1',
  'a@1.2',
  'a@b.0x10',
  'a%c.example@',
  '.a@acme.example',
  'a.@acme.example',
  'a..b@acme.example',
  'a@acme..example',
  'a@acme.example.',
  'a@-acme.example',
  'a@acme-.example',
  'a@acme_x.example',
  'ä@acme.example',
  'a@müller.example',
  'a@acme。example',
  '\u212aa@acme.example',
  'a\0@acme.example',
  `${'a'.repeat(65)}@acme.example`,
  `a@${'b'.repeat(64)}.example`,
  `a@${'b.'.repeat(150)}example`,
];

test.each(ACCEPTED)('%s is an address', (text) => expect(isEmailAddress(text)).toBe(true));
test.each(REFUSED)('%j is none', (text) => expect(isEmailAddress(text)).toBe(false));

describe('whatever is accepted', () => {
  const atom = fc.constantFrom(...'aZ09.!#$%&\'*+/=?^_`{|}~-@,;:<>()[]\\" \r\n\t\0é。\u202e');
  const label = fc.string({ unit: fc.constantFrom(...'aZ09x-.'), minLength: 1, maxLength: 8 });
  const anything = fc.oneof(
    fc.emailAddress(),
    fc
      .tuple(fc.string({ unit: atom, maxLength: 12 }), label, label)
      .map(([local, one, two]) => `${local}@${one}.${two}`),
    fc.constantFrom(...ACCEPTED, ...REFUSED),
    fc.string({ unit: atom, maxLength: 30 }),
  );
  const accepted = anything.filter(isEmailAddress);

  test('the JSON Schema format accepts as well, so this is the stricter rule', () => {
    const ajv = new Ajv();
    addFormats.default(ajv, { mode: 'full', formats: ['email'] });
    const validate = ajv.compile({ type: 'string', format: 'email' });
    fc.assert(
      fc.property(accepted, (email) => {
        expect(validate(email)).toBe(true);
      }),
      { seed: 5, numRuns: 1_000 },
    );
  });

  test('stays accepted as it is stored, which is stable', () => {
    fc.assert(
      fc.property(accepted, (email) => {
        const stored = normalizeEmail(email);
        expect(isEmailAddress(stored)).toBe(true);
        expect(normalizeEmail(stored)).toBe(stored);
        expect(stored).toBe(email.toLowerCase());
      }),
      { seed: 6, numRuns: 1_000 },
    );
  });

  test('is the one recipient of the mail, as it was', { timeout: 60_000 }, async () => {
    await using server = await startSmtpServer();
    await using mailer = mailerTo(server, { patienceMs: 30_000 });
    await fc.assert(
      fc.asyncProperty(accepted.map(normalizeEmail), async (to) => {
        server.commands.length = 0;
        server.mails.length = 0;
        await mailer.send(someMail({ to }));
        const recipients = server.commands.filter((one) => /^RCPT/i.test(one));
        expect(recipients).toEqual([`RCPT TO:<${to}>`]);
        expect(server.mails).toHaveLength(1);
        expect(unbracketed(server.mails[0]?.headers.to)).toBe(to);
        expect(server.mails[0]?.headers).not.toHaveProperty('bcc');
      }),
      { seed: 7, numRuns: 300 },
    );
  });
});

/** RFC 5322 allows both. */
function unbracketed(address = ''): string {
  return address.replace(/^<(.*)>$/, '$1');
}
