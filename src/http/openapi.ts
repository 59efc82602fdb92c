import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { VERSION } from '../version.ts';

const DESCRIPTION = `Organizations, their admins and their data, for multi-tenant products on MongoDB.

Every organization owns one collection. Refusals are problem details (RFC 9457) with a stable \`code\`. To try things out:
create an organization, press Authorize with its e-mail address and password, and go on.`;

/** Serves the OpenAPI 3.1 document at `/openapi.json` and Swagger UI at `/docs`. Register it before the routes. */
export async function addOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tenantry',
        version: VERSION,
        description: DESCRIPTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/', description: 'This service' }],
      // None, unless an operation names some: the linter wants to be told.
      security: [],
      tags: [
        { name: 'Organizations', description: 'The five operations on organizations' },
        { name: 'Members', description: 'Who belongs to an organization' },
        { name: 'Invitations', description: 'Becoming a member' },
        { name: 'Roles', description: 'What members may do' },
        { name: 'API keys', description: 'For machines that work for an organization' },
        { name: 'Records', description: "An organization's own data" },
        {
          name: 'Schema and indexes',
          description: 'What records have to be like, and how they are found',
        },
        { name: 'Usage', description: 'What an organization uses, and may use' },
        { name: 'Admins', description: 'Signing in, and your own account' },
        { name: 'Sessions', description: 'Where you are signed in' },
        { name: 'Operators', description: 'The people who run this installation' },
        { name: 'Keys', description: 'For back ends that verify access tokens by themselves' },
        { name: 'Health', description: 'For load balancers and orchestrators' },
      ],
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description:
              'An access token, or an API key (`tnt_…`). A key is for what its permissions allow; operations of which ' +
              '`x-permission` is `self` are for people, and answer a key with 403 `person_required`. Where it is `operator` the ' +
              'token is one of `POST /operator/login`, which opens nothing else.',
          },
          password: {
            type: 'oauth2',
            description:
              'Sign in with e-mail address (as username) and password. An account with a second factor has no field for its ' +
              'code here: sign in with `POST /admin/login` and put the access token into `bearer`.',
            flows: { password: { tokenUrl: '/admin/login', scopes: {} } },
          },
        },
      },
    },
    refResolver: {
      buildLocalReference: (schema, _baseUri, _fragment, index) =>
        typeof schema.$id === 'string' ? schema.$id : `Schema${index}`,
    },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    // Over plain http, by an address that is not loopback, a browser would ask for every script over https, in vain.
    transformStaticCSP: (policy) => policy.replace(/;? *upgrade-insecure-requests/, ''),
    // Nothing is kept: it would keep the password, in clear, in the browser.
    // Among the extensions is the permission that an operation needs.
    uiConfig: { persistAuthorization: false, tryItOutEnabled: true, showExtensions: true },
  });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}

type SecurityRequirements = readonly Readonly<Record<string, readonly string[]>>[];

/** How members get a token. */
const OF_MEMBERS: SecurityRequirements = [{ bearer: [] }, { password: [] }];
/** The password flow signs in members. */
export const OF_OPERATORS: SecurityRequirements = [{ bearer: [] }];

/** Marks every route of a scope as needing a token, in the document. */
export function documentSecurity(scope: FastifyInstance, security = OF_MEMBERS): void {
  scope.addHook('onRoute', (route) => {
    if (route.schema) route.schema.security ??= security;
  });
}
