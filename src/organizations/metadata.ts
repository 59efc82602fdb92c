import { InvalidFieldError } from '../errors.ts';

const MAX_BYTES = 16 * 1024;
/** MongoDB allows 100 levels in a whole document; metadata is one field of it. */
const MAX_DEPTH = 32;

/**
 * Checks what JSON Schema cannot say of `metadata`.
 *
 * @throws InvalidFieldError when it is too large, too deep, or holds a number JSON cannot give back
 */
export function assertMetadata(metadata: Record<string, unknown>): void {
  assertDepth(metadata, MAX_DEPTH);
  if (Buffer.byteLength(JSON.stringify(metadata)) > MAX_BYTES)
    throw new InvalidFieldError('/metadata', 'must be at most 16 KiB of JSON');
}

function assertDepth(value: unknown, levels: number): void {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new InvalidFieldError('/metadata', 'must not hold a number beyond the range of a double');
  if (typeof value !== 'object' || value === null) return;
  if (levels === 0)
    throw new InvalidFieldError('/metadata', `must be at most ${MAX_DEPTH} levels deep`);
  for (const inner of Object.values(value)) assertDepth(inner, levels - 1);
}
