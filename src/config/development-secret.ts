import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from './config-error.ts';

const FILE = 'jwt-secret';
const SECRET_BYTES = 48;
const MIN_SECRET_BYTES = 32;

/**
 * The secret that signs tokens in development when JWT_SECRET is not set: made up at the first start and kept in
 * `<dataDir>/jwt-secret`, so that tokens outlive a restart. Only the owner of the file can read it.
 *
 * The file appears whole or not at all, and processes that start at once all get the same secret.
 *
 * @param dataDir - made when needed
 * @throws ConfigError when the folder or the file cannot be used
 */
export async function developmentSecret(dataDir: string): Promise<string> {
  const file = join(dataDir, FILE);
  try {
    const secret = (await readKept(file)) ?? (await keepNew(dataDir, file));
    if (Buffer.byteLength(secret) >= MIN_SECRET_BYTES) return secret;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    throw new ConfigError(
      [{ name: 'DATA_DIR', message: `must be a folder to write to: ${file}: ${code ?? error}` }],
      { cause: error },
    );
  }
  throw new ConfigError([
    {
      name: 'JWT_SECRET',
      message: `is not set, and ${file} holds no secret; remove it to have one made`,
    },
  ]);
}

async function readKept(file: string): Promise<string | undefined> {
  try {
    const secret = await readFile(file, 'utf8');
    await chmod(file, 0o600);
    return secret.trim();
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Hard links make it atomic: a link is refused when the name exists, and what it names is complete. */
async function keepNew(dataDir: string, file: string): Promise<string> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const draft = `${file}.${randomBytes(8).toString('hex')}`;
  try {
    await writeDurably(draft, `${secret}\n`);
    await link(draft, file);
    return secret;
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
    return (await readKept(file)) ?? (await keepNew(dataDir, file));
  } finally {
    await rm(draft, { force: true });
  }
}

async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
