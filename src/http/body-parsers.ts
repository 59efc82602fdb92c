import type { FastifyInstance } from 'fastify';
import { AppError } from '../errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads JSON bodies: strictly UTF-8 (RFC 8259, 8.1), without `__proto__` and `constructor` keys. An empty body counts as
 * none, whatever its Content-Type says, because many clients send the header with every DELETE.
 */
export function addBodyParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  addJsonParser(app, ['application/json'], (_text, parsed) => parsed);
}

/**
 * @param types - the media types that are read as JSON
 * @param read - makes the body of the text, which has been parsed and found harmless
 */
export function addJsonParser(
  app: FastifyInstance,
  types: string[],
  read: (text: string, parsed: unknown) => unknown,
): void {
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser(types, { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (body.length === 0) return done(null, undefined);
    try {
      const text = utf8.decode(body);
      return parseJson(request, text, (error, parsed) =>
        error === null ? done(null, read(text, parsed)) : done(malformed(error)),
      );
    } catch (error) {
      return done(malformed(error));
    }
  });
}

function malformed(cause: unknown): AppError {
  return new AppError('malformed', 'malformed_json', 'The body is not well-formed JSON in UTF-8.', {
    cause,
  });
}
