import type { MongoClient } from 'mongodb';
import { retryTransient } from './database-errors.ts';
import { withinDeadline } from './deadline.ts';

const known = new WeakMap<MongoClient, boolean>();

/**
 * Whether the client's MongoDB is a replica set (or the router of one), and so has retryable writes and change streams. It
 * is asked once: a server does not become one without being started again under another configuration.
 *
 * @throws DatabaseUnavailableError
 */
export async function isReplicaSet(client: MongoClient): Promise<boolean> {
  const before = known.get(client);
  if (before !== undefined) return before;
  const hello = await retryTransient(() =>
    client.db('admin').command({ hello: 1 }, withinDeadline()),
  );
  const is = hello.setName !== undefined || hello.msg === 'isdbgrid';
  known.set(client, is);
  return is;
}
