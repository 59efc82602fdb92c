import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ObjectId } from 'mongodb';
import { callerOf, memberOf } from '../http/authentication.ts';
import { ListQuery, listView, pageRequestOf } from '../http/pagination.ts';
import { problemResponses } from '../http/problem-details.ts';
import type { Services } from '../services.ts';
import { Member, MemberParams, Members, RoleChange, TransferBody } from './member-schemas.ts';
import type { Member as MemberView } from './member-service.ts';

/** Who belongs to the caller's organization. */
export const memberRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { members } = services;

  app.get(
    '/org/members',
    {
      config: { permission: 'member:read' },
      schema: {
        operationId: 'listMembers',
        tags: ['Members'],
        summary: 'List the members',
        description: 'Longest first, a page at a time.',
        querystring: ListQuery,
        response: { 200: Members, ...problemResponses(400, 401, 403) },
      },
    },
    async (request) => {
      const { organizationId } = callerOf(request);
      return listView(await members.list(organizationId, pageRequestOf(request.query)), view);
    },
  );

  app.patch(
    '/org/members/:admin_id',
    {
      config: { permission: 'member:write' },
      schema: {
        operationId: 'changeMember',
        tags: ['Members'],
        summary: 'Give a member another role',
        description:
          'Counts at once, for tokens that were issued before as well. You can only change members who may do no more ' +
          'than you, and only give roles that allow no more. The last owner stays an owner.',
        params: MemberParams,
        body: RoleChange,
        response: { 200: Member, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422) },
      },
    },
    async (request) => {
      const { admin_id } = request.params;
      return view(
        await members.changeRole(callerOf(request), new ObjectId(admin_id), request.body.role),
      );
    },
  );

  app.delete(
    '/org/members/:admin_id',
    {
      config: { permission: 'member:write' },
      schema: {
        operationId: 'removeMember',
        tags: ['Members'],
        summary: 'Remove a member',
        description:
          'Their tokens for this organization end at once. The account of somebody who belongs to no other organization ' +
          'is removed as well. The last owner stays.',
        params: MemberParams,
        response: {
          204: { description: 'No longer a member.', type: 'null' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415),
        },
      },
    },
    async (request, reply) => {
      await members.remove(callerOf(request), new ObjectId(request.params.admin_id));
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/org/leave',
    {
      config: { permission: 'self' },
      schema: {
        operationId: 'leaveOrganization',
        tags: ['Members'],
        summary: 'Leave the organization',
        description:
          'As when somebody else removes you: with your last organization goes your account. The last owner cannot leave.',
        response: {
          204: { description: 'You are no longer a member.', type: 'null' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415),
        },
      },
    },
    async (request, reply) => {
      await members.leave(memberOf(request));
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/org/transfer',
    {
      config: { permission: 'org:transfer' },
      schema: {
        operationId: 'transferOrganization',
        tags: ['Members'],
        summary: 'Hand the organization over',
        description: 'Makes another member an owner, and you an admin: both, or neither.',
        body: TransferBody,
        response: {
          204: { description: 'The organization is handed over.', type: 'null' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      await members.transfer(memberOf(request), new ObjectId(request.body.admin_id));
      return reply.code(204).send(null);
    },
  );
};

function view({ admin, membership }: MemberView) {
  return {
    id: admin._id.toHexString(),
    email: admin.email,
    name: admin.name,
    role: membership.role,
    joined_at: membership.created_at.toISOString(),
  };
}
