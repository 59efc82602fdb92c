import { AppError, type FieldError } from '../errors.ts';

export class IndexNotFoundError extends AppError {
  constructor() {
    super('not_found', 'index_not_found', 'The organization has no such index.');
  }
}

/** Another index has the name, or is on the same fields with other options. */
export class IndexExistsError extends AppError {
  constructor(options: { cause?: unknown } = {}) {
    super(
      ...(['conflict', 'index_exists'] as const),
      'There is another index of this name, or one on the same fields with another name or other options. Delete it first.',
      options,
    );
  }
}

export class IndexLimitReachedError extends AppError {
  /** @param limit - how many there may be, that on `_id` included */
  constructor(limit: number) {
    super(
      ...(['forbidden', 'index_limit_reached'] as const),
      `An organization may have ${limit} indexes, the one on _id included. Delete one first.`,
    );
  }
}

/** What is asked for is no index, or not one for the records there are. */
export class InvalidIndexError extends AppError {
  constructor(errors: readonly FieldError[], options: { cause?: unknown } = {}) {
    const detail = errors.map(({ path, message }) => `${path.slice(1) || 'index'}: ${message}`);
    super('invalid', 'invalid_index', detail.join('; '), { ...options, errors });
  }
}

/** A unique index is asked for, and records have the same values. */
export class DuplicateValuesError extends AppError {
  constructor(fields: readonly string[], options: { cause?: unknown } = {}) {
    const message = `records have the same value (${fields.join(', ')}), so it cannot be unique`;
    super('conflict', 'duplicate_value', message, {
      ...{ ...options, errors: [{ path: '/unique', message }] },
    });
  }
}

/** The index was deleted while it was being built. */
export class IndexBuildEndedError extends AppError {
  constructor(options: { cause?: unknown } = {}) {
    super(
      ...(['conflict', 'index_build_ended'] as const),
      'The index was deleted, or its building stopped, before it was ready.',
      options,
    );
  }
}
