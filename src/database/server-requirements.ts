import { type MongoClient, MongoServerError } from 'mongodb';
import { ConfigError } from '../config/config-error.ts';
import { withinDeadline } from './deadline.ts';

/** The first version whose commands take `collectionUUID`, on which the isolation of tenants rests. */
const MINIMUM_MAJOR = 6;

/**
 * Finds out at the start what would only fail later.
 *
 * @throws ConfigError when the server of MONGO_URL does not answer, refuses the credentials, or is too old
 */
export async function assertUsableDatabase(client: MongoClient): Promise<void> {
  const version = await serverVersion(client);
  if (Number.parseInt(version, 10) < MINIMUM_MAJOR)
    throw new ConfigError([
      {
        name: 'MONGO_URL',
        message: `leads to MongoDB ${version}; this service needs ${MINIMUM_MAJOR}.0 or later`,
      },
    ]);
}

async function serverVersion(client: MongoClient): Promise<string> {
  try {
    await client.connect();
    const info = await client.db('admin').command({ buildInfo: 1 }, withinDeadline());
    return String(info.version);
  } catch (error) {
    const refused = error instanceof MongoServerError;
    const message = refused
      ? `leads to a server that refuses: ${error.codeName ?? error.message}`
      : 'leads to no server that answers. Is it running, and reachable from here?';
    throw new ConfigError([{ name: 'MONGO_URL', message }], { cause: error });
  }
}
