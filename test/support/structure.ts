import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { type Document, ObjectId } from 'mongodb';
import type { TenantCollection } from '../../src/tenants/tenant-collection.ts';
import type { SignedUp, TestService } from './test-service.ts';

type By = { app: FastifyInstance };
type Of = Pick<SignedUp, 'auth'>;
type Reply = Promise<LightMyRequestResponse>;

export function getSchema({ app }: By, { auth: headers }: Of): Reply {
  return app.inject({ url: '/org/schema', headers });
}

export function putSchema(
  { app }: By,
  { auth: headers }: Of,
  payload: object,
  query: Record<string, string> = {},
): Reply {
  return app.inject({ method: 'PUT', url: '/org/schema', headers, payload, query });
}

export function deleteSchema({ app }: By, { auth: headers }: Of): Reply {
  return app.inject({ method: 'DELETE', url: '/org/schema', headers });
}

export function getIndexes({ app }: By, { auth: headers }: Of): Reply {
  return app.inject({ url: '/org/indexes', headers });
}

export function postIndex({ app }: By, { auth: headers }: Of, payload: object): Reply {
  return app.inject({ method: 'POST', url: '/org/indexes', headers, payload });
}

export function deleteIndex({ app }: By, { auth: headers }: Of, name: string): Reply {
  const url = `/org/indexes/${encodeURIComponent(name)}`;
  return app.inject({ method: 'DELETE', url, headers });
}

export function getUsage({ app }: By, { auth: headers }: Of): Reply {
  return app.inject({ url: '/org/usage', headers });
}

export const idOf = ({ organization }: Pick<SignedUp, 'organization'>): ObjectId =>
  ObjectId.createFromHexString(organization.id);

/** An organization's records, as the service writes them. */
export function recordsOf(
  { services }: Pick<TestService, 'services'>,
  signedUp: Pick<SignedUp, 'organization'>,
): Promise<TenantCollection> {
  return services.directory.open(idOf(signedUp));
}

/** The validator of a collection, as a plain driver sees it. */
export async function validatorOf(
  { db }: Pick<TestService, 'db'>,
  name: string,
): Promise<Document | undefined> {
  const [info] = await db.listCollections({ name }, { nameOnly: false }).toArray();
  return (info as { options?: Document } | undefined)?.options?.validator;
}
