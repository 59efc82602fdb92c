import type { FastifyInstance } from 'fastify';
import { AppError, type FieldError } from '../errors.ts';
import { fieldErrors } from './validation-problem.ts';

/** Deeper than any body this service takes; a deeper one is not walked. */
const MAX_DEPTH = 64;

/** By this name the driver takes an object for one of its own classes (ObjectId, Long …), and fails on it. */
const DRIVER_TYPE_TAG = '_bsontype';

/**
 * Refuses text that could not be stored and given back as it was sent: lone surrogates (they would come back as U+FFFD),
 * NUL (BSON ends a name there, and much that reads a value does), percent-encoding that is none, and names that the
 * driver keeps for itself. Runs before schema validation, so that no rule sees such text. Records may hold more, and are
 * checked where they become documents.
 */
export function addTextSafety(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    assertPercentEncoding(request.url);
  });
  app.addHook('preValidation', async (request) => {
    if (request.routeOptions.config.extendedJson === true) return;
    const errors = fieldErrors(unsafeText(request.body, '', 0));
    if (errors.length > 0)
      throw new AppError('invalid', 'validation_failed', describe(errors), { errors });
  });
}

/** The router has checked the path; the parser of query strings passes what it cannot decode. */
function assertPercentEncoding(url: string): void {
  try {
    decodeURIComponent(url.slice(url.indexOf('?') + 1));
  } catch (cause) {
    throw new AppError('malformed', 'malformed_url', 'The URL is not well formed.', { cause });
  }
}

function* unsafeText(value: unknown, path: string, depth: number): Generator<FieldError> {
  if (depth > MAX_DEPTH) {
    yield { path, message: `is nested more than ${MAX_DEPTH} levels deep` };
    return;
  }
  if (typeof value === 'string') yield* unsafeString(value, path);
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    const at = `${path}/${key.toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (key.includes('\0') || !key.isWellFormed())
      yield { path: at, message: 'has a name with NUL or a lone surrogate' };
    if (key === DRIVER_TYPE_TAG) yield { path: at, message: 'is a name that cannot be stored' };
    yield* unsafeText(inner, at, depth + 1);
  }
}

function* unsafeString(text: string, path: string): Generator<FieldError> {
  if (!text.isWellFormed())
    yield { path, message: 'holds a lone surrogate, which is not valid Unicode text' };
  if (text.includes('\0')) yield { path, message: 'holds a NUL character' };
}

function describe(errors: readonly FieldError[]): string {
  return errors.map(({ path, message }) => `${path.slice(1) || 'body'}: ${message}`).join('; ');
}
