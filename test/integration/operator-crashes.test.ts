import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { expectProblem } from '../support/api.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import type { Instant } from '../support/crash.ts';
import { contradictions } from '../support/database-truth.ts';
import { rename, stopAt } from '../support/lifecycle-scenarios.ts';
import { anOperator, ask, type TestOperator } from '../support/operators.ts';
import { addMember, anOrganization } from '../support/organizations.ts';
import { expectStatus, type SignedUp } from '../support/test-service.ts';

let cluster: Cluster;
let service: Instance;
let grace: TestOperator;
beforeAll(async () => {
  cluster = await Cluster.create();
  service = await cluster.instance();
});
afterEach(async () => {
  expect(await contradictions(cluster.db)).toEqual([]);
  await cluster.empty();
});
afterAll(() => cluster[Symbol.asyncDispose]());

const act = (action: string, { organization }: Pick<SignedUp, 'organization'>, by = service) =>
  ask(by, 'POST', `/orgs/${organization.id}/${action}`, grace.auth);

test('an organization that is being renamed is busy, and can be suspended when recovery has ended that', async () => {
  grace = await anOperator(service);
  const attempt = await rename.prepare(service);
  const other = await cluster.instance();
  await stopAt(other, { point: 'update:reserved' }, attempt);
  await cluster.prolongLeases();
  const { data } = expectStatus(await ask(service, 'GET', '/operations', grace.auth), 200).json();
  expect(data).toMatchObject([{ kind: 'update', attempts: 1, stuck: false }]);
  const organization = { id: data[0].organization_id, organization_name: '', collection_name: '' };
  for (const action of ['suspend', 'resume'])
    expectProblem(await act(action, { organization }), 409, 'organization_busy');
  const url = `/orgs/${organization.id}`;
  expectProblem(await ask(service, 'DELETE', url, grace.auth), 409, 'organization_busy');
  const change = { metadata: { a: 1 } };
  expectProblem(await ask(service, 'PATCH', url, grace.auth, change), 409, 'organization_busy');

  await cluster.expireLeases();
  expect(await service.services.recovery.recoverExpired()).toBe(1);
  expectStatus(await act('suspend', { organization }), 200);
  expect((await ask(service, 'GET', '/operations', grace.auth)).json()).toEqual({ data: [] });
});

test('neither recovery nor reconciliation makes a suspended organization active', async () => {
  grace = await anOperator(service);
  const acme = await anOrganization(service);
  expectStatus(await act('suspend', acme), 200);
  const before = await cluster.contents();
  await cluster.expireLeases();
  expect(await service.services.recovery.recoverExpired()).toBe(0);
  await service.services.reconciliation.run();
  expect(await cluster.contents()).toEqual(before);
});

test('an instance that goes on too late in a rename changes nothing of what was suspended since', async () => {
  grace = await anOperator(service);
  const attempt = await rename.prepare(service);
  const other = await cluster.instance();
  const goOn = await stopAt(other, { point: 'update:reserved' }, attempt);
  const { data } = (await ask(service, 'GET', '/operations', grace.auth)).json();
  await cluster.expireLeases();
  await service.services.recovery.recoverExpired();
  const organization = { id: data[0].organization_id, organization_name: '', collection_name: '' };
  expectStatus(await act('suspend', { organization }), 200);
  const before = await cluster.contents();
  await goOn();
  expect(await cluster.contents()).toEqual(before);
});

/** Every moment of a suspension: after it has read, after it has written. */
const instants: Instant[] = Array.from({ length: 8 }, (_, at) => ({ reply: at + 1 }));

test.each(instants)(
  'a suspension that stops after reply $reply has taken place, or not',
  async (instant) => {
    grace = await anOperator(service);
    const acme = await anOrganization(service);
    const other = await cluster.instance();
    const course = await other.stopper.during(instant, () => act('suspend', acme, other));
    const { organizations: [stopped] = [] } = await cluster.contents();
    expect(stopped?.suspension !== undefined).toBe(stopped?.state === 'suspended');
    expect(stopped?.operation).toBeUndefined();
    if (course.kind === 'stopped') expectStatus(await course.wakeUp(), 200);
    const { organizations: [after] = [] } = await cluster.contents();
    expect(after?.state).toBe('suspended');
  },
);

const DELETION: Instant[] = [
  { point: 'delete:marked' },
  { point: 'delete:collection-dropped' },
  { point: 'delete:membership-removed' },
  { point: 'delete:belongings-erased' },
  { point: 'delete:removed' },
];

test.each(DELETION)(
  'a deletion of a suspended organization that stops at $point is finished by recovery',
  async (instant) => {
    grace = await anOperator(service);
    const acme = await anOrganization(service);
    await addMember(service, acme);
    expectStatus(await act('suspend', acme), 200);
    const other = await cluster.instance();
    const url = `/orgs/${acme.organization.id}`;
    await other.stopper.during(instant, () => ask(other, 'DELETE', url, grace.auth));
    const { auth: headers } = acme;
    const answer = await service.app.inject({ url: '/org/get', headers });
    expectProblem(answer, 401, 'invalid_token');
    await cluster.expireLeases();
    await service.services.recovery.recoverExpired();
    expectProblem(await ask(service, 'GET', url, grace.auth), 404, 'organization_not_found');
    const {
      operators: _,
      operator_sessions: __,
      rate_limits: ___,
      ...rest
    } = await cluster.contents();
    expect(Object.values(rest).flat()).toEqual([]);
  },
);
