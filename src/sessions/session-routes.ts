import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ObjectId } from 'mongodb';
import type { MemberCaller } from '../access/caller.ts';
import { memberOf } from '../http/authentication.ts';
import { ListQuery, listView, pageRequestOf } from '../http/pagination.ts';
import { problemResponses } from '../http/problem-details.ts';
import type { Services } from '../services.ts';
import { endOf } from './account-session-store.ts';
import { SessionParams, Sessions } from './session-schemas.ts';
import type { SessionDocument } from './session-store.ts';

/** What people do with their own sessions. */
export const sessionRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { sessions } = services;

  app.post(
    '/admin/logout',
    {
      config: { permission: 'self' },
      schema: {
        operationId: 'logout',
        tags: ['Sessions'],
        summary: 'End this session',
        description: 'Its access and refresh tokens stop working at once.',
        response: {
          204: { description: 'The session has ended.', type: 'null' },
          ...problemResponses(400, 401, 403, 413, 415),
        },
      },
    },
    async (request, reply) => {
      await sessions.end(memberOf(request).sessionId);
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/admin/sessions',
    {
      config: { permission: 'self' },
      schema: {
        operationId: 'listSessions',
        tags: ['Sessions'],
        summary: 'List your sessions',
        description: 'In all your organizations, oldest first, a page at a time.',
        querystring: ListQuery,
        response: { 200: Sessions, ...problemResponses(400, 401, 403) },
      },
    },
    async (request) => {
      const caller = memberOf(request);
      const page = await sessions.list(caller.adminId, pageRequestOf(request.query));
      return listView(page, (session) => view(session, caller));
    },
  );

  app.delete(
    '/admin/sessions/:id',
    {
      config: { permission: 'self' },
      schema: {
        operationId: 'endSession',
        tags: ['Sessions'],
        summary: 'End one of your sessions',
        description: 'Its tokens stop working: at once here, within a second on every instance.',
        params: SessionParams,
        response: {
          204: { description: 'The session has ended.', type: 'null' },
          ...problemResponses(400, 401, 403, 404, 413, 415),
        },
      },
    },
    async (request, reply) => {
      await sessions.endOwn(memberOf(request).adminId, new ObjectId(request.params.id));
      return reply.code(204).send(null);
    },
  );

  app.delete(
    '/admin/sessions',
    {
      config: { permission: 'self' },
      schema: {
        operationId: 'endOtherSessions',
        tags: ['Sessions'],
        summary: 'End all your other sessions',
        description: 'All but the one this request is made in.',
        response: {
          204: { description: 'They have ended.', type: 'null' },
          ...problemResponses(400, 401, 403, 413, 415),
        },
      },
    },
    async (request, reply) => {
      await sessions.endOthers(memberOf(request));
      return reply.code(204).send(null);
    },
  );
};

function view(session: SessionDocument, caller: MemberCaller) {
  return {
    id: session._id.toHexString(),
    organization_id: session.organization_id.toHexString(),
    device: session.client.user_agent,
    address: session.client.address,
    created_at: session.created_at.toISOString(),
    last_used_at: session.last_used_at.toISOString(),
    expires_at: endOf(session).toISOString(),
    current: session._id.equals(caller.sessionId),
  };
}
