import { InvalidFieldError } from './errors.ts';

const INVISIBLE = /[\p{Cc}\p{Bidi_Control}]/u;

/**
 * Checks a text that people are shown.
 *
 * @param path - JSON Pointer of the field
 * @throws InvalidFieldError when it is blank, or holds characters that make it look like another one
 */
export function assertVisibleText(path: string, text: string): void {
  if (text.trim() === '') throw new InvalidFieldError(path, 'must not be blank');
  if (INVISIBLE.test(text))
    throw new InvalidFieldError(
      path,
      'must not contain control characters or characters that change the direction of text',
    );
}
