import { expect, test } from 'vitest';
import { normalizeEmail } from '../../../src/admins/admin-document.ts';

test.each([
  ['ada@acme.example', 'ada@acme.example'],
  ['Ada@ACME.Example', 'ada@acme.example'],
  ['  ada@acme.example\t', 'ada@acme.example'],
  ['ADA+tag@acme.example', 'ada+tag@acme.example'],
])('%j is kept and looked up as %s', (given, kept) => {
  expect(normalizeEmail(given)).toBe(kept);
  expect(normalizeEmail(kept)).toBe(kept);
});
