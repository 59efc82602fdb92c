/** Where the service reads the time. Injected, so that tests move time instead of waiting for it. */
export interface Clock {
  now(): Date;
  /** Milliseconds since some fixed moment: for durations, because no correction of the time of day moves it. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};
