import { AppError, type FieldError } from '../errors.ts';

/** The schema is none that MongoDB could enforce. */
export class InvalidSchemaError extends AppError {
  constructor(errors: readonly FieldError[], options: { cause?: unknown } = {}) {
    const detail = errors.map(({ path, message }) => `${path.slice(1) || 'schema'}: ${message}`);
    super('invalid', 'invalid_schema', detail.join('; '), { ...options, errors });
  }
}
