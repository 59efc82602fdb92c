import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { memberOf } from '../http/authentication.ts';
import { clientOf } from '../http/client.ts';
import { problemResponses } from '../http/problem-details.ts';
import type { Services } from '../services.ts';
import {
  BeginTotpBody,
  BegunTotp,
  ConfirmTotpBody,
  DisableTotpBody,
  RenewedProofBody,
  ShownRecoveryCodes,
} from './mfa-schemas.ts';
import type { FactorOwner } from './mfa-service.ts';

const REFUSALS = [400, 401, 403, 409, 413, 415, 422] as const;

const REAUTHENTICATION =
  'A wrong password is 422 `validation_failed`, a wrong or used code 422 `invalid_code`: 401 would be about the access token.';

function ownerOf(request: FastifyRequest): FactorOwner {
  const { adminId: accountId, sessionId } = memberOf(request);
  return { accountId, sessionId };
}

/** The second factor of the person who is signed in. */
export const mfaRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services: { mfa } },
) => {
  // Every answer is about a secret: not to be kept by anything in between (RFC 9111, 5.2.2.5).
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
  });

  app.post(
    '/admin/mfa/totp',
    {
      config: { permission: 'self', rateLimit: ['guesses'] },
      schema: {
        operationId: 'beginTotp',
        tags: ['Admins'],
        summary: 'Begin to set up an authenticator app',
        description:
          'Makes a secret for the app. Nothing is in force until `POST /admin/mfa/totp/confirm`, within 10 minutes and 10 ' +
          `attempts; beginning again makes another secret. ${REAUTHENTICATION} 409 \`mfa_already_enabled\` if there is one.`,
        body: BeginTotpBody,
        response: { 200: BegunTotp, ...problemResponses(...REFUSALS, 429) },
      },
    },
    async (request) => {
      const { current_password: password } = request.body;
      const begun = await mfa.begin(ownerOf(request), password, clientOf(request));
      return { ...begun, expires_at: begun.expires_at.toISOString() };
    },
  );

  app.post(
    '/admin/mfa/totp/confirm',
    {
      config: { permission: 'self' },
      schema: {
        operationId: 'confirmTotp',
        tags: ['Admins'],
        summary: 'Put the authenticator app in force with a first code',
        description:
          'From now on signing in takes a `code`. Gives the recovery codes; if the answer gets lost, ' +
          '`POST /admin/mfa/recovery-codes` makes others. A wrong code is 422 `invalid_code`; 409 `mfa_not_begun` if ' +
          'there is nothing to confirm (any more), 409 `mfa_already_enabled` if it is confirmed.',
        body: ConfirmTotpBody,
        response: { 200: ShownRecoveryCodes, ...problemResponses(...REFUSALS) },
      },
    },
    async (request) => {
      const { code, end_other_sessions: endOthers = true } = request.body;
      return { recovery_codes: await mfa.confirm(ownerOf(request), code, { endOthers }) };
    },
  );

  app.delete(
    '/admin/mfa/totp',
    {
      config: { permission: 'self', rateLimit: ['guesses'] },
      schema: {
        operationId: 'removeTotp',
        tags: ['Admins'],
        summary: 'Remove the authenticator app',
        description:
          `Its recovery codes go with it; one of them will do as \`code\`. ${REAUTHENTICATION} 409 \`mfa_not_enabled\` if ` +
          'there is none.',
        body: DisableTotpBody,
        response: {
          204: { description: 'There is no second factor any more.', type: 'null' },
          ...problemResponses(...REFUSALS, 429),
        },
      },
    },
    async (request, reply) => {
      const { end_other_sessions: endOthers = true, ...proof } = request.body;
      await mfa.disable(ownerOf(request), proof, clientOf(request), { endOthers });
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/admin/mfa/recovery-codes',
    {
      config: { permission: 'self', rateLimit: ['guesses'] },
      schema: {
        operationId: 'replaceRecoveryCodes',
        tags: ['Admins'],
        summary: 'Get new recovery codes',
        description:
          `Those of before stop working, used or not. ${REAUTHENTICATION} 409 \`mfa_not_enabled\` if there is no second ` +
          'factor.',
        body: RenewedProofBody,
        response: { 200: ShownRecoveryCodes, ...problemResponses(...REFUSALS, 429) },
      },
    },
    async (request) => ({
      recovery_codes: await mfa.replaceRecoveryCodes(
        ownerOf(request),
        request.body,
        clientOf(request),
      ),
    }),
  );
};
