import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { operatorOf } from '../http/authentication.ts';
import { clientOf } from '../http/client.ts';
import { problemResponses } from '../http/problem-details.ts';
import type { Services } from '../services.ts';
import {
  OperatorLoginBody,
  OperatorMe,
  OperatorMeBody,
  OperatorRefreshBody,
  OperatorSignedIn,
  OperatorTokenPair,
} from './operator-schemas.ts';
import { operatorView } from './operator-view.ts';

/** Signing in as an operator. */
export const publicOperatorRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services: { operatorAccounts, operatorSessions } },
) => {
  // RFC 6749, 5.1: answers with tokens are not to be kept.
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
  });

  app.post(
    '/operator/login',
    {
      config: { rateLimit: ['guesses'] },
      schema: {
        operationId: 'operatorLogin',
        tags: ['Operators'],
        summary: 'Sign in as an operator',
        description:
          'Operators have accounts of their own, apart from those of organizations. With a second factor, `code` has to be ' +
          'right as well: 401 `mfa_required`, `invalid_code`. The answer to a wrong address and to a wrong password is the ' +
          'same; after 10 failures it is 429, as for members.',
        body: OperatorLoginBody,
        response: { 200: OperatorSignedIn, ...problemResponses(400, 401, 404, 413, 415, 422, 429) },
      },
    },
    async (request) => {
      const { operator, tokens } = await operatorAccounts.login(request.body, clientOf(request));
      const { id, email, name } = operatorView(operator);
      return { ...tokens, operator: { id, email, name } };
    },
  );

  app.post(
    '/operator/refresh',
    {
      config: { rateLimit: ['refresh'] },
      schema: {
        operationId: 'operatorRefresh',
        tags: ['Operators'],
        summary: 'Exchange an operator’s refresh token for a new pair',
        description:
          'A refresh token works once. Using it again ends the session, unless the same client does so within 10 ' +
          'seconds: that gets the same pair.',
        body: OperatorRefreshBody,
        response: { 200: OperatorTokenPair, ...problemResponses(400, 401, 413, 415, 422, 429) },
      },
    },
    async (request) => operatorSessions.refresh(request.body.refresh_token, clientOf(request)),
  );
};

/** An operator's own account. */
export const operatorRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services: { operatorAccounts, operatorSessions } },
) => {
  app.get(
    '/operator/me',
    {
      config: { permission: 'operator' },
      schema: {
        operationId: 'getOperatorMe',
        tags: ['Operators'],
        summary: 'Who you are, as an operator',
        description: 'Your account, and what you have for a second factor.',
        response: { 200: OperatorMe, ...problemResponses(400, 401, 403) },
      },
    },
    async (request) => operatorView(await operatorAccounts.get(operatorOf(request))),
  );

  app.patch(
    '/operator/me',
    {
      config: { permission: 'operator', rateLimit: ['guesses'] },
      schema: {
        operationId: 'changeOperatorMe',
        tags: ['Operators'],
        summary: 'Change your name or your password, as an operator',
        description:
          'A new password needs the present one, and a `code` if you have a second factor. It ends your other sessions.',
        body: OperatorMeBody,
        response: { 200: OperatorMe, ...problemResponses(400, 401, 403, 409, 413, 415, 422, 429) },
      },
    },
    async (request) =>
      operatorView(
        await operatorAccounts.change(operatorOf(request), request.body, clientOf(request)),
      ),
  );

  app.post(
    '/operator/logout',
    {
      config: { permission: 'operator' },
      schema: {
        operationId: 'operatorLogout',
        tags: ['Operators'],
        summary: 'End this session of an operator',
        description: 'Its access and refresh tokens stop working at once, on every instance.',
        response: {
          204: { description: 'The session has ended.', type: 'null' },
          ...problemResponses(400, 401, 403, 413, 415),
        },
      },
    },
    async (request, reply) => {
      await operatorSessions.end(operatorOf(request).sessionId);
      return reply.code(204).send(null);
    },
  );
};
