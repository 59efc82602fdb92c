import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { confirmEmail, me, reset } from '../support/account-links.ts';
import { type Api, apiOf, bearer } from '../support/api.ts';
import { deleteKey, listKeys, postKey } from '../support/api-keys.ts';
import { enrolled } from '../support/authenticator.ts';
import {
  accept,
  invitationsOf,
  invite,
  lookUp,
  resend,
  somebodyNew,
} from '../support/invitations.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import { type Records, recordsOf } from '../support/records.ts';
import {
  deleteIndex,
  getIndexes,
  getSchema,
  getUsage,
  postIndex,
  putSchema,
} from '../support/structure.ts';
import {
  expectStatus,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';
import { keySet, makeKey } from '../support/tokens.ts';

/** A JSON object of the document; what is in it is asserted, not assumed. */
interface Node {
  [key: string]: unknown;
}

interface Operation extends Node {
  path: string;
  method: string;
  responses: Record<
    string,
    { description: string; content?: Record<string, { schema: Node }>; headers?: Node }
  >;
}

/** What tells more by its status than that it went well. */
const SEVERAL_SUCCESSES: Record<string, string[]> = {
  'put /org/records/{id}': ['200', '201'],
  'post /org/indexes': ['200', '201', '202'],
};

let service: TestService;
let api: Api;
let document: Node;
let operations: Operation[];
beforeAll(async () => {
  service = await startTestService();
  api = apiOf(service);
  document = expectStatus(await service.app.inject({ url: '/openapi.json' }), 200).json();
  operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
    ([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ ...operation, path, method })),
  );
});
afterAll(() => service[Symbol.asyncDispose]());

function operationAt(method: string, path: string): Operation {
  const found = operations.find((one) => one.method === method && one.path === path);
  if (found === undefined) throw new Error(`no ${method} ${path} in the document`);
  return found;
}

/** Every object in the document, with its JSON Pointer. */
function* nodes(value: unknown, pointer = '#'): Generator<[string, Node]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [pointer, value as Node];
  for (const [key, inner] of Object.entries(value))
    yield* nodes(inner, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
}

function resolve(pointer: string): unknown {
  const keys = pointer.split('/').slice(1);
  const plain = (key: string) => key.replaceAll('~1', '/').replaceAll('~0', '~');
  return keys.reduce<unknown>((node, key) => (node as Node | undefined)?.[plain(key)], document);
}

