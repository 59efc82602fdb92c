import { type Document, MongoServerError } from 'mongodb';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import type { OrganizationRecords } from '../../src/library/organization-records.ts';
import { runFenced } from '../../src/tenants/fence.ts';
import type { CommandRunner } from '../../src/tenants/fenced-commands.ts';
import { libraryOf } from '../support/library.ts';
import { connectionClosed, losingAnswer } from '../support/losing-answers.ts';
import { signUpAndIn, startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;

beforeAll(async () => {
  service = await startTestService();
  return () => service[Symbol.asyncDispose]();
});

const isReplicaSet = inject('topology') === 'replica-set';

/** An organization with a few documents, and its records through a runner. */
async function recordsWith(run: CommandRunner) {
  const { organization } = await signUpAndIn(service);
  const plain = (await libraryOf(service).organizationById(organization.id)).records;
  await plain.insertMany([1, 2, 3].map((n) => ({ _id: n, n: 0 }) as Document));
  const { records } = await libraryOf(service, { run }).organizationById(organization.id);
  return { records, plain };
}

/** Writes that carried out twice would do something else; `once` is what they leave if they are carried out once. */
const SINGLE: Record<
  string,
  { kind: string; write: (records: OrganizationRecords) => Promise<unknown>; once: number[] }
> = {
  'updateOne with $inc': {
    ...{ kind: 'update', once: [1, 0, 0] },
    write: (records) => records.updateOne({ _id: 1 as never }, { $inc: { n: 1 } }),
  },
  'updateOne of any document': {
    ...{ kind: 'update', once: [7, 0, 0] },
    write: (records) => records.updateOne({ n: 0 }, { $set: { n: 7 } }),
  },
  'replaceOne of any document': {
    ...{ kind: 'update', once: [7, 0, 0] },
    write: (records) => records.replaceOne({ n: 0 }, { n: 7 }),
  },
  'deleteOne of any document': {
    ...{ kind: 'delete', once: [0, 0] },
    write: (records) => records.deleteOne({ n: 0 }),
  },
  'bulkWrite of single documents': {
    ...{ kind: 'update', once: [1, 1, 0] },
    write: (records) =>
      records.bulkWrite(
        [1, 2].map((n) => ({
          updateOne: { filter: { _id: n as never }, update: { $inc: { n: 1 } } },
        })),
      ),
  },
};
const MANY: typeof SINGLE = {
  'updateMany with $inc': {
    ...{ kind: 'update', once: [1, 1, 1] },
    write: (records) => records.updateMany({}, { $inc: { n: 1 } }),
  },
  deleteMany: {
    ...{ kind: 'delete', once: [] },
    write: (records) => records.deleteMany({}),
  },
};

const numbersIn = async (records: OrganizationRecords) =>
  (await records.find({}).sort({ _id: 1 }).toArray()).map(({ n }) => n);

describe.for(Object.entries(SINGLE))('%s whose answer is lost', ([, { kind, write, once }]) => {
  test.runIf(isReplicaSet)('is carried out once, and tells what it did', async () => {
    const { records, plain } = await recordsWith(losingAnswer(kind));
    const { plain: undisturbed } = await recordsWith(runFenced);
    expect(await write(records)).toEqual(await write(undisturbed));
    expect(await numbersIn(plain)).toEqual(once);
  });

  test.runIf(isReplicaSet)('is carried out although the server never got it', async () => {
    const { records, plain } = await recordsWith(losingAnswer(kind, { carriedOut: false }));
    await write(records);
    expect(await numbersIn(plain)).toEqual(once);
  });

  test.skipIf(isReplicaSet)('is not sent again, and says that nobody knows', async () => {
    const { records, plain } = await recordsWith(losingAnswer(kind));
    await expect(write(records)).rejects.toMatchObject({ code: 'database_unavailable' });
    expect(await numbersIn(plain)).toEqual(once);
  });
});

describe.for(Object.entries(MANY))('%s whose answer is lost', ([, { kind, write, once }]) => {
  test('is not sent again, and says that nobody knows', async () => {
    const { records, plain } = await recordsWith(losingAnswer(kind));
    await expect(write(records)).rejects.toMatchObject({ code: 'database_unavailable' });
    expect(await numbersIn(plain)).toEqual(once);
  });

  test('is sent again when no node took it', async () => {
    let refused = 0;
    const refusing: CommandRunner = async (...command) => {
      refused += 1;
      if (refused > 1) return runFenced(...command);
      throw new MongoServerError({ message: 'not primary', code: 10107 });
    };
    const { records, plain } = await recordsWith(refusing);
    await write(records);
    expect(await numbersIn(plain)).toEqual(once);
  });
});

describe('an insert whose answer is lost', () => {
  const documents = () => [{ n: 5 }, { _id: 'given', n: 6 }, { n: 7 }] as Document[];

  test.for([true, false])('stores each document once, ordered: %s', async (ordered) => {
    const { records, plain } = await recordsWith(losingAnswer('insert'));
    const { insertedCount } = await records.insertMany(documents(), { ordered });
    expect(insertedCount).toBe(3);
    expect(await plain.countDocuments({ n: { $gte: 5 } })).toBe(3);
  });

  test.for([true, false])(
    'does not take what another index refuses for stored, ordered: %s',
    async (ordered) => {
      const { records, plain } = await recordsWith(losingAnswer('insert', { carriedOut: false }));
      await plain.createIndex('email', { unique: true, sparse: true });
      await plain.insertOne({ email: 'ada@acme.example' });
      const inserting = records.insertMany([{ n: 5 }, { email: 'ada@acme.example' }], { ordered });
      await expect(inserting).rejects.toMatchObject({ code: 11000, insertedCount: 1 });
      expect(await plain.countDocuments({ email: 'ada@acme.example' })).toBe(1);
    },
  );
});

test('a database that stays away is told of, and nothing is half done', async () => {
  const away: CommandRunner = async () => {
    throw connectionClosed();
  };
  const { records } = await recordsWith(runFenced);
  const { organization } = await signUpAndIn(service);
  const tenantry = libraryOf(service, { run: away });
  const lost = (await tenantry.organizationById(organization.id)).records;
  await expect(lost.findOne()).rejects.toMatchObject({ code: 'database_unavailable' });
  expect(await records.countDocuments()).toBe(3);
});
