import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { ConfigError } from './config-error.ts';
import type { Environment } from './setting-reader.ts';

/** Where settings are looked for, for tests. */
export interface EnvironmentSource {
  /** Holds `.env`, and is where relative paths start; default: the working directory. */
  directory?: string;
  /** Default: `process.env`. */
  environment?: Environment;
}

/**
 * The variables of the environment, and of `.env`, if there is one. A variable of the environment wins over one of the file,
 * also when it is empty: `MONGO_URL= npm start` runs without the file's MONGO_URL. Loads nothing else of the service, so that
 * tracing can be begun before.
 *
 * @throws ConfigError when `.env` exists but cannot be read
 */
export function readEnvironment(source: EnvironmentSource = {}): Environment {
  const { directory = '.', environment = process.env } = source;
  return { ...readDotEnv(join(directory, '.env')), ...environment };
}

function readDotEnv(file: string): Environment {
  try {
    // Editors on Windows begin a file with a byte order mark, which would become part of the first name.
    return parseEnv(readFileSync(file, 'utf8').replace(/^\ufeff/, ''));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return {};
    throw new ConfigError([{ name: '.env', message: `cannot be read: ${code ?? error}` }], {
      cause: error,
    });
  }
}