describe('the document', () => {
  test('is OpenAPI 3.1 and says what it describes', () => {
    expect(document).toMatchObject({
      openapi: '3.1.0',
      info: {
        title: 'Tenantry',
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        description: expect.stringMatching(/./),
        license: { identifier: 'Apache-2.0' },
      },
    });
  });

  test('has every operation of the contract', () => {
    expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
      [
        'delete /admin/sessions',
        'delete /admin/sessions/{id}',
        'delete /admin/mfa/totp',
        'delete /org/api-keys/{id}',
        'delete /org/delete',
        'delete /org/indexes/{name}',
        'delete /org/invitations/{id}',
        'delete /org/members/{admin_id}',
        'delete /org/records/{id}',
        'delete /org/roles/{name}',
        'delete /org/schema',
        'get /admin/me',
        'get /admin/organizations',
        'get /admin/sessions',
        'get /org/api-keys',
        'get /org/indexes',
        'get /org/invitations',
        'get /org/members',
        'get /org/records',
        'get /org/records/changes',
        'get /org/records/count',
        'get /org/records/{id}',
        'get /org/records/export',
        'get /org/roles',
        'get /org/schema',
        'get /org/usage',
        'patch /admin/me',
        'patch /org/members/{admin_id}',
        'patch /org/records/{id}',
        'post /admin/email/confirm',
        'post /admin/password/forgot',
        'post /admin/password/reset',
        'post /admin/switch',
        'post /org/api-keys',
        'post /invitations/accept',
        'post /invitations/lookup',
        'post /org/indexes',
        'post /org/invitations',
        'post /org/invitations/{id}/resend',
        'post /org/leave',
        'post /org/records',
        'post /org/records/batch',
        'post /org/records/query',
        'post /org/records/import',
        'post /org/roles',
        'post /org/transfer',
        'put /org/records/{id}',
        'put /org/roles/{name}',
        'put /org/schema',
        'get /.well-known/jwks.json',
        'get /health/live',
        'get /health/ready',
        'get /org/get',
        'post /admin/login',
        'post /admin/logout',
        'post /admin/mfa/recovery-codes',
        'post /admin/mfa/totp',
        'post /admin/mfa/totp/confirm',
        'post /admin/refresh',
        'post /org/create',
        'delete /orgs/{id}',
        'get /operations',
        'get /orgs',
        'get /orgs/{id}',
        'patch /orgs/{id}',
        'post /orgs/{id}/restore',
        'post /orgs/{id}/resume',
        'post /orgs/{id}/suspend',
        'delete /operator/mfa/totp',
        'get /operator/me',
        'patch /operator/me',
        'post /operator/login',
        'post /operator/logout',
        'post /operator/mfa/recovery-codes',
        'post /operator/mfa/totp',
        'post /operator/mfa/totp/confirm',
        'post /operator/refresh',
        'put /org/update',
      ].sort(),
    );
  });

  test('has no reference that leads nowhere', () => {
    const references = [...nodes(document)].flatMap(([at, { $ref }]) =>
      typeof $ref === 'string' ? [{ at, $ref }] : [],
    );
    expect(references.length).toBeGreaterThan(0);
    expect(references.filter(({ $ref }) => resolve($ref) === undefined)).toEqual([]);
  });

  test('says of every operation what it does, and names each once', () => {
    for (const operation of operations)
      expect.soft(operation, `${operation.method} ${operation.path}`).toMatchObject({
        operationId: expect.stringMatching(/^[a-z]\w+$/),
        summary: expect.stringMatching(/^[A-Z].*[^.]$/),
        description: expect.stringMatching(/^[A-Z].*\.$/s),
        tags: [expect.stringMatching(/^[A-Z]/)],
      });
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const tags = (document.tags as { name: string }[]).map(({ name }) => name);
    expect(tags).toEqual(expect.arrayContaining(operations.flatMap((one) => one.tags)));
  });

  test('describes every response in words of its own', () => {
    for (const { method, path, responses } of operations)
      for (const [status, { description }] of Object.entries(responses))
        expect
          .soft(description, `${method} ${path} ${status}`)
          .not.toMatch(/^Default Response$|^$/);
  });

  test('gives an example of everything that is sent or answered', () => {
    const lacking = [...nodes(document.paths), ...nodes(document.components)].filter(
      ([, { type, enum: options, const: only, examples, example, format }]) =>
        ['string', 'integer', 'number'].includes(String(type)) &&
        format !== 'date-time' &&
        [options, only, examples, example].every((one) => one === undefined),
    );
    // The schema of a parameter has its example beside it.
    const inParameters = /\/parameters\/\d+\/schema$/;
    expect(lacking.map(([at]) => at).filter((at) => !inParameters.test(at))).toEqual([]);
  });

  test('lists of every operation the statuses that its kind can have', () => {
    for (const operation of operations) {
      const { path, method, responses, requestBody, security } = operation;
      const expected = ['400', '503'];
      if (!path.startsWith('/health')) expected.push('500');
      if (requestBody !== undefined) expected.push('413', '415', '422');
      if (Array.isArray(security) && security.length > 0) expected.push('401', '403');
      if (/create|update|delete/.test(path)) expected.push('409');
      if (/get|update|delete|login/.test(path)) expected.push('404');
      if (/create|login|refresh/.test(path)) expected.push('429');
      const listed = Object.keys(responses);
      if (path === '/health/live') expected.splice(expected.indexOf('503'), 1);
      expect.soft(listed, `${method} ${path}`).toEqual(expect.arrayContaining(expected));
      const successes = SEVERAL_SUCCESSES[`${method} ${path}`] ?? [expect.any(String)];
      expect.soft(listed.filter((status) => status.startsWith('2'))).toEqual(successes);
    }
  });

  test('documents the headers of limited routes on every answer, and when to come back', () => {
    const limited = operations.filter(({ responses }) => '429' in responses);
    expect(limited.length).toBeGreaterThanOrEqual(3);
    for (const { responses } of limited) {
      for (const { headers } of Object.values(responses))
        expect(headers).toMatchObject({
          'RateLimit-Policy': { schema: { type: 'string' } },
          RateLimit: { schema: { type: 'string' } },
        });
      expect(responses[429]?.headers).toHaveProperty('Retry-After');
    }
    expect(operationAt('post', '/admin/logout').responses[204]).not.toHaveProperty('headers');
  });

  test('answers problems as problem details', () => {
    for (const { path, responses } of operations)
      for (const [status, { content }] of Object.entries(responses))
        if (Number(status) >= 400 && !path.startsWith('/health/ready'))
          expect(content).toEqual({
            'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
          });
  });

  test('says which operations need a token, and how to get one', () => {
    const both = [{ bearer: [] }, { password: [] }];
    for (const [method, path] of [
      ['put', '/org/update'],
      ['delete', '/org/delete'],
      ['post', '/admin/logout'],
      ['post', '/admin/mfa/totp'],
      ['post', '/admin/mfa/totp/confirm'],
      ['delete', '/admin/mfa/totp'],
      ['post', '/admin/mfa/recovery-codes'],
    ] as const)
      expect(operationAt(method, path).security).toEqual(both);
    expect(operationAt('get', '/org/get').security).toEqual([{}, ...both]);
    for (const path of ['/org/create', '/admin/login', '/admin/refresh'])
      expect(operationAt('post', path).security ?? document.security).toEqual([]);
    expect(document.components).toMatchObject({
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        password: { type: 'oauth2', flows: { password: { tokenUrl: '/admin/login' } } },
      },
    });
  });
});

