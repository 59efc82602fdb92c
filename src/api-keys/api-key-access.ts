import type { AccessCache, Lookup } from '../access/access-cache.ts';
import { assertServing, type Freshness } from '../access/access-service.ts';
import type { MachineCaller } from '../access/caller.ts';
import type { LastUse } from '../access/last-use.ts';
import type { Clock } from '../clock.ts';
import type { OrganizationState } from '../registry/organization-document.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import { type ApiKeyDigest, readApiKey, sameHash } from './api-key.ts';
import type { ApiKeyStore } from './api-key-store.ts';

/** What is known of a key: what its bearer may do, and in what state its organization is. */
export interface KeyAccess {
  caller: MachineCaller;
  organizationState: OrganizationState;
}

interface ApiKeyAccessDeps {
  keys: ApiKeyStore;
  registry: RegistryStore;
  keyAccess: AccessCache<KeyAccess>;
  lastUse: LastUse;
  clock: Clock;
}

/**
 * Decides who an API key speaks for **now**. A key that is unknown, wrong, deleted, expired or of an organization that is
 * gone gets the very same answer.
 *
 * Nobody is locked out for wrong keys: 190 random bits are not guessed, and a lock-out would only let strangers stop
 * other people's machines.
 */
export class ApiKeyAccess {
  readonly #deps: ApiKeyAccessDeps;

  constructor(deps: ApiKeyAccessDeps) {
    this.#deps = deps;
  }

  /** @throws InvalidTokenError, OrganizationSuspendedError */
  async authenticate(text: string, freshness: Freshness): Promise<MachineCaller> {
    const { keyAccess, clock, lastUse } = this.#deps;
    const digest = readApiKey(text);
    if (digest === undefined) throw new InvalidTokenError();
    const load = () => this.#lookUp(digest);
    const { caller, organizationState } =
      // By its hash: what is remembered is worth nothing to whoever reads this process's memory.
      freshness === 'recent' ? await keyAccess.get(digest.hash, load) : (await load()).value;
    // What is remembered was good when it was looked up; time goes on.
    if (caller.expiresAt !== null && caller.expiresAt <= clock.now()) throw new InvalidTokenError();
    assertServing(organizationState);
    lastUse.touch(caller.apiKeyId);
    return caller;
  }

  async #lookUp({ prefix, hash }: ApiKeyDigest): Promise<Lookup<KeyAccess>> {
    const { keys, registry } = this.#deps;
    const found = await keys.findByPrefix(prefix);
    if (found === null || !sameHash(found.key_hash, hash)) throw new InvalidTokenError();
    const { _id: apiKeyId, organization_id: organizationId, expires_at: expiresAt } = found;
    const organizationState = await registry.stateOf(organizationId);
    if (organizationState === null) throw new InvalidTokenError();
    const permissions = new Set(found.permissions);
    const caller = { kind: 'api_key' as const, apiKeyId, organizationId, permissions, expiresAt };
    return { value: { caller, organizationState }, dependsOn: [apiKeyId, organizationId] };
  }
}
