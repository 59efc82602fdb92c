import { setMaxListeners } from 'node:events';

/**
 * Says when the service begins to stop. What lasts longer than a request, such as a stream of changes, listens to
 * {@link signal} and ends by itself, having told its client to come back; whatever goes on regardless is cut off some seconds
 * later.
 */
export class Stopping {
  readonly #controller = new AbortController();

  constructor() {
    // One listener for every stream that is open; the default of 10 would call that a leak.
    setMaxListeners(0, this.#controller.signal);
  }

  /** Aborted once, when the service begins to stop. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get begun(): boolean {
    return this.#controller.signal.aborted;
  }

  /** From here on no request is begun. Again has no effect. */
  begin(): void {
    this.#controller.abort();
  }
}
