import { ChangeFeeds } from '../change-feed/change-feeds.ts';
import { FeedPositions } from '../change-feed/feed-positions.ts';
import type { TenantDirectory } from '../tenants/tenant-directory.ts';
import type { Foundation } from './foundation.ts';
import type { Stores } from './stores.ts';

/** What tells readers of the changes of an organization's data. */
export function createChangeFeeds(
  { keys, logger, feedClient: client, feedTimes: times, feedLimits: limits }: Foundation,
  { registry }: Stores,
  { directory }: { directory: TenantDirectory },
): ChangeFeeds {
  const positions = new FeedPositions({ keys });
  return new ChangeFeeds({ client, directory, registry, positions, limits, times, logger });
}
