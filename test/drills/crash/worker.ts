import { ObjectId } from 'mongodb';
import type { OrganizationDocument } from '../../../src/registry/organization-document.ts';
import { ORGANIZATIONS } from '../../../src/registry/registry-store.ts';
import { type Finding, ghost, lost } from '../../support/finding.ts';
import type { DocumentLedger } from '../support/document-ledger.ts';
import {
  type Answer,
  isAcknowledged,
  isRefused,
  type ServiceApi,
  type SignUp,
} from '../support/service-api.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { describe, organizationOf, someSignUp, tokenOf } from './customer.ts';
import type { Stage } from './stage.ts';

const MOST_TENANTS = 4;
const MOST_DOCUMENTS = 5;

/** An organization that was acknowledged, as it was acknowledged last. */
interface Tenant extends SignUp {
  id: string;
  token: string;
}

/** What to look for when the outcome of an operation is not known. */
type Open = (api: ServiceApi) => Promise<Finding[]>;

/**
 * A client that does everything, on organizations that are its own: so it knows at any time what has to be there. It stops
 * at the first operation whose outcome it is not told, and finds out later.
 */
export class Worker {
  readonly #stage: Stage;
  readonly #ledger: DocumentLedger;
  readonly #findings: Finding[] = [];
  readonly #deleted: ObjectId[] = [];
  #tenants: Tenant[] = [];
  #open: Open | undefined;

  constructor(stage: Stage, ledger: DocumentLedger) {
    this.#stage = stage;
    this.#ledger = ledger;
  }

  /** Works until told to stop, or until an outcome is unknown. */
  async work(service: ServiceProcess, stop: AbortSignal): Promise<void> {
    while (!stop.aborted && this.#open === undefined) await this.#step(service);
  }

  /** Finds out about what was left open, and compares all that was acknowledged with what is there. */
  async settle(api: ServiceApi): Promise<Finding[]> {
    const open = this.#open;
    this.#open = undefined;
    const findings = [...this.#findings.splice(0), ...((await open?.(api)) ?? [])];
    for (const { id, organization_name, ...person } of this.#tenants) {
      const there = await organizationOf(this.#stage, id);
      if (there?.organization_name !== organization_name)
        findings.push(lost(`"${organization_name}" is ${there?.organization_name ?? 'gone'}`));
      const login = await api.login({ organization_name, ...person }, organization_name);
      if (!isAcknowledged(login))
        findings.push(lost(`login to "${organization_name}": ${describe(login)}`));
    }
    const back = await this.#stage.db
      .collection<OrganizationDocument>(ORGANIZATIONS.name)
      .countDocuments({ _id: { $in: this.#deleted } });
    return back === 0 ? findings : [...findings, ghost(`${back} deleted organizations are there`)];
  }

  async #step(service: ServiceProcess): Promise<void> {
    const { api } = service;
    const tenant = this.#tenants[Math.floor(Math.random() * MOST_TENANTS)];
    if (tenant === undefined) return this.#create(api);
    const dice = Math.random();
    if (dice < 0.6) return this.#insert(service, tenant);
    if (dice < 0.8) return this.#update(api, tenant, { ...tenant, ...someName() });
    if (dice < 0.9) return this.#update(api, tenant, { ...tenant, ...someSignUp() });
    return this.#delete(api, tenant);
  }

  async #create(api: ServiceApi): Promise<void> {
    const signUp = someSignUp();
    const adopt = async (service: ServiceApi, id: string) => {
      const token = tokenOf(await service.login(signUp, signUp.organization_name));
      if (token !== undefined) this.#tenants.push({ ...signUp, id, token });
      return token !== undefined;
    };
    const answer = this.#stage.count(await api.create(signUp));
    const id = String(answer.body.id);
    if (isAcknowledged(answer) && (await adopt(api, id))) return;
    if (isRefused(answer)) this.#refused('create', answer);
    this.#open = async (service) => {
      const found = await service.get(signUp.organization_name);
      if (isAcknowledged(found) && (await adopt(service, String(found.body.id)))) return [];
      if (isAcknowledged(answer)) return [lost(`a create of "${signUp.organization_name}"`)];
      const login = await service.login(signUp);
      return isAcknowledged(login) || isAcknowledged(found) ? [ghost('half a create')] : [];
    };
  }

  async #insert(service: ServiceProcess, { id }: Tenant): Promise<void> {
    const count = 1 + Math.floor(Math.random() * MOST_DOCUMENTS);
    const documents = this.#ledger.make(id, count);
    const reply = await service.ask({ kind: 'insert', organizationId: id, documents });
    if (!reply.ok) {
      // The ledger knows that they were sent; whether they are there makes no difference.
      this.#open = async () => [];
      return;
    }
    this.#ledger.acknowledge(documents);
    this.#stage.figures.acknowledged += 1;
  }

  /** Changes the name, or with it the address and the password. */
  async #update(api: ServiceApi, before: Tenant, after: Tenant): Promise<void> {
    const { organization_name, email, password } = after;
    const credentials = email === before.email ? {} : { email, password };
    const answer = this.#stage.count(
      await api.update(before.token, { organization_name, ...credentials }),
    );
    const replace = () => {
      this.#tenants = this.#tenants.map((one) => (one === before ? after : one));
    };
    if (isAcknowledged(answer)) return replace();
    if (isRefused(answer)) return this.#refused('update', answer);
    this.#open = async (service) => {
      const there = await organizationOf(this.#stage, before.id);
      const done = there?.organization_name === organization_name;
      if (done) replace();
      if (Object.keys(credentials).length === 0) return [];
      const wrong = await service.login(done ? before : after);
      return isAcknowledged(wrong) ? [ghost('half an update')] : [];
    };
  }

  async #delete(api: ServiceApi, tenant: Tenant): Promise<void> {
    const answer = this.#stage.count(await api.remove(tenant.token));
    const forget = () => {
      this.#tenants = this.#tenants.filter((one) => one !== tenant);
      this.#deleted.push(new ObjectId(tenant.id));
    };
    if (isAcknowledged(answer)) return forget();
    if (isRefused(answer)) return this.#refused('delete', answer);
    this.#open = async (service) => {
      if ((await organizationOf(this.#stage, tenant.id)) !== null) return [];
      forget();
      const login = await service.login(tenant);
      return isAcknowledged(login) ? [ghost('half a delete')] : [];
    };
  }

  /** Nothing that a worker asks for on its own organizations can be refused. */
  #refused(what: string, answer: Answer): void {
    this.#findings.push(ghost(`${what} was refused: ${describe(answer)}`));
  }
}

function someName(): Pick<SignUp, 'organization_name'> {
  const { organization_name } = someSignUp();
  return { organization_name };
}
