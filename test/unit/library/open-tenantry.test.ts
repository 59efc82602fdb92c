import { MongoClient } from 'mongodb';
import { describe, expect, test } from 'vitest';
import {
  LibraryOptionsError,
  type OpenTenantryOptions,
  openTenantry,
} from '../../../src/library/package-entry.ts';

/** Where nothing listens. */
const mongoUrl = 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50';
const SECRET = 'a secret of the tests, long enough to sign with';
const client = new MongoClient(mongoUrl);

describe('options that do not fit are refused', () => {
  test.for<[string, OpenTenantryOptions, RegExp]>([
    ['no database', {}, /mongoUrl or client/],
    ['two databases', { mongoUrl, client }, /mongoUrl or client/],
    ['a short secret', { mongoUrl, jwtSecret: 'short' }, /32 bytes/],
    ['no secret at all', { mongoUrl, jwtSecret: '' }, /32 bytes/],
    ['a short one before', { mongoUrl, jwtSecret: SECRET, jwtPreviousSecrets: ['x'] }, /32 bytes/],
    ['a secret and keys', { mongoUrl, jwtSecret: SECRET, jwks: { keys: [] } }, /exclude/],
    ['keys that are nowhere', { mongoUrl, jwks: 'nowhere' }, /URL/],
    ['a database that is away', { client }, /client leads to no server/],
  ])('%s', async ([, options, message]) => {
    const opening = openTenantry(options);
    await expect(opening).rejects.toThrow(LibraryOptionsError);
    await expect(opening).rejects.toThrow(message);
  });

  test('an address that is none, without a word of what it holds', async () => {
    const opening = openTenantry({ mongoUrl: 'mongo://ada:s3cret@db' });
    await expect(opening).rejects.toSatisfy(
      (error) => error instanceof LibraryOptionsError && !error.message.includes('s3cret'),
    );
  });
});
