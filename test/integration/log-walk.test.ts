import { ObjectId } from 'mongodb';
import pino from 'pino';
import { expect, test } from 'vitest';
import { bearer } from '../support/api.ts';
import { makeKey, withKey } from '../support/api-keys.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

/**
 * Calls every operation of the service's own document, a new one by itself, with secrets wherever a client could put one, and
 * looks for each of them in the log at its finest level.
 */

interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  examples?: unknown[];
}

interface Operation {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  body: Schema | undefined;
}

/** What a secret is called, in requests and in answers. */
const SECRET_NAME = /password|token|secret|otpauth|recovery|^code$|^key$/;
const SHORTEST_SECRET = 16;

/** Ends the session or the organization, so it comes last. */
const ENDINGS = [
  '/org/delete',
  '/org/leave',
  '/admin/logout',
  '/admin/sessions',
  '/admin/password',
];

class Walk {
  readonly #service: TestService;
  readonly #lines: string[];
  readonly #secrets = new Set<string>();
  #count = 0;

  constructor(service: TestService, lines: string[]) {
    this.#service = service;
    this.#lines = lines;
  }

  /** A new secret, fit for a password and for a bearer token. */
  secret(): string {
    this.#count += 1;
    const secret = `hunter2-${this.#count}-${'x'.repeat(SHORTEST_SECRET)}`;
    this.#secrets.add(secret);
    return secret;
  }

  async operations(): Promise<Operation[]> {
    const { paths, components } = expectStatus(
      await this.#service.app.inject({ url: '/openapi.json' }),
      200,
    ).json();
    const resolve = (schema: Schema | undefined): Schema | undefined =>
      schema?.$ref === undefined
        ? schema
        : resolve(components.schemas[schema.$ref.split('/').at(-1) ?? '']);
    const all = Object.entries<
      Record<string, { requestBody?: { content: object }; responses: object }>
    >(paths).flatMap(([path, item]) =>
      Object.entries(item).flatMap(([method, { requestBody, responses }]) => {
        // Does not end, so there is nothing to wait for.
        if (JSON.stringify(responses).includes('text/event-stream')) return [];
        const [content] = Object.values(requestBody?.content ?? {}) as { schema: Schema }[];
        return {
          ...{ path, method: method.toUpperCase() as Operation['method'] },
          body: resolve(content?.schema),
        };
      }),
    );
    const rank = ({ path }: Operation) => ENDINGS.filter((end) => path.startsWith(end)).length;
    return all.sort((one, other) => rank(one) - rank(other));
  }

  /** What the schema describes, with a secret for every text that is called like one, or has no example. */
  example(schema: Schema | undefined, name = ''): unknown {
    if (schema === undefined) return undefined;
    const { properties, items, anyOf, enum: options, const: only, examples, type } = schema;
    if (SECRET_NAME.test(name) && (type === 'string' || type === undefined)) return this.secret();
    if (only !== undefined) return only;
    if (options !== undefined) return options[0];
    if (examples !== undefined) return examples[0];
    if (anyOf !== undefined) return this.example(anyOf[0], name);
    if (properties !== undefined)
      return Object.fromEntries(
        Object.entries(properties).map(([key, one]) => [key, this.example(one, key)]),
      );
    if (items !== undefined) return [this.example(items, name)];
    return type === 'string' || type === undefined ? this.secret() : null;
  }

