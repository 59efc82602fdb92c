import type { Attributes } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-node';

/**
 * What a span may say: names of fixed sets, ids, numbers. No URL, which may hold a token; no statement, which holds values;
 * no message of an error, which may quote either. A list of what is allowed, not of what is not: a library that begins to tell
 * more is not heard.
 */
const ALLOWED: ReadonlySet<string> = new Set([
  'http.request.method',
  'http.response.status_code',
  'http.route',
  'tenantry.request_id',
  'tenantry.organization_id',
  'tenantry.admin_id',
  'tenantry.api_key_id',
  'tenantry.problem',
  // Of older and newer semantic conventions: the library has a switch between them.
  ...['db.system', 'db.name', 'db.operation', 'db.mongodb.collection'],
  ...['db.system.name', 'db.namespace', 'db.operation.name', 'db.collection.name'],
  ...['net.peer.name', 'net.peer.port', 'server.address', 'server.port'],
  'error.type',
]);

/** `ExportResultCode.SUCCESS`, which is in a package that nothing else is needed of. */
const DELIVERED = 0;

/** Told whenever sending begins to fail, and when it succeeds again. */
export type OnDelivery = (isDelivered: boolean) => void;

/** Passes spans on with nothing in them but what is {@link ALLOWED}. */
export class SafeSpanExporter implements SpanExporter {
  readonly #next: SpanExporter;
  readonly #onDelivery: OnDelivery;
  #isDelivered = true;

  constructor(next: SpanExporter, onDelivery: OnDelivery) {
    this.#next = next;
    this.#onDelivery = onDelivery;
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    this.#next.export(spans.map(safe), (result) => {
      const isDelivered = result.code === DELIVERED;
      if (isDelivered !== this.#isDelivered) this.#onDelivery(isDelivered);
      this.#isDelivered = isDelivered;
      done(result);
    });
  }

  async forceFlush(): Promise<void> {
    await this.#next.forceFlush?.();
  }

  shutdown(): Promise<void> {
    return this.#next.shutdown();
  }
}

function safe(span: ReadableSpan): ReadableSpan {
  const { name, kind, startTime, endTime, duration, ended } = span;
  const { resource, instrumentationScope, parentSpanContext } = span;
  const { droppedAttributesCount, droppedEventsCount, droppedLinksCount } = span;
  return {
    ...{ name, kind, startTime, endTime, duration, ended, resource, instrumentationScope },
    ...{ droppedAttributesCount, droppedEventsCount, droppedLinksCount },
    ...(parentSpanContext && { parentSpanContext }),
    spanContext: () => span.spanContext(),
    attributes: allowedOf(span.attributes),
    status: { code: span.status.code },
    events: [],
    links: [],
  };
}

function allowedOf(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => ALLOWED.has(name)));
}
