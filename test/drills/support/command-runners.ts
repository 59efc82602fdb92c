import { DURABLE } from '../../../src/database/mongo-client.ts';
import { runFenced } from '../../../src/tenants/fence.ts';
import type { CommandRunner } from '../../../src/tenants/tenant-collection.ts';

/** What a collection-per-tenant service does that knows its collections by their names only. */
const runUnfenced: CommandRunner = (db, _uuid, command, { write }) =>
  db.command({ ...command, ...(write ? { writeConcern: DURABLE } : {}) });

/** The ways of a tenant collection to the server that drills can choose from. */
export const COMMAND_RUNNERS = {
  fenced: runFenced,
  unfenced: runUnfenced,
} as const satisfies Record<string, CommandRunner>;
