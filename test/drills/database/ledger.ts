import type { Answer } from './drill-service.ts';

/** Names an organization was acknowledged to have, and those that an unanswered rename may have given it. */
interface OrganizationEntry {
  acknowledged: string;
  possible: Set<string>;
}

/**
 * What clients were told, in the order they were told it. A write whose outcome is unknown is allowed either way; one that
 * was acknowledged has to be there, and what nobody sent must not be.
 */
export class Ledger {
  /** Acknowledged documents by organization id. */
  readonly documents = new Map<string, Set<string>>();
  /** Documents sent by organization id, whatever the answer. */
  readonly sent = new Map<string, Set<string>>();
  readonly organizations = new Map<string, OrganizationEntry>();
  /** Names that were sent in creations without an answer: either there or not. */
  readonly unknownNames = new Set<string>();
  readonly deleted = new Set<string>();
  readonly #maybeGone = new Set<string>();
  /** Kinds of refusals and how often each was seen. */
  readonly refusals = new Map<string, number>();
  #acknowledged = 0;
  #writes = 0;
  #lastWriteAt = Number.NaN;
  #longestGapMs = 0;

  /** Acknowledged operations of every kind. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Acknowledged documents. */
  get writes(): number {
    return this.#writes;
  }

  /** The longest time in which no write at all was acknowledged, in milliseconds. */
  get longestGapMs(): number {
    return Math.round(this.#longestGapMs);
  }

  sending(organizationId: string, document: string): void {
    setOf(this.sent, organizationId).add(document);
  }

  written(organizationId: string, document: string): void {
    setOf(this.documents, organizationId).add(document);
    this.#count();
    this.#writes += 1;
    const now = performance.now();
    if (!Number.isNaN(this.#lastWriteAt))
      this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastWriteAt);
    this.#lastWriteAt = now;
  }

  /** As {@link longestGapMs}, of the time since this was last asked. */
  takeLongestGap(): number {
    const gap = this.longestGapMs;
    this.#longestGapMs = 0;
    return gap;
  }

  /** Ends the measurement of gaps until the next write: nothing is being sent. */
  pause(): void {
    this.#lastWriteAt = Number.NaN;
  }

  created(organizationId: string, name: string): void {
    this.organizations.set(organizationId, { acknowledged: name, possible: new Set() });
    this.#count();
  }

  renamed(organizationId: string, name: string): void {
    this.created(organizationId, name);
  }

  /** A rename got no answer that tells its outcome. */
  mayBeCalled(organizationId: string, name: string): void {
    this.organizations.get(organizationId)?.possible.add(name);
  }

  removed(organizationId: string): void {
    this.organizations.delete(organizationId);
    this.deleted.add(organizationId);
    this.#count();
  }

  /** A deletion got no answer that tells its outcome. */
  mayBeGone(organizationId: string): void {
    this.organizations.delete(organizationId);
    this.#maybeGone.add(organizationId);
  }

  /** Whether an organization may exist, going by what its creator was told. */
  mayExist(organizationId: string, name: string): boolean {
    if (this.deleted.has(organizationId)) return false;
    return (
      this.organizations.has(organizationId) ||
      this.#maybeGone.has(organizationId) ||
      this.unknownNames.has(name)
    );
  }

  refused(kind: string): void {
    this.refusals.set(kind, (this.refusals.get(kind) ?? 0) + 1);
  }

  /** For a note: `no refusals`, or each kind and how often. */
  describeRefusals(): string {
    if (this.refusals.size === 0) return 'no refusals';
    return [...this.refusals].map(([kind, times]) => `${times} × ${kind}`).join(', ');
  }

  #count(): void {
    this.#acknowledged += 1;
  }
}

/** Whether an answer leaves open what happened. */
export function isUnknown({ status }: Answer): boolean {
  return status === 0 || status >= 500;
}

function setOf(sets: Map<string, Set<string>>, key: string): Set<string> {
  const found = sets.get(key) ?? new Set<string>();
  sets.set(key, found);
  return found;
}
