import formbody from '@fastify/formbody';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Static } from 'typebox';
import { memberOf } from '../http/authentication.ts';
import { clientOf } from '../http/client.ts';
import { ListQuery, listView, pageRequestOf } from '../http/pagination.ts';
import { problemResponses } from '../http/problem-details.ts';
import { MissingBodyError } from '../http/validation-problem.ts';
import { ROUTE_POLICIES } from '../rate-limits/route-limits.ts';
import type { Services } from '../services.ts';
import {
  LoginBody,
  LoginForm,
  Me,
  MeBody,
  MyOrganizations,
  RefreshBody,
  SignedIn,
  SwitchBody,
  TokenPair,
} from './admin-schemas.ts';
import { choiceView, meView, signInView } from './admin-view.ts';
import type { Credentials } from './login-service.ts';

const FORM_LIMIT_BYTES = 64 * 1024;

/** Signing in. In a scope of its own, because no other operation takes a form. */
export const loginRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  await app.register(formbody, { bodyLimit: FORM_LIMIT_BYTES });
  app.post(
    '/admin/login',
    {
      config: { rateLimit: ['guesses'] },
      // Fastify picks the schema by the Content-Type, and without one validates nothing.
      preValidation: async (request) => {
        if (request.body === undefined || request.body === null) throw new MissingBodyError();
      },
      schema: {
        operationId: 'login',
        tags: ['Admins'],
        summary: 'Sign in',
        description:
          'Gives an access token for one organization, and a refresh token. Takes JSON, or the form of the OAuth 2.0 ' +
          'password grant. The answer to a wrong address and to a wrong password is the same. After the right password, an ' +
          'account with a second factor is asked for its `code` with 401 `mfa_required`; a wrong or used one is 401 ' +
          '`invalid_code`. After 10 failures on an account it answers 429, for up to 15 minutes; from another address, ' +
          'and from one that was used before, signing in still works.',
        body: {
          content: {
            'application/json': { schema: LoginBody },
            'application/x-www-form-urlencoded': { schema: LoginForm },
          },
        },
        response: { 200: SignedIn, ...problemResponses(400, 401, 403, 404, 413, 415, 422, 429) },
      },
    },
    async (request, reply) => {
      const body = request.body as Static<typeof LoginBody> | Static<typeof LoginForm>;
      const signIn = await services.logins.login(credentialsOf(body), clientOf(request));
      // RFC 6749, 5.1: answers with tokens are not to be kept.
      reply.header('cache-control', 'no-store');
      return signInView(signIn);
    },
  );
};

/** Staying signed in. */
export const publicAdminRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  app.post(
    '/admin/refresh',
    {
      config: { rateLimit: ['refresh'] },
      schema: {
        operationId: 'refresh',
        tags: ['Admins'],
        summary: 'Exchange a refresh token for a new pair',
        description:
          'A refresh token works once. Using it again ends the session, unless the same client does so within 10 ' +
          'seconds: that gets the same pair.',
        body: RefreshBody,
        response: { 200: TokenPair, ...problemResponses(400, 401, 403, 413, 415, 422, 429) },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store');
      return services.sessions.refresh(request.body.refresh_token, clientOf(request));
    },
  );
};

/** What people do with their own account. */
export const adminRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { accounts, logins, routeLimits } = services;

  app.get(
    '/admin/me',
    {
      config: { permission: 'self' },
      schema: {
        operationId: 'getMe',
        tags: ['Admins'],
        summary: 'Who you are',
        description:
          'Your account, the organization you are signed in to, and what you may do there.',
        response: { 200: Me, ...problemResponses(400, 401, 403, 404) },
      },
    },
    async (request) => {
      const caller = memberOf(request);
      return meView(await accounts.get(caller), caller);
    },
  );

  app.patch(
    '/admin/me',
    {
      config: { permission: 'self', rateLimit: ['guesses'] },
      schema: {
        operationId: 'changeMe',
        tags: ['Admins'],
        summary: 'Change your name, your e-mail address or your password',
        description:
          'A new password or e-mail address needs the present password, and a `code` if you have a second factor. A new password ' +
          'ends your other sessions. A new ' +
          'e-mail address is sent a link, and counts when you have followed it; until then it is your `pending_email`. If the ' +
          'mail cannot be sent nothing changes: 503 `mail_unavailable`, or 422 `mail_refused`.',
        body: MeBody,
        response: { 200: Me, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422, 429) },
      },
    },
    async (request) => {
      const caller = memberOf(request);
      // Not a limit of the whole route: each sends a mail to somebody who may not have asked for it, which other changes do not.
      if (request.body.email !== undefined)
        await routeLimits.take(ROUTE_POLICIES.emailChange, caller.adminId.toHexString());
      return meView(await accounts.change(caller, request.body, clientOf(request)), caller);
    },
  );

  app.get(
    '/admin/organizations',
    {
      config: { permission: 'self' },
      schema: {
        operationId: 'listMyOrganizations',
        tags: ['Admins'],
        summary: 'List the organizations you belong to',
        description: 'In the order you joined them, a page at a time.',
        querystring: ListQuery,
        response: { 200: MyOrganizations, ...problemResponses(400, 401, 403) },
      },
    },
    async (request) => {
      const page = await accounts.organizations(memberOf(request), pageRequestOf(request.query));
      return listView(page, choiceView);
    },
  );

  app.post(
    '/admin/switch',
    {
      config: { permission: 'self' },
      schema: {
        operationId: 'switchOrganization',
        tags: ['Admins'],
        summary: 'Go to another of your organizations',
        description:
          'Gives tokens for it, in a session of its own; the tokens you have stay good for the organization they are for.',
        body: SwitchBody,
        response: { 200: SignedIn, ...problemResponses(400, 401, 403, 404, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store');
      return signInView(await logins.switchTo(memberOf(request), request.body, clientOf(request)));
    },
  );
};

function credentialsOf(body: Static<typeof LoginBody> | Static<typeof LoginForm>): Credentials {
  const { password, organization_name, code } = body;
  const email = 'email' in body ? body.email : body.username;
  return {
    ...{ email, password },
    ...(organization_name !== undefined && { organization_name }),
    ...(code !== undefined && { code }),
  };
}
