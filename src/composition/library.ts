import type { MongoClient } from 'mongodb';
import { type Clock, systemClock } from '../clock.ts';
import { PrincipalCheck } from '../library/principal-check.ts';
import { Tenantry, TenantryClosedError } from '../library/tenantry.ts';
import type { Logger } from '../logging/logger.ts';
import { AccessTokens } from '../sessions/access-tokens.ts';
import { KeySetTokens } from '../sessions/key-set-tokens.ts';
import { runFenced } from '../tenants/fence.ts';
import type { CommandRunner } from '../tenants/fenced-commands.ts';
import { TenantDirectory } from '../tenants/tenant-directory.ts';
import { createAccess } from './access.ts';
import { createAccessCaches } from './access-caches.ts';
import { createStores } from './stores.ts';

/** What the library works with. */
export interface LibrarySettings {
  masterDatabase: string;
  /** What access tokens are verified with. Without it, none is. */
  tokens?: LibraryTokens;
}

/** The secrets that sign access tokens, the present one first, or the key set that verifies them. */
export type LibraryTokens = { issuer: string; audience: string } & (
  | { secrets: readonly [string, ...string[]] }
  | { keySet: ConstructorParameters<typeof KeySetTokens>[0]['keys'] }
);

/** What tests and drills put in place of the real thing. */
export interface LibrarySources {
  clock: Clock;
  run: CommandRunner;
}

/** It tells what goes wrong by errors alone. */
const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * The part of the service that product back ends use in their own process: no HTTP, no recovery, nothing that runs by itself.
 * What it remembers of who may do what is good for less than a second, so it needs no change stream.
 *
 * @param close - called once, when the library is closed
 */
export function createLibrary(
  client: MongoClient,
  settings: LibrarySettings,
  close: () => Promise<void>,
  { clock = systemClock, run = runFenced }: Partial<LibrarySources> = {},
): Tenantry {
  let closed = false;
  // The driver would connect a closed client anew for whoever kept an organization.
  const runUnlessClosed: CommandRunner = (...command) => {
    if (closed) throw new TenantryClosedError();
    return run(...command);
  };
  const closeOnce = () => {
    closed = true;
    return close();
  };
  const master = client.db(settings.masterDatabase);
  const accessCaches = createAccessCaches({ master, clock, logger: SILENT });
  const stores = createStores({ client, master, settings }, accessCaches.changed);
  const { registry } = stores;
  // As the driver's own collections would read and write with this client.
  const bson = master.bsonOptions;
  const directory = new TenantDirectory({ client, registry, bson, run: runUnlessClosed });
  const accessTokens = settings.tokens && verifierOf(settings.tokens, clock);
  const principals =
    accessTokens &&
    new PrincipalCheck({
      ...{ accessTokens, clock },
      ...createAccess(clock, stores, { accessTokens, accessCaches }),
    });
  return new Tenantry({ registry, directory, close: closeOnce, ...(principals && { principals }) });
}

function verifierOf(tokens: LibraryTokens, clock: Clock) {
  const { issuer, audience } = tokens;
  if ('keySet' in tokens) return new KeySetTokens({ keys: tokens.keySet, issuer, audience, clock });
  return new AccessTokens({ keys: tokens, issuer, audience, clock, ttlSeconds: 0 });
}
