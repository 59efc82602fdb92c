const MAX_LENGTH = 100;
/** Line ends and other controls, and invisible characters that change the direction of what follows. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cn}\p{Co}\p{Cs}]+/gu;
const WHITE_SPACE = /\s+/gu;

/**
 * A name that somebody typed, made safe for a subject, a header and a line of text: one line, without control
 * characters and without those that change the direction of text, at most 100 characters.
 */
export function plainName(name: string): string {
  const line = name.toWellFormed().replace(UNSAFE, ' ').replace(WHITE_SPACE, ' ').trim();
  const characters = Array.from(line);
  return characters.length <= MAX_LENGTH ? line : `${characters.slice(0, MAX_LENGTH).join('')}…`;
}
