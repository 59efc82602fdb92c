import helmet from '@fastify/helmet';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { accountLinkRoutes } from './admins/account-link-routes.ts';
import { adminRoutes, loginRoutes, publicAdminRoutes } from './admins/admin-routes.ts';
import { apiKeyRoutes } from './api-keys/api-key-routes.ts';
import { changeFeedRoutes } from './change-feed/change-feed-routes.ts';
import { healthRoutes } from './health/health-routes.ts';
import { addCaller, requireCaller, requireOperator } from './http/authentication.ts';
import { addBodyParsers } from './http/body-parsers.ts';
import { addDatabasePatience } from './http/database-patience.ts';
import { addDeclaredResponses } from './http/declared-responses.ts';
import { addDraining } from './http/draining.ts';
import { methodNotAllowed } from './http/method-not-allowed.ts';
import { addOpenApi, documentSecurity, OF_OPERATORS } from './http/openapi.ts';
import { addOverloadProtection, type OverloadLimits } from './http/overload.ts';
import { addProblemDetails } from './http/problem-details.ts';
import { addProxyWarning, type TrustedProxies, trusted } from './http/proxies.ts';
import { addRequestId, requestId } from './http/request-id.ts';
import { addRequestLogging } from './http/request-logging.ts';
import { addTextSafety } from './http/text-safety.ts';
import { transportErrors } from './http/transport-errors.ts';
import { addValidation } from './http/validation.ts';
import { addIdempotency } from './idempotency/idempotency-plugin.ts';
import { indexRoutes } from './indexes/index-routes.ts';
import { invitationRoutes, publicInvitationRoutes } from './invitations/invitation-routes.ts';
import { jwksRoutes } from './keys/jwks-routes.ts';
import { linkPageRoutes } from './link-pages/link-page-routes.ts';
import { memberRoutes } from './members/member-routes.ts';
import { metricsRoutes } from './metrics/metrics-routes.ts';
import { addRequestMetrics } from './metrics/request-metrics.ts';
import { ScrapeAccess } from './metrics/scrape-access.ts';
import { mfaRoutes } from './mfa/mfa-routes.ts';
import {
  operatedOrganizationRoutes,
  organizationListRoutes,
} from './operators/operated-organization-routes.ts';
import { operatorMfaRoutes } from './operators/operator-mfa-routes.ts';
import { operatorRoutes, publicOperatorRoutes } from './operators/operator-routes.ts';
import {
  organizationRoutes,
  publicOrganizationRoutes,
} from './organizations/organization-routes.ts';
import { addLimitReports, addRateLimits } from './rate-limits/rate-limit-plugin.ts';
import { recordSchemaRoutes } from './record-schema/record-schema-routes.ts';
import { recordRoutes } from './records/record-routes.ts';
import { roleRoutes } from './roles/role-routes.ts';
import type { Services } from './services.ts';
import { sessionRoutes } from './sessions/session-routes.ts';
import type { Tracing } from './tracing/tracing.ts';
import { exportRoutes } from './transfers/export-routes.ts';
import { importRoutes } from './transfers/import-routes.ts';
import { usageRoutes } from './usage/usage-routes.ts';

/** How the application is set up, beyond its services. */
export interface AppOptions {
  logger: FastifyBaseLogger;
  /** Whose word on where a request comes from is taken (`X-Forwarded-For`); by default nobody's. */
  trustProxy?: TrustedProxies;
  /** Opens `GET /metrics`. Without one, that is open to this machine alone, and to nobody behind a proxy. */
  metricsToken?: string | undefined;
  /** Sends traces of requests. */
  tracing?: Pick<Tracing, 'plugin'> | undefined;
  /** From where on requests are refused; by default what no healthy process comes near. */
  overloadLimits?: OverloadLimits;
  /** Told of an answer whose status its route does not declare; by default it is logged. */
  onUndeclaredStatus?: (route: string, status: number) => void;
}

const REQUEST_TIMEOUT_MS = 30_000;
/** The id of a record may be long, as Extended JSON in a URL; the router would stop at 100 characters. */
const MAX_PARAM_LENGTH = 8_192;

