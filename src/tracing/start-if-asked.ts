import { ConfigError } from '../config/config-error.ts';
import { readEnvironment } from '../config/environment.ts';
import { SettingReader } from '../config/setting-reader.ts';
import { readTracing } from '../config/tracing-settings.ts';
import type { Tracing } from './tracing.ts';

/**
 * Begins to trace if OTEL_EXPORTER_OTLP_ENDPOINT is set; loads nothing otherwise. With a fault in the settings it does nothing:
 * that is reported with all the others.
 *
 * @throws ConfigError when OpenTelemetry's packages, which are optional, are not installed, or `.env` cannot be read
 */
export async function startTracingIfAsked(): Promise<Tracing | undefined> {
  const reader = new SettingReader(readEnvironment());
  const settings = readTracing(reader);
  if (settings === undefined || reader.faults.length > 0) return undefined;
  try {
    const { startTracing } = await import('./start-tracing.ts');
    return startTracing(settings);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'))
      throw error;
    const message = 'needs packages that are not installed: run npm ci without --omit=optional';
    throw new ConfigError([{ name: 'OTEL_EXPORTER_OTLP_ENDPOINT', message }], { cause: error });
  }
}
