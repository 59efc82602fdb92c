import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ObjectId } from 'mongodb';
import { operatorOf } from '../http/authentication.ts';
import { problemResponses } from '../http/problem-details.ts';
import { DeletedOrganization } from '../organizations/organization-schemas.ts';
import { deletedView } from '../organizations/organization-view.ts';
import type { Services } from '../services.ts';
import {
  DeletionQuery,
  OperatedOrganization,
  OperatedOrganizationBody,
  Operations,
  OrganizationList,
  OrganizationListQuery,
  OrganizationParams,
  SuspendBody,
} from './operated-organization-schemas.ts';
import { listedView, operatedView } from './operated-organization-view.ts';

const CHANGE_REFUSALS = [400, 401, 403, 404, 409, 413, 415, 422] as const;

/** What operators see of organizations. */
export const organizationListRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { organizationList, operatedOrganizations, recovery } = services;

  app.get(
    '/orgs',
    {
      config: { permission: 'operator' },
      schema: {
        operationId: 'listOrganizations',
        tags: ['Operators'],
        summary: 'List the organizations of this installation',
        description:
          'A page at a time; every page costs the same, however many organizations there are. An organization whose size or ' +
          'last activity changes while you page by it may come twice, or not at all.',
        querystring: OrganizationListQuery,
        response: { 200: OrganizationList, ...problemResponses(400, 401, 403) },
      },
    },
    async (request) => {
      const { items, nextCursor } = await organizationList.page(request.query);
      return { data: items.map(listedView), next_cursor: nextCursor };
    },
  );

  app.get(
    '/orgs/:id',
    {
      config: { permission: 'operator' },
      schema: {
        operationId: 'getOrganizationById',
        tags: ['Operators'],
        summary: 'Look at an organization, as an operator',
        description: 'All about it, whatever its state; nothing of what is in it.',
        params: OrganizationParams,
        response: { 200: OperatedOrganization, ...problemResponses(400, 401, 403, 404) },
      },
    },
    async (request) => operatedView(await operatedOrganizations.get(idIn(request.params))),
  );

  app.get(
    '/operations',
    {
      config: { permission: 'operator' },
      schema: {
        operationId: 'listOperations',
        tags: ['Operators'],
        summary: 'List the lifecycle operations under way or stuck',
        description:
          'Creations, changes and deletions of organizations that have begun and not ended, 200 at most. They end by ' +
          'themselves within seconds, also when the instance that ran them dies.',
        response: { 200: Operations, ...problemResponses(400, 401, 403) },
      },
    },
    async () => {
      const operations = await recovery.operations();
      const data = operations.map((one) => ({ ...one, started_at: one.started_at.toISOString() }));
      return { data };
    },
  );
};

/** What operators do to organizations. */
export const operatedOrganizationRoutes: FastifyPluginAsyncTypebox<{
  services: Services;
}> = async (app, { services: { operatedOrganizations } }) => {
  app.patch(
    '/orgs/:id',
    {
      config: { permission: 'operator' },
      schema: {
        operationId: 'changeOrganization',
        tags: ['Operators'],
        summary: 'Set the quota or the metadata of an organization',
        description:
          'Each replaces what there was. 409 `organization_busy` while it is made or deleted.',
        params: OrganizationParams,
        body: OperatedOrganizationBody,
        response: { 200: OperatedOrganization, ...problemResponses(...CHANGE_REFUSALS) },
      },
    },
    async (request) =>
      operatedView(
        await operatedOrganizations.change(operatorOf(request), idIn(request.params), request.body),
      ),
  );

  app.post(
    '/orgs/:id/suspend',
    {
      config: { permission: 'operator' },
      // The body is optional; JSON Schema has no word for one that is missing.
      preValidation: async (request) => {
        if (request.body === undefined) request.body = {};
      },
      schema: {
        operationId: 'suspendOrganization',
        tags: ['Operators'],
        summary: 'Suspend an organization',
        description:
          'Everything of it is refused with 403 `organization_suspended`: at once here, within a second on every instance. ' +
          'Nothing of it is changed. Doing it again changes at most the reason.',
        params: OrganizationParams,
        body: SuspendBody,
        response: { 200: OperatedOrganization, ...problemResponses(...CHANGE_REFUSALS) },
      },
    },
    async (request) =>
      operatedView(
        await operatedOrganizations.suspend(
          operatorOf(request),
          idIn(request.params),
          request.body.reason,
        ),
      ),
  );

  app.post(
    '/orgs/:id/resume',
    {
      config: { permission: 'operator' },
      schema: {
        operationId: 'resumeOrganization',
        tags: ['Operators'],
        summary: 'Serve a suspended organization again',
        description: 'With all that it had: sessions and keys that were good are good again.',
        params: OrganizationParams,
        response: {
          200: OperatedOrganization,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415),
        },
      },
    },
    async (request) =>
      operatedView(await operatedOrganizations.resume(operatorOf(request), idIn(request.params))),
  );

  app.post(
    '/orgs/:id/restore',
    {
      config: { permission: 'operator' },
      schema: {
        operationId: 'restoreOrganization',
        tags: ['Operators'],
        summary: 'Restore a deleted organization',
        description:
          'Until its `purge_at`. Members, roles, invitations, API keys and records are as they were; it is suspended if it was. ' +
          'Members sign in again. After that it is 409 `grace_period_over`, and once it is purged, 404.',
        params: OrganizationParams,
        response: {
          200: OperatedOrganization,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415),
        },
      },
    },
    async (request) =>
      operatedView(await operatedOrganizations.restore(operatorOf(request), idIn(request.params))),
  );

  app.delete(
    '/orgs/:id',
    {
      config: { permission: 'operator' },
      schema: {
        operationId: 'deleteOrganizationById',
        tags: ['Operators'],
        summary: 'Delete an organization, as an operator',
        description:
          'As its owner would: the organization, its collection with every document, and the accounts of those who belong ' +
          'to no other organization. Its name is free again. With `DELETE_GRACE` that takes place at `purge_at`, unless ' +
          '`purge` is true; until then nothing of it answers, and it can be restored.',
        params: OrganizationParams,
        querystring: DeletionQuery,
        response: {
          200: DeletedOrganization,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415),
        },
      },
    },
    async (request) =>
      deletedView(
        await operatedOrganizations.delete(
          operatorOf(request),
          idIn(request.params),
          request.query.purge,
        ),
      ),
  );
};

function idIn({ id }: { id: string }): ObjectId {
  return ObjectId.createFromHexString(id);
}
