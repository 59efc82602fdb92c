import { isSampleSecret } from './sample-secret.ts';
import type { SettingReader } from './setting-reader.ts';

const MIN_TOKEN_BYTES = 32;
const GOOD_TOKEN = '"openssl rand -hex 32" makes a good one';

/** METRICS_TOKEN. No fault quotes it. */
export function readMetricsToken(
  reader: SettingReader,
  { strict, warnings }: { strict: boolean; warnings: string[] },
): string | undefined {
  const token = reader.text('METRICS_TOKEN');
  if (token === undefined) return undefined;
  // RFC 6750, 2.1: what can be sent as a bearer token.
  if (!/^[\w~+/.-]+=*$/.test(token))
    reader.fault('METRICS_TOKEN', `must be letters, digits and -._~+/ alone; ${GOOD_TOKEN}`);
  else if (token.length < MIN_TOKEN_BYTES)
    reader.fault('METRICS_TOKEN', `must be at least ${MIN_TOKEN_BYTES} characters long`);
  else if (isSampleSecret(token)) {
    const message = `is a sample or easy to guess; ${GOOD_TOKEN}`;
    if (strict) reader.fault('METRICS_TOKEN', message);
    else
      warnings.push(`METRICS_TOKEN ${message}. Outside development the service would not start.`);
  }
  return token;
}
