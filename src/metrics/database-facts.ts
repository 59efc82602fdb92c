import type { Clock } from '../clock.ts';
import { sharingPatience } from '../database/deadline.ts';
import type { Logger } from '../logging/logger.ts';
import type { OrganizationState } from '../registry/organization-document.ts';
import type { OperationStatus } from '../tenants/recovery.ts';

/** So long what was read is given out again: a scrape comes every 15 s, and several servers may scrape. */
const MAX_AGE_MS = 5_000;

/** What only the database knows. */
export interface DatabaseFacts {
  organizations: Record<OrganizationState, number>;
  operations: Pick<OperationStatus, 'kind' | 'stuck'>[];
  collections: { used: number; limit: number };
}

/** Where the facts are read, each within its deadline. */
export interface FactSources {
  countByState(): Promise<Record<OrganizationState, number>>;
  operations(): Promise<DatabaseFacts['operations']>;
  collections(): Promise<DatabaseFacts['collections']>;
}

/** Reads the facts at most every {@link MAX_AGE_MS}, once for all who ask meanwhile. */
export class DatabaseFactReader {
  readonly #deps: FactSources & { clock: Clock; logger: Logger };
  #known: { facts: DatabaseFacts; readAtMs: number } | undefined;
  #reading: Promise<DatabaseFacts | undefined> | undefined;

  constructor(deps: FactSources & { clock: Clock; logger: Logger }) {
    this.#deps = deps;
  }

  /** @returns undefined when the database does not answer; never takes longer than the patience with it */
  async read(): Promise<DatabaseFacts | undefined> {
    const now = this.#deps.clock.monotonicMs();
    if (this.#known !== undefined && now - this.#known.readAtMs < MAX_AGE_MS)
      return this.#known.facts;
    this.#reading ??= this.#ask(now).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #ask(readAtMs: number): Promise<DatabaseFacts | undefined> {
    const { countByState, operations, collections } = this.#deps;
    try {
      const [states, underWay, budget] = await sharingPatience(() =>
        Promise.all([countByState(), operations(), collections()]),
      );
      const facts = { organizations: states, operations: underWay, collections: budget };
      this.#known = { facts, readAtMs };
      return facts;
    } catch (error) {
      this.#known = undefined;
      this.#deps.logger.debug({ err: error }, 'metrics without what the database knows');
      return undefined;
    }
  }
}
