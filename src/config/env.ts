import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { type ParsedConfig, parseConfig } from './config.ts';
import { ConfigError } from './config-error.ts';
import type { Environment } from './setting-reader.ts';

/** Where {@link loadConfig} looks, for tests. */
export interface LoadConfigOptions {
  /** Holds `.env`, and is where relative paths start; default: the working directory. */
  directory?: string;
  /** Default: `process.env`. */
  environment?: Environment;
}

/**
 * Reads the settings from the environment and from `.env`, if there is one. A variable of the environment wins over
 * one of the file, also when it is empty: `MONGO_URL= npm start` runs without the file's MONGO_URL.
 *
 * @throws ConfigError with every fault at once, or when `.env` exists but cannot be read
 */
export function loadConfig(options: LoadConfigOptions = {}): ParsedConfig {
  const { directory = '.', environment = process.env } = options;
  const settings = { ...readDotEnv(join(directory, '.env')), ...environment };
  return parseConfig(settings, (path) => readFileSync(resolve(directory, path), 'utf8'));
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