/**
 * Builds the HTTP application on its services: plugins, scopes, routes. It does not listen.
 *
 * Public and authenticated routes live in separate scopes, so that a new route cannot be left open by forgetting a prefix.
 */
export async function buildApp(services: Services, options: AppOptions): Promise<FastifyInstance> {
  const { logger, trustProxy, tracing, metricsToken } = options;
  const app = Fastify({
    loggerInstance: logger,
    genReqId: requestId,
    requestIdHeader: false,
    logController: new LogController({
      requestIdLogLabel: 'request_id',
      disableRequestLogging: true,
    }),
    ...transportErrors,
    ...(trustProxy !== undefined && { trustProxy: trusted(trustProxy) }),
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // Where it is longer than the other, Node (24) gives bodies the longer of the two.
    http: { headersTimeout: REQUEST_TIMEOUT_MS },
    forceCloseConnections: 'idle',
    // Fastify's own answer would be no problem details: see addDraining.
    return503OnClosing: false,
  }).withTypeProvider<TypeBoxTypeProvider>();

  const refusals = methodNotAllowed(app);
  const { requests } = services.metrics;
  const { passwords } = services;
  const overload = {
    waitingElsewhere: () => passwords.waiting + passwords.running,
    refused: (request: FastifyRequest) => requests.refused(request),
  };
  await addOverloadProtection(app, overload, options.overloadLimits);
  addProblemDetails(app);
  addRequestMetrics(app, requests);
  if (tracing !== undefined) await app.register(tracing.plugin);
  addRequestId(app);
  addRequestLogging(app);
  addDraining(app, services.stopping);
  addValidation(app);
  addLimitReports(app);
  addDatabasePatience(app);
  addCaller(app);
  if (trustProxy === undefined) addProxyWarning(app);
  addRateLimits(app, services.routeLimits);
  addIdempotency(app, services.idempotency);
  addBodyParsers(app);
  await app.register(helmet, {
    // For answers that are no pages; Swagger UI sets its own.
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
  });
  // After the headers of every answer, of which its refusals are some.
  addTextSafety(app);
  await addOpenApi(app);
  addDeclaredResponses(
    app,
    options.onUndeclaredStatus ??
      ((route, status) => logger.error({ route, status }, 'answered with an undeclared status')),
  );
  app.get('/', { schema: { hide: true } }, (_request, reply) => reply.redirect('/docs'));

  await app.register(async (scope) => {
    await scope.register(healthRoutes, { services });
    await scope.register(metricsRoutes, {
      metrics: services.metrics,
      access: new ScrapeAccess({ token: metricsToken, behindProxy: trustProxy !== undefined }),
    });
    await scope.register(jwksRoutes, { services });
    await scope.register(publicOrganizationRoutes, { services });
    await scope.register(loginRoutes, { services });
    await scope.register(publicOperatorRoutes, { services });
    await scope.register(publicAdminRoutes, { services });
    await scope.register(accountLinkRoutes, { services });
    await scope.register(publicInvitationRoutes, { services });
    await scope.register(linkPageRoutes);
  });
  await app.register(async (scope) => {
    documentSecurity(scope);
    requireCaller(scope, services.access);
    await scope.register(organizationRoutes, { services });
    await scope.register(memberRoutes, { services });
    await scope.register(invitationRoutes, { services });
    await scope.register(roleRoutes, { services });
    await scope.register(apiKeyRoutes, { services });
    await scope.register(recordSchemaRoutes, { services });
    await scope.register(indexRoutes, { services });
    await scope.register(usageRoutes, { services });
    await scope.register(adminRoutes, { services });
    await scope.register(sessionRoutes, { services });
    await scope.register(mfaRoutes, { services });
    await scope.register(recordRoutes, { services });
    await scope.register(changeFeedRoutes, { services });
    await scope.register(importRoutes, { services });
    await scope.register(exportRoutes, { services });
  });
  await app.register(async (scope) => {
    documentSecurity(scope, OF_OPERATORS);
    requireOperator(scope, services.access);
    await scope.register(operatorRoutes, { services });
    await scope.register(operatorMfaRoutes, { services });
    await scope.register(organizationListRoutes, { services });
    await scope.register(operatedOrganizationRoutes, { services });
  });
  await app.register(refusals);
  return app;
}
