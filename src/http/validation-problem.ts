import type { FastifySchemaValidationError } from 'fastify';
import { AppError, type FieldError } from '../errors.ts';
import { ONE_ENTITY_TAG } from '../records/entity-tags.ts';
import { ROLE_NAME } from '../roles/permissions.ts';

/** The operation needs a body, and there is none. */
export class MissingBodyError extends AppError {
  constructor() {
    super('invalid', 'validation_failed', 'body: is required', {
      errors: [{ path: '', message: 'is required' }],
    });
  }
}

/** So many faults are named at most: a body of nothing else would be answered by many times its size. */
const MAX_ERRORS = 20;

/** The first faults found; the rest is not looked for, where that can be helped. */
export function fieldErrors(found: Iterable<FieldError>): FieldError[] {
  const errors: FieldError[] = [];
  for (const error of found) {
    errors.push(error);
    if (errors.length === MAX_ERRORS) break;
  }
  return errors;
}

/** Turns what JSON Schema validation found into a problem that names every field at fault. */
export function validationProblem(
  found: readonly FastifySchemaValidationError[],
  context: string | undefined,
): AppError {
  const errors = fieldErrors(found.map(fieldError));
  const message = errors
    .map(
      ({ path, message: rule }) => `${path === '' ? (context ?? 'input') : path.slice(1)}: ${rule}`,
    )
    .join('; ');
  return context === 'body'
    ? new AppError('invalid', 'validation_failed', message, { errors })
    : new AppError('malformed', `invalid_${context ?? 'request'}`, message, { errors });
}

function fieldError(found: FastifySchemaValidationError): FieldError {
  const { instancePath, keyword, params, message } = found;
  const missing = params.missingProperty ?? params.additionalProperty;
  return {
    path: missing === undefined ? instancePath : pointer(instancePath, missing),
    message: RULES[keyword]?.(params) ?? message ?? 'is invalid',
  };
}

/** The rules in words, where JSON Schema's own are not for people. */
const RULES: Record<string, (params: Record<string, unknown>) => string | undefined> = {
  required: () => 'is required',
  additionalProperties: () => 'is not a known field',
  type: ({ type }) => `must be ${[type].flat().map(typeInWords).join(' or ')}`,
  minLength: ({ limit }) =>
    limit === 1 ? 'must not be empty' : `must have at least ${limit} characters`,
  maxLength: ({ limit }) => `must have at most ${limit} characters`,
  minItems: ({ limit }) => `must have at least ${limit} ${limit === 1 ? 'item' : 'items'}`,
  maxItems: ({ limit }) => `must have at most ${limit} items`,
  maxProperties: ({ limit }) => `must have at most ${limit} of its fields`,
  pattern: ({ pattern }) => PATTERNS[String(pattern)],
  minProperties: ({ limit }) => `must have at least ${limit} of its fields`,
  format: ({ format }) => FORMATS[String(format)],
  enum: ({ allowedValues }) => `must be one of ${(allowedValues as unknown[]).join(', ')}`,
  const: ({ allowedValue }) => `must be ${JSON.stringify(allowedValue)}`,
};

const TYPES: Record<string, string> = {
  string: 'a string',
  object: 'an object',
  null: 'null',
  integer: 'a whole number',
};

function typeInWords(type: unknown): string {
  return TYPES[String(type)] ?? String(type);
}

/** The patterns that people meet. */
const PATTERNS: Record<string, string> = {
  '^[0-9a-f]{24}$': 'must be an id: 24 hexadecimal digits in lower case',
  [ONE_ENTITY_TAG]: 'must be an entity tag in double quotes, or *',
  [ROLE_NAME]:
    'must be the name of a role: lower-case letters, digits, _ and -, a letter first, at most 50',
};

const FORMATS: Record<string, string> = { email: 'must be an e-mail address' };

/** RFC 6901: `~` and `/` inside a name are escaped. */
function pointer(parent: string, name: unknown): string {
  return `${parent}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
