import { ghost } from '../../support/finding.ts';
import { describe, someSignUp, tokenOf } from '../crash/customer.ts';
import type { Stage } from '../crash/stage.ts';
import { type Answer, isAcknowledged, isRefused, type ServiceApi } from '../support/service-api.ts';
import { inLanes } from '../support/waiting.ts';

/** An organization, as those know it who write to it and those who rename and delete it. */
export interface Tenant {
  /** Hex. */
  id: string;
  /** Its owner's. */
  token: string;
  /** Called so for all that is known. */
  name: string;
  deletion: 'none' | 'asked' | 'acknowledged';
}

/** How many sign up at the same time. */
const LANES = 8;
/** Names for so many organizations that are there at the same time: a few more, so that some are free. */
const SPARE_NAMES = 1.1;
/** Of those that are deleted, so many are still written to. */
const REMEMBERED = 20;

/** The organizations of the drill. They are renamed, swap their names, are deleted and come again under the same names. */
export class Tenants {
  readonly #stage: Stage;
  readonly #apis: readonly ServiceApi[];
  readonly #names: readonly string[];
  /** How often nobody could say what had become of a change: a busy machine may keep an instance past its lease. */
  unknown = 0;
  readonly #tenants: Tenant[] = [];
  readonly #deleted: Tenant[] = [];

  constructor(stage: Stage, apis: readonly ServiceApi[], count: number) {
    this.#stage = stage;
    this.#apis = apis;
    const names = Math.ceil(count * SPARE_NAMES);
    this.#names = Array.from({ length: names }, (_, n) => `Organization ${n}`);
  }

  /** Signs up so many. */
  async create(count: number): Promise<void> {
    await inLanes(this.#names.slice(0, count), LANES, async (next) => {
      for (let name = next(); name !== undefined; name = next()) await this.#signUp(name);
    });
  }

  /** One of them; now and then one that has been deleted. */
  any(): Tenant {
    const from = this.#deleted.length > 0 && Math.random() < 0.05 ? this.#deleted : this.#tenants;
    return oneOf(from);
  }

  /** Changes names, or who has them, once. */
  async change(): Promise<void> {
    this.#stage.figures.rounds += 1;
    const dice = Math.random();
    if (dice < 0.5) await this.#rename(oneOf(this.#tenants), oneOf(this.#names));
    else if (dice < 0.75) await this.#swap(oneOf(this.#tenants), oneOf(this.#tenants));
    else await this.#replace(oneOf(this.#tenants));
  }

  async #swap(one: Tenant, other: Tenant): Promise<void> {
    const [first, second] = [one.name, other.name];
    if (one === other) return;
    await this.#rename(one, `${first} for now`);
    await this.#rename(other, first);
    await this.#rename(one, second);
  }

  async #rename(tenant: Tenant, name: string): Promise<void> {
    const update = await oneOf(this.#apis).update(tenant.token, { organization_name: name });
    if (isAcknowledged(this.#expectAnswer(update, 'rename'))) tenant.name = name;
  }

  /** Deletes one, and somebody else takes its name. */
  async #replace(tenant: Tenant): Promise<void> {
    if (tenant.deletion !== 'none') return;
    tenant.deletion = 'asked';
    const answer = this.#expectAnswer(await oneOf(this.#apis).remove(tenant.token), 'deletion');
    if (isRefused(answer)) {
      // It is busy: it stays.
      tenant.deletion = 'none';
      return;
    }
    if (isAcknowledged(answer)) tenant.deletion = 'acknowledged';
    // Before it is out of sight, so that there is always one to be found.
    await this.#signUp(tenant.name);
    this.#tenants.splice(this.#tenants.indexOf(tenant), 1);
    this.#deleted.push(tenant);
    if (this.#deleted.length > REMEMBERED) this.#deleted.shift();
  }

  async #signUp(name: string): Promise<void> {
    const signUp = someSignUp({ organization_name: name });
    const api = oneOf(this.#apis);
    const created = this.#expectAnswer(await api.create(signUp), 'creation');
    if (!isAcknowledged(created)) return;
    const token = tokenOf(this.#expectAnswer(await api.login(signUp), 'login'));
    if (token === undefined) return;
    this.#tenants.push({ id: String(created.body.id), token, name, deletion: 'none' });
  }

  /** Taken names and organizations that are busy are to be expected, but no failure. */
  #expectAnswer(answer: Answer, what: string): Answer {
    if (isUnknown(answer)) this.unknown += 1;
    else if (!isAcknowledged(answer) && !isRefused(answer))
      this.#stage.figures.add([ghost(`the outcome of a ${what}: ${describe(answer)}`)]);
    return this.#stage.count(answer);
  }
}

/** The service says itself that it does not know. */
export function isUnknown({ status }: Answer): boolean {
  return status === 503;
}

export function oneOf<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T;
}
