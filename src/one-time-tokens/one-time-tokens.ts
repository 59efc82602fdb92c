import { createHash, randomBytes } from 'node:crypto';

const TOKEN_BYTES = 32;

/** What a token is good for. Part of what is hashed, so a token of one kind is nothing to another. */
export type TokenPurpose = 'invitation' | 'password reset' | 'e-mail change';

/** Where the secrets in links come from. Injected, so that tests can predict them. */
export interface TokenSource {
  /** 256 random bits that no other token has, as 43 characters of base64url. */
  token(): string;
}

export const randomTokens: TokenSource = {
  token: () => randomBytes(TOKEN_BYTES).toString('base64url'),
};

/**
 * What is stored of a token. A plain hash is enough for 256 random bits, which nobody can try one by one; a copy of the
 * database then holds nothing that opens anything (OWASP Forgot Password Cheat Sheet, "URL Tokens").
 */
export function tokenHash(purpose: TokenPurpose, token: string): string {
  return createHash('sha256').update(`tenantry ${purpose}\0${token}`).digest('hex');
}
