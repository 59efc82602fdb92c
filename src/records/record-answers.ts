import type { FastifyReply } from 'fastify';
import { type ExtendedJsonMode, jsonOf } from './extended-json.ts';
import type { StoredRecord } from './record-document.ts';
import { etagOf } from './record-etag.ts';
import { recordIdText } from './record-id.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/** Answers with a record that was written. */
export function sendRecord(
  reply: FastifyReply,
  { fields, bytes }: StoredRecord,
  mode: ExtendedJsonMode = 'relaxed',
): FastifyReply {
  return sendJson(reply.header('etag', etagOf(bytes)), jsonOf(fields, mode));
}

/** Answers with a record that was made. */
export function sendCreated(
  reply: FastifyReply,
  record: StoredRecord,
  mode: ExtendedJsonMode | undefined,
): FastifyReply {
  const id = encodeURIComponent(recordIdText(record.fields.get('_id')));
  return sendRecord(reply.code(201).header('location', `/org/records/${id}`), record, mode);
}

/** Sends JSON as it is: what records hold, no schema says. */
export function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.type(JSON_TYPE).send(JSON.stringify(value));
}
