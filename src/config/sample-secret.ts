/** Published as examples, so known to everyone, although they look random. */
const PUBLISHED: ReadonlySet<string> = new Set([
  // FastAPI's tutorial.
  '09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7',
  // RFC 7515, appendix A.1.
  'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
]);

/**
 * What samples are made of: "your-super-secret-jwt-key-change-in-production", "a-string-secret-at-least-256-bits-long".
 * A word stands before its own beginnings, since an alternation takes the first that fits.
 */
const SAMPLE_WORDS = [
  'abcdefghijklmnopqrstuvwxyz 0123456789abcdef 0123456789 1234567890 123456789 12345678 qwertyuiop asdfghjkl zxcvbnm',
  'access application authentication auth bits bytes changeme changed change characters default development dummy',
  'environment example fallback generated generate hello here hs256 hs384 hs512 insecure keep key least local long',
  'minimum must mysecret openssl output password passphrase placeholder please private production project random',
  'refresh replace safe sample secrets secret secure server service session should signature signing sign something',
  'string strong super tenantry tenant testing test this token unsafe value very with world your 256 512',
  'and api app any at be dev do env for hex in is it jwt me min more my new node not of on or org prod put',
  'set than that the to top username user use 16 32 64',
].flatMap((line) => line.split(' '));
const SAMPLE_WORD = new RegExp(SAMPLE_WORDS.join('|'), 'g');
const NO_LETTER_OR_DIGIT = /[^\p{L}\p{N}]+/gu;

/** A repeated pattern up to this long, or fewer different characters than this, is no random secret. */
const LONGEST_PATTERN = 16;
const FEWEST_CHARACTERS = 8;
/** What is left of a random secret of 32 characters when words that occur in it by chance are taken out. */
const FEWEST_RANDOM_CHARACTERS = 16;

/**
 * Whether a secret is a sample out of a document, or as guessable as one: published, repetitive, or made of the words
 * that people write where a secret should go. Random bytes in hex or base64 never are, in practice.
 */
export function isSampleSecret(secret: string): boolean {
  if (PUBLISHED.has(secret)) return true;
  if (new Set(secret).size < FEWEST_CHARACTERS || isRepetitive(secret)) return true;
  const rest = secret.toLowerCase().replace(NO_LETTER_OR_DIGIT, '').replace(SAMPLE_WORD, '');
  return rest.length < FEWEST_RANDOM_CHARACTERS;
}

function isRepetitive(text: string): boolean {
  for (let period = 1; period <= LONGEST_PATTERN; period++) {
    if (text.slice(period) === text.slice(0, -period)) return true;
  }
  return false;
}
