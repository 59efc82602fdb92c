import type { FastifyInstance } from 'fastify';
import { addJsonParser } from '../http/body-parsers.ts';
import { parseExactJson } from './extended-json.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body is Extended JSON: whoever turns it into a document checks its text, and may take more than other routes. */
    extendedJson?: boolean;
  }
}

/** RFC 7396. */
const MERGE_PATCH = 'application/merge-patch+json';

/** Reads the bodies of a scope as JSON that may hold records: no number loses digits. */
export function addRecordBodies(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  addJsonParser(scope, ['application/json', MERGE_PATCH], (text, parsed) =>
    // Only such a number makes a difference.
    /\d{16}/.test(text) ? parseExactJson(text) : parsed,
  );
  scope.addHook('onRoute', ({ config }) => {
    Object.assign(config ?? {}, { extendedJson: true });
  });
}
