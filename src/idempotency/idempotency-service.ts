import { createHash, createHmac } from 'node:crypto';
import type { ObjectId } from 'mongodb';
import { AppError } from '../errors.ts';
import type { IdSource } from '../ids.ts';
import type { DerivedKeys, ServiceKeys } from '../keys/service-keys.ts';
import { type Answer, AnswerSeal } from './answer-seal.ts';
import type { IdempotencyStore } from './idempotency-store.ts';

class IdempotencyKeyReusedError extends AppError {
  constructor() {
    super(
      'invalid',
      'idempotency_key_reused',
      'This Idempotency-Key was used with another body. A new request needs a new key.',
      { errors: [{ path: '/idempotency-key', message: 'was used with another body' }] },
    );
  }
}

class IdempotencyKeyInProgressError extends AppError {
  constructor() {
    super(
      'conflict',
      'idempotency_key_in_progress',
      'A request with this Idempotency-Key is still being worked on. Try again shortly.',
      { retryAfter: 1 },
    );
  }
}

/** Only when a secret was replaced, and dropped, while the request was being worked on. */
class IdempotencyAnswerLostError extends AppError {
  constructor() {
    super(
      'conflict',
      'idempotency_answer_lost',
      'The request was answered before, but the answer cannot be read any more. Look at what there is before you try again.',
    );
  }
}

/** Problems that may have come up after the work was done. */
const OUTCOME_UNKNOWN = /"code":"(database_unavailable|internal_error)"/;

/** A request that may do its work. */
export interface IdempotentAttempt {
  kind: 'attempt';
  keyId: string;
  attemptId: ObjectId;
  /** The id to give to what the request creates. */
  subjectId: ObjectId;
  /** What earlier attempts, of which no answer is known, may have created. */
  earlierSubjectIds: readonly ObjectId[];
}

/** A request that was answered before. */
export interface Replay {
  kind: 'replay';
  answer: Answer;
}

/**
 * Remembers the answers to requests that carry an `Idempotency-Key`, so that repeating one after a lost answer does the
 * work once. The body is remembered as a keyed hash only, as it may hold a password, and the answer is encrypted.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export class IdempotencyService {
  readonly #deps: { store: IdempotencyStore; ids: IdSource };
  readonly #keys: DerivedKeys;
  readonly #answers: AnswerSeal;

  constructor(deps: { store: IdempotencyStore; ids: IdSource; keys: ServiceKeys }) {
    this.#deps = deps;
    this.#keys = deps.keys.derive('tenantry idempotency');
    this.#answers = new AnswerSeal(deps);
  }

  /**
   * @param operation - the route, and whatever else keys of one caller are kept apart by
   * @param organizationId - the organization the answer is about, with which it is forgotten
   * @throws IdempotencyKeyReusedError, IdempotencyKeyInProgressError, IdempotencyAnswerLostError
   */
  async begin(
    operation: string,
    key: string,
    body: unknown,
    organizationId?: ObjectId,
  ): Promise<IdempotentAttempt | Replay> {
    const { store, ids } = this.#deps;
    const keyId = createHash('sha256').update(`${operation}\0${key}`).digest('hex');
    const text = JSON.stringify(body ?? null);
    const [fingerprint, ...former] = fingerprintsOf(text, this.#keys);
    const attemptId = ids.objectId();
    const subjectId = ids.objectId();
    const attempt = { kind: 'attempt' as const, keyId, attemptId, subjectId };
    const first = {
      ...{ fingerprint, attempt_id: attemptId, subject_ids: [subjectId] },
      ...(organizationId && { organization_id: organizationId }),
    };
    const earlier = await store.claim(keyId, first);
    if (earlier.attempt_id.equals(attemptId)) return { ...attempt, earlierSubjectIds: [] };
    if (earlier.fingerprint !== fingerprint && !former.includes(earlier.fingerprint))
      throw new IdempotencyKeyReusedError();
    if (earlier.answer !== null) {
      const answer = this.#answers.open(earlier.answer, keyId);
      if (answer === undefined) throw new IdempotencyAnswerLostError();
      return { kind: 'replay', answer };
    }
    const taken = await store.takeOver(keyId, attemptId, subjectId);
    if (taken === null) throw new IdempotencyKeyInProgressError();
    const earlierSubjectIds = taken.subject_ids.filter((id) => !id.equals(subjectId));
    return { ...attempt, earlierSubjectIds };
  }

  /**
   * Keeps an answer that repeating the request would give again; forgets one that only says "not now", and one that asks
   * for a further proof, which makes another body of the same request. Of an attempt that failed, perhaps after its work was
   * done, the ids are kept.
   */
  async end({ keyId, attemptId }: IdempotentAttempt, answer: Answer): Promise<void> {
    const { store } = this.#deps;
    const passing = answer.status >= 500 || answer.status === 429 || answer.status === 401;
    if (passing && OUTCOME_UNKNOWN.test(answer.body)) await store.giveUp(keyId, attemptId);
    else if (passing) await store.release(keyId, attemptId);
    else await store.complete(keyId, attemptId, this.#answers.seal(answer, keyId));
  }
}

function fingerprintsOf(text: string, [current, ...previous]: DerivedKeys): [string, ...string[]] {
  return [fingerprintOf(text, current), ...previous.map((key) => fingerprintOf(text, key))];
}

function fingerprintOf(text: string, key: Buffer): string {
  return createHmac('sha256', key).update(text).digest('hex');
}
