import { expect, test } from 'vitest';
import { makeApiKey } from '../../src/api-keys/api-key.ts';
import { randomTokens, tokenHash } from '../../src/one-time-tokens/one-time-tokens.ts';
import { LogGuard } from '../support/log-guard.ts';

const token = randomTokens.token();

test.each([
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
  makeApiKey().text,
  '$2b$12$abcdefghijklmnopqrstuv',
  token,
  tokenHash('invitation', token),
  '4KZT-9B1W-0QXH-M7VC-2FYR-8D3E',
  'correct horse battery staple',
])('finds %s, wherever it is', (secret) => {
  for (const fields of [{ secret }, { err: new Error(`x ${secret}`) }, { url: `/x?t=${secret}` }]) {
    const guard = new LogGuard();
    guard.logger.trace(fields, 'text');
    expect(() => guard.assertNoSecrets()).toThrow('the log holds');
  }
});

test('leaves alone what is no secret', () => {
  const guard = new LogGuard();
  guard.logger.info(
    {
      request_id: '7f0d8a54-6f3e-4b7e-9d59-3d6a7c2f1b10',
      organization_id: '6b05cf01e5ff75937a0958d0',
      collection: `org_${'a'.repeat(200)}`,
      err: new Error('unexpected'),
    },
    'POST /admin/login 401',
  );
  guard.assertNoSecrets();
});
