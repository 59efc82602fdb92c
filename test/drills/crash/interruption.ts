import type { Finding } from '../../support/finding.ts';
import type { Figures } from '../support/figures.ts';
import type { Answer, ServiceApi } from '../support/service-api.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import type { FaultPlace } from '../support/service-protocol.ts';
import { untilTrue } from '../support/waiting.ts';
import type { Stage } from './stage.ts';
import type { Scenario, Trial } from './trial.ts';

const REACH_LIMIT_MS = 10_000;

/** An operation and where it is to be interrupted. */
export interface Interruption {
  scenario: Scenario;
  place: FaultPlace;
}

/** An operation that stands at its fault point. */
export interface Held {
  interruption: Interruption;
  trial: Trial;
  answer: Promise<Answer>;
}

/** Every point of every scenario. */
export function everyPoint(scenarios: readonly Scenario[]): Interruption[] {
  return scenarios.flatMap((scenario) => scenario.points.map((place) => ({ scenario, place })));
}

/** Begins the operations, and lets each get to its point and no further. */
export async function holdAll(
  stage: Stage,
  service: ServiceProcess,
  interruptions: readonly Interruption[],
): Promise<Held[]> {
  const held: Held[] = [];
  for (const interruption of interruptions) {
    const { scenario, place } = interruption;
    const trial = await scenario.prepare(stage, service.api);
    await service.ask({ kind: 'arm', fault: { place, effect: 'hold' } });
    const answer = trial.act(service.api);
    await reached(service, interruption);
    held.push({ interruption, trial, answer });
  }
  return held;
}

/** Looks at what became of operations, through a service that was not interrupted. */
export async function verifyAll(
  api: ServiceApi,
  figures: Figures,
  held: readonly Held[],
): Promise<void> {
  for (const { interruption, trial, answer } of held) {
    const findings: Finding[] = await trial.verify(api, await answer);
    figures.rounds += 1;
    figures.add(findings, describeInterruption(interruption));
  }
}

export function describeInterruption({ scenario, place }: Interruption): string {
  const where = 'point' in place ? place.point : `command ${place.command ?? ''}`;
  return `${scenario.name} at ${where} (${place.hit})`;
}

async function reached(service: ServiceProcess, interruption: Interruption): Promise<void> {
  await untilTrue(`${describeInterruption(interruption)} is reached`, REACH_LIMIT_MS, async () => {
    const { reached: there } = await service.ask({ kind: 'reached' });
    return there === true;
  });
}
