import bcrypt from 'bcrypt';
import { describe, expect, test, vi } from 'vitest';
import { PasswordHasher, PasswordQueueFullError } from '../../../src/admins/password-hasher.ts';

const COST = 4;
const hasher = new PasswordHasher({ cost: COST });

describe('a hash', () => {
  test('verifies its password and no other, and is another one each time', async () => {
    const [first, second] = await Promise.all([
      hasher.hash('a password'),
      hasher.hash('a password'),
    ]);
    expect(first.scheme).toBe('bcrypt-sha384');
    expect(first.hash).toMatch(/^\$2b\$04\$[./A-Za-z0-9]{53}$/);
    expect(first.hash).not.toBe(second.hash);
    expect(await hasher.verify('a password', first)).toBe(true);
    expect(await hasher.verify('a passworD', first)).toBe(false);
    expect(await hasher.verify('', first)).toBe(false);
  });

  test('has the cost it was told', async () => {
    const { hash } = await new PasswordHasher({ cost: 5 }).hash('a password');
    expect(bcrypt.getRounds(hash)).toBe(5);
  });

  // bcrypt itself reads 72 bytes.
  test.each([
    ['the 73rd byte', 'x'.repeat(72), 'a', 'b'],
    ['the 256th byte', 'x'.repeat(255), 'a', 'b'],
    ['the last of 64 emoji', '🔑'.repeat(63), '🔑', '🔒'],
    ['the 1,000th character', 'ж'.repeat(999), 'a', 'b'],
    ['what follows a NUL', 'x\0', 'a', 'b'],
  ])('tells passwords apart by %s', async (_, start, one, other) => {
    const stored = await hasher.hash(start + one);
    expect(await hasher.verify(start + one, stored)).toBe(true);
    expect(await hasher.verify(start + other, stored)).toBe(false);
    expect(await hasher.verify(start, stored)).toBe(false);
  });

  test.each([
    ['composed and decomposed letters', 'Caf\u00e9 \u00c5', 'Cafe\u0301 A\u030a'],
    ['full-width letters', 'ｐａｓｓ', 'pass'],
    ['ligatures', 'ﬁnd', 'find'],
  ])('takes %s for the same (NFKC)', async (_, one, other) => {
    expect(one).not.toBe(other);
    expect(await hasher.verify(other, await hasher.hash(one))).toBe(true);
    expect(await hasher.verify(one, await hasher.hash(other))).toBe(true);
  });

  test('tells case and spaces apart', async () => {
    const stored = await hasher.hash('Pass word');
    for (const other of ['pass word', 'Pass word ', ' Pass word', 'Password'])
      expect(await hasher.verify(other, stored)).toBe(false);
  });
});

describe('hashes of an older system', () => {
  test.each(['$2a$', '$2b$', '$2y$'])('%s verify as they are', async (prefix) => {
    const hash = (await bcrypt.hash('a password', COST)).replace('$2b$', prefix);
    const stored = { scheme: 'bcrypt' as const, hash };
    expect(await hasher.verify('a password', stored)).toBe(true);
    expect(await hasher.verify('another', stored)).toBe(false);
    expect(hasher.needsRehash(stored)).toBe(true);
  });

  // The test vectors of Openwall's crypt_blowfish.
  test.each([
    ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
    ['U*U*', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
    ['U*U*U', '$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a'],
  ])('made elsewhere verify: %s', async (password, hash) => {
    for (const prefix of ['$2a$', '$2b$', '$2y$']) {
      const stored = { scheme: 'bcrypt' as const, hash: hash.replace('$2a$', prefix) };
      expect(await hasher.verify(password, stored)).toBe(true);
      expect(await hasher.verify(`${password}*`, stored)).toBe(false);
    }
  });

  test('that are none verify nothing', async () => {
    for (const hash of ['', 'x', '$2b$04$', '$2b$99$'.padEnd(60, 'x')])
      expect(await hasher.verify('x', { scheme: 'bcrypt', hash })).toBe(false);
  });

  test('are to be replaced, as are those of another cost; one’s own are not', async () => {
    const stored = await hasher.hash('a password');
    expect(hasher.needsRehash(stored)).toBe(false);
    expect(new PasswordHasher({ cost: 5 }).needsRehash(stored)).toBe(true);
  });
});

describe('an account that does not exist', () => {
  test('is compared with as well, at the same cost, and never matches', async () => {
    const compare = vi.spyOn(bcrypt, 'compare');
    expect(await hasher.verify('no account has this password', undefined)).toBe(false);
    expect(compare).toHaveBeenCalledOnce();
    expect(bcrypt.getRounds(String(compare.mock.calls[0]?.[1]))).toBe(COST);
    compare.mockRestore();
  });

  test('costs no more the first time than the second, once warmed up', async () => {
    const fresh = new PasswordHasher({ cost: COST });
    await fresh.warmUp();
    const hash = vi.spyOn(bcrypt, 'hash');
    await fresh.verify('x', undefined);
    expect(hash).not.toHaveBeenCalled();
    hash.mockRestore();
  });
});

describe('the queue', () => {
  /** Holds every hash back until it is told to go on. */
  function held() {
    const gate = Promise.withResolvers<void>();
    let running = 0;
    let most = 0;
    const spy = vi.spyOn(bcrypt, 'hash').mockImplementation(async () => {
      running += 1;
      most = Math.max(most, running);
      await gate.promise;
      running -= 1;
      return 'hash';
    });
    return {
      most: () => most,
      open: () => gate.resolve(),
      [Symbol.dispose]: () => spy.mockRestore(),
    };
  }

  test('runs so many at once, lets so many wait, and refuses the next', async () => {
    using hashes = held();
    const small = new PasswordHasher({ cost: COST, concurrency: 2, maxWaiting: 3 });
    const accepted = Array.from({ length: 5 }, () => small.hash('a password'));
    const refused = await Promise.allSettled([
      small.hash('a password'),
      small.verify('a', {
        scheme: 'bcrypt',
        hash: '',
      }),
    ]);
    for (const result of refused) {
      expect(result.status).toBe('rejected');
      const { reason } = result as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(PasswordQueueFullError);
      expect(reason).toMatchObject({ kind: 'unavailable', code: 'overloaded', retryAfter: 2 });
    }
    hashes.open();
    await expect(Promise.all(accepted)).resolves.toHaveLength(5);
    expect(hashes.most()).toBe(2);
    await expect(small.hash('a password')).resolves.toBeDefined();
  });

  test('goes on after a hash that failed', async () => {
    const one = new PasswordHasher({ cost: COST, concurrency: 1, maxWaiting: 1 });
    const failure = vi.spyOn(bcrypt, 'hash').mockRejectedValueOnce(new Error('out of memory'));
    await expect(one.warmUp()).rejects.toThrow('out of memory');
    failure.mockRestore();
    await expect(one.warmUp()).resolves.toBeUndefined();
    await expect(one.verify('x', undefined)).resolves.toBe(false);
  });
});
