import { randomBytes } from 'node:crypto';
import { ObjectId } from 'mongodb';
import { ADMINS } from '../../../src/admins/admin-store.ts';
import type { OrganizationDocument } from '../../../src/registry/organization-document.ts';
import { ORGANIZATIONS } from '../../../src/registry/registry-store.ts';
import { type Finding, ghost, lost } from '../../support/finding.ts';
import {
  type Answer,
  isAcknowledged,
  type ServiceApi,
  type SignUp,
} from '../support/service-api.ts';
import type { Stage } from './stage.ts';

const DOCUMENTS = 40;
const INDEX = 'by_number';

/** An organization that was acknowledged, with data in it, and the person who owns it. */
export interface Customer extends SignUp {
  /** Hex. */
  id: string;
  token: string;
  /** Identity of the collection, hex: a rename keeps it. */
  collection: string;
}

/** What somebody could sign up with; every call gives another one. */
export function someSignUp(overrides: Partial<SignUp> = {}): SignUp {
  const unique = randomBytes(5).toString('hex');
  return {
    organization_name: `Acme ${unique}`,
    email: `ada-${unique}@acme.example`,
    password: `correct horse ${unique}`,
    ...overrides,
  };
}

/** Signs up and in, and puts documents and a secondary index into the collection, as any driver would. */
export async function newCustomer(
  stage: Stage,
  api: ServiceApi,
  overrides: Partial<SignUp> = {},
): Promise<Customer> {
  const signUp = someSignUp(overrides);
  const created = stage.count(await api.create(signUp));
  if (!isAcknowledged(created)) throw new Error(`cannot sign up: ${describe(created)}`);
  return settledIn(stage, api, signUp, String(created.body.id));
}

/** As {@link newCustomer}, for an organization that exists. @throws Error when it does so by half */
export async function settledIn(
  stage: Stage,
  api: ServiceApi,
  signUp: SignUp,
  id: string,
): Promise<Customer> {
  const token = tokenOf(await api.login(signUp, signUp.organization_name));
  const organization = await organizationOf(stage, id);
  const collection = organization?.collection_uuid?.toString('hex');
  if (organization === null || collection === undefined || token === undefined)
    throw new Error(`cannot settle in "${signUp.organization_name}"`);
  const tenant = stage.db.collection(organization.collection_name);
  await tenant.insertMany(
    Array.from({ length: DOCUMENTS }, (_, number) => ({ number, organization_id: id })),
  );
  await tenant.createIndex({ number: 1 }, { name: INDEX });
  return { ...signUp, id, token, collection };
}

/** What is missing of a customer who has to be there as described, down to the last document. */
export async function missingOf(
  stage: Stage,
  api: ServiceApi,
  customer: Customer,
): Promise<Finding[]> {
  const name = `"${customer.organization_name}"`;
  const organization = await organizationOf(stage, customer.id);
  if (organization === null) return [lost(`${name} is gone`)];
  const findings: Finding[] = [];
  if (organization.organization_name !== customer.organization_name)
    findings.push(lost(`${name} is called "${organization.organization_name}"`));
  if (organization.collection_uuid?.toString('hex') !== customer.collection)
    findings.push(lost(`${name} has another collection`));
  const tenant = stage.db.collection(organization.collection_name);
  const own = { organization_id: customer.id, number: { $type: 'number' } };
  const documents = await tenant.find(own).toArray();
  const numbers = new Set(documents.map(({ number }) => Number(number)));
  if (numbers.size !== DOCUMENTS || documents.length !== DOCUMENTS)
    findings.push(lost(`${name} has ${documents.length} of ${DOCUMENTS} documents`));
  if (!(await tenant.indexes()).some((index) => index.name === INDEX))
    findings.push(lost(`${name} has no secondary index`));
  const login = await api.login(customer, customer.organization_name);
  if (!isAcknowledged(login)) findings.push(lost(`login to ${name}: ${describe(login)}`));
  return findings;
}

/** What is left of an organization and, unless they belong elsewhere, of its owner. */
export async function remainsOf(
  stage: Stage,
  api: ServiceApi,
  { organization_name, email, password }: SignUp,
  { id, token, ownerStays = false }: { id?: string; token?: string; ownerStays?: boolean } = {},
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const say = (what: string) => findings.push(ghost(`"${organization_name}" ${what}`));
  if (id !== undefined && (await organizationOf(stage, id)) !== null) say('is still there');
  if (token !== undefined && isAcknowledged(await api.own(token))) say('still takes its token');
  const login = await api.login({ organization_name, email, password });
  if (ownerStays !== isAcknowledged(login))
    say(`${ownerStays ? 'took its owner along' : 'left its owner'}: ${describe(login)}`);
  if (!ownerStays && (await stage.db.collection(ADMINS.name).findOne({ email })) !== null)
    say('left its owner in the database');
  return findings;
}

/** The registry's document, read by a plain driver. */
export function organizationOf(stage: Stage, id: string): Promise<OrganizationDocument | null> {
  return stage.db
    .collection<OrganizationDocument>(ORGANIZATIONS.name)
    .findOne({ _id: new ObjectId(id) });
}

export function tokenOf({ body }: Answer): string | undefined {
  return typeof body.access_token === 'string' ? body.access_token : undefined;
}

export function describe({ status, body }: Answer): string {
  return status === 0 ? 'no answer' : `${status} ${body.code ?? ''}`;
}
