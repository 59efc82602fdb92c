import { parseConfig } from '../../../src/config/config.ts';
import { ConfigError, type SettingFault } from '../../../src/config/config-error.ts';
import type { Environment } from '../../../src/config/setting-reader.ts';

export function errorOf(environment: Environment): ConfigError | undefined {
  try {
    parseConfig(environment);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

export function faultsOf(environment: Environment): readonly SettingFault[] {
  return errorOf(environment)?.faults ?? [];
}

export function namesOfFaults(environment: Environment): string[] {
  return faultsOf(environment).map(({ name }) => name);
}
