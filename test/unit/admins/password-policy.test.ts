import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  assertAcceptablePassword,
  type PasswordContext,
  PasswordTooCommonError,
} from '../../../src/admins/password-policy.ts';
import { AppError } from '../../../src/errors.ts';

/** The code of the refusal, or undefined. */
function refusalOf(password: string, context: PasswordContext = {}, path?: string) {
  try {
    assertAcceptablePassword(password, context, path);
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

const ADA: PasswordContext = {
  emails: ['ada.lovelace@acme.example'],
  organizationNames: ['Acme Straße GmbH'],
};

describe('the length', () => {
  test.each([
    ['8 letters', 'zqvxkjwp'],
    ['8 emoji, 16 code units', '🔑'.repeat(8)],
    ['256 letters', 'zq'.repeat(128)],
    ['256 emoji', '🔑'.repeat(256)],
    ['256 after NFKC, 512 before', 'e\u0301'.repeat(256)],
    ['8 after NFKC, 4 before', 'ﬁ'.repeat(4)],
    ['spaces', '          '],
  ])('of %s passes', (_, password) => {
    expect(refusalOf(password)).toBeUndefined();
  });

  test.each([
    ['7 letters', 'zqvxkjw', 'at least 8'],
    ['7 emoji, 14 code units', '🔑'.repeat(7), 'at least 8'],
    ['7 after NFKC, 14 before', 'e\u0301'.repeat(7), 'at least 8'],
    ['257 letters', 'z'.repeat(257), 'at most 256'],
    ['270 after NFKC, 15 before', 'ﷺ'.repeat(15), 'at most 256'],
    ['257 emoji', '🔑'.repeat(257), 'at most 256'],
  ])('of %s does not', (_, password, rule) => {
    expect(refusalOf(password)).toMatchObject({
      kind: 'invalid',
      code: 'validation_failed',
      errors: [{ path: '/password', message: `must have ${rule} characters` }],
    });
  });
});

describe('a common password is refused', () => {
  test.each([
    'password',
    'PASSWORD',
    '12345678',
    'Password1',
    'passw0rd',
    'iloveyou',
    'qwertyuiop',
    'trustno1',
    'ｐａｓｓｗｏｒｄ', // full width: NFKC makes it the same
    '𝐩𝐚𝐬𝐬𝐰𝐨𝐫𝐝',
  ])('%s', (password) => {
    const refusal = refusalOf(password, ADA, '/new_password');
    expect(refusal).toBeInstanceOf(PasswordTooCommonError);
    expect(refusal).toMatchObject({
      kind: 'invalid',
      code: 'password_too_common',
      message: 'new_password: is one of the most common passwords; choose another',
      errors: [{ path: '/new_password' }],
    });
  });

  test.each([
    'correct horse battery staple',
    'another password',
    'password of mine',
    ' password',
    'tr0ub4dor&3',
  ])('%s is none', (password) => {
    expect(refusalOf(password, ADA)).toBeUndefined();
  });
});

describe('a word from the context is refused', () => {
  test.each([
    ['the e-mail address', 'ada.lovelace@acme.example'],
    ['the e-mail address in another case', 'Ada.Lovelace@ACME.example'],
    ['its local part', 'Ada.Lovelace'],
    ['its local part in full width', 'ａｄａ．ｌｏｖｅｌａｃｅ'],
    ['the name of the organization', 'acme straße gmbh'],
  ])('%s', (_, password) => {
    expect(refusalOf(password, ADA)).toMatchObject({
      code: 'password_too_common',
      errors: [
        {
          path: '/password',
          message: 'must not be your e-mail address or the name of the organization',
        },
      ],
    });
    expect(refusalOf(password)).toBeUndefined();
  });

  test('but not what merely holds one', () => {
    expect(refusalOf('ada.lovelace was here', ADA)).toBeUndefined();
    expect(refusalOf('acme.example', ADA)).toBeUndefined();
  });
});

test('no text makes it fail in another way, and the refusal never quotes it', () => {
  const text = fc.string({ unit: 'binary', maxLength: 300, minLength: 8 });
  fc.assert(
    fc.property(text, text, (password, word) => {
      const refusal = refusalOf(password, { emails: [word], organizationNames: [word] });
      if (refusal !== undefined) expect(refusal.message).not.toContain(password);
    }),
    { seed: 7, numRuns: 1_000 },
  );
});
