import { describe, expect, test } from 'vitest';
import { WorkLimit, type WorkLimitOptions } from '../../../src/http/work-limit.ts';

class Simulation {
  now = 0;
  elsewhere = 0;
  readonly limit: WorkLimit;
  /** When each that is under way began. */
  readonly queue: number[] = [];
  refused = 0;

  constructor(options: Partial<WorkLimitOptions> = {}) {
    this.limit = new WorkLimit({
      ...{ most: 256, targetMs: 500, least: 32, burstMs: 500, ...options },
      now: () => this.now,
      waitingElsewhere: () => this.elsewhere,
    });
  }

  arrive(): boolean {
    if (!this.limit.allows()) {
      this.refused += 1;
      return false;
    }
    this.limit.begin();
    this.queue.push(this.now);
    return true;
  }

  /** @returns how long it took */
  end(): number {
    this.limit.end();
    return this.now - (this.queue.shift() ?? Number.NaN);
  }

  /** Requests come and are done, each at a rate per second, one after the other. @returns how long each took, in the end */
  run(seconds: number, arriving: number, capacity: number): { done: number; slowest: number } {
    let [done, slowest, comes, goes] = [0, 0, 0, 0];
    for (const until = this.now + seconds * 1_000; this.now < until; this.now += 1) {
      comes += arriving / 1_000;
      for (; comes >= 1; comes -= 1) this.arrive();
      goes = this.queue.length === 0 ? 0 : goes + capacity / 1_000;
      for (; goes >= 1 && this.queue.length > 0; goes -= 1) {
        slowest = Math.max(slowest, this.end());
        done += 1;
      }
    }
    return { done: done / seconds, slowest };
  }
}

describe('a limit on work', () => {
  test.each([50, 200, 1_000, 8_000])(
    'keeps the goodput at twice a capacity of %i/s, and nobody waits long',
    (capacity) => {
      const simulation = new Simulation();
      simulation.run(3, 2 * capacity, capacity);
      const { done, slowest } = simulation.run(10, 2 * capacity, capacity);
      expect(done).toBeGreaterThanOrEqual(0.98 * capacity);
      expect(slowest).toBeLessThanOrEqual(750);
    },
  );

  test('refuses nobody below the capacity', () => {
    const simulation = new Simulation();
    simulation.run(10, 900, 1_000);
    expect(simulation.refused).toBe(0);
  });

  test('takes a burst from idle, up to the most', () => {
    const simulation = new Simulation();
    for (let one = 0; one < 300; one += 1) simulation.arrive();
    expect(simulation.refused).toBe(44);
    simulation.run(2, 0, 1_000);
    expect(simulation.arrive()).toBe(true);
  });

  test('takes requests again as soon as the queue has gone', () => {
    const simulation = new Simulation();
    simulation.run(5, 1_000, 100);
    expect(simulation.refused).toBeGreaterThan(0);
    simulation.run(2, 0, 100);
    const { refused } = simulation;
    simulation.run(5, 90, 100);
    expect(simulation.refused).toBe(refused);
  });

  test('counts nobody who waits in a queue of its own', () => {
    const simulation = new Simulation();
    for (let one = 0; one < 200; one += 1) simulation.arrive();
    simulation.now += 10_000;
    expect(simulation.arrive()).toBe(false);
    simulation.elsewhere = 180;
    expect(simulation.arrive()).toBe(true);
  });

  test('of zero is none', () => {
    const simulation = new Simulation({ most: 0 });
    for (let one = 0; one < 10_000; one += 1) simulation.arrive();
    expect(simulation.refused).toBe(0);
  });
});
