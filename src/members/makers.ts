import type { ObjectId } from 'mongodb';
import type { Caller } from '../access/caller.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { MembershipStore } from './membership-store.ts';

/** Who made something of an organization's, as it is stored: a person or a machine, that may be gone since. */
export type MakerDocument = { admin_id: ObjectId } | { api_key_id: ObjectId };

/** Who made something, as far as it is the organization's business. */
export interface Maker {
  type: 'admin' | 'api_key';
  id: ObjectId;
  /** Of a person who is a member. */
  email: string | null;
}

export function makerIs(caller: Caller): MakerDocument {
  return caller.kind === 'member' ? { admin_id: caller.adminId } : { api_key_id: caller.apiKeyId };
}

/** Tells an organization who made what it has. */
export class Makers {
  readonly #deps: { memberships: MembershipStore; admins: AdminStore };

  constructor(deps: { memberships: MembershipStore; admins: AdminStore }) {
    this.#deps = deps;
  }

  /**
   * @param things - what the organization has
   * @param makerOf - who made one
   * @returns each with its maker, in the same order. Addresses of members only: what has become of others is not its business
   */
  async with<T>(
    organizationId: ObjectId,
    things: readonly T[],
    makerOf: (thing: T) => MakerDocument,
  ): Promise<{ thing: T; maker: Maker }[]> {
    const emails = await this.#emails(organizationId, things.map(makerOf));
    return things.map((thing) => ({ thing, maker: shown(makerOf(thing), emails) }));
  }

  async one(organizationId: ObjectId, maker: MakerDocument): Promise<Maker> {
    return shown(maker, await this.#emails(organizationId, [maker]));
  }

  async #emails(organizationId: ObjectId, makers: readonly MakerDocument[]) {
    const { memberships, admins } = this.#deps;
    const people = makers.flatMap((maker) => ('admin_id' in maker ? [maker.admin_id] : []));
    if (people.length === 0) return new Map<string, string>();
    const members = await memberships.membersAmong(organizationId, people);
    const found = await admins.findMany(members);
    return new Map(found.map(({ _id, email }) => [_id.toHexString(), email]));
  }
}

function shown(maker: MakerDocument, emails: ReadonlyMap<string, string>): Maker {
  if ('api_key_id' in maker) return { type: 'api_key', id: maker.api_key_id, email: null };
  const { admin_id: id } = maker;
  return { type: 'admin', id, email: emails.get(id.toHexString()) ?? null };
}
