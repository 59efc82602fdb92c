import { readSigningKeys, type SigningKeySet } from '../keys/signing-keys.ts';
import { isSampleSecret } from './sample-secret.ts';
import type { SecretValues } from './secrets.ts';
import type { SettingReader } from './setting-reader.ts';

const MIN_SECRET_BYTES = 32;
const GOOD_SECRET = '"openssl rand -base64 48" makes a good one';
const MAX_NAME_LENGTH = 200;

/** Reads a file that a setting names, as text. @throws what the file system throws */
export type FileReader = (path: string) => string;

/** Where no setting may name a file. */
export const noFiles: FileReader = () => {
  throw new Error('no files here');
};

interface JwtSettings {
  secrets: Pick<SecretValues, 'jwtSecret' | 'jwtPreviousSecrets' | 'signingKeys'>;
  issuer: string;
  audience: string;
}

interface JwtContext {
  /** Outside development. */
  strict: boolean;
  warnings: string[];
  readFile: FileReader;
}

/** What tokens are signed with, and in whose name. No fault holds a part of a secret or of a key. */
export function readJwtSettings(reader: SettingReader, context: JwtContext): JwtSettings {
  return {
    secrets: {
      jwtSecret: readSecret(reader, context),
      jwtPreviousSecrets: readPreviousSecrets(reader, context),
      signingKeys: readKeys(reader, context),
    },
    issuer: reader.checked('JWT_ISSUER', nameFault) ?? 'tenantry',
    audience: reader.checked('JWT_AUDIENCE', nameFault) ?? 'tenantry',
  };
}

/**
 * A short secret is a fault everywhere. A missing or a sample one is a fault outside development; in development a
 * missing one is made up later, by `development-secret.ts`, since that takes a file.
 */
function readSecret(reader: SettingReader, context: JwtContext): string | undefined {
  const secret = reader.text('JWT_SECRET');
  if (secret !== undefined) checkSecret(reader, 'JWT_SECRET', secret, context);
  else if (context.strict)
    reader.fault(
      'JWT_SECRET',
      'must be set outside development; "openssl rand -base64 48" makes one',
    );
  return secret;
}

function readPreviousSecrets(reader: SettingReader, context: JwtContext): string[] {
  const text = reader.text('JWT_PREVIOUS_SECRETS');
  if (text === undefined) return [];
  const secrets = text.split(',').map((one) => one.trim());
  for (const secret of secrets)
    if (!checkSecret(reader, 'JWT_PREVIOUS_SECRETS', secret, context)) break;
  return secrets;
}

/** @returns whether it may be used */
function checkSecret(
  reader: SettingReader,
  name: string,
  secret: string,
  { strict, warnings }: JwtContext,
): boolean {
  const fault = (message: string) => {
    reader.fault(name, message);
    return false;
  };
  const bytes = Buffer.byteLength(secret);
  const each = name === 'JWT_SECRET' ? 'be' : 'be secrets with commas between them, each';
  if (bytes < MIN_SECRET_BYTES)
    return fault(`must ${each} at least ${MIN_SECRET_BYTES} bytes long; it has ${bytes}`);
  if (secret.includes('-----BEGIN '))
    return fault('must be random text; a key in PEM belongs into JWT_PRIVATE_KEYS');
  if (!isSampleSecret(secret)) return true;
  const holds = name === 'JWT_SECRET' ? 'is' : 'holds one that is';
  const message = `${holds} a sample or easy to guess; ${GOOD_SECRET}`;
  if (strict) return fault(message);
  warnings.push(`${name} ${message}. Outside development the service would not start.`);
  return true;
}

function readKeys(reader: SettingReader, { readFile }: JwtContext): SigningKeySet | undefined {
  const inline = reader.text('JWT_PRIVATE_KEYS');
  const path = reader.text('JWT_PRIVATE_KEYS_FILE');
  const keys = inline === undefined ? undefined : parseKeys(reader, 'JWT_PRIVATE_KEYS', inline);
  if (path === undefined) return keys;
  if (inline !== undefined) {
    reader.fault('JWT_PRIVATE_KEYS_FILE', 'must not be set beside JWT_PRIVATE_KEYS');
    return undefined;
  }
  const text = textOf(path, reader, readFile);
  return text === undefined ? undefined : parseKeys(reader, 'JWT_PRIVATE_KEYS_FILE', text);
}

function textOf(path: string, reader: SettingReader, readFile: FileReader): string | undefined {
  try {
    return readFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : '';
    // Not quoted: whoever took it for JWT_PRIVATE_KEYS has put a key there.
    reader.fault('JWT_PRIVATE_KEYS_FILE', `must name a file that can be read${code}`);
    return undefined;
  }
}

function parseKeys(reader: SettingReader, name: string, text: string): SigningKeySet | undefined {
  const reading = readSigningKeys(text);
  if ('keys' in reading) return reading.keys;
  reader.fault(name, reading.fault);
  return undefined;
}

/** RFC 7519, 2, StringOrURI: with a colon in it, it has to be a URI. */
function nameFault(name: string): string | undefined {
  if (name.length <= MAX_NAME_LENGTH && /^[\x21-\x7e]+$/.test(name)) {
    if (!name.includes(':') || URL.canParse(name)) return undefined;
  }
  return `must be a name or a URI, at most ${MAX_NAME_LENGTH} characters without white space`;
}
