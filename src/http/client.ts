import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { SessionClient } from '../sessions/account-session-store.ts';

const MAX_USER_AGENT_LENGTH = 512;

/** Where a request comes from, as far as it shows it. The address is a proxy's word only where the proxy is trusted. */
export function clientOf(request: FastifyRequest): SessionClient {
  const userAgent = request.headers['user-agent']?.slice(0, MAX_USER_AGENT_LENGTH);
  return { address: addressOf(request), user_agent: userAgent ?? null };
}

/** Some proxies add the port (`192.0.2.1:4711`, `[2001:db8::1]:4711`). What is no address at all stands for the proxy. */
function addressOf({ ip, socket }: FastifyRequest): string {
  if (isIP(ip) !== 0) return ip;
  const bare = /^\[(.+)\](?::\d+)?$|^([\d.]+):\d+$/.exec(ip.trim());
  const address = bare?.[1] ?? bare?.[2] ?? '';
  return isIP(address) === 0 ? (socket.remoteAddress ?? 'unknown') : address;
}
