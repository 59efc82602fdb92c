import type { FastifyBaseLogger } from 'fastify';

/** The log, as every class but the HTTP layer sees it. Never give it a password, a token or a hash. */
export type Logger = Pick<FastifyBaseLogger, 'debug' | 'info' | 'warn' | 'error'>;
