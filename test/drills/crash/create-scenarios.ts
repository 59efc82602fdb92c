import { slugOf } from '../../../src/tenants/organization-name.ts';
import { type Finding, ghost, lost } from '../../support/finding.ts';
import { isAcknowledged } from '../support/service-api.ts';
import {
  type Customer,
  describe,
  missingOf,
  newCustomer,
  remainsOf,
  settledIn,
  someSignUp,
} from './customer.ts';
import { once, type Scenario } from './trial.ts';

const POINTS = once(
  'create:reserved',
  'create:collection-created',
  'create:collection-recorded',
  'create:admin-inserted',
  'create:membership-inserted',
  'create:membership-counted',
  'create:committed',
);

export const CREATE_BY_NEW_PERSON = createScenario('create by a new person', false);

/** A sign-up, by somebody new and by somebody who owns an organization already. */
export const CREATE_SCENARIOS: readonly Scenario[] = [
  CREATE_BY_NEW_PERSON,
  createScenario('create by a person who is known', true),
];

function createScenario(name: string, known: boolean): Scenario {
  return {
    name,
    points: POINTS,
    async prepare(stage, api) {
      const earlier = known ? await newCustomer(stage, api) : undefined;
      const signUp = someSignUp(earlier && { email: earlier.email, password: earlier.password });
      const key = `key-${signUp.organization_name.replaceAll(' ', '-')}`;
      let newcomer: Customer | undefined;
      return {
        slug: slugOf(signUp.organization_name),
        act: async (service) => stage.count(await service.create(signUp, key)),
        async meddle(service) {
          const other = someSignUp({ organization_name: signUp.organization_name });
          const taken = stage.count(await service.create(other));
          if (isAcknowledged(taken))
            newcomer = await settledIn(stage, service, other, String(taken.body.id));
        },
        async verify(service, answer) {
          const found = await service.get(signUp.organization_name);
          const there = found.status === 200 && found.body.id !== newcomer?.id;
          const findings: Finding[] = [];
          if (isAcknowledged(answer) && !there) findings.push(lost('an acknowledged create'));
          if (newcomer) findings.push(...(await missingOf(stage, service, newcomer)));
          if (earlier) findings.push(...(await missingOf(stage, service, earlier)));
          if (there) return [...findings, ...(await presence())];
          findings.push(...(await remainsOf(stage, service, signUp, { ownerStays: known })));
          return newcomer ? findings : [...findings, ...(await absence())];

          /** It is there: then it can be signed in to, and put data into. */
          async function presence(): Promise<Finding[]> {
            try {
              const customer = await settledIn(stage, service, signUp, String(found.body.id));
              return await missingOf(stage, service, customer);
            } catch (error) {
              return [ghost(`half a create: ${error}`)];
            }
          }

          /** It is absent: then nothing stands in the way of asking for it again. */
          async function absence(): Promise<Finding[]> {
            const again = stage.count(await service.create(signUp));
            return isAcknowledged(again)
              ? []
              : [ghost(`${name}: cannot be done again: ${describe(again)}`)];
          }
        },
      };
    },
  };
}
