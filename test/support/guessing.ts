import { expectProblem } from './api.ts';
import { post } from './limits.ts';
import { signUpAndIn, type TestService, type TestServiceOptions } from './test-service.ts';

/** What nobody's password is in the tests. */
export const WRONG_PASSWORD = 'not the password';

/** Who signs in. */
export interface Person {
  email: string;
  password: string;
}

let addresses = 0;

/** An address that no test has used before. */
export function someAddress(): string {
  addresses += 1;
  return `198.51.${100 + Math.floor(addresses / 250)}.${addresses % 250}`;
}

/** The settings of another instance with limits on a service's database, at the same time. */
export function sharing({ settings, clock }: TestService): TestServiceOptions {
  return { database: settings.masterDatabase, settings: { rateLimits: true }, clock };
}

/** What owners and attackers do to a service. @param service - asked for at each use, as tests start it late */
export function guessingAt(service: () => TestService) {
  const login = (person: Person, address: string, at = service()) =>
    post(at, '/admin/login', person, address);
  const guess = ({ email }: Pick<Person, 'email'>, address: string, at = service()) =>
    login({ email, password: WRONG_PASSWORD }, address, at);

  async function guessTimes(times: number, person: Pick<Person, 'email'>, address: string) {
    for (let n = 0; n < times; n += 1)
      expectProblem(await guess(person, address), 401, 'invalid_credentials');
  }

  return {
    login,
    guess,
    guessTimes,

    /** Somebody with an account, who has never signed in from anywhere but the tests' own address. */
    async somebody(): Promise<Person> {
      const { email, password } = (await signUpAndIn(service())).signUp;
      return { email, password };
    },

    /** The failures that leave only known devices for a quarter of an hour, each few from another address. */
    async attackFromEverywhere(person: Pick<Person, 'email'>, failures = 30) {
      for (let n = 0; n < failures; n += 5) await guessTimes(5, person, someAddress());
    },
  };
}
