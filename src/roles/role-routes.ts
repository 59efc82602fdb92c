import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { callerOf } from '../http/authentication.ts';
import { problemResponses } from '../http/problem-details.ts';
import { idempotencyHeaders } from '../idempotency/idempotency-schemas.ts';
import type { Services } from '../services.ts';
import { Role, RoleBody, RoleParams, RoleReplacement, Roles } from './role-schemas.ts';
import type { Role as RoleView } from './role-service.ts';

/** An organization's roles. */
export const roleRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { roles } = services;

  app.get(
    '/org/roles',
    {
      // Whoever may see the members may know what their roles mean.
      config: { permission: 'member:read' },
      schema: {
        operationId: 'listRoles',
        tags: ['Roles'],
        summary: 'List the roles of the organization',
        description: 'The built-in ones and its own, with what each allows.',
        response: { 200: Roles, ...problemResponses(400, 401, 403) },
      },
    },
    async (request) => {
      const found = await roles.list(callerOf(request).organizationId);
      return { data: found.map(view), next_cursor: null };
    },
  );

  app.post(
    '/org/roles',
    {
      config: { permission: 'role:write', idempotent: true },
      schema: {
        operationId: 'createRole',
        tags: ['Roles'],
        summary: 'Define a role',
        description: 'You can only put into it what you may do yourself.',
        headers: idempotencyHeaders,
        body: RoleBody,
        response: { 201: Role, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      const { name, ...role } = request.body;
      const attempt = request.attempt ?? undefined;
      return reply.code(201).send(view(await roles.create(callerOf(request), name, role, attempt)));
    },
  );

  app.put(
    '/org/roles/:name',
    {
      config: { permission: 'role:write' },
      schema: {
        operationId: 'replaceRole',
        tags: ['Roles'],
        summary: 'Change what a role allows',
        description: 'Counts at once for those who have it. Built-in roles cannot be changed.',
        params: RoleParams,
        body: RoleReplacement,
        response: { 200: Role, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422) },
      },
    },
    async (request) =>
      view(await roles.replace(callerOf(request), request.params.name, request.body)),
  );

  app.delete(
    '/org/roles/:name',
    {
      config: { permission: 'role:write' },
      schema: {
        operationId: 'deleteRole',
        tags: ['Roles'],
        summary: 'Delete a role',
        description: 'One that nobody has or is invited to. Built-in roles stay.',
        params: RoleParams,
        response: {
          204: { description: 'The role is gone.', type: 'null' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415),
        },
      },
    },
    async (request, reply) => {
      await roles.delete(callerOf(request), request.params.name);
      return reply.code(204).send(null);
    },
  );
};

function view({ name, description, builtIn, permissions }: RoleView) {
  return { name, description, built_in: builtIn, permissions: [...permissions] };
}
