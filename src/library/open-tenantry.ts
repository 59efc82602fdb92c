import type { JSONWebKeySet } from 'jose';
import type { MongoClient } from 'mongodb';
import { createLibrary, type LibrarySettings } from '../composition/library.ts';
import { ConfigError } from '../config/config-error.ts';
import { createMongoClient } from '../database/mongo-client.ts';
import { assertUsableDatabase } from '../database/server-requirements.ts';
import { LibraryOptionsError } from './library-errors.ts';
import type { Tenantry } from './tenantry.ts';

/** Where the organizations are, and what their members' tokens are verified with. */
export interface OpenTenantryOptions {
  /** The MongoDB, as the service's `MONGO_URL`. Either this or `client`. */
  mongoUrl?: string;
  /** A client of the caller's own, which stays the caller's to close. */
  client?: MongoClient;
  /** The service's `MASTER_DB`. Where the tenants' collections are is written there. */
  masterDatabase?: string;
  /** The service's `JWT_SECRET`, for {@link Tenantry.verifyToken}; its records need none. */
  jwtSecret?: string;
  /** The service's `JWT_PREVIOUS_SECRETS`. */
  jwtPreviousSecrets?: readonly string[];
  /** In place of the secret where the service has `JWT_PRIVATE_KEYS`: `https://<service>/.well-known/jwks.json`, or what it holds. */
  jwks?: string | URL | JSONWebKeySet;
  /** The service's `JWT_ISSUER`. */
  jwtIssuer?: string;
  /** The service's `JWT_AUDIENCE`. */
  jwtAudience?: string;
}

const MIN_SECRET_BYTES = 32;

/**
 * Opens the organizations of a Tenantry database.
 *
 * @throws LibraryOptionsError when the options do not fit, or the database does not answer or is too old
 */
export async function openTenantry(options: OpenTenantryOptions): Promise<Tenantry> {
  const { mongoUrl, client: given, masterDatabase = 'organization_master' } = options;
  if ((mongoUrl === undefined) === (given === undefined))
    throw new LibraryOptionsError('either mongoUrl or client has to be given');
  const tokens = tokensOf(options);
  const client = given ?? makeClient(String(mongoUrl));
  const close = async () => {
    if (given === undefined) await client.close();
  };
  try {
    await assertUsableDatabase(client);
  } catch (error) {
    await close();
    if (!(error instanceof ConfigError)) throw error;
    const faults = error.faults.map(({ message }) => message).join('; ');
    throw new LibraryOptionsError(`${given ? 'client' : 'mongoUrl'} ${faults}`, error);
  }
  return createLibrary(client, { masterDatabase, ...(tokens && { tokens }) }, close);
}

function makeClient(url: string): MongoClient {
  try {
    return createMongoClient(url);
  } catch (cause) {
    // The driver's own words may hold the password.
    throw new LibraryOptionsError('mongoUrl is not a connection string of MongoDB', cause);
  }
}

function tokensOf(options: OpenTenantryOptions): LibrarySettings['tokens'] {
  const { jwtSecret, jwtPreviousSecrets = [], jwks } = options;
  const { jwtIssuer: issuer = 'tenantry', jwtAudience: audience = 'tenantry' } = options;
  if (jwtSecret !== undefined && jwks !== undefined)
    throw new LibraryOptionsError('jwtSecret and jwks exclude one another');
  if (jwks !== undefined) return { issuer, audience, keySet: keySetOf(jwks) };
  if (jwtSecret === undefined) return undefined;
  const secrets = [jwtSecret, ...jwtPreviousSecrets] as const;
  if (secrets.some((one) => Buffer.byteLength(one) < MIN_SECRET_BYTES))
    throw new LibraryOptionsError(`a secret has at least ${MIN_SECRET_BYTES} bytes`);
  return { issuer, audience, secrets };
}

function keySetOf(jwks: string | URL | JSONWebKeySet): URL | JSONWebKeySet {
  if (typeof jwks !== 'string') return jwks;
  if (!URL.canParse(jwks)) throw new LibraryOptionsError('jwks is neither a URL nor a key set');
  return new URL(jwks);
}