  /** Calls it rightly, or as rightly as it can be told from the document. */
  async call(operation: Operation, headers: Record<string, string>, body: unknown, tail = '') {
    const { method, path } = operation;
    const url = path.replace(/\{\w+\}/g, new ObjectId().toHexString()) + tail;
    const id = `walk-${this.#lines.length}`;
    const isText = typeof body === 'string';
    const answer = await this.#service.app.inject({
      ...{ method, url },
      headers: {
        ...{ 'x-request-id': id, ...headers },
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { payload: isText ? body : JSON.stringify(body) }),
    });
    const isData = answer.statusCode < 300 && /json/.test(String(answer.headers['content-type']));
    if (isData) this.learn(answer.json());
    return { answer, id };
  }

  /** Remembers the secrets that were given out. */
  learn(value: unknown, name = ''): void {
    if (typeof value === 'string') {
      if (SECRET_NAME.test(name) && value.length >= SHORTEST_SECRET) this.#secrets.add(value);
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    for (const [key, one] of Object.entries(value))
      this.learn(one, Array.isArray(value) ? name : key);
  }

  /** @returns the secrets that the log holds */
  leaked(): string[] {
    const log = this.#lines.join('');
    return [...this.#secrets].filter((secret) => log.includes(secret));
  }

  get secrets(): number {
    return this.#secrets.size;
  }

  /** The line that ends the request. */
  lineOf(id: string) {
    const found = this.#lines
      .map((line) => JSON.parse(line))
      .find(({ request_id, status }) => request_id === id && status !== undefined);
    return found ?? {};
  }
}

async function everyWay(walk: Walk, operation: Operation, auth: Record<string, string>) {
  const body = () => walk.example(operation.body);
  const right = await walk.call(operation, auth, body());
  // As somebody else would, or somebody who takes one field for another.
  await walk.call(operation, {}, body());
  await walk.call(operation, { authorization: `Bearer ${walk.secret()}` }, body());
  await walk.call(
    operation,
    { authorization: `Basic ${walk.secret()}`, cookie: walk.secret() },
    body(),
  );
  await walk.call(operation, { ...auth, 'idempotency-key': walk.secret() }, body());
  await walk.call(operation, auth, { [walk.secret()]: walk.secret(), nested: [walk.secret()] });
  await walk.call(operation, auth, `{"password":"${walk.secret()}`);
  await walk.call(operation, auth, body(), `?token=${walk.secret()}&${walk.secret()}=1`);
  await walk.call(operation, auth, body(), `/${walk.secret()}`);
  await walk.call(operation, auth, body(), `?token=${walk.secret()}%zz`);
  return right;
}

function idsOf({ organization, auth }: SignedUp) {
  const [, payload = ''] = auth.authorization.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  return { organization_id: organization.id, admin_id: claims.admin_id };
}

test('the log of a walk over every operation holds no secret, and says who asked for what', async () => {
  const lines: string[] = [];
  const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  await using service = await startTestService({ logger });
  const walk = new Walk(service, lines);
  const password = walk.secret();
  const acme = await signUpAndIn(service, { password });
  walk.learn(acme.tokens);
  const key = await makeKey(service, acme.auth, ['org:read']);
  walk.learn(key);
  const operations = await walk.operations();
  expect(operations.length).toBeGreaterThan(30);
  for (const operation of operations) {
    const { answer, id } = await everyWay(walk, operation, acme.auth);
    const line = walk.lineOf(id);
    expect.soft(line, `${operation.method} ${operation.path}`).toMatchObject({
      method: operation.method,
      path: operation.path.replace(/\{(\w+)\}/g, ':$1'),
      status: answer.statusCode,
    });
    const isWatched = operation.path.startsWith('/health');
    expect.soft(line.level).toBe(isWatched ? 20 : 30);
    if (answer.statusCode >= 400) expect.soft(line.code).toBe(answer.json().code);
    // Whoever was let in is named; nobody is on public routes.
    if (line.organization_id !== undefined) expect.soft(line).toMatchObject(idsOf(acme));
  }
  await service.services.mailTasks.idle();

  const me = operations.find(({ path }) => path === '/admin/organizations');
  const members = operations.find(({ method, path }) => `${method} ${path}` === 'GET /org/members');
  if (me === undefined || members === undefined) throw new Error('no such operation');
  const other = await signUpAndIn(service);
  const { id } = await walk.call(me, bearer(other.tokens).headers, undefined);
  expect(walk.lineOf(id)).toMatchObject({ status: 200, request_id: id, ...idsOf(other) });
  const otherKey = await makeKey(service, other.auth, ['member:read']);
  const asked = await walk.call(members, withKey(otherKey), undefined);
  expect(walk.lineOf(asked.id)).toMatchObject({ status: 200, api_key_id: otherKey.id });

  expect(walk.secrets).toBeGreaterThan(10 * operations.length);
  expect(walk.leaked()).toEqual([]);
  const log = lines.join('');
  for (const secret of [service.settings.jwtSecret, '$2b$', 'hunter2'])
    expect(log).not.toContain(secret);
});
