import { ObjectId } from 'mongodb';
import pino from 'pino';
import { expect, test } from 'vitest';
import { IndexExistsError, IndexLimitReachedError } from '../../../src/indexes/index-errors.ts';
import { IndexService } from '../../../src/indexes/index-service.ts';
import type { IndexStore, StoredIndex } from '../../../src/indexes/index-store.ts';

type Store = Pick<IndexStore, 'list' | 'build' | 'drop'>;

const ID = new ObjectId();
const EMAIL = { fields: [{ field: 'email' }] };

function stored(name: string, at: number): StoredIndex {
  return {
    ...{ name, fields: [], unique: false, sparse: false, expireAfterSeconds: null },
    ...{ partialFilter: null, building: false, bytes: 0, operations: 0, since: new Date(at) },
  };
}

function serviceOn(store: Partial<Store>, limit = 16) {
  const logged: { msg: string }[] = [];
  const logger = pino({ level: 'warn' }, { write: (line) => logged.push(JSON.parse(line)) });
  const whole: Store = {
    list: async () => [stored('_id_', 0), stored('email_1', 1)],
    build: async () => 'created',
    drop: async () => {},
    ...store,
  };
  return { logged, service: new IndexService({ store: whole, limit, buildWaitMs: 1, logger }) };
}

test('an index that takes long is built after the answer', async () => {
  const { promise, resolve } = Promise.withResolvers<'created'>();
  const { service, logged } = serviceOn({ build: () => promise });
  expect(await service.create(ID, EMAIL)).toMatchObject({ outcome: 'building' });
  resolve('created');
  await promise;
  expect(logged).toEqual([]);
});

test('one that the database does not show yet is told all the same', async () => {
  const { service } = serviceOn({ build: () => new Promise(() => {}), list: async () => [] });
  const { outcome, index, definition } = await service.create(ID, EMAIL);
  expect({ outcome, index }).toEqual({ outcome: 'building', index: null });
  expect(definition.name).toBe('email_1');
});

test('one that fails after the answer is logged', async () => {
  const { promise, reject } = Promise.withResolvers<'created'>();
  const { service, logged } = serviceOn({ build: () => promise });
  await service.create(ID, EMAIL);
  reject(new IndexExistsError());
  await expect(promise).rejects.toThrow();
  await new Promise(setImmediate);
  expect(logged).toMatchObject([{ msg: 'an index could not be built', index: 'email_1' }]);
});

test('one that fails before is told', async () => {
  const { service, logged } = serviceOn({
    build: async () => {
      throw new IndexExistsError();
    },
  });
  await expect(service.create(ID, EMAIL)).rejects.toThrow(IndexExistsError);
  expect(logged).toEqual([]);
});

/** What each look at the indexes finds. */
function looks(...found: StoredIndex[][]): Store['list'] {
  return async () => found.shift() ?? [];
}

test('who finds the limit reached builds nothing', async () => {
  const { service } = serviceOn(
    {
      list: looks([stored('_id_', 0), stored('other', 1)]),
      build: () => expect.unreachable() as never,
    },
    2,
  );
  await expect(service.create(ID, EMAIL)).rejects.toThrow(IndexLimitReachedError);
});

test('of two who take the last place at once, the later one leaves', async () => {
  const dropped: string[] = [];
  const drop: Store['drop'] = async (_id, name) => void dropped.push(name);
  const before = [stored('_id_', 0)];
  const after = (email: number, other: number) =>
    [stored('_id_', 0), stored('email_1', email), stored('other', other)].sort(
      (a, b) => a.since.getTime() - b.since.getTime(),
    );
  const earlier = serviceOn({ list: looks(before, after(1, 2)), drop }, 2);
  expect(await earlier.service.create(ID, EMAIL)).toMatchObject({ outcome: 'created' });
  const later = serviceOn({ list: looks(before, after(2, 1)), drop }, 2);
  await expect(later.service.create(ID, EMAIL)).rejects.toThrow(IndexLimitReachedError);
  expect(dropped).toEqual(['email_1']);
});
