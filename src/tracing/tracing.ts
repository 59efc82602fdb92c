import type { FastifyPluginCallback } from 'fastify';
import type { Logger } from '../logging/logger.ts';

/** Traces being sent, as the rest of the service sees them: it works without any of OpenTelemetry's packages. */
export interface Tracing extends AsyncDisposable {
  /** Makes a span for every request. */
  readonly plugin: FastifyPluginCallback;
  /** Has failures to send written down, and the end of them. */
  reportTo(logger: Pick<Logger, 'warn' | 'info'>): void;
  /** The trace that what is running now belongs to, for the log. */
  current(): { trace_id?: string; span_id?: string };
}
