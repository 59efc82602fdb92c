import { InvalidFieldError } from '../errors.ts';

const INVISIBLE = /[\p{Cc}\p{Bidi_Control}]/u;

/**
 * Checks what JSON Schema cannot say for people of `external_id`, which is shown to operators and searched for.
 *
 * @throws InvalidFieldError when it is blank, or holds characters that make it look like another one
 */
export function assertExternalId(externalId: string): void {
  if (externalId.trim() === '') throw new InvalidFieldError('/external_id', 'must not be blank');
  if (INVISIBLE.test(externalId))
    throw new InvalidFieldError(
      '/external_id',
      'must not contain control characters or characters that change the direction of text',
    );
}
