import fastifyOtel from '@fastify/otel';
import { type Span, trace } from '@opentelemetry/api';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { MongoDBInstrumentation } from '@opentelemetry/instrumentation-mongodb';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import type { FastifyPluginCallback, FastifyRequest } from 'fastify';
import type { TracingSettings } from '../config/tracing-settings.ts';
import { callerFields } from '../http/request-logging.ts';
import { VERSION } from '../version.ts';
import { type OnDelivery, SafeSpanExporter } from './safe-spans.ts';
import type { Tracing } from './tracing.ts';

/**
 * Begins to trace requests and what they ask of MongoDB. To be called before the driver is loaded: its functions are replaced
 * when that happens.
 */
export function startTracing(settings: TracingSettings): Tracing {
  let onDelivery: OnDelivery = () => {};
  const exporter = new SafeSpanExporter(exporterOf(settings), (isDelivered) =>
    onDelivery(isDelivered),
  );
  const provider = new NodeTracerProvider({
    resource: defaultResource()
      .merge(detectResources({ detectors: [envDetector] }))
      .merge(
        resourceFromAttributes({
          'service.name': settings.serviceName,
          'service.version': VERSION,
        }),
      ),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  provider.register();
  const requests = new fastifyOtel.FastifyOtelInstrumentation({
    // One span for a request, rather than one more for each of a dozen hooks.
    instrumentHooks: false,
    instrumentHandler: false,
    recordExceptions: false,
    ignorePaths: ({ url }) => /^\/(?:health\/|metrics(?:$|\?))/.test(url),
    requestHook: nameSpan,
  });
  registerInstrumentations({
    tracerProvider: provider,
    instrumentations: [
      // Not what the service does by itself, again and again.
      new MongoDBInstrumentation({
        requireParentSpan: true,
        enhancedDatabaseReporting: false,
        dbStatementSerializer: (command) => Object.keys(command)[0] ?? '',
      }),
      requests,
    ],
  });
  return {
    plugin: pluginOf(requests.plugin()),
    reportTo(logger) {
      onDelivery = (isDelivered) => {
        if (isDelivered) logger.info('traces are delivered again');
        else logger.warn(`traces cannot be delivered to ${settings.endpoint}`);
      };
    },
    current() {
      const { traceId, spanId } = trace.getActiveSpan()?.spanContext() ?? {};
      return traceId === undefined || spanId === undefined
        ? {}
        : { trace_id: traceId, span_id: spanId };
    },
    [Symbol.asyncDispose]: () => provider.shutdown(),
  };
}

function exporterOf({ endpoint, headers, protocol }: TracingSettings) {
  const options = { url: `${endpoint}/v1/traces`, headers };
  return protocol === 'http/json' ? new JsonExporter(options) : new ProtobufExporter(options);
}

function nameSpan(span: Span, { id, method, routeOptions }: FastifyRequest): void {
  span.updateName(routeOptions.url === undefined ? method : `${method} ${routeOptions.url}`);
  span.setAttribute('tenantry.request_id', id);
}

/** With who asks, which is known once the answer is there. */
function pluginOf(requests: FastifyPluginCallback): FastifyPluginCallback {
  const plugin: FastifyPluginCallback = (app, options, done) => {
    requests(app, options, (error) => {
      app.addHook('onSend', (request, reply, payload, next) => {
        const { span } = request.opentelemetry();
        for (const [name, value] of Object.entries(callerFields(request)))
          span?.setAttribute(`tenantry.${name}`, value);
        if (reply.problemCode !== null) span?.setAttribute('tenantry.problem', reply.problemCode);
        next(null, payload);
      });
      done(error);
    });
  };
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true });
}