test('no list is compared with itself item by item: 160,000 items took 22 seconds', () => {
  const compared = [...nodes(document)].filter(([, { uniqueItems }]) => uniqueItems === true);
  expect(compared.map(([at]) => at)).toEqual([]);
});

describe('the answers', () => {
  let ajv: Ajv2020;
  beforeAll(() => {
    ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats.default(ajv);
    ajv.addSchema({ ...document, $id: 'document' });
  });

  function validatorOf(method: string, path: string, status: number): ValidateFunction {
    const { responses } = operationAt(method, path);
    const [type = ''] = Object.keys(responses[status]?.content ?? {});
    const pointer = ['paths', path, method, 'responses', String(status), 'content', type, 'schema']
      .map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1')))
      .join('/');
    return ajv.compile({ $ref: `document#/${pointer}` });
  }

  type Answer = readonly [method: string, path: string, response: LightMyRequestResponse];

  function expectAsDocumented([method, path, response]: Answer): void {
    const validate = validatorOf(method, path, response.statusCode);
    validate(response.json());
    expect.soft(validate.errors, `${method} ${path} ${response.statusCode}`).toBeNull();
  }

  async function recordAnswers(records: Records): Promise<Answer[]> {
    const one = '/org/records/{id}';
    const batch = {
      operations: [
        { op: 'insert', record: { _id: 'y' } },
        { op: 'delete', id: 'z' },
      ],
    };
    return [
      ['post', '/org/records', await records.create({ _id: 'x', born: new Date() })],
      ['post', '/org/records', await records.create({ _id: 'x' })],
      ['get', one, await records.get('x')],
      ['get', one, await records.get('z')],
      ['put', one, await records.put('x', { n: 1 })],
      ['put', one, await records.put('new', {}, { 'if-none-match': '*' })],
      ['patch', one, await records.patch('x', { n: 2 }, { 'if-match': '"x"' })],
      ['patch', one, await records.patch('x', { n: 2 })],
      ['get', '/org/records', await records.list({ sort: '-n', limit: '1' })],
      ['post', '/org/records/query', await records.query({ filter: { $where: '1' } })],
      ['get', '/org/records/count', await records.count()],
      ['post', '/org/records/batch', await records.batch(batch)],
    ];
  }

  test('are what the document says', async () => {
    const signingKeys = keySet(makeKey('ES256').privatePem, makeKey('EdDSA').privatePem);
    await using keyed = await startTestService({ settings: { signingKeys } });
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const { headers } = { headers: acme.auth };
    const name = acme.organization.organization_name;
    const changed = { metadata: { a: [1] }, external_id: 'x-1' };
    const keyBody = { name: 'A key', permissions: ['org:read'], expires_at: null };
    const guest = somebodyNew();
    const invited = await invite(service, acme.auth, { email: guest, role: 'viewer' });
    const invitationToken = () => tokenIn(service.mails.to(guest));
    const answers = [
      ['get', '/health/live', await service.app.inject({ url: '/health/live' })],
      ['get', '/health/ready', await service.app.inject({ url: '/health/ready' })],
      ['get', '/.well-known/jwks.json', await keyed.app.inject({ url: '/.well-known/jwks.json' })],
      ['post', '/org/create', await api.create(someSignUp())],
      ['post', '/org/create', await api.create(acme.signUp)],
      ['post', '/org/create', await api.create({})],
      ['get', '/org/get', await api.get(name)],
      ['get', '/org/get', await api.get(name, { headers })],
      ['get', '/org/get', await api.get()],
      ['put', '/org/update', await api.update(changed, { headers })],
      ['put', '/org/update', await api.update({ external_id: null }, { headers })],
      ['put', '/org/update', await api.update({})],
      ['post', '/admin/login', await api.login({ email, password })],
      ['post', '/admin/login', await api.login({ email, password: 'wrong' })],
      ['post', '/admin/refresh', await api.refresh(acme.tokens.refresh_token)],
      ['post', '/admin/refresh', await api.refresh('x')],
      ['post', '/org/api-keys', await postKey(service, headers, { name: 'A key' })],
      ['post', '/org/api-keys', await postKey(service, headers, keyBody)],
      ['get', '/org/api-keys', await listKeys(service, headers)],
      ['delete', '/org/api-keys/{id}', await deleteKey(service, headers, acme.organization.id)],
      ['post', '/org/invitations', invited],
      ['get', '/org/invitations', await invitationsOf(service, acme.auth)],
      ['post', '/org/invitations/{id}/resend', await resend(service, acme.auth, invited.json().id)],
      ['post', '/invitations/lookup', await lookUp(service, { token: invitationToken() })],
      ['post', '/invitations/lookup', await lookUp(service, { token: 'x' })],
      [
        'post',
        '/invitations/accept',
        await accept(service, { token: invitationToken(), password }),
      ],
      ['post', '/admin/password/reset', await reset(service, { token: 'x', password })],
      ['post', '/admin/email/confirm', await confirmEmail(service, { token: 'x' })],
      ['get', '/org/schema', await getSchema(service, acme)],
      ['put', '/org/schema', await putSchema(service, acme, { required: ['email'] })],
      ['put', '/org/schema', await putSchema(service, acme, { required: [] })],
      ['get', '/org/schema', await getSchema(service, acme)],
      ['post', '/org/indexes', await postIndex(service, acme, { fields: [{ field: 'a' }] })],
      ['post', '/org/indexes', await postIndex(service, acme, { fields: [{ field: 'a' }] })],
      ['post', '/org/indexes', await postIndex(service, acme, { fields: [] })],
      ['get', '/org/indexes', await getIndexes(service, acme)],
      ['delete', '/org/indexes/{name}', await deleteIndex(service, acme, 'none')],
      ['get', '/org/usage', await getUsage(service, acme)],
      ['get', '/admin/me', await me(service, acme.auth)],
      ...(await recordAnswers(recordsOf(service, acme.auth))),
      ['delete', '/org/delete', await api.remove({ headers })],
      ['delete', '/org/delete', await api.remove({ headers })],
    ] as const;
    for (const answer of answers) expectAsDocumented(answer);
  });

  test('about a second factor are what the document says', async () => {
    const ada = await signUpAndIn(service);
    const bob = await enrolled(service, api);
    const [first, second] = bob.recoveryCodes;
    const { password: current_password } = bob.signUp;
    const [asAda, asBob] = [bearer(ada.tokens), bearer(bob.tokens)];
    const totp = '/admin/mfa/totp';
    const recovery = '/admin/mfa/recovery-codes';
    const signUp = someSignUp({ email: bob.signUp.email, password: current_password });
    const answers = [
      ['post', '/admin/login', await api.login(bob.signUp)],
      ['post', '/org/create', await api.create(signUp)],
      ['post', totp, await api.beginTotp({ current_password }, asAda)],
      ['post', totp, await api.beginTotp({ current_password }, asBob)],
      ['post', totp, await api.beginTotp({ current_password: 'wrong' }, asAda)],
      ['post', `${totp}/confirm`, await api.confirmTotp({ code: '1' }, asAda)],
      ['post', `${totp}/confirm`, await api.confirmTotp({ code: '123456' }, asBob)],
      ['post', recovery, await api.replaceRecoveryCodes({ current_password, code: first }, asBob)],
      ['post', recovery, await api.replaceRecoveryCodes({ current_password, code: second }, asBob)],
      ['delete', totp, await api.removeTotp({ current_password, code: first }, asAda)],
      ['delete', totp, await api.removeTotp({ current_password, code: first }, {})],
    ] as const;
    expect(answers.map(([, , { statusCode }]) => statusCode)).toEqual([
      401, 401, 200, 409, 422, 422, 409, 200, 422, 409, 401,
    ]);
    for (const answer of answers) expectAsDocumented(answer);
  });
});

describe('Swagger UI', () => {
  test('is served whole by the service itself, under its own policy', async () => {
    const page = expectStatus(await service.app.inject({ url: '/docs' }), 200);
    expect(page.headers['content-type']).toMatch(/^text\/html/);
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toMatch(/script-src 'self'/);
    // Over plain http, by an address that is not loopback, it would leave the page blank.
    expect(policy).not.toContain('upgrade-insecure-requests');
    const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) =>
      String(link),
    );
    expect(links.length).toBeGreaterThan(3);
    for (const link of links) {
      const { pathname, host } = new URL(link, 'http://service.example/docs');
      expect(host).toBe('service.example');
      const file = await service.app.inject({ url: pathname });
      expect(file.statusCode, pathname).toBe(200);
    }
  });

  test('is where the root leads', async () => {
    const response = expectStatus(await service.app.inject({ url: '/' }), 302);
    expect(response.headers.location).toBe('/docs');
  });
});
