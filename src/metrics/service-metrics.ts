import { Counter, Gauge, Registry } from 'prom-client';
import type { CacheUse } from '../access/access-cache.ts';
import { VERSION } from '../version.ts';
import type { DatabaseFactReader } from './database-facts.ts';
import { DatabaseGauges } from './database-gauges.ts';
import type { PoolMeter } from './pool-meter.ts';
import { processMetrics } from './process-metrics.ts';
import { RequestMetrics } from './request-metrics.ts';

/** What the metrics of this process are read from, when they are asked for. */
export interface MetricSources {
  passwords: { running: number; waiting: number; maxWaiting: number; refused: number };
  pool: Pick<PoolMeter, 'open' | 'inUse' | 'waiting' | 'failed' | 'limit'>;
  /** By the name of the cache. */
  caches: Readonly<Record<string, CacheUse>>;
  mails: { waiting: number; lost: number };
  facts: Pick<DatabaseFactReader, 'read'>;
}

/** Everything that is measured, for Prometheus. Values are read when they are asked for, never on a timer. */
export class ServiceMetrics {
  readonly requests: RequestMetrics;
  readonly #registry = new Registry();
  readonly #process: Registry;
  readonly #facts: MetricSources['facts'];
  readonly #databaseGauges: DatabaseGauges;

  constructor(sources: MetricSources) {
    this.#facts = sources.facts;
    this.#process = processMetrics();
    this.requests = new RequestMetrics(this.#registry);
    this.#addProcess(sources);
    this.#addPool(sources.pool);
    this.#addCaches(sources.caches);
    this.#databaseGauges = new DatabaseGauges(this.#registry);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In Prometheus' text format. Never fails for want of the database: what only that knows is left out then. */
  async text(): Promise<string> {
    this.#databaseGauges.show(await this.#facts.read());
    return Registry.merge([this.#process, this.#registry]).metrics();
  }

  /** Every metric of the service's own: for the test that compares the documents with reality. */
  async described(): Promise<{ name: string; type: string; help: string }[]> {
    const all = await Registry.merge([this.#process, this.#registry]).getMetricsAsJSON();
    return all.map(({ name, type, help }) => ({ name, type: String(type), help }));
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      ...{ name, help, registers: [this.#registry] },
      collect() {
        this.set(read());
      },
    });
  }

  #counter(name: string, help: string, read: () => number): void {
    new Counter({
      ...{ name, help, registers: [this.#registry] },
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  #addProcess({ passwords, mails }: MetricSources): void {
    new Gauge({
      name: 'tenantry_build_info',
      help: 'Always 1; the version is in the label.',
      labelNames: ['version'],
      registers: [this.#registry],
    }).set({ version: VERSION }, 1);
    this.#gauge(
      'tenantry_bcrypt_running',
      'Passwords being hashed or verified.',
      () => passwords.running,
    );
    this.#gauge(
      'tenantry_bcrypt_waiting',
      'Passwords that wait for a core.',
      () => passwords.waiting,
    );
    this.#gauge(
      'tenantry_bcrypt_waiting_limit',
      'From so many on, sign-ins are refused.',
      () => passwords.maxWaiting,
    );
    this.#counter(
      'tenantry_bcrypt_refused_total',
      'Passwords that were not looked at because too many waited.',
      () => passwords.refused,
    );
    this.#gauge(
      'tenantry_mails_waiting',
      'Mails in memory that nobody waits for and that have not been sent yet.',
      () => mails.waiting,
    );
    this.#counter('tenantry_mails_lost_total', 'Mails that were given up.', () => mails.lost);
  }

  #addPool(pool: MetricSources['pool']): void {
    this.#gauge(
      'tenantry_mongodb_connections_open',
      'Connections to MongoDB, those in use included.',
      () => pool.open,
    );
    this.#gauge(
      'tenantry_mongodb_connections_in_use',
      'Connections to MongoDB on which something is under way.',
      () => pool.inUse,
    );
    this.#gauge(
      'tenantry_mongodb_connections_limit',
      'The most connections to one server.',
      () => pool.limit,
    );
    this.#gauge(
      'tenantry_mongodb_connection_waiting',
      'Operations that wait for a connection.',
      () => pool.waiting,
    );
    this.#counter(
      'tenantry_mongodb_connection_failures_total',
      'Operations that got no connection.',
      () => pool.failed,
    );
  }

  #addCaches(caches: MetricSources['caches']): void {
    const registers = [this.#registry];
    new Counter({
      ...{ name: 'tenantry_access_cache_lookups_total', labelNames: ['cache', 'result'] },
      help: 'Questions who may do what: answered from memory (hit), together with another one under way (shared), or from the database (miss).',
      registers,
      collect() {
        this.reset();
        for (const [cache, { hits, shared, misses }] of Object.entries(caches)) {
          this.inc({ cache, result: 'hit' }, hits);
          this.inc({ cache, result: 'shared' }, shared);
          this.inc({ cache, result: 'miss' }, misses);
        }
      },
    });
    new Gauge({
      ...{ name: 'tenantry_access_cache_entries', labelNames: ['cache'] },
      help: 'Answers in memory.',
      registers,
      collect() {
        for (const [cache, { size }] of Object.entries(caches)) this.set({ cache }, size);
      },
    });
  }
}
