import { ObjectId } from 'mongodb';
import { DatabaseUnavailableError } from '../../../src/database/database-errors.ts';
import { AppError } from '../../../src/errors.ts';
import type { OrganizationRecords } from '../../../src/library/organization-records.ts';
import type { Tenantry } from '../../../src/library/tenantry.ts';
import { ghost, lost } from '../../support/finding.ts';
import type { Figures } from '../support/figures.ts';
import { type Answer, isAcknowledged, type ServiceApi } from '../support/service-api.ts';
import type { DrillRecord, Entry, RecordLedger } from './record-ledger.ts';
import { isUnknown, oneOf, type Tenant, type Tenants } from './tenants.ts';

interface WriterDeps {
  /** Which of the writers it is. */
  number: number;
  tenants: Tenants;
  ledger: RecordLedger;
  figures: Figures;
  apis: readonly ServiceApi[];
  tenantry: Tenantry;
}

/** What became of a write: done, refused because the organization is gone, nobody knows, or something that must not be. */
type Outcome = 'done' | 'gone' | 'unknown' | { fault: string };

const BATCH = 5;
/** How many records of other writers a reader looks at. */
const READ = 50;

/**
 * Writes records of its own, and reads, through either instance of the service and through the library, one at a time. It
 * keeps what it once looked up, as a slow request does: the organization's records, and its owner's token.
 */
