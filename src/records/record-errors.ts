import { MongoServerError } from 'mongodb';
import { AppError } from '../errors.ts';
import { schemaErrors } from '../record-schema/schema-violations.ts';
import type { WriteFailure } from '../tenants/tenant-collection.ts';

/** MongoDB's codes for what a caller can mend, by the names of its error_codes.yml. */
const MAX_TIME_MS_EXPIRED = 50;
const DUPLICATE_KEY = 11000;
const DOCUMENT_VALIDATION_FAILURE = 121;
const TOO_LARGE = new Set([10334, 17419, 17420]);

export class RecordNotFoundError extends AppError {
  constructor() {
    super('not_found', 'record_not_found', 'The organization has no such record.');
  }
}

/** The record is not what the caller saw. */
export class RecordChangedError extends AppError {
  constructor() {
    super(
      ...(['precondition', 'record_changed'] as const),
      'The record is not as If-Match or If-None-Match says: read it again, and decide anew.',
    );
  }
}

/** Others changed the record again and again while it was to be changed. */
export class RecordBusyError extends AppError {
  constructor() {
    super('conflict', 'record_busy', 'The record is changed by others all the time. Try again.', {
      retryAfter: 1,
    });
  }
}

export class RecordExistsError extends AppError {
  constructor(options: { cause?: unknown } = {}) {
    const message = 'belongs to a record that exists';
    super('conflict', 'record_exists', `_id: ${message}`, {
      ...{ ...options, errors: [{ path: '/_id', message }] },
    });
  }
}

/** A unique index of the organization's has the value already. */
export class DuplicateValueError extends AppError {
  /** @param fields - those of the index, in MongoDB's dotted form */
  constructor(fields: readonly string[], options: { cause?: unknown } = {}) {
    const message = 'has a value that another record has, and a unique index forbids it';
    super('conflict', 'duplicate_value', `${fields.join(', ')}: ${message}`, {
      ...options,
      errors: fields.map((field) => ({ path: `/${field.replaceAll('.', '/')}`, message })),
    });
  }
}

export class RecordTooLargeError extends AppError {
  constructor(options: { cause?: unknown } = {}) {
    super('too_large', 'record_too_large', 'A record may hold 1 MiB.', options);
  }
}

/** The query ran for as long as one may. */
export class QueryTooSlowError extends AppError {
  constructor(options: { cause?: unknown } = {}) {
    super(
      ...(['invalid', 'query_too_slow'] as const),
      'The query took longer than 5 s. Narrow it down, or make an index for it.',
      options,
    );
  }
}

/** The record breaks the organization's schema. */
export class SchemaViolationError extends AppError {
  constructor(
    errors: readonly { path: string; message: string }[],
    options: { cause?: unknown } = {},
  ) {
    const detail = errors.map(({ path, message }) => `${path.slice(1) || 'record'}: ${message}`);
    super('invalid', 'schema_violation', detail.join('; '), { ...options, errors });
  }
}

/** The database understands the request, and cannot do it. */
export class RefusedByDatabaseError extends AppError {
  constructor(options: { cause?: unknown } = {}) {
    super(
      ...(['invalid', 'refused_by_database'] as const),
      'The database cannot do this: a value or an operator does not fit where it stands.',
      options,
    );
  }
}

/** What to tell the caller of a record that the server refused. */
export function refusalOf(failure: WriteFailure): AppError {
  const cause = new MongoServerError({ message: failure.errmsg, ...failure });
  const code = Number(failure.code);
  if (code === DUPLICATE_KEY) {
    const fields = Object.keys(failure.keyPattern ?? { _id: 1 });
    return fields.length === 1 && fields[0] === '_id'
      ? new RecordExistsError({ cause })
      : new DuplicateValueError(fields, { cause });
  }
  if (code === DOCUMENT_VALIDATION_FAILURE)
    return new SchemaViolationError(schemaErrors(failure.errInfo), { cause });
  if (TOO_LARGE.has(code)) return new RecordTooLargeError({ cause });
  return new RefusedByDatabaseError({ cause });
}

/**
 * Runs a query of the caller's making, and tells what the database has against it as something the caller can mend.
 *
 * @throws QueryTooSlowError, RefusedByDatabaseError; whatever is not the query's fault unchanged
 */
export async function explainingRefusal<T>(query: () => Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (cause) {
    if (!(cause instanceof MongoServerError)) throw cause;
    throw cause.code === MAX_TIME_MS_EXPIRED
      ? new QueryTooSlowError({ cause })
      : new RefusedByDatabaseError({ cause });
  }
}
