import type { FastifyInstance } from 'fastify';
import { AppError, type FieldError } from '../errors.ts';

/** Deeper than any body this service takes; a deeper one is not walked. */
const MAX_DEPTH = 64;

/**
 * Refuses text that MongoDB could not store as it was sent: lone surrogates (they would come back as U+FFFD), and NUL in
 * keys (BSON ends a key there). Runs before schema validation, so that no rule sees such text.
 */
export function addTextSafety(app: FastifyInstance): void {
  app.addHook('preValidation', async (request) => {
    const errors = [...unsafeText(request.body, '', 0)];
    if (errors.length > 0)
      throw new AppError('invalid', 'validation_failed', describe(errors), { errors });
  });
}

function* unsafeText(value: unknown, path: string, depth: number): Generator<FieldError> {
  if (depth > MAX_DEPTH) {
    yield { path, message: `is nested more than ${MAX_DEPTH} levels deep` };
    return;
  }
  if (typeof value === 'string' && !value.isWellFormed())
    yield { path, message: 'holds a lone surrogate, which is not valid Unicode text' };
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    const at = `${path}/${key.toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (key.includes('\0') || !key.isWellFormed())
      yield { path: at, message: 'has a name with NUL or a lone surrogate' };
    yield* unsafeText(inner, at, depth + 1);
  }
}

function describe(errors: readonly FieldError[]): string {
  return errors.map(({ path, message }) => `${path.slice(1) || 'body'}: ${message}`).join('; ');
}
