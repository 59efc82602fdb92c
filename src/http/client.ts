import type { FastifyRequest } from 'fastify';
import type { SessionClient } from '../sessions/session-store.ts';

const MAX_USER_AGENT_LENGTH = 512;

/** Where a request comes from, as far as it shows it. The address is a proxy's word only where the proxy is trusted. */
export function clientOf(request: FastifyRequest): SessionClient {
  const userAgent = request.headers['user-agent']?.slice(0, MAX_USER_AGENT_LENGTH);
  return { address: request.ip, user_agent: userAgent ?? null };
}
