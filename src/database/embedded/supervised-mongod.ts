import { EmbeddedMongod, type EmbeddedMongodOptions } from './embedded-mongod.ts';

/**
 * An embedded MongoDB that is started again, on the same port, when it dies while the service lives. Clients reconnect by
 * themselves; meanwhile requests are refused with 503.
 */
export class SupervisedMongod implements AsyncDisposable {
  readonly url: string;
  readonly maxCollections: number;
  /** Settles with the reason when it could not be started again: the service has no database any more. */
  readonly failed: Promise<unknown>;
  readonly #options: EmbeddedMongodOptions;
  #mongod: EmbeddedMongod;
  #stopping = false;

  private constructor(mongod: EmbeddedMongod, options: EmbeddedMongodOptions) {
    const port = Number(new URL(mongod.url).port);
    this.#mongod = mongod;
    this.#options = { ...options, choosePort: async () => port };
    this.url = mongod.url;
    this.maxCollections = mongod.maxCollections;
    this.failed = this.#supervise();
  }

  /** @throws as {@link EmbeddedMongod.start} */
  static async start(options: EmbeddedMongodOptions): Promise<SupervisedMongod> {
    return new SupervisedMongod(await EmbeddedMongod.start(options), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await this.#mongod.stop();
  }

  async #supervise(): Promise<unknown> {
    const { logger } = this.#options;
    for (;;) {
      const exit = await this.#mongod.exited;
      // Stopped on purpose: there is nothing to tell, ever.
      if (this.#stopping) return new Promise(() => {});
      logger.warn({ ...exit }, 'mongod ended unexpectedly; starting it again');
      try {
        await this.#mongod.stop();
        this.#mongod = await EmbeddedMongod.start(this.#options);
      } catch (error) {
        return error;
      }
      if (this.#stopping) await this.#mongod.stop();
    }
  }
}
