import type { FaultPoint } from '../../../src/tenants/lifecycle/fault-points.ts';
import type { Finding } from '../../support/finding.ts';
import type { Answer, ServiceApi } from '../support/service-api.ts';
import type { Stage } from './stage.ts';

/** One lifecycle operation about to be interrupted. */
export interface Trial {
  /** Names the organization in the registry while the operation is under way. */
  slug: string;
  /** Asks for the operation. */
  act(api: ServiceApi): Promise<Answer>;
  /**
   * What others do once somebody else has ended the operation, and its instance still believes that it is under way.
   * Only after it, {@link verify} expects its results.
   */
  meddle(api: ServiceApi): Promise<void>;
  /**
   * Whether the operation is wholly there or wholly absent, and there if it was acknowledged; and all else untouched.
   *
   * @param answer - what came of {@link act}
   */
  verify(api: ServiceApi, answer: Answer): Promise<Finding[]>;
}

/** A kind of operation, and where it can be interrupted. */
export interface Scenario {
  name: string;
  /** Each point as many times as one operation reaches it. */
  points: readonly { point: FaultPoint; hit: number }[];
  prepare(stage: Stage, api: ServiceApi): Promise<Trial>;
}

/** Points that an operation reaches once each. */
export function once(...points: FaultPoint[]): Scenario['points'] {
  return points.map((point) => ({ point, hit: 1 }));
}
