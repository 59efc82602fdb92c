import { Ajv, type Options } from 'ajv';
import addFormats from 'ajv-formats';
import type { FastifyInstance } from 'fastify';
import { isEmailAddress } from '../mail/email-address.ts';

const OPTIONS: Options = {
  // A field we do not know is a mistake of the caller's; dropping it would hide that.
  removeAdditional: false,
  useDefaults: true,
  // Every fault in one answer; the bodies are small.
  allErrors: true,
  strict: true,
};

/** Validates bodies as they are, and query strings and parameters, which are text, with coercion to numbers. */
export function addValidation(app: FastifyInstance): void {
  const exact = withFormats(new Ajv({ ...OPTIONS, coerceTypes: false }));
  const text = withFormats(new Ajv({ ...OPTIONS, coerceTypes: true }));
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === 'body' ? exact : text).compile(schema),
  );
}

function withFormats(ajv: Ajv): Ajv {
  addFormats.default(ajv, { mode: 'full', formats: ['date-time', 'password'] });
  // The library's own takes addresses that mail goes astray with.
  ajv.addFormat('email', isEmailAddress);
  return ajv;
}
