import { createServer } from 'node:http';

/** A span as OTLP's JSON has it. */
export interface ReceivedSpan {
  name: string;
  /** 2 is a server's, 3 a client's. */
  kind: number;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  status: { code?: number; message?: string };
  events?: unknown[];
  attributes: Record<string, unknown>;
}

interface JsonAttribute {
  key: string;
  value: Record<string, unknown>;
}

/** What a collector of traces is to the service: it takes whatever is sent to `/v1/traces`. */
export class OtlpReceiver implements AsyncDisposable {
  /** The bodies, as they came. */
  readonly bodies: Buffer[] = [];
  /** The headers that came with each. */
  readonly headers: NodeJS.Dict<string | string[]>[] = [];
  readonly #first = Promise.withResolvers<void>();
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.bodies.push(Buffer.concat(chunks));
      this.headers.push(request.headers);
      response.writeHead(request.url === '/v1/traces' ? 200 : 404, {
        'content-type': 'application/json',
      });
      response.end('{}');
      this.#first.resolve();
    });
  });

  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    await new Promise<void>((listening) => {
      receiver.#server.listen(0, '127.0.0.1', listening);
    });
    return receiver;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Waits for the first body. */
  received(): Promise<void> {
    return this.#first.promise;
  }

  /** Of the bodies in JSON. */
  get spans(): ReceivedSpan[] {
    return this.#resources().flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) =>
        spans.map((span) => ({ ...span, attributes: plain(span.attributes) })),
      ),
    );
  }

  get resource(): Record<string, unknown> {
    return plain(this.#resources()[0]?.resource.attributes ?? []);
  }

  #resources() {
    return this.bodies.flatMap((body) => {
      const { resourceSpans } = JSON.parse(body.toString()) as {
        resourceSpans: {
          resource: { attributes: JsonAttribute[] };
          scopeSpans: {
            spans: (Omit<ReceivedSpan, 'attributes'> & { attributes: JsonAttribute[] })[];
          }[];
        }[];
      };
      return resourceSpans;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}

function plain(attributes: JsonAttribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
