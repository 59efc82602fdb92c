import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ObjectId } from 'mongodb';
import { AppError } from '../../../src/errors.ts';
import type { TenantCollection } from '../../../src/tenants/tenant-collection.ts';
import { untilTrue } from '../support/waiting.ts';
import { type DrillService, kindOf } from './drill-service.ts';
import { isUnknown, Ledger } from './ledger.ts';

const WRITERS = 16;
const TENANTS = 4;
/** After a refusal, as a polite client would; far less than `Retry-After` asks for, so that gaps are measured well. */
const PAUSE_MS = 20;
const RESUMPTION_LIMIT_MS = 60_000;
const PASSWORD = 'correct horse battery staple';

/** An organization of the drill, with a token of its owner. */
export interface Tenant {
  id: string;
  name: string;
  email: string;
  password: string;
  token: string;
  refreshToken: string;
}

/** How a load's writers reach an organization's collection. */
export type OpenCollection = (service: DrillService, id: ObjectId) => Promise<TenantCollection>;

/** How a load differs from that of a usual drill. */
export interface LoadOptions {
  open?: OpenCollection;
  /** Bytes of incompressible text in each document; none by default. */
  payloadBytes?: number;
  label?: string;
}

/** As the service itself does it. */
const throughTheService: OpenCollection = (service, id) => service.services.tenantCollection(id);

/**
 * 16 writers in four organizations, and over HTTP one client that creates and deletes organizations, one that renames
 * them, and one that looks them up. Everything that is answered goes into the ledger.
 */
export class Load {
  readonly ledger = new Ledger();
  readonly tenants: readonly Tenant[];
  readonly #service: DrillService;
  readonly #open: OpenCollection;
  readonly #payloadBytes: number;
  #stopping = false;
  #running: Promise<void>[] = [];

  private constructor(service: DrillService, tenants: readonly Tenant[], options: LoadOptions) {
    this.#service = service;
    this.tenants = tenants;
    this.#open = options.open ?? throughTheService;
    this.#payloadBytes = options.payloadBytes ?? 0;
  }

  /** @param label - tells the organizations of one load from those of another */
  static async prepare(service: DrillService, options: LoadOptions = {}): Promise<Load> {
    const { label = 'Tenant' } = options;
    const tenants = await Promise.all(
      Array.from({ length: TENANTS }, (_, at) => signUpAndIn(service, `${label} ${at}`)),
    );
    const load = new Load(service, tenants, options);
    for (const { id, name } of tenants) load.ledger.created(id, name);
    return load;
  }

  start(): void {
    this.startWriters();
    this.#running.push(this.#create(), this.#rename(), this.#read());
  }

  /** The writers alone, without the clients of the HTTP interface. */
  startWriters(): void {
    this.#stopping = false;
    this.#running = Array.from({ length: WRITERS }, (_, at) => this.#write(at));
  }

  /** @returns when every operation under way has been answered */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
    this.ledger.pause();
  }

  /** @returns when writes that are sent from now on are acknowledged */
  async nextWrite(): Promise<void> {
    // One write of each writer may be on its way back.
    const before = this.ledger.writes + WRITERS;
    const acknowledged = async () => this.ledger.writes > before;
    await untilTrue('writes are acknowledged', RESUMPTION_LIMIT_MS, acknowledged);
  }

  async #write(writer: number): Promise<void> {
    const { id } = this.#tenant(writer);
    for (let sequence = 0; !this.#stopping; sequence += 1) {
      const document = `${id}/${writer}/${new ObjectId().toHexString()}`;
      this.ledger.sending(id, document);
      try {
        const collection = await this.#open(this.#service, ObjectId.createFromHexString(id));
        // Half of them with an `_id` made by the collection itself, which has to recognise its own after a lost answer.
        const payload = randomBytes(this.#payloadBytes / 2).toString('hex');
        const _id = sequence % 2 === 0 ? { _id: document } : {};
        await collection.insertMany([{ ..._id, document, payload }]);
        this.ledger.written(id, document);
      } catch (error) {
        this.ledger.refused(`write ${error instanceof AppError ? error.code : String(error)}`);
        await delay(PAUSE_MS);
      }
    }
  }

  async #create(): Promise<void> {
    for (let made = 0; !this.#stopping; made += 1) {
      const name = `Made ${new ObjectId().toHexString()}`;
      const created = await this.#service.request('POST', '/org/create', { body: signUp(name) });
      if (created.status === 201) this.ledger.created(String(created.body.id), name);
      else await this.#refusal('create', created);
      if (isUnknown(created)) this.ledger.unknownNames.add(name);
      if (created.status === 201 && made % 3 === 0)
        await this.#remove(String(created.body.id), name);
    }
  }

  async #remove(id: string, name: string): Promise<void> {
    const { email, password } = signUp(name);
    const login = await this.#service.request('POST', '/admin/login', {
      body: { email, password },
    });
    if (login.status !== 200) return this.#refusal('login', login);
    const token = String(login.body.access_token);
    const deleted = await this.#service.request('DELETE', '/org/delete', { token });
    if (deleted.status === 200) return this.ledger.removed(id);
    if (isUnknown(deleted)) this.ledger.mayBeGone(id);
    await this.#refusal('delete', deleted);
  }

  async #rename(): Promise<void> {
    for (let round = 0; !this.#stopping; round += 1) {
      const { id, token } = this.#tenant(round);
      const name = `Renamed ${new ObjectId().toHexString()}`;
      const body = { organization_name: name };
      const renamed = await this.#service.request('PUT', '/org/update', { token, body });
      if (renamed.status === 200) this.ledger.renamed(id, name);
      else await this.#refusal('rename', renamed);
      if (isUnknown(renamed)) this.ledger.mayBeCalled(id, name);
    }
  }

  async #read(): Promise<void> {
    for (let round = 0; !this.#stopping; round += 1) {
      const { token } = this.#tenant(round);
      const seen = await this.#service.request('GET', '/org/get', { token });
      if (seen.status !== 200) await this.#refusal('get', seen);
      await delay(PAUSE_MS);
    }
  }

  async #refusal(operation: string, answer: Parameters<typeof kindOf>[0]): Promise<void> {
    this.ledger.refused(`${operation} ${kindOf(answer)}`);
    await delay(PAUSE_MS);
  }

  #tenant(at: number): Tenant {
    const tenant = this.tenants[at % this.tenants.length];
    if (tenant === undefined) throw new Error('the load has no tenants');
    return tenant;
  }
}

/** What somebody signs up with for an organization of this name. */
export function signUp(name: string) {
  const email = `${name.toLowerCase().replaceAll(' ', '-')}@drill.example`;
  return { organization_name: name, email, password: PASSWORD };
}

/** @throws when either is refused: before anything is attacked, nothing may be */
export async function signUpAndIn(service: DrillService, name: string): Promise<Tenant> {
  const { email, password } = signUp(name);
  const created = await service.request('POST', '/org/create', { body: signUp(name) });
  const login = await service.request('POST', '/admin/login', { body: { email, password } });
  if (created.status !== 201 || login.status !== 200)
    throw new Error(`cannot set the drill up: ${kindOf(created)}, ${kindOf(login)}`);
  const { access_token: token, refresh_token: refreshToken } = login.body;
  const id = String(created.body.id);
  return { id, name, email, password, token: String(token), refreshToken: String(refreshToken) };
}
