import type { LightMyRequestResponse } from 'fastify';
import { Authenticator, STEP_MS } from './authenticator.ts';
import { expectStatus, type TestService } from './test-service.ts';

const PASSWORD = 'a passphrase of grace';
let made = 0;

/** An operator who is signed in. */
export interface TestOperator {
  email: string;
  password: string;
  tokens: { access_token: string; refresh_token: string };
  auth: { authorization: string };
}

type Service = Pick<TestService, 'app' | 'services'>;
type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** A request of an operator; with a body only if one is given. */
export function ask(
  { app }: Pick<TestService, 'app'>,
  method: Method,
  url: string,
  auth?: { authorization: string },
  body?: unknown,
): Promise<LightMyRequestResponse> {
  const withBody = body !== undefined;
  return app.inject({
    ...{ method, url },
    headers: { ...auth, ...(withBody && { 'content-type': 'application/json' }) },
    ...(withBody && { payload: JSON.stringify(body) }),
  });
}

export function operatorLogin(service: Pick<TestService, 'app'>, body: unknown) {
  return ask(service, 'POST', '/operator/login', undefined, body);
}

/** Makes an operator of an own address and signs them in. */
export async function anOperator(service: Service): Promise<TestOperator> {
  made += 1;
  const credentials = { email: `grace-${process.pid}-${made}@ops.example`, password: PASSWORD };
  await service.services.operatorAccounts.create(credentials);
  return { ...credentials, ...(await signInOperator(service, credentials)) };
}

export async function signInOperator(
  service: Pick<TestService, 'app'>,
  credentials: { email: string; password: string; code?: string },
) {
  const tokens = expectStatus(await operatorLogin(service, credentials), 200).json();
  return { tokens, auth: { authorization: `Bearer ${tokens.access_token}` } };
}

/** Gives an operator a second factor. Its first code has been used up, and the clock moved on to the next. */
export async function enrolOperator(service: TestService, { auth, password }: TestOperator) {
  const begun = await ask(service, 'POST', '/operator/mfa/totp', auth, {
    current_password: password,
  });
  const app = new Authenticator(expectStatus(begun, 200).json().otpauth_uri, service.clock);
  const confirmed = await ask(service, 'POST', '/operator/mfa/totp/confirm', auth, {
    code: app.code(),
  });
  service.clock.advance(STEP_MS);
  return { app, recoveryCodes: expectStatus(confirmed, 200).json().recovery_codes as string[] };
}
