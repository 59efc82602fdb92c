import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { AppError } from '../errors.ts';
import { acceptCaller, callerOf, demandOperator, memberOf } from '../http/authentication.ts';
import { clientOf } from '../http/client.ts';
import { problemResponses } from '../http/problem-details.ts';
import { idempotencyHeaders } from '../idempotency/idempotency-schemas.ts';
import { SignupClosedError } from '../operators/operator-errors.ts';
import { ROUTE_POLICIES } from '../rate-limits/route-limits.ts';
import type { Services } from '../services.ts';
import {
  CreatedOrganization,
  DeletedOrganization,
  DeleteParameters,
  GetQuery,
  Organization,
  SignUpBody,
  UpdateBody,
} from './organization-schemas.ts';
import { createdView, deletedView, memberView, publicView } from './organization-view.ts';

/** Sign-up and public look-up. */
export const publicOrganizationRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { organizations, access, signup } = services;
  const operatorOnly = demandOperator(access, () => new SignupClosedError());

  app.post(
    '/org/create',
    {
      config: { idempotent: true, rateLimit: ['signup'] },
      ...(signup === 'operators' && {
        // Also when the body is there: see `requireCaller`.
        onRequest: operatorOnly,
        preValidation: operatorOnly,
      }),
      schema: {
        operationId: 'createOrganization',
        tags: ['Organizations'],
        summary: 'Create an organization',
        description:
          'Signs up: creates the organization, its collection and its owner, all of it or nothing. If `email` has an ' +
          'account and `password` is right, that person becomes the owner of one more organization; with a second factor, ' +
          '`code` has to be right as well (401 `mfa_required`, `invalid_code`). With `SIGNUP=operators` it takes the token ' +
          'of an operator; others get 403 `signup_closed`.',
        ...(signup === 'operators' && { security: [{ bearer: [] }] }),
        headers: idempotencyHeaders,
        body: SignUpBody,
        response: {
          201: CreatedOrganization,
          ...problemResponses(400, 401, 403, 409, 413, 415, 422, 429),
        },
      },
    },
    async (request, reply) => {
      const { attempt } = request;
      const created =
        (attempt && (await organizations.findCreated(attempt.earlierSubjectIds))) ??
        (await organizations.create(request.body, clientOf(request), attempt?.subjectId));
      return reply.code(201).send(createdView(created));
    },
  );

  app.get(
    '/org/get',
    {
      onRequest: acceptCaller(access),
      schema: {
        operationId: 'getOrganization',
        tags: ['Organizations'],
        summary: 'Look up an organization',
        description:
          "By name, without regard to case. With a member's token there is more to see, and without a name it is the " +
          "token's own organization.",
        security: [{}, { bearer: [] }, { password: [] }],
        querystring: GetQuery,
        response: { 200: Organization, ...problemResponses(400, 401, 403, 404, 422) },
      },
    },
    async (request) => {
      const { caller } = request;
      const name = request.query.organization_name;
      if (name === undefined && caller === null)
        throw new AppError('malformed', 'invalid_querystring', 'organization_name: is required', {
          errors: [{ path: '/organization_name', message: 'is required without a token' }],
        });
      const organization =
        caller !== null && name === undefined
          ? await organizations.findServing(caller.organizationId)
          : await organizations.getByName(name ?? '');
      if (!caller?.organizationId.equals(organization._id)) return publicView(organization);
      if (!caller.permissions.has('org:read')) return publicView(organization);
      return memberView(await organizations.memberView(organization), caller);
    },
  );
};

/** What members do with their own organization. */
export const organizationRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { organizations, organizationUpdates } = services;

  app.put(
    '/org/update',
    {
      config: { permission: 'org:update', rateLimit: ['guesses'] },
      schema: {
        operationId: 'updateOrganization',
        tags: ['Organizations'],
        summary: 'Rename an organization, or change its metadata or your credentials',
        description:
          'Changes everything given, or nothing. A rename is online and keeps every document and index. Either ' +
          '`{"organization_name": "<new>"}`, or `{"organization_name": "<present>", "new_organization_name": "<new>"}`. ' +
          '`email` and `password` are your own; a new password ends your other sessions. If you have a second factor, they ' +
          'need your `current_password` and a `code`.',
        body: UpdateBody,
        response: {
          200: Organization,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422, 429),
        },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      // As with PATCH /admin/me: each new address is sent a mail.
      if (request.body.email !== undefined)
        await services.routeLimits.take(
          ROUTE_POLICIES.emailChange,
          memberOf(request).adminId.toHexString(),
        );
      const updated = await organizationUpdates.update(caller, request.body, clientOf(request));
      return memberView(await organizations.memberView(updated), caller);
    },
  );

  app.delete(
    '/org/delete',
    {
      config: { permission: 'org:delete' },
      // The body is optional; JSON Schema has no word for one that is missing.
      preValidation: async (request) => {
        if (request.body === undefined) request.body = {};
      },
      schema: {
        operationId: 'deleteOrganization',
        tags: ['Organizations'],
        summary: 'Delete your organization',
        description:
          'Deletes the organization, its collection with every document, and the accounts of those who belong to no ' +
          'other organization. Its name is free again. `organization_name`, in the query or the body, is a safeguard. With ' +
          '`DELETE_GRACE` all of that takes place at `purge_at`; until then nothing of it answers, and an operator can ' +
          'restore it.',
        querystring: DeleteParameters,
        body: DeleteParameters,
        response: {
          200: DeletedOrganization,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422),
        },
      },
    },
    async (request) => {
      const names = [request.query.organization_name, request.body.organization_name];
      return deletedView(await organizations.delete(callerOf(request), names));
    },
  );
};
