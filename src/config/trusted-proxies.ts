import { isIP } from 'node:net';
import type { TrustedProxies } from '../http/proxies.ts';
import type { SettingReader } from './setting-reader.ts';

const MOST_HOPS = 10;
const ADVICE = `must be the number of proxies in front of the service (1 to ${MOST_HOPS}), or their addresses, such as 10.0.0.7, 10.1.0.0/16`;

/**
 * TRUST_PROXY. To trust whatever comes in (`true`, `*`, a network of size 0) is not on offer: every client could then
 * name any address as its own, and no limit would hold.
 */
export function readTrustedProxies(reader: SettingReader): TrustedProxies | undefined {
  const value = reader.checked('TRUST_PROXY', fault);
  if (value === undefined) return undefined;
  return /^\d+$/.test(value) ? Number(value) : addressesIn(value);
}

function fault(value: string): string | undefined {
  if (/^\d+$/.test(value)) {
    const fits = /^[1-9]\d?$/.test(value) && Number(value) <= MOST_HOPS;
    return fits ? undefined : ADVICE;
  }
  if (/^(true|yes|on|all|\*)$/i.test(value))
    return `${ADVICE}: if everybody is trusted, every client can make up its address`;
  const addresses = addressesIn(value);
  if (addresses.some((one) => /\/0+$/.test(one)))
    return `${ADVICE}: a network of everybody would let every client make up its address`;
  return addresses.every(isAddressOrNetwork) ? undefined : ADVICE;
}

function addressesIn(value: string): string[] {
  return value.split(',').map((one) => one.trim());
}

function isAddressOrNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0 || address.includes('%')) return false;
  if (bits === undefined) return true;
  return /^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128);
}
