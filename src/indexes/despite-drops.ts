import { MongoServerError } from 'mongodb';
import { OrganizationBusyError } from '../registry/registry-errors.ts';

const INDEX_NOT_FOUND = 27;
const ATTEMPTS = 20;

/**
 * Asks MongoDB something about all indexes of a collection, again if one of them was dropped meanwhile: measured on 6.0.5,
 * `$indexStats` fails then ("Could not find entry in IndexCatalog").
 *
 * @throws OrganizationBusyError when indexes are dropped all the time
 */
export async function despiteDrops<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!isOfDroppedIndex(error)) throw error;
    }
  }
  throw new OrganizationBusyError();
}

function isOfDroppedIndex(error: unknown): boolean {
  if (!(error instanceof MongoServerError)) return false;
  return Number(error.code) === INDEX_NOT_FOUND || error.message.includes('IndexCatalog');
}
