import type { SettingReader } from './setting-reader.ts';

const PROTOCOLS = ['http/protobuf', 'http/json'] as const;
const MAX_NAME_LENGTH = 100;

/** Where traces are sent. The names and their meaning are OpenTelemetry's own. */
export interface TracingConfig {
  /** OTEL_EXPORTER_OTLP_ENDPOINT, without a slash at the end; traces go to `/v1/traces` below it. */
  readonly endpoint: string;
  readonly protocol: (typeof PROTOCOLS)[number];
  readonly serviceName: string;
}

/** {@link TracingConfig}, and the headers, which hold what the receiver knows this service by. */
export interface TracingSettings extends TracingConfig {
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * @returns undefined when no traces are to be sent
 * @see https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
export function readTracing(reader: SettingReader): TracingSettings | undefined {
  const endpoint = readEndpoint(reader);
  const protocol = reader.choice('OTEL_EXPORTER_OTLP_PROTOCOL', PROTOCOLS, 'http/protobuf');
  const serviceName = reader.checked('OTEL_SERVICE_NAME', nameFault) ?? 'tenantry';
  const headers = readHeaders(reader);
  if (endpoint === undefined) return undefined;
  return { endpoint: endpoint.replace(/\/+$/, ''), protocol, serviceName, headers };
}

/** Not quoted in a fault: people write passwords into URLs. */
function readEndpoint(reader: SettingReader): string | undefined {
  const endpoint = reader.text('OTEL_EXPORTER_OTLP_ENDPOINT');
  const fault = endpoint === undefined ? undefined : endpointFault(endpoint);
  if (fault !== undefined) reader.fault('OTEL_EXPORTER_OTLP_ENDPOINT', fault);
  return endpoint;
}

function endpointFault(value: string): string | undefined {
  const rule = 'must be an http:// or https:// URL, such as http://127.0.0.1:4318';
  if (!URL.canParse(value)) return rule;
  const { protocol, username, password, search, hash } = new URL(value);
  if (!/^https?:$/.test(protocol) || search !== '' || hash !== '') return rule;
  if (username === '' && password === '') return undefined;
  return `${rule}, without user name and password, which OTEL_EXPORTER_OTLP_HEADERS is for`;
}

function nameFault(value: string): string | undefined {
  return value.length <= MAX_NAME_LENGTH && /^[\x21-\x7e]+$/.test(value)
    ? undefined
    : `must be at most ${MAX_NAME_LENGTH} visible ASCII characters`;
}

/** `name=value,name=value`, values percent-encoded (W3C Baggage). No fault quotes any of it. */
function readHeaders(reader: SettingReader): Record<string, string> {
  const text = reader.text('OTEL_EXPORTER_OTLP_HEADERS');
  if (text === undefined) return {};
  const headers: Record<string, string> = {};
  for (const pair of text.split(',')) {
    const [, name, value] = /^\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*([\x21-\x7e ]*?)\s*$/.exec(pair) ?? [];
    const plain = value === undefined ? undefined : decoded(value);
    if (name === undefined || plain === undefined) {
      reader.fault(
        'OTEL_EXPORTER_OTLP_HEADERS',
        'must be of the form name=value,name=value, with values percent-encoded',
      );
      return {};
    }
    headers[name] = plain;
  }
  return headers;
}

/** Nothing that could end a header. */
function decoded(value: string): string | undefined {
  try {
    const plain = decodeURIComponent(value);
    return /^[\x20-\x7e]*$/.test(plain) ? plain : undefined;
  } catch {
    return undefined;
  }
}
