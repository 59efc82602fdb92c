import { isIP } from 'node:net';

/** How many of the eight groups of an IPv6 address name the network: 64 bits. */
const NETWORK_GROUPS = 4;

/**
 * What an address is counted as: an IPv4 address as it is; of an IPv6 address the first 64 bits, since whoever has one
 * usually has all 2^64 of them (RFC 6177, 4291). An IPv4 address in IPv6's clothes (`::ffff:192.0.2.1`) is the IPv4 address.
 *
 * @param address - what is no IP address is counted as it is written
 */
export function networkOf(address: string): string {
  const [bare = ''] = address.split('%');
  if (isIP(bare) !== 6) return address;
  const groups = groupsOf(bare);
  const mapped = groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff';
  if (!mapped) return `${groups.slice(0, NETWORK_GROUPS).join(':')}::/64`;
  return groups
    .slice(6)
    .flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff])
    .join('.');
}

/** The eight groups of an IPv6 address. The URL parser knows every spelling, and gives one. */
function groupsOf(address: string): string[] {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [before = [], after = []] = canonical
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after];
}
