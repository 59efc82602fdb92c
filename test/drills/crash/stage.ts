import { randomBytes } from 'node:crypto';
import { type Db, MongoClient } from 'mongodb';
import { DURABLE } from '../../../src/database/mongo-client.ts';
import type { Figures } from '../support/figures.ts';
import { type Answer, isAcknowledged } from '../support/service-api.ts';
import { ServiceProcess } from '../support/service-process.ts';
import type { ServiceOptions } from '../support/service-protocol.ts';

/**
 * Where a drill plays: a database of its own, a driver to look into it, and the service processes on it. Disposing of it
 * ends whatever was started.
 */
export class Stage implements AsyncDisposable {
  readonly db: Db;
  readonly figures: Figures;
  readonly #client: MongoClient;
  readonly #options: ServiceOptions;
  readonly #started: ServiceProcess[] = [];

  private constructor(client: MongoClient, options: ServiceOptions, figures: Figures) {
    this.#client = client;
    this.#options = options;
    this.figures = figures;
    this.db = client.db(options.database);
  }

  static async open(
    url: string,
    figures: Figures,
    runner: ServiceOptions['runner'] = 'fenced',
  ): Promise<Stage> {
    const database = `drill_${randomBytes(4).toString('hex')}`;
    const client = await new MongoClient(url, {
      writeConcern: DURABLE,
      serverSelectionTimeoutMS: 10_000,
    }).connect();
    return new Stage(client, { url, database, runner }, figures);
  }

  /** Starts an instance of the service. @returns once it listens */
  async startService(): Promise<ServiceProcess> {
    const service = await ServiceProcess.start(this.#options);
    this.#started.push(service);
    return service;
  }

  /** Counts an answer if it is an acknowledgement. */
  count(answer: Answer): Answer {
    if (isAcknowledged(answer)) this.figures.acknowledged += 1;
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#started.map((service) => service.kill()));
    await this.#client.close();
  }
}
