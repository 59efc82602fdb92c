import type { Db, Document } from 'mongodb';
import {
  type OrganizationName,
  parseOrganizationName,
} from '../../src/tenants/organization-name.ts';

/** What an organization is to the model. Its owner identifies it: no two have the same. */
export interface ModelOrganization {
  owner: string;
  name: OrganizationName;
  /** A name it has reserved for itself besides. */
  reserved?: OrganizationName;
  /** Its owner's. */
  password: string;
  documents: readonly string[];
}

/** Everything that exists, by owner. Never changed in place. */
export type Model = ReadonlyMap<string, ModelOrganization>;

/** What a client asks for. */
export type Request =
  | { kind: 'create'; owner: string; name: string }
  | { kind: 'rename'; owner: string; name: string; password?: string }
  | { kind: 'delete'; owner: string }
  | { kind: 'insert'; owner: string; document: string };

/** With which everybody signs up. */
export const FIRST_PASSWORD = 'correct horse battery staple';

/** `ok`, or the code of the error. */
export type Answer = string;

/** What one request does when nothing else goes on: the whole specification of the lifecycle. */
export function perform(model: Model, request: Request): { model: Model; answer: Answer } {
  const refused = refusal(model, request);
  if (refused !== undefined) return { model, answer: refused };
  const { owner } = request;
  const now = new Map(model);
  const organization = model.get(owner);
  if (request.kind === 'create')
    now.set(owner, {
      owner,
      name: parseOrganizationName(request.name),
      password: FIRST_PASSWORD,
      documents: [],
    });
  else if (request.kind === 'delete') now.delete(owner);
  else if (organization !== undefined && request.kind === 'rename')
    now.set(owner, {
      ...organization,
      name: parseOrganizationName(request.name),
      password: request.password ?? organization.password,
    });
  else if (organization !== undefined && request.kind === 'insert')
    now.set(owner, {
      ...organization,
      documents: [...organization.documents, request.document].sort(),
    });
  return { model: now, answer: 'ok' };
}

function refusal(model: Model, request: Request): Answer | undefined {
  if (request.kind !== 'create' && !model.has(request.owner)) return 'organization_not_found';
  if (request.kind === 'create' || request.kind === 'rename')
    return conflict(model, parseOrganizationName(request.name), request.owner);
  return undefined;
}

/** Why an organization cannot be called so, if it cannot. */
function conflict(model: Model, name: OrganizationName, owner: string): Answer | undefined {
  const others = [...model.values()].filter((one) => one.owner !== owner);
  const names = others.map((one) => (one.reserved ? [one.name, one.reserved] : [one.name]));
  const holder = names.find((held) => held.some(({ slug }) => slug === name.slug));
  if (holder !== undefined)
    return holder.some(({ key }) => key === name.key)
      ? 'organization_name_taken'
      : 'collection_name_taken';
  const alike = names.flat().some(({ skeleton }) => skeleton === name.skeleton);
  return alike ? 'organization_name_confusable' : undefined;
}

/** What there is, in a form that two states can be compared in. */
export interface Observation {
  owner: string;
  name: string;
  documents: readonly string[];
  /** Its owner's, where somebody has tried it out. */
  password?: string | undefined;
}

export function observationOf(model: Model): Observation[] {
  return [...model.values()]
    .map(({ owner, name, documents, password }) => ({
      ...{ owner, name: name.display, documents },
      password,
    }))
    .sort(byOwner);
}

/** The same, of a database: as a plain driver sees it, through the collection's UUID. */
export async function observe(db: Db): Promise<Observation[]> {
  const all = (name: string) => db.collection(name).find().toArray();
  const [organizations, memberships, admins, collections] = await Promise.all([
    all('organizations'),
    all('memberships'),
    all('admins'),
    db.listCollections({}, { nameOnly: false }).toArray(),
  ]);
  const email = new Map(admins.map((one) => [String(one._id), String(one.email)]));
  const owner = new Map(
    memberships.map((one) => [String(one.organization_id), email.get(String(one.admin_id))]),
  );
  const place = new Map(collections.map(({ name, info }) => [String(info?.uuid), name]));
  const observed = organizations.map(async (organization: Document) => {
    const name = place.get(String(organization.collection_uuid));
    const documents = name === undefined ? [] : await all(name);
    return {
      owner: owner.get(String(organization._id)) ?? `nobody (${organization._id})`,
      name: String(organization.organization_name),
      documents: documents.map(({ text }) => String(text)).sort(),
    };
  });
  return (await Promise.all(observed)).sort(byOwner);
}

function byOwner(a: Observation, b: Observation): number {
  return a.owner < b.owner ? -1 : 1;
}
