import { ObjectId } from 'mongodb';
import { Sandbox } from '../../support/embedded-mongod-sandbox.ts';
import type { Drill, DrillContext, DrillResult } from '../support/drill.ts';
import { until } from '../support/waiting.ts';
import { type Answer, DrillService, kindOf } from './drill-service.ts';
import { Ledger } from './ledger.ts';
import { signUp, signUpAndIn, type Tenant } from './load.ts';
import { newName } from './requests.ts';
import { examine, promise, resultOf } from './verdict.ts';

const NAME = 'capacity';
/** The embedded server's budget is 100 collections then. Measured without one: mongod ended after 300 sign-ups. */
const DESCRIPTORS = 800;
const AT_ONCE = 20;
/** The server's collections are counted once a second. */
const RECOUNT_LIMIT_MS = 5_000;

/**
 * Signs up, 20 at a time, until an embedded server with few file descriptors can take no more. It has to refuse in time:
 * when descriptors run out, mongod ends.
 */
export const capacityDrill: Drill = { name: NAME, run };

async function run({ log, mongodBinary }: DrillContext): Promise<DrillResult> {
  await using sandbox = await Sandbox.create(mongodBinary);
  const { url, maxCollections } = await sandbox.startService(`ulimit -n ${DESCRIPTORS}`);
  await using service = await DrillService.start(url, { maxCollections });
  const ledger = new Ledger();
  const tenant = await signUpAndIn(service, 'Tenant');
  ledger.created(tenant.id, tenant.name);
  const refused = await fillUp(service, ledger, maxCollections);
  log(`${ledger.acknowledged} sign-ups, then ${refused.length} × 503 capacity_reached`);
  const collections = await collectionsOf(service);
  const seen = `${collections} of ${maxCollections}`;
  promise(collections <= maxCollections, 'the budget is kept to', seen);
  promise(collections >= maxCollections - 1, 'the budget is used', seen);
  for (const answer of refused)
    promise(answer.headers.has('retry-after'), 'a 503 says when to try again', kindOf(answer));
  await useEverything(service, tenant, ledger);
  const { settling, audit } = await examine(service, ledger);
  const notes = [
    `ulimit -n ${DESCRIPTORS}: ${seen} collections, ${refused.length} sign-ups refused, mongod alive`,
  ];
  return resultOf(
    {
      ...{ name: NAME, topology: 'one-node replica set', rounds: 1, notes },
      ...{ acknowledged: ledger.acknowledged, longestGapMs: settling.milliseconds },
    },
    audit,
    settling.orphans,
  );
}

/** @returns the refusals, once a whole batch is refused */
async function fillUp(service: DrillService, ledger: Ledger, limit: number): Promise<Answer[]> {
  const refused: Answer[] = [];
  for (let sent = 0; sent < 3 * limit; sent += AT_ONCE) {
    const names = Array.from({ length: AT_ONCE }, newName);
    const answers = await Promise.all(names.map((name) => create(service, ledger, name)));
    const refusedNow = answers.filter(({ status }) => status !== 201);
    refused.push(...refusedNow);
    if (refusedNow.length === AT_ONCE) return refused;
  }
  throw new Error(`nothing was refused after ${ledger.acknowledged} sign-ups`);
}

async function create(service: DrillService, ledger: Ledger, name: string): Promise<Answer> {
  const answer = await service.request('POST', '/org/create', { body: signUp(name) });
  const kind = kindOf(answer);
  promise(kind === '201' || kind === '503 capacity_reached', 'sign-ups succeed or are full', kind);
  if (answer.status === 201) ledger.created(String(answer.body.id), name);
  return answer;
}

/** Everything but sign-up goes on, and a deletion makes room for one more. */
async function useEverything(service: DrillService, tenant: Tenant, ledger: Ledger): Promise<void> {
  const { id, email, password, token } = tenant;
  const collection = await service.services.tenantCollection(ObjectId.createFromHexString(id));
  const document = `${id}/after`;
  ledger.sending(id, document);
  await collection.insertMany([{ document }]);
  ledger.written(id, document);
  const login = await service.request('POST', '/admin/login', { body: { email, password } });
  promise(login.status === 200, 'signing in works', kindOf(login));
  const body = { organization_name: newName() };
  const renamed = await service.request('PUT', '/org/update', { token, body });
  promise(renamed.status === 200, 'renaming works', kindOf(renamed));
  ledger.renamed(id, body.organization_name);
  const deleted = await service.request('DELETE', '/org/delete', { token });
  promise(deleted.status === 200, 'deleting works', kindOf(deleted));
  ledger.removed(id);
  ledger.documents.delete(id);
  await until('there is room for one more', RECOUNT_LIMIT_MS, async () => {
    const { status } = await create(service, ledger, newName());
    return status === 201 ? status : undefined;
  });
}

async function collectionsOf({ client }: DrillService): Promise<number> {
  return (await client.db('admin').command({ serverStatus: 1 })).catalogStats.collections;
}
