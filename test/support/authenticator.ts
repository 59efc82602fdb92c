import { TOTP, URI } from 'otpauth';
import { type Api, bearer } from './api.ts';
import { expectStatus, type SignedUp, signUpAndIn, type TestService } from './test-service.ts';

export const STEP_MS = 30_000;

/** An authenticator app, with a clock of its own if need be. */
export class Authenticator {
  readonly #totp: TOTP;
  readonly #clock: { now(): Date };

  constructor(uri: string, clock: { now(): Date }) {
    const parsed = URI.parse(uri);
    if (!(parsed instanceof TOTP)) throw new Error(`${uri} is not of TOTP`);
    this.#totp = parsed;
    this.#clock = clock;
  }

  /** What it shows now. @param steps - so many steps later, or earlier if negative */
  code(steps = 0): string {
    const timestamp = this.#clock.now().getTime() + steps * STEP_MS;
    return this.#totp.generate({ timestamp });
  }

  /** Six digits that no step near now has. */
  wrongCode(): string {
    const near = new Set(Array.from({ length: 21 }, (_, at) => this.code(at - 10)));
    let wrong = 700_000;
    while (near.has(String(wrong))) wrong += 1;
    return String(wrong);
  }
}

/** Somebody with a second factor. */
export interface Enrolled extends SignedUp {
  app: Authenticator;
  recoveryCodes: string[];
}

/**
 * Signs up, signs in, and sets up an authenticator app. Its first code has been used up, and the clock moved on to the
 * next.
 */
export async function enrolled(
  service: TestService,
  api: Api,
  overrides: Parameters<typeof signUpAndIn>[1] = {},
): Promise<Enrolled> {
  const person = await signUpAndIn(service, overrides);
  const { password: current_password } = person.signUp;
  const options = bearer(person.tokens);
  const begun = expectStatus(await api.beginTotp({ current_password }, options), 200).json();
  const app = new Authenticator(begun.otpauth_uri, service.clock);
  const confirmed = expectStatus(await api.confirmTotp({ code: app.code() }, options), 200);
  service.clock.advance(STEP_MS);
  return { ...person, app, recoveryCodes: confirmed.json().recovery_codes };
}
