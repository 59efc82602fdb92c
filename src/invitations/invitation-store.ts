import type { Collection, Db, Filter, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { duplicateKeyField, retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { type Page, type PageRequest, pageOf } from '../http/pagination.ts';
import type { MakerDocument } from '../members/makers.ts';
import { AlreadyInvitedError } from './invitation-errors.ts';

/** One attempt to accept an invitation. */
export interface Acceptance {
  attempt: ObjectId;
  /** Who joins; of a new account, before it exists. */
  admin_id: ObjectId;
  since: Date;
  /** It is being taken back, and can no longer succeed. */
  undoing?: true;
}

/** That somebody may join an organization. */
export interface InvitationDocument {
  _id: ObjectId;
  organization_id: ObjectId;
  /** Normalised. */
  email: string;
  role: string;
  /** `accepted` ones are kept for a while: they decide what becomes of a membership that a crash left half made. */
  state: 'pending' | 'accepted';
  /** Of the token in the latest mail. */
  token_hash: string;
  invited_by: MakerDocument;
  created_at: Date;
  expires_at: Date;
  /** When MongoDB removes it. */
  purge_at: Date;
  /** The attempt under way, the only one there can be. */
  accepting?: Acceptance;
  /** The attempt that succeeded. */
  accepted?: Acceptance;
}

export const INVITATIONS: MasterCollection = {
  name: 'invitations',
  indexes: [
    {
      name: 'organization_email',
      key: { organization_id: 1, email: 1 },
      unique: true,
      partialFilterExpression: { state: 'pending' },
    },
    { name: 'token', key: { token_hash: 1 }, unique: true },
    { name: 'organization', key: { organization_id: 1, _id: 1 } },
    { name: 'organization_role', key: { organization_id: 1, role: 1 } },
    // Only what is under way is in it, so that looking for interrupted attempts costs nothing.
    { name: 'accepting', key: { 'accepting.since': 1 }, sparse: true },
    { name: 'purge_at', key: { purge_at: 1 }, expireAfterSeconds: 0 },
  ],
  belongsTo: [
    { field: 'organization_id', owner: 'organization' },
    { field: 'invited_by.admin_id', owner: 'admin', whenGone: 'keep' },
    // Of an account that is about to be made, or to be taken back: the invitation stays.
    { field: 'accepting.admin_id', owner: 'admin', whenGone: 'keep' },
    { field: 'accepted.admin_id', owner: 'admin' },
  ],
};

const PENDING: Filter<InvitationDocument> = { state: 'pending' };
/** Nobody is accepting it at the moment. */
const AT_REST: Filter<InvitationDocument> = { ...PENDING, accepting: { $exists: false } };

/** The token of an invitation, and how long it is good. */
export type Validity = Pick<InvitationDocument, 'token_hash' | 'expires_at' | 'purge_at'>;

/** Every query on invitations. Those that have been accepted are none any more, unless a method says otherwise. */
export class InvitationStore {
  readonly #invitations: Collection<InvitationDocument>;

  constructor(master: Db) {
    this.#invitations = masterCollection<InvitationDocument>(master, INVITATIONS);
  }

  /** Takes the place of one that has expired. Idempotent. @throws AlreadyInvitedError */
  async insert(invitation: InvitationDocument, now: Date): Promise<void> {
    const { _id, ...rest } = invitation;
    const { organization_id, email } = invitation;
    const expired = { ...AT_REST, organization_id, email, expires_at: { $lte: now } };
    try {
      await retryTransient(async () => {
        await this.#invitations.deleteMany(expired, withinDeadline());
        await this.#invitations.updateOne(
          { _id },
          { $setOnInsert: rest },
          { ...withinDeadline(), upsert: true },
        );
      });
    } catch (error) {
      if (duplicateKeyField(error) === 'organization_id') throw new AlreadyInvitedError(error);
      throw error;
    }
  }

  /** An organization's invitations, expired ones included, oldest first. */
  async page(
    organizationId: ObjectId,
    { limit, after }: PageRequest,
  ): Promise<Page<InvitationDocument>> {
    const filter = {
      ...PENDING,
      organization_id: organizationId,
      ...(after && { _id: { $gt: after } }),
    };
    const found = await retryTransient(() =>
      this.#invitations
        .find(filter, withinDeadline())
        .sort({ _id: 1 })
        .limit(limit + 1)
        .toArray(),
    );
    return pageOf(found, limit);
  }

  /** @returns one of an organization's invitations, expired or not */
  find(organizationId: ObjectId, id: ObjectId): Promise<InvitationDocument | null> {
    return this.#findOne({ ...PENDING, _id: id, organization_id: organizationId });
  }

  /** @returns the invitation that the token opens now, also while somebody is accepting it */
  findGood(hash: string, now: Date): Promise<InvitationDocument | null> {
    return this.#findOne({ ...PENDING, token_hash: hash, expires_at: { $gt: now } });
  }

  /** @returns the invitation whatever has become of it */
  findById(id: ObjectId): Promise<InvitationDocument | null> {
    return this.#findOne({ _id: id });
  }

  /** Whether anybody is invited to the role. */
  async isRoleInUse(organizationId: ObjectId, role: string): Promise<boolean> {
    return (await this.#findOne({ ...PENDING, organization_id: organizationId, role })) !== null;
  }

  /** Gives an invitation another token. @returns it as it is now, or null when it has changed since it was seen */
  renew(seen: InvitationDocument, to: Validity): Promise<InvitationDocument | null> {
    return this.#change(
      { ...AT_REST, _id: seen._id, token_hash: seen.token_hash },
      { $set: to },
      { ...PENDING, _id: seen._id, token_hash: to.token_hash },
    );
  }

  /** Removes an invitation that nobody is accepting. @returns false when somebody is, or when it is gone */
  async revoke(organizationId: ObjectId, id: ObjectId): Promise<boolean> {
    const removed = await retryTransient(() =>
      this.#invitations.deleteOne(
        { ...AT_REST, _id: id, organization_id: organizationId },
        withinDeadline(),
      ),
    );
    return removed.deletedCount === 1;
  }

  /** Removes an invitation that came to nothing, unless it has got another token since. */
  async withdraw({ _id, token_hash }: InvitationDocument): Promise<void> {
    await retryTransient(() =>
      this.#invitations.deleteOne({ ...AT_REST, _id, token_hash }, withinDeadline()),
    );
  }

  /**
   * Begins to accept an invitation: of any number who do so at once, one gets it.
   *
   * @param hash - of the token, which has to be the latest
   * @returns false when it has expired, changed or gone, or is being accepted by another
   */
  async claim(id: ObjectId, hash: string, acceptance: Acceptance): Promise<boolean> {
    const claimed = await this.#change(
      { ...AT_REST, _id: id, token_hash: hash, expires_at: { $gt: acceptance.since } },
      { $set: { accepting: acceptance } },
      { _id: id, 'accepting.attempt': acceptance.attempt },
    );
    return claimed !== null;
  }

  /** Uses an invitation up, in one step. @returns false when the attempt no longer holds it */
  async commit(id: ObjectId, acceptance: Acceptance, purgeAt: Date): Promise<boolean> {
    const { attempt } = acceptance;
    const committed = await this.#change(
      { _id: id, 'accepting.attempt': attempt, 'accepting.undoing': { $exists: false } },
      {
        $set: { state: 'accepted', accepted: acceptance, purge_at: purgeAt },
        $unset: { accepting: '' },
      },
      { _id: id, 'accepted.attempt': attempt },
    );
    return committed !== null;
  }

  /** From here on the attempt cannot succeed. @returns false when it has, or has been undone, or the invitation is gone */
  async beginUndo(id: ObjectId, attempt: ObjectId): Promise<boolean> {
    const begun = await retryTransient(() =>
      this.#invitations.updateOne(
        { _id: id, 'accepting.attempt': attempt },
        { $set: { 'accepting.undoing': true } },
        withinDeadline(),
      ),
    );
    return begun.matchedCount === 1;
  }

  /** Ends an attempt that came to nothing: the invitation can be accepted again. */
  async release(id: ObjectId, attempt: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#invitations.updateOne(
        { _id: id, 'accepting.attempt': attempt },
        { $unset: { accepting: '' } },
        withinDeadline(),
      ),
    );
  }

  /** Invitations whose attempt has been under way since before the given time. */
  findInterrupted(before: Date): Promise<InvitationDocument[]> {
    return retryTransient(() =>
      this.#invitations.find({ 'accepting.since': { $lt: before } }, withinDeadline()).toArray(),
    );
  }

  #findOne(filter: Filter<InvitationDocument>): Promise<InvitationDocument | null> {
    return retryTransient(() => this.#invitations.findOne(filter, withinDeadline()));
  }

  /** @param made - finds the invitation when the answer to a first attempt got lost */
  #change(
    where: Filter<InvitationDocument>,
    change: { $set: Partial<InvitationDocument>; $unset?: { accepting: '' } },
    made: Filter<InvitationDocument>,
  ): Promise<InvitationDocument | null> {
    let attempts = 0;
    return retryTransient(async () => {
      attempts += 1;
      const found = await this.#invitations.findOneAndUpdate(where, change, {
        ...withinDeadline(),
        returnDocument: 'after',
      });
      if (found !== null || attempts === 1) return found;
      return this.#invitations.findOne(made, withinDeadline());
    });
  }
}
