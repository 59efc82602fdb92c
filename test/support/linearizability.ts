import {
  type Answer,
  type Model,
  type Observation,
  observationOf,
  perform,
  type Request,
} from './lifecycle-model.ts';

/** What was asked for, and what was answered. */
export interface Exchange {
  request: Request;
  answer: Answer;
}

/** Answers that say that nothing was done, whatever there was to do. */
const NOTHING_DONE: readonly Answer[] = ['organization_busy', 'credentials_changed'];

/**
 * Whether requests that ran side by side did what they would have done one after the other, in some order.
 *
 * @param model - what there was before
 * @param observed - what there is after
 * @see Herlihy and Wing, "Linearizability: A Correctness Condition for Concurrent Objects" (1990)
 */
export function explains(
  model: Model,
  exchanges: readonly Exchange[],
  observed: readonly Observation[],
): boolean {
  return courses(exchanges).some((course) => leadsTo(model, course, JSON.stringify(observed)));
}

/** What may have happened, given that some answers leave it open. */
function courses([first, ...rest]: readonly Exchange[]): Exchange[][] {
  if (first === undefined) return [[]];
  return courses(rest).flatMap((course) => meanings(first).map((meant) => [...meant, ...course]));
}

function meanings(exchange: Exchange): Exchange[][] {
  if (NOTHING_DONE.includes(exchange.answer)) return [[]];
  if (exchange.answer !== 'operation_interrupted') return [[exchange]];
  const { request } = exchange;
  const done = { request, answer: 'ok' };
  const undone: Exchange = { request: { kind: 'delete', owner: request.owner }, answer: 'ok' };
  // A creation that is undone has had its name in the meantime.
  return request.kind === 'create' ? [[], [done], [done, undone]] : [[], [done]];
}

function leadsTo(model: Model, left: readonly Exchange[], observed: string): boolean {
  if (left.length === 0) return JSON.stringify(observationOf(model)) === observed;
  return left.some((exchange) => {
    const { model: next, answer } = perform(model, exchange.request);
    if (answer !== exchange.answer) return false;
    const others = left.filter((one) => one !== exchange);
    return leadsTo(next, others, observed);
  });
}
