import { once } from 'node:events';
import { Agent, type ClientRequest, get, type IncomingMessage } from 'node:http';
import type { Document } from 'mongodb';
import type { TestService } from './test-service.ts';

/** One event as a browser would give it to its listeners. */
export interface FeedEvent {
  event: string;
  id: string | undefined;
  data: Document;
}

/** What a feed is opened with. */
export interface FeedOptions {
  query?: Record<string, string>;
  headers?: Record<string, string>;
}

/** Where an instance listens; begins to, if it does not yet. */
export async function addressOf({ app }: Pick<TestService, 'app'>): Promise<string> {
  if (!app.server.listening) await app.listen({ port: 0, host: '127.0.0.1' });
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  return `http://127.0.0.1:${address.port}`;
}

/** Reads a feed as the HTML standard says. */
export class FeedReader implements Disposable {
  /** As sent in `Last-Event-ID` by whoever reconnects. */
  lastId: string | undefined;
  /** Comments, such as heartbeats. */
  comments: string[] = [];
  readonly response: IncomingMessage;
  readonly #request: ClientRequest;
  readonly #events: FeedEvent[] = [];
  #wake = Promise.withResolvers<void>();
  #isOver = false;

  private constructor(request: ClientRequest, response: IncomingMessage) {
    this.#request = request;
    this.response = response;
    void this.#read();
  }

  /** @returns whatever the answer is, also a refusal */
  static async open(
    service: Pick<TestService, 'app'>,
    auth: { authorization: string },
    { query = {}, headers = {} }: FeedOptions = {},
  ): Promise<FeedReader> {
    const url = `${await addressOf(service)}/org/records/changes?${new URLSearchParams(query)}`;
    const accept = { accept: 'text/event-stream' };
    // As browsers do, it would keep the connection.
    const agent = new Agent({ keepAlive: true });
    const request = get(url, { headers: { ...accept, ...auth, ...headers }, agent });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    // A reader that goes away, and a service that cuts it off.
    request.on('error', () => {});
    return new FeedReader(request, response);
  }

  /** The next event; undefined when the answer has ended before. */
  async next(): Promise<FeedEvent | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined || this.#isOver) return event;
      await this.#wake.promise;
    }
  }

  /** The next events. Fails when the answer ends before. */
  async take(count: number): Promise<FeedEvent[]> {
    const taken: FeedEvent[] = [];
    while (taken.length < count) {
      const event = await this.next();
      if (event === undefined) throw new Error(`the feed ended after ${taken.length} events`);
      taken.push(event);
    }
    return taken;
  }

  /** All that is left, when the answer has ended. */
  async rest(): Promise<FeedEvent[]> {
    const rest: FeedEvent[] = [];
    for (;;) {
      const event = await this.next();
      if (event === undefined) return rest;
      rest.push(event);
    }
  }

  /** The body of a refusal. */
  async problem(): Promise<Document> {
    await this.rest();
    return JSON.parse(this.#raw);
  }

  [Symbol.dispose](): void {
    this.#request.destroy();
  }

  #raw = '';

  async #read(): Promise<void> {
    let text = '';
    this.response.setEncoding('utf8');
    try {
      for await (const chunk of this.response) {
        this.#raw = (this.#raw + chunk).slice(-100_000);
        const blocks = (text + chunk).split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) this.#take(block);
        this.#tell();
      }
    } catch {
      // Cut off, by one side or the other.
    }
    this.#isOver = true;
    this.#tell();
  }

  #tell(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  #take(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      const colon = line.indexOf(': ');
      if (colon === 0) this.comments.push(line.slice(2));
      else fields.set(line.slice(0, colon), line.slice(colon + 2));
    }
    this.lastId = fields.get('id') ?? this.lastId;
    const data = fields.get('data');
    if (data === undefined) return;
    const event = fields.get('event') ?? 'message';
    this.#events.push({ event, id: fields.get('id'), data: JSON.parse(data) });
  }
}
