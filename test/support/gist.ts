import type { Db, Document } from 'mongodb';
import { contentsOf } from './database-truth.ts';

export type Contents = Record<string, Document[]>;

/**
 * What a database holds, without what the service keeps for itself and what reading and signing in leave behind: how often
 * something was changed, by which operation, which organization was used last.
 */
export async function gist(db: Db): Promise<Contents> {
  const { organizations = [], admins = [], ...rest } = await contentsOf(db);
  return {
    ...rest,
    organizations: organizations.map(({ version, last_operation_id, updated_at, ...one }) => one),
    admins: admins.map(
      ({ membership_version, credential_changes, updated_at, last_organization_id, ...one }) => one,
    ),
  };
}

/** The same without sessions: an instance that goes on too late in an update with a new password may end newer ones. */
export function withoutSessions({ sessions, ...contents }: Contents): Contents {
  return contents;
}

/** By how many documents each collection has grown; NaN for one that is gone. */
export function grownBy(before: Contents, after: Contents): Record<string, number> {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const [then, now] = [before[name]?.length, after[name]?.length];
      return then === now ? [] : [[name, (now ?? Number.NaN) - (then ?? 0)]];
    }),
  );
}
