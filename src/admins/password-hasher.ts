import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import PQueue from 'p-queue';
import { AppError } from '../errors.ts';
import type { StoredPassword } from '../registry/organization-document.ts';

/** Hashes waiting per core before more are refused; at cost 12 about three seconds of work. */
const WAITING_PER_CORE = 16;

/** More passwords wait to be checked than the machine can check soon. */
export class PasswordQueueFullError extends AppError {
  constructor() {
    super('unavailable', 'overloaded', 'Too many sign-ins at once. Try again shortly.', {
      retryAfter: 2,
    });
  }
}

/**
 * Hashes and verifies passwords with bcrypt on the thread pool, never more at once than there are cores, and with a
 * bounded queue: the event loop stays free, and a flood of logins is shed instead of piling up.
 *
 * bcrypt reads 72 bytes, and 64 emoji are 256: so the NFKC password is condensed with SHA-384 first, whose base64 of 64
 * characters fits and holds no NUL. Plain bcrypt hashes of older systems verify as well.
 *
 * @see https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html (pre-hashing)
 */
export class PasswordHasher {
  readonly #cost: number;
  readonly #queue: PQueue;
  readonly #maxWaiting: number;
  #decoy: Promise<StoredPassword> | undefined;
  #refused = 0;

  constructor(deps: { cost: number; concurrency?: number; maxWaiting?: number }) {
    const concurrency = deps.concurrency ?? availableParallelism();
    this.#cost = deps.cost;
    this.#queue = new PQueue({ concurrency });
    this.#maxWaiting = deps.maxWaiting ?? concurrency * WAITING_PER_CORE;
  }

  /** How many are being hashed or verified. */
  get running(): number {
    return this.#queue.pending;
  }

  /** How many wait for a core, and from how many on more are refused. */
  get waiting(): number {
    return this.#queue.size;
  }

  get maxWaiting(): number {
    return this.#maxWaiting;
  }

  /** How many were refused, since the beginning. */
  get refused(): number {
    return this.#refused;
  }

  /** @throws PasswordQueueFullError */
  async hash(password: string): Promise<StoredPassword> {
    const hash = await this.#run(() => bcrypt.hash(condense(password), this.#cost));
    return { scheme: 'bcrypt-sha384', hash };
  }

  /**
   * @param stored - undefined when there is no such account: the comparison then takes as long and fails
   * @throws PasswordQueueFullError
   */
  async verify(password: string, stored: StoredPassword | undefined): Promise<boolean> {
    const { scheme, hash } = stored ?? (await this.#decoyPassword());
    const input = scheme === 'bcrypt' ? password : condense(password);
    // Node's bcrypt knows $2a$ and $2b$; PHP's $2y$ is $2b$ under another name.
    const matches = await this.#run(() => bcrypt.compare(input, hash.replace(/^\$2y\$/, '$2b$')));
    return matches && stored !== undefined;
  }

  /** Whether a password that was just verified should be stored anew: an older scheme, or another cost. */
  needsRehash(stored: StoredPassword): boolean {
    return stored.scheme !== 'bcrypt-sha384' || bcrypt.getRounds(stored.hash) !== this.#cost;
  }

  #decoyPassword(): Promise<StoredPassword> {
    this.#decoy ??= this.hash('no account has this password').catch((error: unknown) => {
      this.#decoy = undefined;
      throw error;
    });
    return this.#decoy;
  }

  /** Makes the decoy ahead of time, so that the first unknown account takes no longer than the second. */
  async warmUp(): Promise<void> {
    await this.#decoyPassword();
  }

  #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#queue.size >= this.#maxWaiting) {
      this.#refused += 1;
      throw new PasswordQueueFullError();
    }
    return this.#queue.add(work);
  }
}

function condense(password: string): string {
  return createHash('sha384').update(password.normalize('NFKC')).digest('base64');
}
