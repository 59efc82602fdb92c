import { assertVisibleText } from '../visible-text.ts';

/**
 * A person's name as it is kept: NFC, trimmed.
 *
 * @throws InvalidFieldError when it is blank, or holds characters that make it look like another one
 */
export function personName(name: string | null): string | null {
  if (name === null) return null;
  const trimmed = name.normalize('NFC').trim();
  assertVisibleText('/name', trimmed);
  return trimmed;
}
