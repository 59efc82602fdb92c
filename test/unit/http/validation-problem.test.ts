import type { FastifySchemaValidationError } from 'fastify';
import { describe, expect, test } from 'vitest';
import { fieldErrors, validationProblem } from '../../../src/http/validation-problem.ts';

function fault(
  keyword: string,
  params: Record<string, unknown>,
  instancePath = '/field',
): FastifySchemaValidationError {
  return { keyword, params, instancePath, schemaPath: '#', message: "in Ajv's words" };
}

function errorsOf(...faults: FastifySchemaValidationError[]) {
  return validationProblem(faults, 'body').errors;
}

describe('a fault in words', () => {
  test.each([
    ['required', { missingProperty: 'email' }, '', '/email', 'is required'],
    ['additionalProperties', { additionalProperty: 'x' }, '/a', '/a/x', 'is not a known field'],
    ['type', { type: 'string' }, '/field', '/field', 'must be a string'],
    ['type', { type: ['string', 'null'] }, '/field', '/field', 'must be a string or null'],
    ['type', { type: 'integer' }, '/field', '/field', 'must be a whole number'],
    ['minLength', { limit: 1 }, '/field', '/field', 'must not be empty'],
    ['minLength', { limit: 8 }, '/field', '/field', 'must have at least 8 characters'],
    ['maxLength', { limit: 9 }, '/field', '/field', 'must have at most 9 characters'],
    ['minProperties', { limit: 1 }, '', '', 'must have at least 1 of its fields'],
    ['format', { format: 'email' }, '/field', '/field', 'must be an e-mail address'],
    ['enum', { allowedValues: ['a', 'b'] }, '/field', '/field', 'must be one of a, b'],
    ['const', { allowedValue: 'a' }, '/field', '/field', 'must be "a"'],
    ['multipleOf', { multipleOf: 2 }, '/field', '/field', "in Ajv's words"],
  ])('%s %j', (keyword, params, instancePath, path, message) => {
    expect(errorsOf(fault(keyword, params, instancePath))).toEqual([{ path, message }]);
  });

  test('points at names with ~ and / as RFC 6901 says', () => {
    const errors = errorsOf(fault('additionalProperties', { additionalProperty: 'a/b~c' }, ''));
    expect(errors?.[0]?.path).toBe('/a~1b~0c');
  });
});

describe('the problem', () => {
  const missing = fault('required', { missingProperty: 'email' }, '');
  const wrong = fault('type', { type: 'string' }, '/name');

  test('of a body is one of its fields: 422', () => {
    expect(validationProblem([missing, wrong], 'body')).toMatchObject({
      kind: 'invalid',
      code: 'validation_failed',
      message: 'email: is required; name: must be a string',
    });
  });

  test.each(['querystring', 'params', 'headers'])('of %s is one of the request: 400', (context) => {
    expect(validationProblem([wrong], context)).toMatchObject({
      kind: 'malformed',
      code: `invalid_${context}`,
    });
  });

  test('of the body as a whole says so', () => {
    const whole = fault('type', { type: 'object' }, '');
    expect(validationProblem([whole], 'body').message).toBe('body: must be an object');
  });
});

describe('many faults', () => {
  test('are told up to the twentieth, and no further are looked for', () => {
    let looked = 0;
    function* endless() {
      for (;;) yield { path: `/${looked++}`, message: 'is wrong' };
    }
    expect(fieldErrors(endless())).toHaveLength(20);
    expect(looked).toBe(20);
  });
});
