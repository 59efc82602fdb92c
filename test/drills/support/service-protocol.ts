import type { Document } from 'mongodb';
import type { FaultPoint } from '../../../src/tenants/lifecycle/fault-points.ts';
import type { COMMAND_RUNNERS } from './command-runners.ts';

/** How a service process is started; the one argument of `service-child.ts`, as JSON. */
export interface ServiceOptions {
  /** Of the MongoDB. */
  url: string;
  /** Master and tenant database both. */
  database: string;
  /** How tenant commands reach the server: the real way, or one that has to be caught. */
  runner?: keyof typeof COMMAND_RUNNERS;
}

/** Where a process is to kill or to stop itself. */
export type FaultPlace =
  /** At the `hit`-th time that the point is reached. */
  | { point: FaultPoint; hit: number }
  /** Right before the `hit`-th command of that name is sent, or before any. */
  | { command: string | null; hit: number };

/**
 * What happens there. `SIGKILL` ends the process at once, `SIGSTOP` pauses it until it is sent `SIGCONT`; `hold` keeps one
 * operation at its fault point until `release`, so that many can be made to stand at theirs before the process is killed
 * or paused; `release` lets them go on by itself when the place is reached.
 */
export interface Fault {
  place: FaultPlace;
  effect: 'SIGKILL' | 'SIGSTOP' | 'hold' | 'release';
}

/** What the parent asks of a service process. Ids are hex. */
export type Question =
  | { kind: 'arm'; fault: Fault }
  /** Takes it back if it was not reached. */
  | { kind: 'disarm' }
  | { kind: 'reached' }
  /** Lets every operation go on that is held. */
  | { kind: 'release' }
  /** Looks an organization's collection up, and keeps the reference for all that follows, as a slow request would. */
  | { kind: 'resolve'; organizationId: string }
  | { kind: 'insert'; organizationId: string; documents: Document[] }
  | { kind: 'find'; organizationId: string }
  | { kind: 'reconcile' };

/** What it answers. */
export interface Reply {
  ok: boolean;
  /** Of `find`. */
  documents?: Document[];
  /** Of `reached`. */
  reached?: boolean;
  /** When not ok: an error's stable code, `no_answer` when the process or its answer is gone, else `bug`. */
  code?: string;
  message?: string;
}

/** A message from the parent, and one to it. */
export type ToChild = { id: number; question: Question };
export type ToParent = { id: number; reply: Reply } | { port: number };
