import { checkConsistency } from '../../support/consistency.ts';
import { ghost, lost } from '../../support/finding.ts';
import { DocumentLedger } from '../support/document-ledger.ts';
import type { Drill } from '../support/drill.ts';
import { DrillMongod, type SingleNodeTopology } from '../support/drill-mongod.ts';
import { Figures } from '../support/figures.ts';
import { isAcknowledged } from '../support/service-api.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import type { ServiceOptions } from '../support/service-protocol.ts';
import { type Customer, describe, missingOf, newCustomer, someSignUp } from './customer.ts';
import { Stage } from './stage.ts';

const SHORT_ROUNDS = 2;
const LONG_ROUNDS = 40;
/** Inserts under way when the instance is paused. */
const WRITERS = 4;

/**
 * An instance that knows an organization's collection is paused (`SIGSTOP`), in the middle of writing to it. Meanwhile the
 * organization is renamed, in every other round deleted too, and others take its names. Then the instance goes on writing
 * and reading with what it knows.
 */
export function staleReference(
  topology: SingleNodeTopology,
  runner: ServiceOptions['runner'] = 'fenced',
): Drill {
  const title =
    runner === 'fenced' ? 'paused with a reference' : 'paused with a reference, fence off';
  const name = `${title}, ${topology}`;
  return {
    name,
    mustFail: runner !== 'fenced',
    async run({ mongodBinary, short }) {
      const figures = new Figures();
      await using mongod = await DrillMongod.start(mongodBinary, topology);
      await using stage = await Stage.open(mongod.url, figures, runner);
      const services = [await stage.startService(), await stage.startService()] as const;
      const drill = new StaleReference(stage, ...services);
      for (let round = 0; round < (short ? SHORT_ROUNDS : LONG_ROUNDS); round += 1) {
        figures.rounds += 1;
        await drill.round(round % 2 === 0);
      }
      return figures.result({ name, topology });
    },
  };
}

class StaleReference {
  readonly #stage: Stage;
  readonly #stale: ServiceProcess;
  readonly #other: ServiceProcess;
  readonly #ledger = new DocumentLedger();

  constructor(stage: Stage, stale: ServiceProcess, other: ServiceProcess) {
    this.#stage = stage;
    this.#stale = stale;
    this.#other = other;
  }

  async round(deleted: boolean): Promise<void> {
    const { figures, db } = this.#stage;
    const customer = await newCustomer(this.#stage, this.#stale.api);
    const { id } = customer;
    await this.#stale.ask({ kind: 'resolve', organizationId: id });
    const writing = Array.from({ length: WRITERS }, () => this.#insert(customer, true));
    this.#stale.pause();
    const renamed = someSignUp().organization_name;
    const { api } = this.#other;
    const update = this.#stage.count(
      await api.update(customer.token, { organization_name: renamed }),
    );
    if (deleted) this.#stage.count(await api.remove(customer.token));
    const newcomers = [await newCustomer(this.#stage, api, pick(customer))];
    if (deleted)
      newcomers.push(await newCustomer(this.#stage, api, { organization_name: renamed }));
    this.#stale.resume();
    await Promise.all(writing);
    await this.#insert(customer, deleted);
    await this.#read(customer, deleted);
    if (!isAcknowledged(update)) figures.add([lost(`a rename: ${describe(update)}`)]);
    for (const newcomer of newcomers)
      figures.add(await missingOf(this.#stage, api, newcomer), 'who took the name');
    const now = { ...customer, organization_name: renamed };
    if (!deleted) figures.add(await missingOf(this.#stage, api, now), 'who was renamed');
    figures.add(await this.#ledger.check(db));
    figures.add(await checkConsistency(db));
  }

  /** @param deleted - whether the organization may be gone when the insert is carried out */
  async #insert({ id }: Customer, deleted: boolean): Promise<void> {
    const { figures } = this.#stage;
    const documents = this.#ledger.make(id, 3);
    const reply = await this.#stale.ask({ kind: 'insert', organizationId: id, documents });
    if (reply.ok) {
      this.#ledger.acknowledge(documents);
      figures.acknowledged += 1;
    } else if (!deleted || reply.code !== 'organization_not_found')
      figures.add([lost(`an insert was refused: ${reply.code} ${reply.message}`)]);
  }

  /** What it reads is the organization's own, or nothing. */
  async #read({ id }: Customer, deleted: boolean): Promise<void> {
    const {
      ok,
      code,
      documents = [],
    } = await this.#stale.ask({ kind: 'find', organizationId: id });
    const foreign = documents.filter(({ organization_id }) => organization_id !== id);
    this.#stage.figures.add([
      ...foreign.map(() => ghost('a document of another organization was read')),
      ...(deleted && ok ? [ghost('a deleted organization was read')] : []),
      ...(!deleted && !ok ? [lost(`an organization cannot be read: ${code}`)] : []),
    ]);
  }
}

function pick({ organization_name }: Customer) {
  return { organization_name };
}
