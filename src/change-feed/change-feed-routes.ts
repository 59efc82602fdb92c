import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { admitted, callerOf } from '../http/authentication.ts';
import { problemResponses } from '../http/problem-details.ts';
import type { Services } from '../services.ts';
import { EventStreamOnlyError } from './change-feed-errors.ts';
import { ChangeFeedQuery, ChangeFeedStream, changeFeedHeaders } from './change-feed-schemas.ts';
import type { FeedRequest } from './change-feeds.ts';

const EVENT_STREAM = 'text/event-stream';

/** The changes of an organization's records, as they happen. */
export const changeFeedRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { changeFeeds, access } = services;
  // Before the server waits for the answers under way to end, which these would not.
  app.addHook('preClose', () => changeFeeds[Symbol.asyncDispose]());

  app.get(
    '/org/records/changes',
    {
      config: { permission: 'record:read' },
      exposeHeadRoute: false,
      schema: {
        operationId: 'watchRecords',
        tags: ['Records'],
        summary: 'Follow the changes of the records',
        description:
          'A stream of server-sent events, one for each change, in order, with the record as it is when the event is sent (null ' +
          'when it is gone by then). A client that lost the connection goes on where it was with `Last-Event-ID` and misses ' +
          'nothing; it may see a change again. A rename of the organization does not interrupt the feed. The last event, `end`, ' +
          'gives the reason: `organization_deleted`, `access_lost`, `token_expired`, `history_lost`, `database_unavailable` or ' +
          '`shutting_down`. Needs MongoDB to run as a replica set.',
        querystring: ChangeFeedQuery,
        headers: changeFeedHeaders,
        response: { 200: ChangeFeedStream, ...problemResponses(400, 401, 403, 404, 406, 410) },
      },
    },
    async (request, reply) => {
      if (!acceptsEvents(request.headers.accept)) throw new EventStreamOnlyError();
      const after = positionIn(request.headers['last-event-id'], request.query.after);
      const feed = await changeFeeds.open({
        organizationId: callerOf(request).organizationId,
        admit: () => admitted(access, request, 'recent'),
        mode: request.query.extended_json ?? 'relaxed',
        ...(after && { after }),
      });
      return (
        reply
          .type(EVENT_STREAM)
          .header('cache-control', 'no-store')
          .header('x-accel-buffering', 'no')
          // Kept open after the last event, it would hold up the end of the service.
          .header('connection', 'close')
          .send(feed.output.stream)
      );
    },
  );
};

/** By name: whoever takes anything does not expect an answer without an end. */
function acceptsEvents(accept: string | undefined): boolean {
  return accept !== undefined && /(^|,)\s*text\/(event-stream|\*)\s*(;|,|$)/i.test(accept);
}

/** The header of a client that reconnects by itself is newer than what it was first given. */
function positionIn(header: string | undefined, query: string | undefined): FeedRequest['after'] {
  if (header !== undefined && header !== '') return { position: header, field: 'last-event-id' };
  return query === undefined ? undefined : { position: query, field: 'after' };
}
