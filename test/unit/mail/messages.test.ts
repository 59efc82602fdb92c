import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  emailConfirmationLink,
  invitationLink,
  passwordResetLink,
} from '../../../src/mail/links.ts';
import type { MailMessage } from '../../../src/mail/mailer.ts';
import {
  emailChangedMail,
  emailConfirmationMail,
  emailInUseMail,
  invitationMail,
  passwordChangedMail,
  passwordResetMail,
} from '../../../src/mail/messages.ts';
import { plainName } from '../../../src/mail/plain-name.ts';

const PUBLIC_URL = 'https://acme.example/tenantry';
const WITH_LINK = {
  to: 'ada@acme.example',
  publicUrl: PUBLIC_URL,
  token: 'abc_-123',
  expiresAt: new Date('2026-11-30T09:30:59Z'),
};
const INVITATION = {
  ...WITH_LINK,
  organizationName: 'Acme GmbH',
  invitedBy: 'Grace Hopper',
  role: 'editor',
};
const CHANGED = { to: 'ada@acme.example', changedAt: new Date('2026-11-23T23:05:00Z') };

/** Every mail, with what its text has to say. */
const MAILS: [MailMessage, string[]][] = [
  [
    invitationMail(INVITATION),
    [
      'Grace Hopper invites you to join the organization “Acme GmbH” with the role “editor”.',
      `${PUBLIC_URL}/invite#token=abc_-123`,
      'until 30 November 2026 at 09:30 UTC',
    ],
  ],
  [
    passwordResetMail(WITH_LINK),
    [
      `${PUBLIC_URL}/reset-password#token=abc_-123`,
      'until 30 November 2026 at 09:30 UTC',
      'your password stays as it is',
    ],
  ],
  [
    passwordChangedMail({ ...CHANGED, publicUrl: PUBLIC_URL }),
    [
      'was changed on 23 November 2026 at 23:05 UTC',
      `${PUBLIC_URL}/reset-password`,
      'tell the owners',
    ],
  ],
  [
    emailConfirmationMail(WITH_LINK),
    [`${PUBLIC_URL}/confirm-email#token=abc_-123`, 'ada@acme.example', 'until 30 November 2026'],
  ],
  [
    emailChangedMail({ ...CHANGED, newEmail: 'new@acme.example' }),
    ['from ada@acme.example to new@acme.example', '23 November 2026 at 23:05 UTC'],
  ],
  [
    emailInUseMail({ to: 'ada@acme.example' }),
    ['ada@acme.example', 'has an account already', 'nothing was changed'],
  ],
];

/** What a person reads in HTML. */
function readable(html: string): string {
  return html
    .replace(/<head>.*<\/head>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity] ?? entity);
}

const ENTITIES: Record<string, string> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};

describe.each(MAILS.map(([mail, says]) => [mail.kind, mail, says] as const))(
  'the mail %s',
  (_, mail, says) => {
    test('says what it has to, as text and as HTML', () => {
      for (const words of says) {
        expect(mail.text).toContain(words);
        expect(readable(mail.html)).toContain(words);
      }
      expect(mail.to).toBe('ada@acme.example');
      expect(mail.subject).toMatch(/^[A-Z][^\r\n]{5,60}$/);
    });

    test('loads nothing, runs nothing, and links to the service alone', () => {
      expect(mail.html).not.toMatch(/<(img|script|link|style|iframe|form|video)|url\(|@import/i);
      const targets = [...mail.html.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, it]) => it);
      const link = mail.kind === 'password_changed' ? `${PUBLIC_URL}/reset-password` : mail.link;
      expect(targets).toEqual(link === undefined ? [] : [link, link]);
      expect(mail.text.match(/https?:\/\/\S+/g) ?? []).toEqual(link === undefined ? [] : [link]);
    });

    test('says nothing of operations, and tells the log of secrets alone', () => {
      expect(mail.text + mail.html).not.toMatch(/POST|\bAPI\b/);
      expect(mail.link === undefined || mail.link.includes('#token=')).toBe(true);
    });

    test('breaks what has no spaces', () => {
      expect(mail.html).toContain('overflow-wrap:anywhere');
    });

    test('can be read on a dark ground', () => {
      expect(mail.html).toContain('<meta name="color-scheme" content="light dark">');
      const styles = [...mail.html.matchAll(/style="([^"]*)"/g)].map(([, it]) => it ?? '');
      expect(styles.length).toBeGreaterThan(2);
      // A colour of text goes only with a colour of its ground.
      for (const style of styles)
        expect(/(^|;)color:/.test(style)).toBe(/background-color:/.test(style));
    });
  },
);

test('the token is in the fragment, escaped, and nowhere else', () => {
  const token = 'a/b+c=&#?é';
  for (const link of [invitationLink, passwordResetLink, emailConfirmationLink]) {
    const url = new URL(link('https://acme.example/base', token));
    expect(new URLSearchParams(url.hash.slice(1)).get('token')).toBe(token);
    expect(url.search).toBe('');
    expect(url.pathname).toMatch(/^\/base\/[a-z-]+$/);
  }
});

describe('what people typed', () => {
  const EVIL = `<img src=x onerror=alert(1)>"'&amp;\r\nBcc: eve@evil.example\u202e\u2028</p>`;

  test('is shown, and is neither markup nor a line of its own', () => {
    const mail = invitationMail({
      ...INVITATION,
      organizationName: EVIL,
      invitedBy: EVIL,
      role: EVIL,
    });
    expect(mail.html).not.toContain('<img');
    expect(mail.html).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;amp;');
    expect(mail.html.match(/<p /g)).toHaveLength(
      invitationMail(INVITATION).html.match(/<p /g)?.length ?? 0,
    );
    expect(mail.text.split('\n')).toHaveLength(invitationMail(INVITATION).text.split('\n').length);
    expect(mail.subject).not.toMatch(/[\r\n\u2028\u202e]/);
  });

  test('never adds a line, a tag or a control character, whatever it is', () => {
    const usual = invitationMail(INVITATION);
    const tags = (html: string) => html.match(/<[^>]*>/g)?.length;
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.string({ unit: fc.constantFrom(...`<>"'&;\r\n\t\0\u202e\u2066\u2028\u0085=?_: `) }),
    );
    fc.assert(
      fc.property(text, text, text, (organizationName, invitedBy, role) => {
        const mail = invitationMail({ ...INVITATION, organizationName, invitedBy, role });
        expect(mail.text.split('\n')).toHaveLength(usual.text.split('\n').length);
        expect(tags(mail.html)).toBe(tags(usual.html));
        for (const written of [mail.subject, mail.text.replaceAll('\n', '')])
          expect(written).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
        expect(mail.subject.isWellFormed()).toBe(true);
      }),
      { seed: 3, numRuns: 200 },
    );
  });
});

test.each([
  ['  Acme \t GmbH\n', 'Acme GmbH'],
  ['株式会社 🔑', '株式会社 🔑'],
  ['a\u202eb', 'a b'],
  ['x'.repeat(101), `${'x'.repeat(100)}…`],
  ['🔑'.repeat(100), '🔑'.repeat(100)],
])('the plain name of %j is %j', (name, plain) => {
  expect(plainName(name)).toBe(plain);
});
