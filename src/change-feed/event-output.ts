import { PassThrough } from 'node:stream';

/** So much waits in memory for a reader, at most, and the event that is being sent. */
const BUFFERED_BYTES = 64 * 1_024;

/** One event, as text/event-stream has it. */
export interface ServerSentEvent {
  event?: string;
  id?: string | undefined;
  /** Without one nothing is told, but the id counts. One line. */
  data?: string;
  /** Milliseconds after which a reader that lost the connection comes back. */
  retry?: number;
  comment?: string;
}

/** @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
export function eventText({ event, id, data, retry, comment }: ServerSentEvent): string {
  const lines = [
    comment !== undefined && `: ${comment}`,
    retry !== undefined && `retry: ${retry}`,
    event !== undefined && `event: ${event}`,
    id !== undefined && `id: ${id}`,
    data !== undefined && `data: ${data}`,
  ];
  return `${lines.filter((line) => line !== false).join('\n')}\n\n`;
}

/**
 * What a reader gets. It takes no more than the reader does, and gives up one that takes nothing for a while. Events go out
 * whole, one after the other.
 */
export class EventOutput {
  /** For the response. Destroyed when the reader has gone. */
  readonly stream = new PassThrough({ highWaterMark: BUFFERED_BYTES });
  readonly #stallMs: number;
  #sending = false;
  #farewell: string | undefined;

  /** @param stallMs - how long a reader may take nothing */
  constructor({ stallMs }: { stallMs: number }) {
    this.#stallMs = stallMs;
    // Whoever reads tells of its errors.
    this.stream.on('error', () => {});
  }

  get isOver(): boolean {
    return this.stream.destroyed || this.stream.writableEnded || this.#farewell !== undefined;
  }

  /**
   * Sends an event, as fast as the reader takes it.
   *
   * @returns whether there is room for more already; that the reader has gone, {@link isOver} tells
   */
  async send(event: ServerSentEvent): Promise<boolean> {
    if (this.isOver) return false;
    const bytes = Buffer.from(eventText(event));
    let hasRoom = true;
    this.#sending = true;
    // In pieces, each with its own time: a long event over a thin line is no reader that takes nothing.
    for (let from = 0; from < bytes.length && !this.stream.destroyed; from += BUFFERED_BYTES) {
      hasRoom = this.stream.write(bytes.subarray(from, from + BUFFERED_BYTES));
      if (!hasRoom) await this.#drained();
    }
    this.#sending = false;
    if (this.#farewell !== undefined) this.stream.end(this.#farewell);
    return hasRoom;
  }

  /** Sends an event unless another one is on its way: for those that show that somebody is there. */
  sendWhenIdle(event: ServerSentEvent): void {
    if (this.#sending || this.isOver || this.stream.writableNeedDrain) return;
    if (!this.stream.write(eventText(event))) void this.#drained();
  }

  /** Sends the last event, after the one on its way, and ends the answer. */
  end(event: ServerSentEvent): void {
    if (this.isOver) return;
    this.#farewell = eventText(event);
    if (!this.#sending) this.stream.end(this.#farewell);
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => this.stream.destroy(), this.#stallMs);
    this.stream.once('drain', resolve).once('close', resolve);
    await promise;
    clearTimeout(timer);
    this.stream.off('drain', resolve).off('close', resolve);
  }
}
