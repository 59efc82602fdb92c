import type { Logger } from './logging/logger.ts';

/** Runs a task again and again, never twice at a time, until it is disposed of. */
export class RepeatingTask implements AsyncDisposable {
  readonly #deps: { task: () => Promise<unknown>; everyMs: number; logger: Logger; name: string };
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(deps: {
    task: () => Promise<unknown>;
    everyMs: number;
    logger: Logger;
    name: string;
  }) {
    this.#deps = deps;
  }

  /** Runs the task now and then `everyMs` after each end. @returns when the first run has ended */
  async start(): Promise<void> {
    await this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { task, everyMs, logger, name } = this.#deps;
    this.#running = task().then(
      () => {},
      (error: unknown) => logger.warn({ err: error }, `${name} failed; will try again`),
    );
    await this.#running;
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#run(), everyMs);
    this.#timer.unref();
  }
}
