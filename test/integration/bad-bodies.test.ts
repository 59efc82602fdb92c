import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, pathsOf } from '../support/api.ts';
import { changingNothing } from '../support/database-truth.ts';
import { OPERATION_NAMES, operation, senderFor } from '../support/operations.ts';
import {
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const FORM_TYPE = 'application/x-www-form-urlencoded';

let service: TestService;
let acme: SignedUp;
let send: ReturnType<typeof senderFor>;
beforeAll(async () => {
  service = await startTestService();
  acme = await signUpAndIn(service);
  send = senderFor(service, acme);
});
afterAll(() => service[Symbol.asyncDispose]());

describe.each(OPERATION_NAMES)('%s', (name) => {
  const { valid } = operation(name);

  test('refuses unknown fields, and says which', async () => {
    await changingNothing(service.db, async () => {
      const names = ['x', 'Email', '_id', '$where', 'constructor', 'toString', 'a/b~c', ''];
      for (const unknown of names) {
        const body = { ...valid(acme), [unknown]: 1 };
        const problem = expectProblem(await send(name, body), 422, 'validation_failed');
        const path = `/${unknown.replace('~', '~0').replace('/', '~1')}`;
        expect(problem.errors).toEqual([{ path, message: 'is not a known field' }]);
      }
    });
  });

  test('names every field at fault at once, but no thousands of them', async () => {
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`field${n}`, 1]));
    const texts = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`f${n}`, '\0']));
    await changingNothing(service.db, async () => {
      for (const body of [many, texts]) {
        const response = await send(name, body);
        const { errors } = expectProblem(response, 422, 'validation_failed');
        expect(errors).toHaveLength(20);
        expect(response.body.length).toBeLessThan(10_000);
      }
    });
  });

  test('refuses bodies that are no object', async () => {
    await changingNothing(service.db, async () => {
      for (const body of ['null', '[]', '[{}]', '1', '"text"', 'true']) {
        const problem = expectProblem(await send(name, body), 422, 'validation_failed');
        expect(pathsOf(problem)).toEqual(['']);
      }
    });
  });

  test('refuses bodies that are no JSON', async () => {
    const malformed = [
      '{',
      '{}}',
      "{'a':1}",
      '{"a":}',
      '{"a":1,}',
      'undefined',
      '\u{feff}{',
      '<xml/>',
      ' ',
      '{"__proto__":{"admin":true}}',
      '{"a":{"__proto__":1}}',
      '{"constructor":{"prototype":{"admin":true}}}',
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
      Buffer.from('{"a":"\xe9"}', 'latin1'),
      Buffer.from('{"a":1}', 'utf16le'),
      Buffer.from([0]),
    ];
    await changingNothing(service.db, async () => {
      for (const body of malformed) expectProblem(await send(name, body), 400, 'malformed_json');
    });
  });

  test('refuses bodies nested thousands of levels deep', async () => {
    await changingNothing(service.db, async () => {
      for (const [open, close] of [
        ['[', ']'],
        ['{"a":', '}'],
        ['{"metadata":', '}'],
        ['{"$and":[', ']}'],
      ] as const) {
        const body = `${open.repeat(5_000)}1${close.repeat(5_000)}`;
        expectProblem(await send(name, body), 422, 'validation_failed');
      }
    });
  });

  test('refuses a body of 3 MB', async () => {
    await changingNothing(service.db, async () => {
      for (const body of [{ email: 'x'.repeat(3e6) }, `[${'1,'.repeat(1.5e6)}1]`])
        expectProblem(await send(name, body), 413, 'body_too_large');
    });
  });

  test('refuses every other Content-Type', async () => {
    const types = [
      'text/plain',
      'text/json',
      'application/xml',
      'application/jsonx',
      'application/ld+json',
      'multipart/form-data; boundary=x',
      'application/octet-stream',
      'application/json, text/plain',
      'json',
      '*/*',
      ';',
      '',
      ...(name === 'login' ? [] : [FORM_TYPE]),
    ];
    await changingNothing(service.db, async () => {
      for (const type of types) {
        const body = JSON.stringify({ ...valid(acme), password: { $gt: '' } });
        expectProblem(await send(name, body, { type }), 415, 'unsupported_media_type');
      }
    });
  });

  // A schema chosen by Content-Type is one that a spelling of it may slip past.
  test('validates whatever spelling of application/json it accepts', async () => {
    const [field = ''] = Object.keys(operation(name).fields);
    await changingNothing(service.db, async () => {
      for (const type of [
        'application/json',
        'Application/JSON',
        'application/json; charset=utf-8',
        'application/json;charset=UTF-8',
        'application/json ; charset=utf-8',
        'application/json\t; charset=utf-8',
        ' application/json',
        'application/json;',
        'application/json;x',
      ]) {
        const body = { ...valid(acme), [field]: { $gt: '' } };
        const response = await send(name, body, { type });
        if (response.statusCode === 415) expectProblem(response, 415, 'unsupported_media_type');
        else expectProblem(response, 422, 'validation_failed');
      }
    });
  });
});

// Only a deletion needs none.
test.each(OPERATION_NAMES.filter((name) => name !== 'delete'))(
  '%s without a body',
  async (name) => {
    await changingNothing(service.db, async () => {
      expectProblem(await send(name, undefined), 422, 'validation_failed');
      expectProblem(await send(name, ''), 422, 'validation_failed');
    });
  },
);

test('an update of nothing', async () => {
  await changingNothing(service.db, async () => {
    expectProblem(await send('update', {}), 422, 'validation_failed');
  });
});

describe('the form of the login', () => {
  const valid = () => ({
    username: acme.signUp.email,
    password: 'not the password, so that no session is made',
  });
  const form = (fields: string | Record<string, string>) =>
    send('login', new URLSearchParams(fields).toString(), { type: FORM_TYPE });

  test.each(['username', 'password'])('%s missing, empty, too long, twice', async (field) => {
    const { [field]: _, ...rest } = valid() as Record<string, string>;
    const twice = `${new URLSearchParams(valid())}&${field}=again`;
    const bodies = [rest, { ...rest, [field]: '' }, { ...rest, [field]: 'x'.repeat(2_000) }, twice];
    await changingNothing(service.db, async () => {
      for (const body of bodies) {
        const problem = expectProblem(await form(body), 422, 'validation_failed');
        expect(pathsOf(problem)).toEqual([`/${field}`]);
      }
    });
  });

  test.each([
    ['email', 'ada@acme.example'],
    ['grant_type', 'refresh_token'],
    ['scope', 'x'.repeat(2_000)],
    ['client_id', '\0'],
    ['organization_name', ''],
    ['__proto__', 'x'],
    ['constructor', 'x'],
    ['username[$gt]', ''],
  ])('%s = %j', async (field, value) => {
    await changingNothing(service.db, async () => {
      const body = new URLSearchParams(valid());
      body.append(field, value);
      const problem = expectProblem(await form(body.toString()), 422, 'validation_failed');
      expect(pathsOf(problem)).toEqual([`/${field}`]);
    });
  });

  test('that is empty, or no form', async () => {
    await changingNothing(service.db, async () => {
      for (const body of ['', '&&&', '%', '{"email":1}', JSON.stringify(valid())])
        expectProblem(await send('login', body, { type: FORM_TYPE }), 422, 'validation_failed');
    });
  });

  test('of 3 MB', async () => {
    await changingNothing(service.db, async () => {
      expectProblem(await form({ username: 'x'.repeat(3e6) }), 413, 'body_too_large');
    });
  });
});
