import type { CommandStartedEvent } from 'mongodb';
import type { FaultInjector } from '../../../src/tenants/lifecycle/fault-points.ts';
import type { Fault, FaultPlace } from './service-protocol.ts';

/** Kills, stops or holds at the place that was armed, once. */
export class FaultTrigger {
  #armed: Fault | undefined;
  #remaining = 0;
  #reached = false;
  #gate = Promise.withResolvers<void>();

  arm(fault: Fault): void {
    this.#armed = fault;
    this.#remaining = fault.place.hit;
    this.#reached = false;
  }

  disarm(): void {
    this.#armed = undefined;
  }

  /** Whether the place that was armed last was reached. */
  get reached(): boolean {
    return this.#reached;
  }

  /** Lets all that is held go on. */
  release(): void {
    this.#gate.resolve();
    this.#gate = Promise.withResolvers();
  }

  /** For the services' fault points. */
  readonly faults: FaultInjector = async (point) => {
    const effect = this.#arriveAt((place) => 'point' in place && place.point === point);
    if (effect === 'hold') await this.#gate.promise;
    else this.#cause(effect);
  };

  /** For the driver's event of that name: it is emitted right before a command is written to the socket. */
  readonly commandStarted = ({ commandName }: CommandStartedEvent): void => {
    this.#cause(
      this.#arriveAt(
        (place) => 'command' in place && (place.command === null || place.command === commandName),
      ),
    );
  };

  #cause(effect: Fault['effect'] | undefined): void {
    if (effect === undefined) return;
    if (effect === 'hold') throw new Error('a command cannot be held');
    if (effect === 'release') this.release();
    // Takes effect before the call returns: nothing after it happens before the process goes on.
    else process.kill(process.pid, effect);
  }

  #arriveAt(isHere: (place: FaultPlace) => boolean): Fault['effect'] | undefined {
    const armed = this.#armed;
    if (armed === undefined || !isHere(armed.place)) return undefined;
    this.#remaining -= 1;
    if (this.#remaining > 0) return undefined;
    this.#armed = undefined;
    this.#reached = true;
    return armed.effect;
  }
}
