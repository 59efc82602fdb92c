import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Db, type Document, MongoClient, MongoNetworkError, MongoServerError } from 'mongodb';
import { EmbeddedMongodError } from './embedded-errors.ts';
import { REPLICA_SET } from './mongod-process.ts';

const POLL_MS = 25;

/** Codes that mean "not yet" while the set comes up; the loop asks again. */
const NOT_YET = new Set([
  23, // AlreadyInitialized: it had not finished reading its configuration when it was asked for it
  94, // NotYetInitialized
  109, // ConfigurationInProgress
  11602, // InterruptedDueToReplStateChange
  10107, // NotWritablePrimary
  13436, // NotPrimaryOrSecondary
]);

/**
 * Brings a one-node replica set on 127.0.0.1 to the point where it takes writes: initiates it on an empty
 * data folder, and moves it to this port when it ran on another one before. The set stores the address of its
 * member, and a node that does not find itself in there stays out of the set until it is reconfigured by force
 * (https://www.mongodb.com/docs/manual/tutorial/change-hostnames-in-a-replica-set/).
 *
 * @param pid - of the `mongod` expected there; another one may have taken the port first
 * @param signal - aborts the wait
 * @throws EmbeddedMongodError when another server answers on the port; the driver's errors; AbortError
 */
export async function becomePrimary(port: number, pid: number, signal: AbortSignal): Promise<void> {
  await listening(port, signal);
  signal.throwIfAborted();
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/`, { directConnection: true });
  try {
    // Connecting takes no signal, and what listens there need not answer at all.
    await Promise.race([lead(client, port, pid, signal), once(signal, 'abort')]);
    signal.throwIfAborted();
  } finally {
    await client.close();
  }
}

async function lead(
  client: MongoClient,
  port: number,
  pid: number,
  signal: AbortSignal,
): Promise<void> {
  while (!(await advance(client, port, pid, signal).catch(rethrowUnlessNotYet))) {
    await delay(POLL_MS, undefined, { signal });
  }
}

/** @returns true when the node is primary; otherwise does what it still needs for that */
async function advance(
  client: MongoClient,
  port: number,
  pid: number,
  signal: AbortSignal,
): Promise<boolean> {
  const admin = (await client.connect()).db('admin');
  const status = await admin.command({ serverStatus: 1 }, { signal });
  if (Number(status.pid) !== pid) {
    throw new EmbeddedMongodError(
      `Another MongoDB (process ${status.pid}) answers on port ${port}.`,
    );
  }
  if (await isPrimary(admin, signal)) return true;
  await configure(admin, `127.0.0.1:${port}`, signal);
  return false;
}

async function isPrimary(admin: Db, signal: AbortSignal): Promise<boolean> {
  return (await admin.command({ hello: 1 }, { signal })).isWritablePrimary === true;
}

async function configure(admin: Db, host: string, signal: AbortSignal): Promise<void> {
  const members = [{ _id: 0, host }];
  const config = await currentConfig(admin, signal);
  if (config === undefined) {
    await admin.command({ replSetInitiate: { _id: REPLICA_SET, members } }, { signal });
  } else if (config.members[0].host !== host) {
    const moved = { ...config, version: config.version + 1, members };
    await admin.command({ replSetReconfig: moved, force: true }, { signal });
  }
}

async function currentConfig(admin: Db, signal: AbortSignal): Promise<Document | undefined> {
  try {
    return (await admin.command({ replSetGetConfig: 1 }, { signal })).config;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === 94) return undefined;
    throw error;
  }
}

function rethrowUnlessNotYet(error: unknown): false {
  // A node that finds itself outside its own set closes its connections.
  if (error instanceof MongoNetworkError) return false;
  if (error instanceof MongoServerError && NOT_YET.has(Number(error.code))) return false;
  throw error;
}

async function listening(port: number, signal: AbortSignal): Promise<void> {
  while (!(await accepts(port))) await delay(POLL_MS, undefined, { signal });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => finish(true)).once('error', () => finish(false));
  });
}
