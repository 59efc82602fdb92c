import { Gauge, type Registry } from 'prom-client';
import type { DatabaseFacts } from './database-facts.ts';

const OPERATION_KINDS = ['create', 'update', 'delete'] as const;

/** The metrics of what only the database knows. */
export class DatabaseGauges {
  readonly #up: Gauge;
  readonly #organizations: Gauge<'state'>;
  readonly #operations: Gauge<'kind' | 'stuck'>;
  readonly #used: Gauge;
  readonly #limit: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#up = new Gauge({
      name: 'tenantry_database_up',
      help: 'Whether the database answered; if not, the metrics that only it knows are left out.',
      registers,
    });
    this.#organizations = new Gauge({
      name: 'tenantry_organizations',
      help: 'Organizations, by the state they are in.',
      labelNames: ['state'],
      registers,
    });
    this.#operations = new Gauge({
      name: 'tenantry_operations',
      help: 'Creations, updates and deletions of organizations under way, at most 200 in all. stuck is true for those that do not get on.',
      labelNames: ['kind', 'stuck'],
      registers,
    });
    this.#used = new Gauge({
      name: 'tenantry_collections_used',
      help: 'Collections on the cluster, of which creating an organization takes one.',
      registers,
    });
    this.#limit = new Gauge({
      name: 'tenantry_collections_limit',
      help: 'The most collections: MAX_COLLECTIONS, or less if the embedded MongoDB takes less.',
      registers,
    });
  }

  /** @param facts - undefined: the database did not answer */
  show(facts: DatabaseFacts | undefined): void {
    this.#up.set(facts === undefined ? 0 : 1);
    for (const gauge of [this.#organizations, this.#operations]) gauge.reset();
    // One without labels would show 0 after a reset; removed, it is not shown.
    for (const gauge of [this.#used, this.#limit]) gauge.remove();
    if (facts === undefined) return;
    for (const [state, count] of Object.entries(facts.organizations))
      this.#organizations.set({ state }, count);
    for (const kind of OPERATION_KINDS)
      for (const stuck of [false, true]) {
        const some = facts.operations.filter((one) => one.kind === kind && one.stuck === stuck);
        this.#operations.set({ kind, stuck: String(stuck) }, some.length);
      }
    this.#used.set(facts.collections.used);
    this.#limit.set(facts.collections.limit);
  }
}
