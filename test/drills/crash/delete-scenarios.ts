import { ObjectId } from 'mongodb';
import type { AdminDocument } from '../../../src/admins/admin-document.ts';
import { ADMINS } from '../../../src/admins/admin-store.ts';
import { MEMBERSHIPS, type MembershipDocument } from '../../../src/members/membership-store.ts';
import { slugOf } from '../../../src/tenants/organization-name.ts';
import { type Finding, ghost } from '../../support/finding.ts';
import { isAcknowledged, type SignUp } from '../support/service-api.ts';
import {
  type Customer,
  missingOf,
  newCustomer,
  organizationOf,
  remainsOf,
  someSignUp,
} from './customer.ts';
import type { Stage } from './stage.ts';
import { once, type Scenario } from './trial.ts';

/** The owner, somebody who belongs elsewhere as well, and somebody who does not. */
const MEMBERS = 3;

const eachMember = (['delete:account-removed', 'delete:membership-removed'] as const).flatMap(
  (point) => Array.from({ length: MEMBERS }, (_, index) => ({ point, hit: index + 1 })),
);

/** An organization with members of every kind. */
export const DELETE_SCENARIO: Scenario = {
  name: 'delete',
  points: [
    ...once('delete:marked', 'delete:collection-dropped', 'delete:sessions-ended'),
    ...eachMember,
    ...once('delete:belongings-erased', 'delete:removed'),
  ],
  async prepare(stage, api) {
    const customer = await newCustomer(stage, api);
    const elsewhere = await newCustomer(stage, api);
    const { id, organization_name } = customer;
    await join(stage, elsewhere.email, id);
    const onlyHere = await newMember(stage, customer);
    const memberToken = await api.login(onlyHere, organization_name);
    if (!isAcknowledged(memberToken)) throw new Error('the member cannot sign in');
    let newcomer: Customer | undefined;
    const takeName = async (service: typeof api) => {
      newcomer = await newCustomer(stage, service, { organization_name });
    };
    return {
      slug: slugOf(organization_name),
      act: async (service) => stage.count(await service.remove(customer.token)),
      async meddle(service) {
        if ((await organizationOf(stage, id)) === null) await takeName(service);
      },
      async verify(service, answer) {
        const findings = await missingOf(stage, service, elsewhere);
        if ((await organizationOf(stage, id)) !== null) {
          if (isAcknowledged(answer)) findings.push(ghost('an acknowledged delete'));
          return [...findings, ...(await missingOf(stage, service, customer))];
        }
        // Its name is free, and stays with whoever took it.
        if (newcomer === undefined) await takeName(service);
        if (newcomer) findings.push(...(await missingOf(stage, service, newcomer)));
        const { token } = customer;
        findings.push(...(await remainsOf(stage, service, customer, { id, token })));
        findings.push(...(await remainsOf(stage, service, onlyHere, { id })));
        return [...findings, ...(await membershipsLeft(stage, id))];
      },
    };
  },
};

async function membershipsLeft(stage: Stage, id: string): Promise<Finding[]> {
  const left = await stage.db
    .collection<MembershipDocument>(MEMBERSHIPS.name)
    .countDocuments({ organization_id: new ObjectId(id) });
  return left === 0 ? [] : [ghost(`${left} memberships of a deleted organization`)];
}

/** Puts somebody who belongs to nothing else into an organization; the password is its owner's. */
async function newMember(stage: Stage, owner: Customer): Promise<SignUp> {
  const admins = stage.db.collection<AdminDocument>(ADMINS.name);
  const { email } = someSignUp();
  const account = await admins.findOne({ email: owner.email });
  if (account === null) throw new Error('the owner has no account');
  await admins.insertOne({ ...account, _id: new ObjectId(), email });
  await join(stage, email, owner.id);
  return { organization_name: owner.organization_name, email, password: owner.password };
}

async function join(stage: Stage, email: string, organizationId: string): Promise<void> {
  const admin = await stage.db
    .collection<AdminDocument>(ADMINS.name)
    .findOneAndUpdate({ email }, { $inc: { membership_version: 1 } });
  if (admin === null) throw new Error(`${email} has no account`);
  await stage.db.collection<MembershipDocument>(MEMBERSHIPS.name).insertOne({
    _id: new ObjectId(),
    organization_id: new ObjectId(organizationId),
    admin_id: admin._id,
    role: 'viewer',
    version: 0,
    created_at: new Date(),
  });
}
