import { AppError } from '../../errors.ts';

/** One place where a `mongod` was looked for, and why it did not serve. */
export interface MongodAttempt {
  /** E.g. `PATH` or `the official download (MongoDB 7.0.28)`. */
  readonly source: string;
  /** One or more lines for people. */
  readonly reason: string;
}

/**
 * No usable `mongod` could be had. The message lists every attempt with its reason, and what to do,
 * and is meant to be printed as it is.
 */
export class MongodUnavailableError extends AppError {
  readonly attempts: readonly MongodAttempt[];

  constructor(attempts: readonly MongodAttempt[]) {
    const tried = attempts.map(({ source, reason }) => `  - ${source}: ${indent(reason)}`);
    super(
      'unavailable',
      'mongod_unavailable',
      [
        'No usable mongod (the MongoDB server) was found. Tried:',
        ...tried,
        'Any one of these helps:',
        '  - set MONGO_URL to a MongoDB that already runs (6.0 or newer)',
        '  - install MongoDB 6.0 or newer, so that mongod is on the PATH (https://www.mongodb.com/docs/manual/installation/)',
        '  - set MONGOD_BINARY to the path of a mongod, 6.0 or newer',
      ].join('\n'),
    );
    this.attempts = attempts;
  }
}

/** One source of a `mongod` failed; the chain of {@link MongodUnavailableError} goes on to the next. */
export class MongodSourceError extends AppError {
  constructor(reason: string, cause?: unknown) {
    super('unavailable', 'mongod_source_failed', reason, { cause });
  }
}

/** Another process uses the data folder. It has not been disturbed. */
export class DataFolderInUseError extends AppError {
  readonly folder: string;
  /** The process that uses the folder; undefined when it could not be told. */
  readonly pid: number | undefined;

  /** @param holder - what uses the folder, e.g. `service` or `mongod` */
  constructor(folder: string, holder: string, pid: number | undefined) {
    super(
      'conflict',
      'data_folder_in_use',
      `The data folder ${folder} is in use by another ${holder}${pid === undefined ? '' : ` (process ${pid})`}. ` +
        'Stop that one first, or give this one a data folder of its own; ' +
        'to run several instances on one database, set MONGO_URL for all of them.',
    );
    this.folder = folder;
    this.pid = pid;
  }
}

/** The embedded `mongod` did not come up. The message holds the errors of its log and, where known, what to do. */
export class EmbeddedMongodError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('unavailable', 'embedded_mongod_failed', message, { cause });
  }
}

function indent(reason: string): string {
  return reason.trim().replaceAll('\n', '\n    ');
}
