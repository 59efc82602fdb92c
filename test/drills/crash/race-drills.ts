import { setTimeout as delay } from 'node:timers/promises';
import { ghost, lost } from '../../support/finding.ts';
import { DocumentLedger } from '../support/document-ledger.ts';
import type { Drill } from '../support/drill.ts';
import { DrillMongod, type SingleNodeTopology } from '../support/drill-mongod.ts';
import { Figures } from '../support/figures.ts';
import { type Answer, isAcknowledged, isRefused, type SignUp } from '../support/service-api.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import type { ServiceOptions } from '../support/service-protocol.ts';
import { untilConsistent } from '../support/until-consistent.ts';
import { type Contested, ContestedRegister } from './contested-names.ts';
import { describe, someSignUp, tokenOf } from './customer.ts';
import { Stage } from './stage.ts';

const CLIENTS = 8;
/** Fewer names than clients would like to have. */
const NAMES = ['Acme', 'Beta', 'Gamma', 'Delta', 'Epsilon', 'Zeta'];
const SHORT_MS = 8_000;
/** Without the fence the first stray comes within a second. */
const UNFENCED_MS = 3_000;
const LONG_MS = 60_000;

/** Two instances, and clients that do everything on either of them, all on the same few names. */
export function racingInstances(
  topology: SingleNodeTopology,
  runner: ServiceOptions['runner'] = 'fenced',
): Drill {
  const title = runner === 'fenced' ? 'two racing instances' : 'two racing instances, fence off';
  const name = `${title}, ${topology}`;
  return {
    name,
    mustFail: runner !== 'fenced',
    async run({ mongodBinary, short }) {
      const figures = new Figures();
      await using mongod = await DrillMongod.start(mongodBinary, topology);
      await using stage = await Stage.open(mongod.url, figures, runner);
      const services = [await stage.startService(), await stage.startService()];
      const race = new Race(stage, services);
      const clients = Array.from({ length: CLIENTS }, () => race.run());
      await delay(runner === 'fenced' ? (short ? SHORT_MS : LONG_MS) : UNFENCED_MS);
      race.stop();
      await Promise.all(clients);
      await race.check();
      return figures.result({ name, topology });
    },
  };
}

class Race {
  readonly #stage: Stage;
  readonly #services: readonly ServiceProcess[];
  readonly #register = new ContestedRegister();
  readonly #ledger = new DocumentLedger();
  /** People who have signed up; some of them sign up again. */
  readonly #people: SignUp[] = [];
  #stopped = false;

  constructor(stage: Stage, services: readonly ServiceProcess[]) {
    this.#stage = stage;
    this.#services = services;
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<void> {
    while (!this.#stopped) await this.#step();
  }

  async check(): Promise<void> {
    const { db, figures } = this.#stage;
    const { gapMs, findings } = await untilConsistent(db, performance.now());
    figures.gap(gapMs);
    figures.add(findings);
    figures.add(await this.#register.check(db));
    figures.add(await this.#ledger.check(db));
  }

  async #step(): Promise<void> {
    const service = oneOf(this.#services);
    const organization = this.#register.any();
    const dice = Math.random();
    this.#stage.figures.rounds += 1;
    if (organization === undefined || dice < 0.15) return this.#create(service);
    if (dice < 0.25) return this.#login(service, organization);
    if (dice < 0.65) return this.#insert(service, organization);
    if (dice < 0.9) return this.#rename(service, organization);
    return this.#delete(service, organization);
  }

  async #create({ api }: ServiceProcess): Promise<void> {
    const person = Math.random() < 0.3 ? oneOf(this.#people) : undefined;
    const organization_name = someName();
    const signUp = { ...someSignUp(), ...person, organization_name };
    const begun = performance.now();
    const answer = this.#expectAnswer(await api.create(signUp), 'create');
    if (!isAcknowledged(answer)) return;
    const naming = { name: organization_name, begun, ended: performance.now() };
    this.#people.push(signUp);
    const token = tokenOf(await api.login(signUp, organization_name));
    this.#register.add({ id: String(answer.body.id), token: token ?? '', person: signUp }, naming);
  }

  async #insert(service: ServiceProcess, organization: Contested): Promise<void> {
    const { id } = organization;
    const documents = this.#ledger.make(id, 2);
    const { ok, code, message } = await service.ask({
      kind: 'insert',
      organizationId: id,
      documents,
    });
    if (ok) {
      this.#ledger.acknowledge(documents);
      this.#stage.figures.acknowledged += 1;
    } else if (code !== 'organization_not_found' || organization.deletion === 'none')
      this.#stage.figures.add([lost(`an insert was refused: ${code} ${message}`)]);
  }

  async #rename({ api }: ServiceProcess, { token, namings }: Contested): Promise<void> {
    const name = someName();
    const begun = performance.now();
    const update = api.update(token, { organization_name: name });
    const answer = this.#expectAnswer(await update, 'rename');
    if (isAcknowledged(answer)) namings.push({ name, begun, ended: performance.now() });
  }

  /** What it must not do is leave a session in an organization that is being deleted. */
  async #login({ api }: ServiceProcess, { person, namings }: Contested): Promise<void> {
    this.#expectAnswer(await api.login(person, namings.at(-1)?.name), 'login');
  }

  /** Somebody signs in at the same time, on the other instance or on this one. */
  async #delete({ api }: ServiceProcess, organization: Contested): Promise<void> {
    if (organization.deletion === 'none') organization.deletion = 'asked';
    const logins = this.#services.map((service) => this.#login(service, organization));
    const answer = this.#expectAnswer(await api.remove(organization.token), 'delete');
    if (isAcknowledged(answer)) organization.deletion = 'acknowledged';
    await Promise.all(logins);
  }

  /** Taken names and deleted organizations are to be expected; but that nothing is known, is not. */
  #expectAnswer(answer: Answer, what: string): Answer {
    if (!isAcknowledged(answer) && !isRefused(answer))
      this.#stage.figures.add([ghost(`the outcome of a ${what}: ${describe(answer)}`)]);
    return this.#stage.count(answer);
  }
}

/** In capitals or not: the same slug, another spelling. */
function someName(): string {
  const name = oneOf(NAMES);
  return Math.random() < 0.5 ? name : name.toUpperCase();
}

function oneOf<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T;
}
