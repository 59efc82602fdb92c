import type { SettingFault } from './config-error.ts';

/** The variables that settings are read from. A variable that is empty counts as not set. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A whole number's limits, both included, and what it is when not set. */
export interface IntegerRule {
  readonly min: number;
  readonly max: number;
  readonly fallback: number;
}

/**
 * Reads settings and collects their faults instead of stopping at the first. After a fault it returns the fallback, so
 * that reading goes on; what was read is of use only while {@link faults} is empty.
 */
export class SettingReader {
  readonly faults: SettingFault[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  fault(name: string, message: string): void {
    this.faults.push({ name, message });
  }

  text(name: string): string | undefined {
    return this.#environment[name] || undefined;
  }

  /** @param check - returns what is wrong with a value ("must …"), or `undefined` */
  checked(name: string, check: (value: string) => string | undefined): string | undefined {
    const value = this.text(name);
    const message = value === undefined ? undefined : check(value);
    if (value === undefined || message === undefined) return value;
    this.fault(name, `${message}, not ${quote(value)}`);
    return undefined;
  }

  choice<T extends string>(name: string, allowed: readonly T[], fallback: T): T {
    const value = this.checked(name, (it) =>
      allowed.some((one) => one === it) ? undefined : `must be one of ${allowed.join(', ')}`,
    );
    return allowed.find((one) => one === value) ?? fallback;
  }

  /** Decimal digits only: "1e3", "0x50", "080" and " 80" are typing errors rather than numbers. */
  integer(name: string, { min, max, fallback }: IntegerRule): number {
    const value = this.checked(name, (it) =>
      /^(?:0|[1-9]\d{0,14})$/.test(it) && Number(it) >= min && Number(it) <= max
        ? undefined
        : `must be a whole number from ${min} to ${max}`,
    );
    return value === undefined ? fallback : Number(value);
  }
}

function quote(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}
