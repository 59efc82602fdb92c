import { describe, expect, test } from 'vitest';
import { requestId } from '../../../src/http/request-id.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function idFor(given?: string | string[]): string {
  return requestId({ headers: given === undefined ? {} : { 'x-request-id': given } });
}

describe('the id of a request', () => {
  test.each(['a', 'A-z_0.9:x', 'x'.repeat(128)])('is the one given: %s', (given) => {
    expect(idFor(given)).toBe(given);
  });

  test.each([
    ['nothing', undefined],
    ['an empty one', ''],
    ['one too long', 'x'.repeat(129)],
    ['a line break, which would forge a log line', 'x\nlevel=info'],
    ['a line break at the end', 'x\n'],
    ['a space', 'a b'],
    ['a quotation mark', 'a"b'],
    ['letters beyond ASCII', 'ä'],
    ['several', ['a', 'b']],
  ])('is a new one for %s', (_, given) => {
    expect(idFor(given)).toMatch(UUID);
    expect(idFor(given)).not.toBe(idFor(given));
  });
});
