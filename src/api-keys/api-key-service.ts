import { randomInt } from 'node:crypto';
import type { ObjectId } from 'mongodb';
import { assertServing } from '../access/access-service.ts';
import type { Caller } from '../access/caller.ts';
import type { Clock } from '../clock.ts';
import { InvalidFieldError } from '../errors.ts';
import type { Page, PageRequest } from '../http/pagination.ts';
import type { IdSource } from '../ids.ts';
import { type Maker, type Makers, makerIs } from '../members/makers.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { Permission } from '../roles/permissions.ts';
import { assertHolds } from '../roles/role-errors.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import { assertVisibleText } from '../visible-text.ts';
import type { NewApiKey } from './api-key.ts';
import { ApiKeyLimitError, ApiKeyNotFoundError } from './api-key-errors.ts';
import type { ApiKeyDocument, ApiKeyStore } from './api-key-store.ts';

/** In code points. */
export const MAX_NAME_LENGTH = 100;
/** More than an organization has machines; few enough that somebody still knows what each is for. */
const MAX_KEYS = 100;
/** Five years. Further ahead is a slip of the hand; who wants no end leaves it out. */
const LONGEST_LIFE_MS = 5 * 366 * 24 * 60 * 60 * 1_000;

/** What a key is asked for with. */
export interface ApiKeyRequest {
  name: string;
  permissions: readonly Permission[];
  /** RFC 3339. */
  expires_at?: string | null;
}

/** What was decided beforehand for a creation that may be repeated. */
export interface ApiKeyAttempt {
  /** The id to give to the key. */
  id: ObjectId;
  /** What earlier attempts, whose answers got lost, may have made. */
  earlierIds: readonly ObjectId[];
}

/** A key as its organization sees it. */
export interface ApiKey {
  key: ApiKeyDocument;
  maker: Maker;
}

interface ApiKeyServiceDeps {
  keys: ApiKeyStore;
  registry: RegistryStore;
  makers: Makers;
  makeKey: () => NewApiKey;
  /** Forgets the stored answers that gave a key out. */
  forgetAnswers: (id: ObjectId) => Promise<void>;
  clock: Clock;
  ids: IdSource;
}

/**
 * The rules of API keys. A key is its organization's, not its maker's: it stays when that person leaves or may do less,
 * so that nothing stops because somebody changed jobs. Nobody gives a key what they lack, or takes one that has more.
 */
export class ApiKeyService {
  readonly #deps: ApiKeyServiceDeps;

  constructor(deps: ApiKeyServiceDeps) {
    this.#deps = deps;
  }

  /** An organization's keys, oldest first, those included that expired in the last 30 days. */
  async list(organizationId: ObjectId, request: PageRequest): Promise<Page<ApiKey>> {
    const { keys, makers } = this.#deps;
    const page = await keys.page(organizationId, request);
    const made = await makers.with(organizationId, page.items, ({ created_by }) => created_by);
    return { ...page, items: made.map(({ thing: key, maker }) => ({ key, maker })) };
  }