export class Writer {
  readonly #deps: WriterDeps;
  readonly #held = new Map<string, OrganizationRecords>();
  readonly #own = new Map<string, Entry[]>();
  #sent = 0;
  /** How often nobody could say what had become of a write. */
  unknown = 0;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
  }

  async step(): Promise<void> {
    const tenant = this.#deps.tenants.any();
    const own = this.#own.get(tenant.id) ?? [];
    const dice = Math.random();
    const overHttp = Math.random() < 0.5;
    if (dice < 0.1) return this.#read(tenant, overHttp);
    if (dice < 0.2) return this.#insertSome(tenant, overHttp);
    const entry = own.length === 0 || dice < 0.5 ? undefined : oneOf(own);
    if (entry === undefined) return this.#insert(tenant, overHttp);
    return dice < 0.9
      ? this.#change(tenant, entry, overHttp)
      : this.#delete(tenant, entry, overHttp);
  }

  async #insert(tenant: Tenant, overHttp: boolean): Promise<void> {
    const entry = this.#newEntry(tenant);
    const { organization_id, writer, n, version } = entry;
    const record = { organization_id, writer, n, version };
    const outcome = overHttp
      ? await this.#request(tenant, 'POST', '', record, ({ body }) => {
          entry.id = idOf(body._id);
        })
      : await this.#call(tenant, async (records) => {
          entry.id = (await records.insertOne(record)).insertedId.toHexString();
        });
    this.#settle(tenant, [entry], outcome, 'there');
  }

  async #insertSome(tenant: Tenant, overHttp: boolean): Promise<void> {
    const entries = Array.from({ length: BATCH }, () => this.#newEntry(tenant));
    const records = entries.map(({ organization_id, writer, n, version }): DrillRecord => {
      return { organization_id, writer, n, version };
    });
    const operations = records.map((record) => ({ op: 'insert', record }));
    const outcome = overHttp
      ? await this.#request(tenant, 'POST', '/batch', { operations }, ({ body }) => {
          for (const [index, result] of (body.results as Result[]).entries()) {
            const entry = entries[index];
            if (entry !== undefined && result.status === 201) entry.id = idOf(result.id);
          }
        })
      : await this.#call(tenant, async (own) => {
          const { insertedIds } = await own.insertMany(records, { ordered: Math.random() < 0.5 });
          for (const [index, entry] of entries.entries())
            entry.id = (insertedIds[index] as ObjectId | undefined)?.toHexString();
        });
    const stored = entries.filter(({ id }) => id !== undefined);
    if (outcome === 'done' && stored.length < entries.length && tenant.deletion === 'none')
      this.#deps.figures.add([lost(`a batch was stored in part`)]);
    this.#settle(tenant, stored, outcome, 'there');
  }

  async #change(tenant: Tenant, entry: Entry, overHttp: boolean): Promise<void> {
    const { organization_id, writer, n } = entry;
    const version = entry.version + 1;
    const [method, body] =
      Math.random() < 0.5
        ? ['PUT', { organization_id, writer, n, version }]
        : ['PATCH', { version }];
    const outcome = overHttp
      ? await this.#request(tenant, String(method), `/${entry.id}`, body as object)
      : await this.#call(tenant, async (records) => {
          const filter = { _id: new ObjectId(entry.id) as never };
          // Carried out twice, it would show.
          const { matchedCount } = await records.updateOne(filter, { $inc: { version: 1 } });
          if (matchedCount !== 1) throw new Error(`matched ${matchedCount}`);
        });
    if (outcome === 'done') entry.version = version;
    this.#settle(tenant, [entry], outcome, 'there');
  }

  async #delete(tenant: Tenant, entry: Entry, overHttp: boolean): Promise<void> {
    const own = this.#own.get(tenant.id) ?? [];
    own.splice(own.indexOf(entry), 1);
    const outcome = overHttp
      ? await this.#request(tenant, 'DELETE', `/${entry.id}`)
      : await this.#call(tenant, async (records) => {
          const { deletedCount } = await records.deleteOne({
            _id: new ObjectId(entry.id) as never,
          });
          if (deletedCount !== 1) throw new Error(`deleted ${deletedCount}`);
        });
    this.#settle(tenant, [entry], outcome, 'deleted');
  }

  /** What it reads is the organization's own. */
  async #read(tenant: Tenant, overHttp: boolean): Promise<void> {
    const check = (documents: readonly Partial<DrillRecord>[]) => {
      const foreign = documents.filter(({ organization_id }) => organization_id !== tenant.id);
      this.#deps.figures.add(foreign.map(() => ghost('a record of somebody else was read')));
    };
    const outcome = overHttp
      ? await this.#request(tenant, 'GET', `?limit=${READ}`, undefined, ({ body }) =>
          check(body.data as DrillRecord[]),
        )
      : await this.#call(tenant, async (records) =>
          check(await records.find<Partial<DrillRecord>>({}).limit(READ).toArray()),
        );
    this.#settle(tenant, [], outcome, 'there');
  }

  #newEntry({ id }: Tenant): Entry {
    this.#sent += 1;
    return this.#deps.ledger.open(id, this.#deps.number, this.#sent);
  }

  /** Writes down what is known now. Of an organization that is gone nothing has to be there any more. */
  #settle(tenant: Tenant, entries: Entry[], outcome: Outcome, state: Entry['state']): void {
    const { figures } = this.#deps;
    if (outcome === 'done') {
      figures.acknowledged += 1;
      for (const entry of entries) {
        if (entry.state === 'sent') this.#remember(tenant, entry);
        entry.state = state;
      }
      return;
    }
    if (outcome === 'gone' && tenant.deletion !== 'none') return;
    if (outcome === 'unknown') {
      this.unknown += 1;
      for (const entry of entries) this.#forget(tenant, entry);
      return;
    }
    const what = outcome === 'gone' ? 'as if it were deleted' : outcome.fault;
    figures.add([lost(`${tenant.name} was refused a write or a read: ${what}`)]);
  }

  /** Whatever it is like now is right. */
  #forget({ id }: Tenant, entry: Entry): void {
    entry.state = 'sent';
    const own = this.#own.get(id) ?? [];
    this.#own.set(
      id,
      own.filter((one) => one !== entry),
    );
  }

  #remember({ id }: Tenant, entry: Entry): void {
    const own = this.#own.get(id) ?? [];
    own.push(entry);
    this.#own.set(id, own);
  }

  async #request(
    tenant: Tenant,
    method: string,
    path: string,
    body?: object,
    onDone: (answer: Answer) => void = () => {},
  ): Promise<Outcome> {
    const answer = await oneOf(this.#deps.apis).records(tenant.token, method, path, body);
    if (isAcknowledged(answer)) {
      onDone(answer);
      return 'done';
    }
    const code = String(answer.body.code);
    if (GONE.has(code)) return 'gone';
    if (isUnknown(answer)) return 'unknown';
    return { fault: `${method} ${path.replace(/[0-9a-f]{24}/, '')} ${answer.status} ${code}` };
  }

  async #call(
    tenant: Tenant,
    use: (records: OrganizationRecords) => Promise<void>,
  ): Promise<Outcome> {
    try {
      await use(await this.#recordsOf(tenant));
      return 'done';
    } catch (error) {
      if (error instanceof AppError && GONE.has(error.code)) return 'gone';
      if (error instanceof DatabaseUnavailableError) return 'unknown';
      return { fault: `library ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  async #recordsOf({ id }: Tenant): Promise<OrganizationRecords> {
    const held = this.#held.get(id);
    if (held !== undefined) return held;
    const { records } = await this.#deps.tenantry.organizationById(id);
    this.#held.set(id, records);
    return records;
  }
}

interface Result {
  status: number;
  id: unknown;
}

/** What is said of an organization that was deleted: to the token of a member, or to who has found it before. */
const GONE = new Set(['organization_not_found', 'invalid_token']);

function idOf(id: unknown): string | undefined {
  return (id as { $oid?: string } | undefined)?.$oid;
}
