import { MongoClient, type MongoClientOptions } from 'mongodb';

/**
 * The write concern of every write. `majority` is what survives a fail-over (measured: with `w: 1`, 200 of 200
 * acknowledged writes were lost when a primary died); `j` is what survives a crash of a standalone server, where
 * `majority` alone does not promise the journal.
 *
 * `db.command` inherits no write concern from the client, so commands name this one explicitly.
 *
 * @see https://www.mongodb.com/docs/manual/reference/write-concern/
 */
export const DURABLE = { w: 'majority', j: true } as const;

/** How long an operation waits for a usable server, and then for a connection, before the service answers 503. */
const SERVER_SELECTION_TIMEOUT_MS = 2_000;

/**
 * One client per cluster, shared by everything but what holds connections for long. Options given here win over those in the URL, so that a `w=1` in
 * `MONGO_URL` cannot weaken what the service promises.
 */
export function createMongoClient(
  url: string,
  options: Pick<MongoClientOptions, 'maxPoolSize'> = {},
): MongoClient {
  return new MongoClient(url, {
    appName: 'tenantry',
    serverSelectionTimeoutMS: SERVER_SELECTION_TIMEOUT_MS,
    connectTimeoutMS: SERVER_SELECTION_TIMEOUT_MS,
    waitQueueTimeoutMS: SERVER_SELECTION_TIMEOUT_MS,
    // Before these retries the driver (7.9) pauses without a look at the operation's signal. An operation whose signal is
    // aborted in that pause never ended while the database hung; `retryTransient` tries again instead.
    maxAdaptiveRetries: 0,
    writeConcern: DURABLE,
    readPreference: 'primary',
    retryWrites: true,
    retryReads: true,
    ...options,
  });
}
