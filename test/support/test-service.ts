import { randomBytes } from 'node:crypto';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import type { Db, MongoClient } from 'mongodb';
import pino from 'pino';
import { inject } from 'vitest';
import { buildApp } from '../../src/app.ts';
import type { Clock } from '../../src/clock.ts';
import type { ServiceSettings, ServiceSources } from '../../src/composition/foundation.ts';
import { createMongoClient } from '../../src/database/mongo-client.ts';
import type { OverloadLimits } from '../../src/http/overload.ts';
import type { TrustedProxies } from '../../src/http/proxies.ts';
import { createServices, type Services } from '../../src/services.ts';

import type { SessionClient } from '../../src/sessions/account-session-store.ts';
import { LogGuard } from './log-guard.ts';
import { RecordingMailer } from './recording-mailer.ts';

/** A clock that tests move. */
export class TestClock implements Clock {
  #now: number;

  constructor(start = new Date()) {
    this.#now = start.getTime();
  }

  now(): Date {
    return new Date(this.#now);
  }

  monotonicMs(): number {
    return this.#now;
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }
}

/** One instance of the service on the project's MongoDB. */
export interface TestService extends AsyncDisposable {
  app: FastifyInstance;
  services: Services;
  client: MongoClient;
  clock: TestClock;
  /** What was sent, unless the test brought a mailer of its own. */
  mails: RecordingMailer;
  /** The master database, which is the tenants' as well: what `mongosh` would show. */
  db: Db;
  settings: ServiceSettings;
}

/** How a test's instance differs. `database` shares one between instances. */
export interface TestServiceOptions extends Partial<ServiceSources> {
  database?: string;
  /** By default the project's MongoDB. */
  mongoUrl?: string;
  settings?: Partial<ServiceSettings>;
  /** Whether to run recovery and build indexes; on by default. */
  start?: boolean;
  /** What the services see of the client, for example through `interceptCalls`. */
  clientView?: (client: MongoClient) => MongoClient;
  /** The proxies that are trusted; by default none. */
  trustProxy?: TrustedProxies;
  /** Opens the metrics. */
  metricsToken?: string;
  /** From where on requests are refused; by default nowhere, since tests share their process and a busy machine. */
  overloadLimits?: OverloadLimits;
  /** Where the services log; by default nowhere, see {@link LogGuard}. */
  logger?: pino.Logger;
}

/** The settings of an instance in tests. @param database - master and tenant database in one */
export function testSettings(database: string): ServiceSettings {
  return {
    masterDatabase: database,
    tenantDatabase: database,
    maxCollections: 9_000,
    jwtSecret: 'a secret of the tests, long enough to sign with',
    issuer: 'tenantry',
    audience: 'tenantry',
    accessTtlSeconds: 3_600,
    refreshTtlSeconds: 30 * 24 * 3_600,
    idleTtlSeconds: 7 * 24 * 3_600,
    bcryptCost: 4,
    publicUrl: 'https://tenantry.example',
    // Of no use to most tests, which have one address and little time.
    rateLimits: false,
  };
}

const NO_LIMITS: OverloadLimits = { requestsAtWork: 0, eventLoopDelayMs: 0, heapShare: 0 };

/** TEST_LOG_LEVEL, for people who look for what is wrong. */
function shownLog(): pino.Logger | undefined {
  const level = process.env.TEST_LOG_LEVEL;
  return level === undefined ? undefined : pino({ level });
}

/**
 * Starts an instance on a database of its own, dropped at the end. Disposing fails if a status was not declared, or if the log
 * holds a secret.
 */
export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const client = createMongoClient(options.mongoUrl ?? inject('mongoUrl'));
  const database = options.database ?? `test_${randomBytes(6).toString('hex')}`;
  const clock = new TestClock();
  const settings = { ...testSettings(database), ...options.settings };
  const guard = new LogGuard();
  const logger = options.logger ?? shownLog() ?? guard.logger;
  const { clientView = (one) => one } = options;
  const mails = new RecordingMailer();
  const sources = { clock, mailer: mails, ...options };
  const services = createServices(clientView(client), settings, logger, sources);
  const undeclared: string[] = [];
  const app = await buildApp(services, {
    logger,
    ...(options.trustProxy !== undefined && { trustProxy: options.trustProxy }),
    metricsToken: options.metricsToken,
    overloadLimits: options.overloadLimits ?? NO_LIMITS,
    onUndeclaredStatus: (route, status) => undeclared.push(`${route} answered ${status}`),
  });
  if (options.start !== false) await services.start();
  await app.ready();
  return {
    ...{ app, services, client, clock, mails, settings },
    db: client.db(database),
    async [Symbol.asyncDispose]() {
      await app.close();
      await services[Symbol.asyncDispose]();
      if (options.database === undefined) await client.db(database).dropDatabase();
      await client.close();
      guard.assertNoSecrets();
      if (undeclared.length > 0) throw new Error(`undeclared statuses: ${undeclared.join(', ')}`);
    },
  };
}

/** Where requests come from that no HTTP client makes. */
export const SOME_CLIENT: SessionClient = { address: '127.0.0.1', user_agent: null };

/** What a person signs up with in tests; every call gives another one. */
export function someSignUp(
  overrides: Partial<Record<'organization_name' | 'email' | 'password', string>> = {},
) {
  const unique = randomBytes(4).toString('hex');
  return {
    organization_name: `Acme ${unique}`,
    email: `ada-${unique}@acme.example`,
    password: 'correct horse battery staple',
    ...overrides,
  };
}

/** An organization that was signed up for, and its owner's token. */
export interface SignedUp {
  signUp: ReturnType<typeof someSignUp>;
  organization: { id: string; organization_name: string; collection_name: string };
  tokens: { access_token: string; refresh_token: string };
  auth: { authorization: string };
}

/** Signs up and signs in. */
export async function signUpAndIn(
  { app }: Pick<TestService, 'app'>,
  overrides: Parameters<typeof someSignUp>[0] = {},
): Promise<SignedUp> {
  const signUp = someSignUp(overrides);
  const created = expectStatus(
    await app.inject({ method: 'POST', url: '/org/create', payload: signUp }),
    201,
  );
  const { email, password, organization_name } = signUp;
  const login = expectStatus(
    await app.inject({
      method: 'POST',
      url: '/admin/login',
      payload: { email, password, organization_name },
    }),
    200,
  );
  const tokens = login.json();
  const auth = { authorization: `Bearer ${tokens.access_token}` };
  return { signUp, organization: created.json(), tokens, auth };
}

/** Fails with the answer's own words unless it has the status. */
export function expectStatus(
  response: LightMyRequestResponse,
  status: number,
): LightMyRequestResponse {
  if (response.statusCode !== status)
    throw new Error(`expected ${status}, got ${response.statusCode}: ${response.body}`);
  return response;
}
