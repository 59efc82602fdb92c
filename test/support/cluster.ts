import { randomBytes } from 'node:crypto';
import { type Db, type Document, MongoClient } from 'mongodb';
import pino from 'pino';
import { inject } from 'vitest';
import { MASTER_COLLECTIONS } from '../../src/composition/stores.ts';
import { ensureIndexes } from '../../src/database/collections.ts';
import { createMongoClient } from '../../src/database/mongo-client.ts';
import { createServices, type Services } from '../../src/services.ts';
import { Stopper } from './crash.ts';
import { contentsOf } from './database-truth.ts';
import { type AroundCall, interceptCalls } from './intercepted-client.ts';
import {
  startTestService,
  TestClock,
  type TestService,
  type TestServiceOptions,
  testSettings,
} from './test-service.ts';

/** One instance of the service, with what it logged. */
export interface Instance extends TestService {
  /** Stops it at any instant. */
  stopper: Stopper;
  /** Log entries of level `warn` and above, oldest first. */
  logged: LogEntry[];
}

/** An instance without HTTP. */
export interface BareInstance {
  services: Services;
  /** As the instance sees it. */
  client: MongoClient;
  stopper: Stopper;
}

export type LogEntry = { msg: string; level: number } & Document;

/**
 * Instances of the service on one database. None recovers or reconciles unless told to, so that a test decides when which
 * of them does. They share a clock.
 */
export class Cluster implements AsyncDisposable {
  readonly client: MongoClient;
  /** As a plain driver sees it; master and tenant database in one. */
  readonly db: Db;
  readonly clock = new TestClock();
  readonly #shared = createMongoClient(inject('mongoUrl'));
  readonly #instances: Instance[] = [];

  private constructor(client: MongoClient, db: Db) {
    this.client = client;
    this.db = db;
  }

  static async create(): Promise<Cluster> {
    const client = new MongoClient(inject('mongoUrl'));
    const db = client.db(`test_${randomBytes(6).toString('hex')}`);
    await ensureIndexes(db, MASTER_COLLECTIONS);
    return new Cluster(client, db);
  }

  /** Starts one more instance. */
  async instance(options: TestServiceOptions = {}): Promise<Instance> {
    const stopper = new Stopper();
    const logged: LogEntry[] = [];
    const service = await startTestService({
      clock: this.clock,
      faults: stopper.faults,
      clientView: (client) => interceptCalls(client, stopper.around),
      logger: pino({ level: 'warn' }, { write: (line) => logged.push(JSON.parse(line)) }),
      ...options,
      database: this.db.databaseName,
      start: false,
    });
    const instance = Object.assign(service, { stopper, logged });
    this.#instances.push(instance);
    return instance;
  }

  /** Starts an instance without HTTP on connections it shares with its like: cheap enough for one at every crash. */
  bare(around?: AroundCall): BareInstance {
    const stopper = new Stopper();
    const client = interceptCalls(this.#shared, around ?? stopper.around);
    const database = this.db.databaseName;
    const settings = testSettings(database);
    const { clock } = this;
    const logger = pino({ level: 'silent' });
    const services = createServices(client, settings, logger, { clock, faults: stopper.faults });
    return { services, client, stopper };
  }

  /** Lets the leases of every operation under way run out, as time does. */
  expireLeases(): Promise<void> {
    return this.#setLeases(new Date(0));
  }

  /** Keeps them from running out, however slow the machine is. */
  prolongLeases(): Promise<void> {
    return this.#setLeases(new Date(Date.now() + 3_600_000));
  }

  /** Every document of every collection. */
  contents(): Promise<Record<string, Document[]>> {
    return contentsOf(this.db);
  }

  /** Ends what stopped instances were doing, and empties the database; the indexes of the master database stay. */
  async empty(): Promise<void> {
    for (const { stopper } of this.#instances) await stopper.release();
    const own: readonly string[] = MASTER_COLLECTIONS.map(({ name }) => name);
    const all = await this.db.listCollections({}, { nameOnly: true }).toArray();
    await Promise.all(
      all.map(({ name }) =>
        own.includes(name) ? this.db.collection(name).deleteMany({}) : this.db.dropCollection(name),
      ),
    );
  }

  async #setLeases(end: Date): Promise<void> {
    await this.db
      .collection('organizations')
      .updateMany(
        { operation: { $exists: true } },
        { $set: { 'operation.lease_expires_at': end } },
      );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const instance of this.#instances) {
      await instance.stopper.release();
      await instance[Symbol.asyncDispose]();
    }
    await this.#shared.close();
    await this.db.dropDatabase();
    await this.client.close();
  }
}
