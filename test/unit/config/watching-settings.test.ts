import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { SettingReader } from '../../../src/config/setting-reader.ts';
import { readTracing } from '../../../src/config/tracing-settings.ts';
import { faultsOf, namesOfFaults } from './config-faults.ts';

const TOKEN = 'b7e1c09a5d3f48c2a6e4f1908d7b3c5e';
const ENDPOINT = 'http://127.0.0.1:4318';

describe('METRICS_TOKEN', () => {
  test('is kept where nothing shows it', () => {
    const { config, secrets, warnings } = parseConfig({ METRICS_TOKEN: TOKEN });
    expect(secrets.metricsToken).toBe(TOKEN);
    expect(JSON.stringify(config)).not.toContain(TOKEN);
    expect(warnings).toEqual([]);
  });

  test.each([TOKEN.slice(1), 'x', `${TOKEN} `, `${TOKEN}:`, `${TOKEN}é`])(
    'may not be "%s", and the fault does not say it',
    (METRICS_TOKEN) => {
      const faults = faultsOf({ METRICS_TOKEN });
      expect(faults).toMatchObject([{ name: 'METRICS_TOKEN' }]);
      if (METRICS_TOKEN.length > 1) expect(faults[0]?.message).not.toContain(METRICS_TOKEN);
    },
  );

  test('that is a sample is a warning in development and a fault elsewhere', () => {
    const METRICS_TOKEN = 'replace-this-with-a-random-token-please';
    expect(parseConfig({ METRICS_TOKEN }).warnings).toEqual([
      expect.stringContaining('METRICS_TOKEN is a sample'),
    ]);
    expect(namesOfFaults({ METRICS_TOKEN, NODE_ENV: 'production' })).toContain('METRICS_TOKEN');
  });
});

describe('OTEL_*', () => {
  const read = (environment: Record<string, string>) => {
    const reader = new SettingReader(environment);
    return { settings: readTracing(reader), faults: reader.faults };
  };

  test('without an endpoint, nothing is traced', () => {
    expect(read({ OTEL_SERVICE_NAME: 'x' })).toEqual({ settings: undefined, faults: [] });
    expect(parseConfig({}).config).not.toHaveProperty('tracing');
  });

  test('have the defaults of OpenTelemetry', () => {
    expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: `${ENDPOINT}/` }).settings).toEqual({
      endpoint: ENDPOINT,
      protocol: 'http/protobuf',
      serviceName: 'tenantry',
      headers: {},
    });
  });

  test('give headers, which are kept out of the visible settings', () => {
    const environment = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otlp.example/base',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20hunter2, x-scope=a=b',
      OTEL_SERVICE_NAME: 'billing',
    };
    expect(read(environment).settings).toEqual({
      endpoint: 'https://otlp.example/base',
      protocol: 'http/json',
      serviceName: 'billing',
      headers: { authorization: 'Bearer hunter2', 'x-scope': 'a=b' },
    });
    const { config } = parseConfig(environment);
    expect(config.tracing).toMatchObject({ serviceName: 'billing' });
    expect(JSON.stringify(config)).not.toContain('hunter2');
  });

  test.each([
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4318' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://hunter2.example' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://me:hunter2@127.0.0.1:4318' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318?key=hunter2' },
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    { OTEL_EXPORTER_OTLP_HEADERS: 'hunter2' },
    { OTEL_EXPORTER_OTLP_HEADERS: 'a=hunter2,' },
    { OTEL_EXPORTER_OTLP_HEADERS: 'a=hunter2%' },
    { OTEL_EXPORTER_OTLP_HEADERS: 'a=hunter2%0d%0ab' },
    { OTEL_SERVICE_NAME: 'two words' },
  ])('%j is a fault, and nothing secret is said', (environment) => {
    expect(namesOfFaults(environment)).toEqual(Object.keys(environment));
    expect(JSON.stringify(faultsOf(environment))).not.toContain('hunter2');
  });
});