  /**
   * Makes a key. Of an attempt whose answer got lost the key is unknown to everybody, so it goes, and there is a new one.
   *
   * @returns the key as it is shown, and its text, which can never be had again
   * @throws InvalidFieldError, PermissionNotHeldError, ApiKeyLimitError, InvalidTokenError
   */
  async create(
    caller: Caller,
    request: ApiKeyRequest,
    attempt: ApiKeyAttempt = { id: this.#deps.ids.objectId(), earlierIds: [] },
  ): Promise<ApiKey & { text: string }> {
    const { keys, clock } = this.#deps;
    const { organizationId } = caller;
    assertHolds(caller.permissions, request.permissions);
    const now = clock.now();
    const fields = {
      _id: attempt.id,
      organization_id: organizationId,
      name: nameOf(request.name),
      permissions: [...new Set(request.permissions)].sort(),
      created_by: makerIs(caller),
      created_at: now,
      expires_at: boundedExpiry(caller, expiryOf(request.expires_at, now)),
      last_used_at: null,
    };
    await keys.remove(organizationId, attempt.earlierIds);
    const { key, text } = await this.#insert(fields);
    await this.#assertOrganizationStays(key);
    const maker = await this.#deps.makers.one(organizationId, key.created_by);
    return { key, text, maker };
  }

  /** Ends a key: at once on this instance, within a second on every other. @throws ApiKeyNotFoundError, PermissionNotHeldError */
  async delete(caller: Caller, id: ObjectId): Promise<void> {
    const { keys, forgetAnswers } = this.#deps;
    const key = await keys.find(caller.organizationId, id);
    if (key === null) throw new ApiKeyNotFoundError();
    assertHolds(caller.permissions, key.permissions);
    await keys.remove(caller.organizationId, [id]);
    await forgetAnswers(id);
  }

  /** Each failed attempt means that somebody else took the place, so it ends: with a place, or when there are none left. */
  async #insert(
    fields: Omit<ApiKeyDocument, 'slot' | 'prefix' | 'key_hash'>,
  ): Promise<{ key: ApiKeyDocument; text: string }> {
    const { keys, makeKey } = this.#deps;
    for (;;) {
      const taken = await keys.slotsOf(fields.organization_id);
      const free = Array.from({ length: MAX_KEYS }, (_, slot) => slot).filter(
        (slot) => !taken.has(slot),
      );
      // Any of them, so that those who come at the same time seldom want the same.
      const slot = free.length === 0 ? undefined : free[randomInt(free.length)];
      if (slot === undefined) throw new ApiKeyLimitError(MAX_KEYS);
      const { text, prefix, hash } = makeKey();
      const key = { ...fields, slot, prefix, key_hash: hash };
      if (await keys.insert(key)) return { key, text };
    }
  }

  /** A deletion that began meanwhile may have looked for keys before there was this one. */
  async #assertOrganizationStays({ _id, organization_id }: ApiKeyDocument): Promise<void> {
    const { keys, registry } = this.#deps;
    try {
      const state = await registry.stateOf(organization_id);
      if (state === null) throw new InvalidTokenError();
      assertServing(state);
    } catch (error) {
      await keys.remove(organization_id, [_id]);
      throw error;
    }
  }
}

/** @throws InvalidFieldError */
function nameOf(text: string): string {
  const name = text.normalize('NFC').trim();
  // Normalization makes some letters of some scripts two.
  if (Array.from(name).length > MAX_NAME_LENGTH)
    throw new InvalidFieldError('/name', `must be at most ${MAX_NAME_LENGTH} characters long`);
  assertVisibleText('/name', name);
  return name;
}

/** @throws InvalidFieldError */
function expiryOf(text: string | null | undefined, now: Date): Date | null {
  if (text === undefined || text === null) return null;
  const expiry = new Date(text);
  const refuse = (message: string): never => {
    throw new InvalidFieldError('/expires_at', message);
  };
  // A leap second passes as RFC 3339, and is no moment that a Date can hold.
  if (Number.isNaN(expiry.getTime())) refuse('must be a moment in time');
  if (expiry <= now) refuse('must be in the future');
  if (expiry.getTime() - now.getTime() > LONGEST_LIFE_MS) refuse('must be within five years');
  return expiry;
}

/** What a key makes does not outlive it: nobody gives what they lack, time included. @throws InvalidFieldError */
function boundedExpiry(caller: Caller, wanted: Date | null): Date | null {
  const end = caller.kind === 'api_key' ? caller.expiresAt : null;
  if (end === null || wanted === null) return wanted ?? end;
  if (wanted > end)
    throw new InvalidFieldError(
      '/expires_at',
      'must not be later than the expiry of the API key that asks for it',
    );
  return wanted;
}
