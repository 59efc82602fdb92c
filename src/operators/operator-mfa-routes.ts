import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { operatorOf } from '../http/authentication.ts';
import { clientOf } from '../http/client.ts';
import { problemResponses } from '../http/problem-details.ts';
import { BeginTotpBody, BegunTotp, ShownRecoveryCodes } from '../mfa/mfa-schemas.ts';
import type { FactorOwner } from '../mfa/mfa-service.ts';
import type { Services } from '../services.ts';
import { ConfirmOperatorTotpBody, OperatorProofBody } from './operator-schemas.ts';

const REFUSALS = [400, 401, 403, 409, 413, 415, 422] as const;

function ownerOf(request: FastifyRequest): FactorOwner {
  const { operatorId: accountId, sessionId } = operatorOf(request);
  return { accountId, sessionId };
}

/**
 * An operator's second factor, by the same rules as a member's, but that the other sessions always end: from the moment it is
 * in force no session that was begun without it does anything.
 */
export const operatorMfaRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services: { operatorMfa } },
) => {
  // Every answer is about a secret: not to be kept by anything in between (RFC 9111, 5.2.2.5).
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
  });

  app.post(
    '/operator/mfa/totp',
    {
      config: { permission: 'operator', rateLimit: ['guesses'] },
      schema: {
        operationId: 'beginOperatorTotp',
        tags: ['Operators'],
        summary: 'Begin to set up an operator’s authenticator app',
        description:
          'Makes a secret for the app. Nothing is in force until `POST /operator/mfa/totp/confirm`, within 10 minutes and ' +
          '10 attempts. 409 `mfa_already_enabled` if there is one.',
        body: BeginTotpBody,
        response: { 200: BegunTotp, ...problemResponses(...REFUSALS, 429) },
      },
    },
    async (request) => {
      const { current_password: password } = request.body;
      const begun = await operatorMfa.begin(ownerOf(request), password, clientOf(request));
      return { ...begun, expires_at: begun.expires_at.toISOString() };
    },
  );

  app.post(
    '/operator/mfa/totp/confirm',
    {
      config: { permission: 'operator' },
      schema: {
        operationId: 'confirmOperatorTotp',
        tags: ['Operators'],
        summary: 'Put an operator’s authenticator app in force',
        description:
          'From now on signing in takes a `code`, and every other session of yours has ended. Gives the recovery codes. A ' +
          'wrong code is 422 `invalid_code`; 409 `mfa_not_begun` if there is nothing to confirm (any more).',
        body: ConfirmOperatorTotpBody,
        response: { 200: ShownRecoveryCodes, ...problemResponses(...REFUSALS) },
      },
    },
    async (request) => ({
      recovery_codes: await operatorMfa.confirm(ownerOf(request), request.body.code, {
        endOthers: true,
      }),
    }),
  );

  app.delete(
    '/operator/mfa/totp',
    {
      config: { permission: 'operator', rateLimit: ['guesses'] },
      schema: {
        operationId: 'removeOperatorTotp',
        tags: ['Operators'],
        summary: 'Remove an operator’s authenticator app',
        description:
          'Its recovery codes go with it, and your other sessions end. A wrong password is 422 `validation_failed`, a ' +
          'wrong or used code 422 `invalid_code`. 409 `mfa_not_enabled` if there is none.',
        body: OperatorProofBody,
        response: {
          204: { description: 'There is no second factor any more.', type: 'null' },
          ...problemResponses(...REFUSALS, 429),
        },
      },
    },
    async (request, reply) => {
      const client = clientOf(request);
      await operatorMfa.disable(ownerOf(request), request.body, client, { endOthers: true });
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/operator/mfa/recovery-codes',
    {
      config: { permission: 'operator', rateLimit: ['guesses'] },
      schema: {
        operationId: 'replaceOperatorRecoveryCodes',
        tags: ['Operators'],
        summary: 'Get new recovery codes, as an operator',
        description:
          'Those of before stop working, used or not. 409 `mfa_not_enabled` if there is no second factor.',
        body: OperatorProofBody,
        response: { 200: ShownRecoveryCodes, ...problemResponses(...REFUSALS, 429) },
      },
    },
    async (request) => ({
      recovery_codes: await operatorMfa.replaceRecoveryCodes(
        ownerOf(request),
        request.body,
        clientOf(request),
      ),
    }),
  );
};
