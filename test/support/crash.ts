import type { FaultInjector, FaultPoint } from '../../src/tenants/lifecycle/fault-points.ts';
import type { AroundCall } from './intercepted-client.ts';

/** Where an instance is stopped: at a fault point, or when the database has answered its n-th call, counted from 1. */
export type Instant = { point: FaultPoint; visit?: number } | { reply: number };

/** How far an operation came. */
export type Course<T> =
  | { kind: 'ended'; result: T }
  | {
      kind: 'stopped';
      /** Lets the instance go on where it stopped, and gives the operation's result. */
      wakeUp: () => Promise<T>;
      /** Lets it go on to another instant. */
      goOn: (to: Instant) => Promise<Course<T>>;
    };

/**
 * Stops one instance of the service in this process, as `kill -9` or SIGSTOP would. From that instant on none of its calls
 * reaches the database and no reply reaches it: the operation under way does not go on, nothing undoes it, and its lease
 * is not renewed. The instance goes on if it is told to, like a process that was paused.
 */
export class Stopper {
  #instant: { point?: FaultPoint; visit?: number; reply?: number } = {};
  #replies = 0;
  #visits = 0;
  #reached = Promise.withResolvers<void>();
  #wakeUp: PromiseWithResolvers<void> | undefined;
  #running: Promise<unknown> = Promise.resolve();

  /** For `ServiceSources.faults` of the instance. */
  readonly faults: FaultInjector = async (point) => {
    if (point === this.#instant.point) {
      this.#visits += 1;
      if (this.#visits === (this.#instant.visit ?? 1)) this.#stop();
    }
    await this.#wakeUp?.promise;
  };

  /** For the client of the instance. */
  readonly around: AroundCall = async (call) => {
    await this.#wakeUp?.promise;
    const [outcome] = await Promise.allSettled([call()]);
    this.#replies += 1;
    if (this.#replies === this.#instant.reply) this.#stop();
    await this.#wakeUp?.promise;
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  };

  /** Runs an operation until the instance reaches an instant, or the operation its end. */
  during<T>(instant: Instant, operation: () => Promise<T>): Promise<Course<T>> {
    this.#aim(instant);
    const running = operation();
    this.#running = running;
    return this.#course(running);
  }

  /** Lets a stopped instance go on, and waits for the end of what it was doing. */
  async release(): Promise<void> {
    this.#goOn();
    await Promise.allSettled([this.#running]);
  }

  async #course<T>(running: Promise<T>): Promise<Course<T>> {
    const stopped = {
      kind: 'stopped' as const,
      wakeUp: () => {
        this.#goOn();
        return running;
      },
      goOn: (to: Instant) => {
        this.#aim(to);
        this.#goOn();
        return this.#course(running);
      },
    };
    const course = await Promise.race([
      running.then((result) => ({ kind: 'ended' as const, result })),
      this.#reached.promise.then(() => stopped),
    ]);
    this.#instant = {};
    return course;
  }

  #aim(instant: Instant): void {
    this.#instant = instant;
    this.#replies = 0;
    this.#visits = 0;
    this.#reached = Promise.withResolvers();
  }

  #stop(): void {
    this.#instant = {};
    this.#wakeUp = Promise.withResolvers();
    this.#reached.resolve();
  }

  #goOn(): void {
    this.#wakeUp?.resolve();
    this.#wakeUp = undefined;
  }
}
