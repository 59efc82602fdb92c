import { EXACT_TYPES } from '../records/extended-json.ts';
import { TenantDirectory } from '../tenants/tenant-directory.ts';
import type { Foundation } from './foundation.ts';
import type { Stores } from './stores.ts';

/** What works with the organizations' own data. */
export function createRecords({ client }: Foundation, { registry }: Stores) {
  const directory = new TenantDirectory({ client, registry, bson: EXACT_TYPES });
  return { directory };
}
