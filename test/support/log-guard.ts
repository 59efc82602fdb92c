import pino from 'pino';

/** What every secret of the service looks like, and what tests use for one. */
const FORMS: Record<string, RegExp> = {
  'an access token': /eyJ[\w-]{8,}\.[\w-]{8,}/,
  'an API key': /tnt_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}/,
  'a hash of a password': /\$2[aby]\$\d\d\$/,
  'a hash of a token or of a key': /\b[0-9a-f]{64}\b/,
  // Base64url; names of that length are not of all three kinds of characters.
  'a token': /(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{43,}(?![\w-])/,
  'a recovery code': /(?:[0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}/,
  'the secret of an authenticator app': /otpauth:\/\//,
  'a private key': /BEGIN (?:\w+ )?PRIVATE KEY/,
  'a password': /correct horse battery staple|(?:first|wrong|fresh)-secret-passphrase/,
  "the service's secret": /a secret of the tests, long enough/,
};

/**
 * A log at the finest level that goes nowhere, and remembers lines that hold a secret. Every test whose service has no log of
 * its own writes to one: so a run of all tests shows that the logs of all tests hold none.
 */
export class LogGuard {
  readonly logger: pino.Logger;
  readonly #found: string[] = [];

  constructor() {
    this.logger = pino({ level: 'trace' }, { write: (line) => this.#look(line) });
  }

  /** @throws Error with the first of the lines that hold a secret */
  assertNoSecrets(): void {
    if (this.#found.length > 0) throw new Error(`the log holds ${this.#found[0]}`);
  }

  #look(line: string): void {
    for (const [what, form] of Object.entries(FORMS))
      if (form.test(line)) this.#found.push(`${what}: ${line}`);
  }
}
