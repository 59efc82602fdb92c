import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type ParsedConfig, parseConfig } from './config.ts';
import { type EnvironmentSource, readEnvironment } from './environment.ts';

/**
 * Reads the settings from the environment and from `.env`: see {@link readEnvironment}.
 *
 * @throws ConfigError with every fault at once, or when `.env` exists but cannot be read
 */
export function loadConfig(source: EnvironmentSource = {}): ParsedConfig {
  const { directory = '.' } = source;
  return parseConfig(readEnvironment(source), (path) =>
    readFileSync(resolve(directory, path), 'utf8'),
  );
}
