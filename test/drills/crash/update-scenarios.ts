import { slugOf } from '../../../src/tenants/organization-name.ts';
import { type Finding, ghost, lost } from '../../support/finding.ts';
import { type Change, isAcknowledged, type ServiceApi } from '../support/service-api.ts';
import {
  type Customer,
  describe,
  missingOf,
  newCustomer,
  organizationOf,
  someSignUp,
  tokenOf,
} from './customer.ts';
import type { Stage } from './stage.ts';
import { once, type Scenario } from './trial.ts';

const RENAME_POINTS = once('update:reserved', 'update:collection-renamed', 'update:committed');
const UPDATE_POINTS = once(
  'update:reserved',
  'update:credentials-changed',
  'update:collection-renamed',
  'update:sessions-ended',
  'update:committed',
);

/** Where a customer goes on to after an update that somebody else finished. */
interface Sequel {
  /** `back`: to the name, address and so on from before; `on`: to a third name. */
  direction: 'back' | 'on';
  /** Whether somebody else then takes the name the update led to. */
  taken: boolean;
}

/** Name and metadata; or these together with the caller's own address and password: all of it or nothing. */
export const UPDATE_SCENARIOS: readonly Scenario[] = [
  updateScenario('rename', false, { direction: 'back', taken: false }),
  updateScenario('update', true, { direction: 'back', taken: false }),
];

/** The same, with other things done while the instance that began it is paused. */
export const UPDATE_SEQUELS: readonly Scenario[] = [
  updateScenario('rename, back, name taken', false, { direction: 'back', taken: true }),
  updateScenario('update, back, name taken', true, { direction: 'back', taken: true }),
  updateScenario('rename, on, name taken', false, { direction: 'on', taken: true }),
  updateScenario('update, on, name taken', true, { direction: 'on', taken: true }),
];

function updateScenario(name: string, credentials: boolean, sequel: Sequel): Scenario {
  return {
    name,
    points: credentials ? UPDATE_POINTS : RENAME_POINTS,
    async prepare(stage, api) {
      const before = await newCustomer(stage, api);
      const otherSession = tokenOf(await api.login(before, before.organization_name));
      const { organization_name, email, password } = someSignUp();
      const change: Change = {
        organization_name,
        metadata: { name: organization_name },
        ...(credentials && { email, password }),
      };
      const after = { ...before, ...withoutMetadata(change) };
      let later: Customer | undefined;
      const others: Customer[] = [];
      return {
        slug: slugOf(organization_name),
        act: async (service) => stage.count(await service.update(before.token, change)),
        async meddle(service) {
          const moved = await organizationOf(stage, before.id);
          if (moved?.organization_name !== organization_name) return;
          later = await moveOn(stage, service, before, after, sequel.direction);
          if (sequel.taken) others.push(await newCustomer(stage, service, { organization_name }));
        },
        async verify(service, answer) {
          const findings: Finding[] = [];
          for (const other of others) findings.push(...(await missingOf(stage, service, other)));
          if (later) return [...findings, ...(await missingOf(stage, service, later))];
          const done = await isDone(stage, before, organization_name);
          if (isAcknowledged(answer) && !done) findings.push(lost('an acknowledged update'));
          findings.push(...(await missingOf(stage, service, done ? after : before)));
          if (!credentials) return findings;
          const wrong = await service.login(done ? before : after);
          if (isAcknowledged(wrong)) findings.push(ghost(`half an update: two passwords work`));
          const other = await service.own(otherSession ?? '');
          if (done === isAcknowledged(other))
            findings.push(ghost(`half an update: the other session: ${describe(other)}`));
          return findings;
        },
      };
    },
  };
}

/** Name and metadata change together. */
async function isDone(stage: Stage, { id }: Customer, newName: string): Promise<boolean> {
  const organization = await organizationOf(stage, id);
  const renamed = organization?.organization_name === newName;
  if (renamed !== (organization?.metadata.name === newName))
    throw new Error('the name and the metadata are not of one update');
  return renamed;
}

async function moveOn(
  stage: Stage,
  api: ServiceApi,
  before: Customer,
  after: Customer,
  direction: Sequel['direction'],
): Promise<Customer> {
  // On: the address and the password stay what the update made them.
  const { organization_name, password } = someSignUp();
  const change: Change =
    direction === 'on'
      ? { organization_name }
      : { organization_name: before.organization_name, email: before.email, password };
  const answer = stage.count(await api.update(before.token, change));
  if (!isAcknowledged(answer)) throw new Error(`cannot move on: ${describe(answer)}`);
  return { ...after, ...withoutMetadata(change) };
}

function withoutMetadata({ metadata: _metadata, ...rest }: Change): Omit<Change, 'metadata'> {
  return rest;
}
