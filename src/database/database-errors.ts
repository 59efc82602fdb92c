import { MongoNetworkError, MongoServerError } from 'mongodb';
import pRetry from 'p-retry';
import { AppError } from '../errors.ts';
import { withPatience } from './deadline.ts';

/** The database is away, hangs, or is choosing a new primary. Trying again soon makes sense. */
export class DatabaseUnavailableError extends AppError {
  constructor(cause: unknown) {
    super(
      'unavailable',
      'database_unavailable',
      'The database does not answer. Try again shortly.',
      {
        cause,
        retryAfter: 2,
      },
    );
  }
}

/** Server codes that say "this node cannot serve you now", by the names of MongoDB's error_codes.yml. */
const NOT_SERVING = new Set([
  6, // HostUnreachable
  7, // HostNotFound
  89, // NetworkTimeout
  91, // ShutdownInProgress
  189, // PrimarySteppedDown
  262, // ExceededTimeLimit
  9001, // SocketException
  10107, // NotWritablePrimary
  11600, // InterruptedAtShutdown
  11602, // InterruptedDueToReplStateChange
  13435, // NotPrimaryNoSecondaryOk
  13436, // NotPrimaryOrSecondary
  64, // WriteConcernFailed: written, but not yet durable on a majority
  133, // FailedToSatisfyReadPreference
  43, // CursorNotFound: the node was restarted between two batches
  237, // CursorKilled
  14031, // OutOfDiskSpace
]);

const DUPLICATE_KEY = 11000;

/** What the driver throws for a pool, a topology or an answer that is gone; there is no common base class. */
const GONE = new Set([
  'MongoClientClosedError',
  'MongoNotConnectedError',
  'MongoOperationTimeoutError',
  'MongoPoolClosedError',
  'MongoServerClosedError',
  'MongoServerSelectionError',
  'MongoStalePrimaryError',
  'MongoTopologyClosedError',
  'MongoUnexpectedServerResponseError',
  'MongoWaitQueueTimeoutError',
]);

/** Node's own codes for a broken connection: the driver (7.9) lets some through as they are, as when it writes to a socket that was just closed. */
const BROKEN_SOCKET =
  /^(EPIPE|ECONN(RESET|REFUSED|ABORTED)|ETIMEDOUT|E(HOST|NET)UNREACH|ERR_STREAM_DESTROYED)$/;

/** Whether the database, rather than the request, is at fault. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof MongoServerError) return NOT_SERVING.has(Number(error.code));
  if (error instanceof MongoNetworkError || GONE.has(error.name)) return true;
  // Of a signal that has been aborted.
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return true;
  return 'code' in error && BROKEN_SOCKET.test(String(error.code));
}

/**
 * Runs an **idempotent** database step, again after a fail-over or a lost connection, for as long as a caller is
 * willing to wait: see {@link PATIENCE_MS}.
 *
 * @throws DatabaseUnavailableError when the database does not come back in time; other errors unchanged
 */
export async function retryTransient<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await withPatience((silence) =>
      pRetry(() => silence.during(step, isDatabaseUnavailable), {
        retries: 20,
        minTimeout: 25,
        factor: 1.6,
        maxTimeout: 250,
        shouldRetry: ({ error }) => isDatabaseUnavailable(error) && silence.patienceLeftMs > 0,
      }),
    );
  } catch (error) {
    throw isDatabaseUnavailable(error) ? new DatabaseUnavailableError(error) : error;
  }
}

/**
 * The first field of the unique index that an E11000 hit, or `undefined` for any other error. Stores turn it into the
 * domain's own conflict.
 */
export function duplicateKeyField(error: unknown): string | undefined {
  if (!(error instanceof MongoServerError) || error.code !== DUPLICATE_KEY) return undefined;
  return Object.keys(error.errorResponse.keyPattern ?? {})[0] ?? 'unknown';
}
