import type { Abortable, CommandOperationOptions } from 'mongodb';

/**
 * The longest a single database operation of a request may take. A database that hangs (measured: SIGSTOP) leaves a
 * plain insert waiting for 40 s; with a signal it fails at this limit, and the caller gets a 503 it can act on.
 */
export const OPERATION_DEADLINE_MS = 2_000;

/**
 * Options that end a database operation after `milliseconds`. The driver honours `signal` on every operation, although
 * its types name it only for some; its `timeoutMS` has no effect since 7.x.
 */
export function withinDeadline(
  milliseconds: number = OPERATION_DEADLINE_MS,
): CommandOperationOptions & Required<Abortable> {
  return { signal: AbortSignal.timeout(milliseconds) };
}
