import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ObjectId } from 'mongodb';
import { SignedIn } from '../admins/admin-schemas.ts';
import { signInView } from '../admins/admin-view.ts';
import { acceptCaller, callerOf } from '../http/authentication.ts';
import { clientOf } from '../http/client.ts';
import { ListQuery, listView, pageRequestOf } from '../http/pagination.ts';
import { problemResponses } from '../http/problem-details.ts';
import { idempotencyHeaders } from '../idempotency/idempotency-schemas.ts';
import { makerView } from '../members/maker-view.ts';
import type { Services } from '../services.ts';
import {
  AcceptBody,
  Invitation,
  InvitationBody,
  InvitationParams,
  InvitationPreview,
  Invitations,
  LookUpBody,
} from './invitation-schemas.ts';
import type { Invitation as InvitationView } from './invitation-service.ts';

/** What people do with an invitation they got. */
export const publicInvitationRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { joining, access } = services;

  app.post(
    '/invitations/lookup',
    {
      schema: {
        operationId: 'lookUpInvitation',
        tags: ['Invitations'],
        summary: 'See what an invitation is to',
        description:
          'For the page that the link in the mail leads to. Changes nothing; the token goes into the body, because URLs ' +
          'end up in logs.',
        body: LookUpBody,
        response: { 200: InvitationPreview, ...problemResponses(400, 403, 404, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store');
      const { invitation, organization, accountExists } = await joining.lookUp(request.body.token);
      return {
        organization_name: organization.organization_name,
        email: invitation.email,
        role: invitation.role,
        expires_at: invitation.expires_at.toISOString(),
        account_exists: accountExists,
      };
    },
  );

  app.post(
    '/invitations/accept',
    {
      config: { rateLimit: ['guesses'] },
      preValidation: acceptCaller(access),
      schema: {
        operationId: 'acceptInvitation',
        tags: ['Invitations'],
        summary: 'Accept an invitation',
        description:
          'Makes you a member, once, and signs you in to the organization. Without an account you get one: choose a ' +
          '`password`. If the e-mail address has an account, give its `password`, and a ' +
          '`code` if it has a second factor; or send an access token of it.',
        security: [{}, { bearer: [] }, { password: [] }],
        body: AcceptBody,
        response: {
          200: SignedIn,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422, 429),
        },
      },
    },
    async (request, reply) => {
      // RFC 6749, 5.1: answers with tokens are not to be kept.
      reply.header('cache-control', 'no-store');
      const { body, caller } = request;
      return signInView(await joining.accept(body, caller, clientOf(request)));
    },
  );
};

/** Whom an organization has invited. */
export const invitationRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { invitations } = services;

  app.get(
    '/org/invitations',
    {
      config: { permission: 'invitation:write' },
      schema: {
        operationId: 'listInvitations',
        tags: ['Invitations'],
        summary: 'List the invitations',
        description:
          'Those that have not been accepted, oldest first, a page at a time. One that has expired is listed for 30 more ' +
          'days.',
        querystring: ListQuery,
        response: { 200: Invitations, ...problemResponses(400, 401, 403) },
      },
    },
    async (request) => {
      const { organizationId } = callerOf(request);
      return listView(await invitations.list(organizationId, pageRequestOf(request.query)), view);
    },
  );

  app.post(
    '/org/invitations',
    {
      config: { permission: 'invitation:write', idempotent: true, rateLimit: ['invitation'] },
      schema: {
        operationId: 'createInvitation',
        tags: ['Invitations'],
        summary: 'Invite somebody',
        description:
          'Sends a mail with a link that works once, for 7 days. You can only invite to roles that allow no more than you ' +
          'may do. If the mail cannot be sent there is no invitation either: 503 `mail_unavailable` when the mail server is ' +
          'away, 422 `mail_refused` when it does not know the address.',
        headers: idempotencyHeaders,
        body: InvitationBody,
        response: {
          201: Invitation,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422, 429),
        },
      },
    },
    async (request, reply) => {
      const { attempt } = request;
      const created = await invitations.create(
        callerOf(request),
        request.body,
        attempt ?? undefined,
      );
      return reply.code(201).send(view(created));
    },
  );

  app.delete(
    '/org/invitations/:id',
    {
      config: { permission: 'invitation:write' },
      schema: {
        operationId: 'revokeInvitation',
        tags: ['Invitations'],
        summary: 'Revoke an invitation',
        description: 'Its link is worthless at once.',
        params: InvitationParams,
        response: {
          204: { description: 'The invitation is gone.', type: 'null' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415),
        },
      },
    },
    async (request, reply) => {
      await invitations.revoke(callerOf(request), new ObjectId(request.params.id));
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/org/invitations/:id/resend',
    {
      config: { permission: 'invitation:write', rateLimit: ['invitation'] },
      schema: {
        operationId: 'resendInvitation',
        tags: ['Invitations'],
        summary: 'Send an invitation again',
        description:
          'With a new link, good for another 7 days; the one before is worthless. Also for an invitation that has expired. If ' +
          'the mail cannot be sent, everything stays as it was.',
        params: InvitationParams,
        response: {
          200: Invitation,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422, 429),
        },
      },
    },
    async (request) =>
      view(await invitations.resend(callerOf(request), new ObjectId(request.params.id))),
  );
};

function view({ invitation, inviter, expired }: InvitationView) {
  return {
    id: invitation._id.toHexString(),
    email: invitation.email,
    role: invitation.role,
    status: expired ? ('expired' as const) : ('pending' as const),
    invited_by: makerView(inviter),
    created_at: invitation.created_at.toISOString(),
    expires_at: invitation.expires_at.toISOString(),
  };
}
