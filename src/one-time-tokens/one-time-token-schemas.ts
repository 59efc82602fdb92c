import { Type } from 'typebox';

/** A token out of a link in a mail. Anything that is none is answered like one that has been used. */
export const OneTimeToken = Type.String({
  minLength: 1,
  maxLength: 128,
  description: 'What follows `#token=` in the link of the mail.',
  examples: ['q0ZkT0q8mP2hV9xWcR5sYb7uJk1LgEoIiMfCnAtSzDw'],
});
