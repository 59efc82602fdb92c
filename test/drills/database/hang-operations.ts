import { FAULT_POINTS } from '../../../src/tenants/lifecycle/fault-points.ts';
import type { Answer, DrillService } from './drill-service.ts';
import { isUnknown, type Ledger } from './ledger.ts';
import { signUp, signUpAndIn, type Tenant } from './load.ts';
import { newName } from './requests.ts';

/** An update of a name together with the caller's credentials: all of it happens, or none. */
export interface AskedUpdate {
  tenant: Tenant;
  name: string;
  email: string;
  password: string;
}

/** One operation for each fault point, on organizations of their own. */
export class HangOperations {
  readonly updates: AskedUpdate[] = [];
  readonly #service: DrillService;
  readonly #ledger: Ledger;
  readonly #tenants: Tenant[];

  private constructor(service: DrillService, ledger: Ledger, tenants: Tenant[]) {
    this.#service = service;
    this.#ledger = ledger;
    this.#tenants = tenants;
  }

  static async prepare(service: DrillService, ledger: Ledger): Promise<HangOperations> {
    const needed = FAULT_POINTS.filter((point) => !point.startsWith('create:'));
    const tenants = await Promise.all(needed.map(() => signUpAndIn(service, newName())));
    for (const { id, name } of tenants) ledger.created(id, name);
    return new HangOperations(service, ledger, tenants);
  }

  /** Sends them all. @returns their answers, each of which is in the ledger as well */
  run(): Promise<Answer[]> {
    return Promise.all(
      FAULT_POINTS.map((point) => {
        if (point.startsWith('create:')) return this.#create();
        return point.startsWith('update:') ? this.#update() : this.#remove();
      }),
    );
  }

  /** @returns what is half done: a name without the credentials it came with, or these without the name */
  async halves(): Promise<string[]> {
    const found: string[] = [];
    for (const { tenant, name, email, password } of this.updates) {
      const login = { email, password, organization_name: name };
      const signedIn = await this.#service.request('POST', '/admin/login', { body: login });
      const before = { email: tenant.email, password: tenant.password };
      const signedInAsBefore = await this.#service.request('POST', '/admin/login', {
        body: before,
      });
      const current = String((await this.#service.request('GET', nameUrl(name))).status);
      const seen = `${signedIn.status}, ${signedInAsBefore.status}, ${current}`;
      if (seen !== '200, 401, 200' && seen !== '401, 200, 404')
        found.push(`update of ${tenant.id} is half done: ${seen}`);
    }
    return found;
  }

  async #create(): Promise<Answer> {
    const name = newName();
    const answer = await this.#service.request('POST', '/org/create', { body: signUp(name) });
    if (answer.status === 201) this.#ledger.created(String(answer.body.id), name);
    if (isUnknown(answer)) this.#ledger.unknownNames.add(name);
    return answer;
  }

  async #update(): Promise<Answer> {
    const tenant = this.#take();
    const { organization_name: name, email } = signUp(newName());
    const asked = { tenant, name, email, password: `new ${tenant.password}` };
    this.updates.push(asked);
    const body = { organization_name: name, email, password: asked.password };
    const { token, id } = tenant;
    const answer = await this.#service.request('PUT', '/org/update', { token, body });
    if (answer.status === 200) this.#ledger.renamed(id, name);
    if (isUnknown(answer)) this.#ledger.mayBeCalled(id, name);
    return answer;
  }

  async #remove(): Promise<Answer> {
    const { id, token } = this.#take();
    const answer = await this.#service.request('DELETE', '/org/delete', { token });
    if (answer.status === 200) this.#ledger.removed(id);
    if (isUnknown(answer)) this.#ledger.mayBeGone(id);
    return answer;
  }

  #take(): Tenant {
    const tenant = this.#tenants.pop();
    if (tenant === undefined) throw new Error('there are more operations than organizations');
    return tenant;
  }
}

function nameUrl(name: string): string {
  return `/org/get?organization_name=${encodeURIComponent(name)}`;
}
