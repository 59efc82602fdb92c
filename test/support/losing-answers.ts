import { MongoNetworkError } from 'mongodb';
import { runFenced } from '../../src/tenants/fence.ts';
import type { CommandRunner } from '../../src/tenants/fenced-commands.ts';

/** What the driver throws when a primary dies right after it has written. */
export function connectionClosed(): Error {
  return new MongoNetworkError('connection 1 to 127.0.0.1:27017 closed');
}

/**
 * Runs commands, and loses the answer to the first of a kind.
 *
 * @param kind - the command's name: `insert`, `update` …
 * @param carriedOut - whether the server gets it
 */
export function losingAnswer(kind: string, { carriedOut = true } = {}): CommandRunner {
  let lost = false;
  return async (db, uuid, command, options) => {
    if (lost || !(kind in command)) return runFenced(db, uuid, command, options);
    lost = true;
    if (carriedOut) await runFenced(db, uuid, command, options);
    throw connectionClosed();
  };
}
