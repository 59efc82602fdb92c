import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { clientOf } from '../http/client.ts';
import { problemResponses } from '../http/problem-details.ts';
import type { Services } from '../services.ts';
import { ConfirmBody, ForgotBody, ResetBody } from './account-link-schemas.ts';

/** What is done with an account by a link in a mail. */
export const accountLinkRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { passwordResets, emailChanges } = services;

  app.post(
    '/admin/password/forgot',
    {
      config: { rateLimit: ['passwordReset', 'passwordResetAccount'] },
      schema: {
        operationId: 'forgotPassword',
        tags: ['Admins'],
        summary: 'Ask for a new password',
        description:
          'If the e-mail address has an account, a link is sent to it that works once, for an hour; the one before is ' +
          'worthless then. The answer is the same for every address.',
        body: ForgotBody,
        response: {
          // Null would be sent, as JSON, with every status but 204.
          202: Type.Unsafe<undefined>({
            description: 'If there is such an account, a mail is on its way.',
            type: 'null',
          }),
          ...problemResponses(400, 413, 415, 422, 429),
        },
      },
    },
    async (request, reply) => {
      passwordResets.forgot(request.body.email);
      return reply.code(202).send(undefined);
    },
  );

  app.post(
    '/admin/password/reset',
    {
      schema: {
        operationId: 'resetPassword',
        tags: ['Admins'],
        summary: 'Choose a new password',
        description:
          'By the token in the link. Ends all your sessions. A second factor stays in force. A token that is unknown, used, ' +
          'expired or outlived by another change of password or e-mail address is 422 `reset_token_invalid`.',
        body: ResetBody,
        response: {
          204: { description: 'The password is changed.', type: 'null' },
          ...problemResponses(400, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { token, password } = request.body;
      await passwordResets.reset(token, password, clientOf(request));
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/admin/email/confirm',
    {
      schema: {
        operationId: 'confirmEmail',
        tags: ['Admins'],
        summary: 'Confirm a new e-mail address',
        description:
          'By the token in the link that `PATCH /admin/me` sent to it. From then on the new address signs in, and the old one ' +
          'is told. A token that is unknown, used, expired or outlived by another change of password or e-mail address is 422 ' +
          '`email_token_invalid`.',
        body: ConfirmBody,
        response: {
          204: { description: 'The e-mail address is changed.', type: 'null' },
          ...problemResponses(400, 409, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      await emailChanges.confirm(request.body.token);
      return reply.code(204).send(null);
    },
  );
};
