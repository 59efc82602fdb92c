import {
  type CommandStartedEvent,
  type Document,
  MongoClient,
  MongoNetworkError,
  ObjectId,
} from 'mongodb';
import { beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { DURABLE } from '../../src/database/mongo-client.ts';
import { collectionReference } from '../../src/registry/organization-document.ts';
import { FenceMissError, runFenced } from '../../src/tenants/fence.ts';
import { type CommandRunner, TenantCollection } from '../../src/tenants/tenant-collection.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions, tenantCollections } from '../support/database-truth.ts';
import { expectStatus, type SignedUp, signUpAndIn, someSignUp } from '../support/test-service.ts';

let cluster: Cluster;
let service: Instance;
/** Another instance, which hears of nothing that this one does. */
let other: Instance;

beforeAll(async () => {
  cluster = await Cluster.create();
  service = await cluster.instance();
  other = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});

beforeEach(() => cluster.empty());

/** What an instance holds of an organization that it has looked up once. */
async function heldBy(
  { client, services }: Instance,
  { organization }: SignedUp,
  run?: CommandRunner,
): Promise<TenantCollection> {
  const id = ObjectId.createFromHexString(organization.id);
  const reference = collectionReference(await services.organizations.findServing(id));
  if (reference === undefined) throw new Error('the organization has no collection');
  return new TenantCollection(client, reference, run === undefined ? {} : { run });
}

async function rename({ auth: headers }: SignedUp, name = someSignUp().organization_name) {
  const payload = { organization_name: name };
  const answer = await service.app.inject({ method: 'PUT', url: '/org/update', headers, payload });
  return expectStatus(answer, 200).json().collection_name as string;
}

async function remove({ auth: headers }: SignedUp): Promise<void> {
  expectStatus(await service.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
}

const documentsOf = (name: string) => cluster.db.collection(name).find().toArray();

/** Everything that is done with an organization's data. */
const USES: readonly [string, (collection: TenantCollection) => Promise<unknown>][] = [
  ['insertMany', (collection) => collection.insertMany([{ n: 1 }, { n: 2 }])],
  ['find', (collection) => collection.find({}, { limit: 10 })],
  ['count', (collection) => collection.count()],
];

describe.for(USES)('%s', ([, use]) => {
  test('follows a rename, and several in a row', async () => {
    const organization = await signUpAndIn(service);
    const stale = await heldBy(other, organization);
    await stale.insertMany([{ n: 0 }]);
    let name = await rename(organization);
    await use(stale);
    expect(stale.name).toBe(name);
    for (let times = 0; times < 3; times += 1) name = await rename(organization);
    const last = await use(stale);
    expect(stale.name).toBe(name);
    expect(last).toEqual(await use(await heldBy(service, organization)));
    expect(await tenantCollections(cluster.db)).toEqual([name]);
  });

  test('finds its way when the name is given back and forth', async () => {
    const [one, two] = [await signUpAndIn(service), await signUpAndIn(service)];
    const stale = await heldBy(other, one);
    await rename(one);
    await rename(two, one.signUp.organization_name);
    await rename(one, two.signUp.organization_name);
    await use(stale);
    expect(stale.name).toBe(two.organization.collection_name);
    expect(await documentsOf(one.organization.collection_name)).toEqual([]);
  });

  test('finds nothing after a delete, and creates nothing', async () => {
    const organization = await signUpAndIn(service);
    const stale = await heldBy(other, organization);
    await remove(organization);
    await expect(use(stale)).rejects.toMatchObject({ code: 'organization_not_found' });
    expect(await tenantCollections(cluster.db)).toEqual([]);
  });

  test('never touches the organization that took the name', async () => {
    const organization = await signUpAndIn(service);
    const stale = await heldBy(other, organization);
    await stale.insertMany([{ n: 0 }]);
    await rename(organization);
    await use(stale);
    const later = await heldBy(other, organization);
    await remove(organization);
    const successor = await signUpAndIn(service, organization.signUp);
    await (await heldBy(service, successor)).insertMany([{ of: 'the successor' }]);
    for (const one of [stale, later])
      await expect(use(one)).rejects.toMatchObject({ code: 'organization_not_found' });
    const { collection_name } = successor.organization;
    expect(await tenantCollections(cluster.db)).toEqual([collection_name]);
    expect(await documentsOf(collection_name)).toMatchObject([{ of: 'the successor' }]);
  });
});

describe('a batch', () => {
  test.for([true, false])(
    'is stored once and whole although the collection is renamed in the middle of it, ordered: %s',
    async (ordered) => {
      const organization = await signUpAndIn(service);
      let interrupted = 0;
      const counting: CommandRunner = (...command) =>
        runFenced(...command).catch((error: unknown) => {
          if (error instanceof FenceMissError && error.done > 0) interrupted += 1;
          throw error;
        });
      const collection = await heldBy(other, organization, counting);
      let batches = 0;
      while (interrupted === 0 && batches < 50) {
        const documents = Array.from({ length: 10_000 }, (_, n) => ({ _id: `${batches}/${n}` }));
        await Promise.all([collection.insert(documents, { ordered }), rename(organization)]);
        batches += 1;
      }
      expect(await collection.count()).toBe(batches * 10_000);
      expect(interrupted).toBeGreaterThan(0);
    },
  );

  test('ends at the first document that is refused; those before it are in', async () => {
    const collection = await heldBy(service, await signUpAndIn(service));
    const batch = [{ _id: 'a' }, { _id: 'b' }, { _id: 'a' }, { _id: 'c' }];
    await expect(collection.insertMany(batch)).rejects.toMatchObject({ code: 11000 });
    expect(await collection.find({}, { limit: 10 })).toEqual([{ _id: 'a' }, { _id: 'b' }]);
  });

  test('of which nothing was stored is sent again after a connection broke', async () => {
    let sent = 0;
    const breaking: CommandRunner = async (...command) => {
      sent += 1;
      if (sent === 1) throw connectionClosed();
      return runFenced(...command);
    };
    const collection = await heldBy(service, await signUpAndIn(service), breaking);
    await collection.insertMany([{ n: 1 }, { n: 2 }]);
    expect(sent).toBe(2);
    expect(await collection.count()).toBe(2);
  });

  test('of which a part was stored is completed after a connection broke', async () => {
    let sent = 0;
    const breaking: CommandRunner = async (db, uuid, command, options) => {
      sent += 1;
      if (sent > 1) return runFenced(db, uuid, command, options);
      await runFenced(db, uuid, { ...command, documents: command.documents.slice(0, 2) }, options);
      throw connectionClosed();
    };
    const collection = await heldBy(service, await signUpAndIn(service), breaking);
    await collection.insertMany([{ n: 1 }, { n: 2, _id: 'given' }, { n: 3 }]);
    expect((await collection.find({}, { limit: 10 })).map(({ n }) => n)).toEqual([1, 2, 3]);
  });
});

test('a command that is always overtaken by a rename gives up, and says so', async () => {
  const moving: CommandRunner = async () => {
    throw new FenceMissError('org_elsewhere');
  };
  const collection = await heldBy(service, await signUpAndIn(service), moving);
  await expect(collection.count()).rejects.toMatchObject({ code: 'organization_busy' });
});

describe('the commands that reach the server', () => {
  /** Those that cannot name a UUID: they create a collection, or list them. */
  const WITHOUT_COLLECTION = ['create', 'listCollections'];

  test('all carry the UUID of a tenant collection, and those that change something are durable', async () => {
    await using client = new MongoClient(inject('mongoUrl'), { monitorCommands: true });
    const started: Document[] = [];
    client.on('commandStarted', ({ command, databaseName }: CommandStartedEvent) =>
      started.push({ ...command, databaseName }),
    );
    const watched = await cluster.instance({ clientView: () => client });
    const organization = await signUpAndIn(watched);
    const collection = await watched.services.tenantCollection(
      ObjectId.createFromHexString(organization.organization.id),
    );
    for (const [, use] of USES) await use(collection);
    const { app } = watched;
    const payload = { organization_name: someSignUp().organization_name };
    const headers = organization.auth;
    expectStatus(await app.inject({ method: 'PUT', url: '/org/update', headers, payload }), 200);
    const validator = { $comment: `tenantry/${cluster.db.databaseName}/${new ObjectId()}` };
    await cluster.db.createCollection('org_orphan', { validator });
    await cluster.db.renameCollection((await tenantCollections(cluster.db))[0] ?? '', 'org_moved');
    await watched.services.reconciliation.run();
    expectStatus(await app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
    expect(await contradictions(cluster.db)).toEqual([]);

    const onTenants = started.filter(
      (command) => kindOf(command) === 'renameCollection' || /^org_/.test(targetOf(command)),
    );
    const fenced = onTenants.filter((command) => !WITHOUT_COLLECTION.includes(kindOf(command)));
    const kinds = new Set(fenced.map(kindOf));
    expect([...kinds].sort()).toEqual(['aggregate', 'drop', 'find', 'insert', 'renameCollection']);
    for (const command of fenced) expect(command).toHaveProperty('collectionUUID');
    const writes = onTenants.filter((one) => !['aggregate', 'find'].includes(kindOf(one)));
    for (const command of writes) expect(command.writeConcern).toEqual(DURABLE);
  });
});

const kindOf = (command: Document) => Object.keys(command)[0] ?? '';
const targetOf = (command: Document) => String(command[kindOf(command)]);

function connectionClosed(): Error {
  return new MongoNetworkError('connection 1 to 127.0.0.1:27017 closed');
}
