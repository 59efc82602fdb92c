import type { MongoClient, ObjectId } from 'mongodb';
import { AccessCache } from './access/access-cache.ts';
import { AccessService, type SessionAccess } from './access/access-service.ts';
import { LastUse } from './access/last-use.ts';
import { AccountRemoval } from './admins/account-removal.ts';
import { AccountService } from './admins/account-service.ts';
import {
  EMAIL_CHANGES,
  EmailChangeStore,
  PASSWORD_RESETS,
  PasswordResetStore,
} from './admins/account-token-store.ts';
import { ADMINS, AdminStore } from './admins/admin-store.ts';
import { CredentialCheck } from './admins/credential-check.ts';
import { CredentialNotices } from './admins/credential-notices.ts';
import { EmailChangeService } from './admins/email-change-service.ts';
import { LoginService } from './admins/login-service.ts';
import { PasswordHasher, PasswordQueueFullError } from './admins/password-hasher.ts';
import { PasswordResetService } from './admins/password-reset-service.ts';
import { Reauthentication } from './admins/reauthentication.ts';
import { makeApiKey } from './api-keys/api-key.ts';
import { ApiKeyAccess, type KeyAccess } from './api-keys/api-key-access.ts';
import { ApiKeyService } from './api-keys/api-key-service.ts';
import { API_KEYS, ApiKeyStore } from './api-keys/api-key-store.ts';
import { type Clock, systemClock } from './clock.ts';
import { Belongings } from './database/belongings.ts';
import { ensureIndexes, type MasterCollection } from './database/collections.ts';
import { MasterChanges } from './database/master-changes.ts';
import { Readiness } from './health/readiness.ts';
import { IdempotencyService } from './idempotency/idempotency-service.ts';
import { IDEMPOTENCY_KEYS, IdempotencyStore } from './idempotency/idempotency-store.ts';
import { type IdSource, randomIds } from './ids.ts';
import { InvitationAcceptance } from './invitations/invitation-acceptance.ts';
import { InvitationService } from './invitations/invitation-service.ts';
import { INVITATIONS, InvitationStore } from './invitations/invitation-store.ts';
import { JoiningService } from './invitations/joining-service.ts';
import { ServiceKeys } from './keys/service-keys.ts';
import type { SigningKeySet } from './keys/signing-keys.ts';
import type { Logger } from './logging/logger.ts';
import { noMailer } from './mail/create-mailer.ts';
import { MailTasks } from './mail/mail-tasks.ts';
import type { Mailer } from './mail/mailer.ts';
import { Makers } from './members/makers.ts';
import { MemberChanges } from './members/member-changes.ts';
import { MemberService } from './members/member-service.ts';
import { MEMBERSHIPS, MembershipStore } from './members/membership-store.ts';
import { MfaService } from './mfa/mfa-service.ts';
import { RecoveryCodes } from './mfa/recovery-codes.ts';
import { SecondFactorCheck } from './mfa/second-factor-check.ts';
import { SecondFactorStore } from './mfa/second-factor-store.ts';
import { TotpSecrets } from './mfa/totp-secrets.ts';
import { randomTokens, type TokenSource } from './one-time-tokens/one-time-tokens.ts';
import { OrganizationService } from './organizations/organization-service.ts';
import { OrganizationUpdateService } from './organizations/organization-update-service.ts';
import { GuessLimits } from './rate-limits/guess-limits.ts';
import { KnownNetworks } from './rate-limits/known-networks.ts';
import { LimitKeys } from './rate-limits/limit-keys.ts';
import { RATE_LIMITS, RateLimitStore } from './rate-limits/rate-limit-store.ts';
import { RouteLimits } from './rate-limits/route-limits.ts';
import { Turns } from './rate-limits/turns.ts';
import { OperationStore } from './registry/operation-store.ts';
import { collectionReference } from './registry/organization-document.ts';
import { ORGANIZATIONS, RegistryStore } from './registry/registry-store.ts';
import { RepeatingTask } from './repeating-task.ts';
import { RoleService } from './roles/role-service.ts';
import { ROLES, RoleStore } from './roles/role-store.ts';
import { AccessTokens } from './sessions/access-tokens.ts';
import { RefreshTokens } from './sessions/refresh-tokens.ts';
import { SessionService } from './sessions/session-service.ts';
import { SESSIONS, SessionStore } from './sessions/session-store.ts';
import { CollectionBudget } from './tenants/capacity.ts';
import { type FaultInjector, noFaults } from './tenants/lifecycle/fault-points.ts';
import { OrganizationCreation } from './tenants/lifecycle/organization-creation.ts';
import { OrganizationDeletion } from './tenants/lifecycle/organization-deletion.ts';
import { OrganizationUpdate } from './tenants/lifecycle/organization-update.ts';
import { Reconciliation } from './tenants/reconciliation.ts';
import { Recovery } from './tenants/recovery.ts';
import { TenantCollection } from './tenants/tenant-collection.ts';
import { TenantCollections } from './tenants/tenant-collections.ts';

/** Every collection of the master database. */
export const MASTER_COLLECTIONS: readonly MasterCollection[] = [
  ORGANIZATIONS,
  ADMINS,
  MEMBERSHIPS,
  SESSIONS,
  ROLES,
  API_KEYS,
  INVITATIONS,
  PASSWORD_RESETS,
  EMAIL_CHANGES,
  IDEMPOTENCY_KEYS,
  RATE_LIMITS,
];

/** How often this instance looks for operations that another one left unfinished. */
const RECOVERY_INTERVAL_MS = 500;
/** How often the registry and the collections are compared. */
const RECONCILIATION_INTERVAL_MS = 10 * 60 * 1_000;

/** How often it is written down when sessions and API keys were last used. */
const LAST_USE_INTERVAL_MS = 60 * 1_000;
/** Where it is written who may do what. */
const ACCESS_COLLECTIONS = [ORGANIZATIONS, ADMINS, MEMBERSHIPS, SESSIONS, ROLES, API_KEYS];
/** What may change of a document without a change of who may do what. */
const UNIMPORTANT_FIELDS = [
  'last_used_at',
  'last_organization_id',
  'membership_version',
  'known_networks',
];
/** So many sign-ins to one account from one address may wait for each other. */
const MOST_SIGN_INS_WAITING = 100;

/** What authenticator apps show as the origin of a code. */
const TOTP_ISSUER = 'Tenantry';

/** What the services are built from. */
export interface ServiceSettings {
  masterDatabase: string;
  tenantDatabase: string;
  maxCollections: number;
  jwtSecret: string;
  /** Secrets that `jwtSecret` has replaced: what was made with them stays good. */
  jwtPreviousSecrets?: readonly string[];
  /** Sign the access tokens in place of `jwtSecret`. */
  signingKeys?: SigningKeySet | undefined;
  issuer: string;
  audience: string;
  accessTtlSeconds: number;
  refreshTtlSeconds: number;
  idleTtlSeconds: number;
  bcryptCost: number;
  /** What links in mails begin with, without a slash at the end. */
  publicUrl: string;
  /** Off: nothing is limited, and nobody locked out. */
  rateLimits: boolean;
}

/** What tests and drills put in place of the real thing; the mailer is made from the settings by `main.ts`. */
export interface ServiceSources {
  /** Stays the caller's to dispose of. Without one, sending fails with `mail_not_configured`. */
  mailer: Mailer;
  clock: Clock;
  ids: IdSource;
  /** Of the secrets in links. */
  tokens: TokenSource;
  faults: FaultInjector;
}

export type Services = ReturnType<typeof createServices>;

/**
 * The composition root: the only place where services are made. The service, the command line, tests and benchmarks all
 * use it.
 *
 * @param client - connected or not; stays the caller's to close
 */
export function createServices(
  client: MongoClient,
  settings: ServiceSettings,
  logger: Logger,
  sources: Partial<ServiceSources> = {},
) {
  const { clock = systemClock, ids = randomIds, faults = noFaults, mailer = noMailer } = sources;
  const { tokens = randomTokens } = sources;
  const master = client.db(settings.masterDatabase);
  const instanceId = ids.uuid();
  const { jwtSecret, jwtPreviousSecrets = [], signingKeys } = settings;
  const keys = new ServiceKeys({ current: jwtSecret, previous: jwtPreviousSecrets });
  const { issuer, audience, refreshTtlSeconds, idleTtlSeconds, tenantDatabase } = settings;

  const registry = new RegistryStore(master);
  const operations = new OperationStore(master);
  const admins = new AdminStore(master);
  // Read when an answer is looked for, which is after everything here has been made.
  const horizon = {
    get seenUntilMs(): number {
      return changes.seenUntilMs;
    },
  };
  const sessionAccess = new AccessCache<SessionAccess>({ clock, horizon });
  const keyAccess = new AccessCache<KeyAccess>({ clock, horizon });
  const caches = [sessionAccess, keyAccess];
  const accessChanged = (...changed: ObjectId[]) => {
    for (const cache of caches) cache.invalidate(changed);
  };
  const memberships = new MembershipStore(master, accessChanged);
  const sessionStore = new SessionStore(master, accessChanged);
  const roleStore = new RoleStore(master, accessChanged);
  const apiKeyStore = new ApiKeyStore(master, accessChanged);
  const invitationStore = new InvitationStore(master);
  const idempotencyStore = new IdempotencyStore(master);
  const collections = new TenantCollections(client, settings.masterDatabase);
  const belongings = new Belongings({
    ...{ master, collections: MASTER_COLLECTIONS, changed: accessChanged },
    owners: { organization: ORGANIZATIONS, admin: ADMINS },
  });
  const accountRemoval = new AccountRemoval({ admins, memberships, belongings });
  const passwords = new PasswordHasher({ cost: settings.bcryptCost });
  const limiting = {
    ...{ store: new RateLimitStore(master), keys: new LimitKeys({ keys }), clock, ids },
    enabled: settings.rateLimits,
  };
  const routeLimits = new RouteLimits(limiting);
  const guesses = new GuessLimits({
    ...{ ...limiting, admins, knownNetworks: new KnownNetworks({ ...limiting, admins }) },
    turns: new Turns({
      maxWaiting: MOST_SIGN_INS_WAITING,
      tooMany: () => new PasswordQueueFullError(),
    }),
  });
  const mailTasks = new MailTasks({ mailer, logger });
  const mfaParts = {
    factors: new SecondFactorStore(master),
    secrets: new TotpSecrets({ keys }),
    recoveryCodes: new RecoveryCodes({ keys }),
    ...{ clock, ids },
  };
  const secondFactors = new SecondFactorCheck({ ...mfaParts, logger });
  const credentials = new CredentialCheck({ admins, passwords, secondFactors, guesses });
  const reauthentication = new Reauthentication({ admins, credentials });
  const mfa = new MfaService({
    ...mfaParts,
    ...{ admins, sessions: sessionStore, reauthentication, issuer: TOTP_ISSUER },
  });
  const budget = new CollectionBudget({ client, registry, clock, limit: settings.maxCollections });

  const lifecycle = {
    ...{ registry, operations, collections, admins, memberships, sessions: sessionStore },
    accounts: accountRemoval,
    ...{ belongings, clock, ids, logger, faults, instanceId },
  };
  const creation = new OrganizationCreation(lifecycle);
  const update = new OrganizationUpdate(lifecycle);
  const deletion = new OrganizationDeletion(lifecycle);
  const recovery = new Recovery({ operations, creation, update, deletion, logger, instanceId });

  const accessTokens = new AccessTokens({
    keys: signingKeys ? { keys: signingKeys } : { secrets: [jwtSecret, ...jwtPreviousSecrets] },
    ...{ issuer, audience, ttlSeconds: settings.accessTtlSeconds, clock },
  });
  const sessions = new SessionService({
    ...{ sessions: sessionStore, registry, memberships, admins, accessTokens, clock, ids },
    ...{ refreshTokens: new RefreshTokens({ keys }), refreshTtlSeconds, idleTtlSeconds },
  });
  const logins = new LoginService({ admins, memberships, registry, sessions, credentials });
  const links = { mailer, mailTasks, tokens, publicUrl: settings.publicUrl, clock, ids };
  const notices = new CredentialNotices({ mailTasks, clock });
  const passwordResets = new PasswordResetService({
    ...{ ...links, resets: new PasswordResetStore(master), notices },
    ...{ admins, memberships, registry, sessions: sessionStore, passwords, guesses },
  });
  const emailChanges = new EmailChangeService({
    ...{ ...links, emailChanges: new EmailChangeStore(master), admins, notices },
  });
  const accounts = new AccountService({
    ...{ admins, memberships, registry, sessions: sessionStore, reauthentication },
    ...{ passwords, emailChanges, notices, clock, ids },
  });
  const roles = new RoleService({
    ...{ roles: roleStore, clock, ids },
    // One after the other: an invitation that has been accepted by now has made its member before.
    isInUse: async (organizationId, role) =>
      (await invitationStore.isRoleInUse(organizationId, role)) ||
      (await memberships.isRoleInUse(organizationId, role)),
  });
  const memberChanges = new MemberChanges({
    ...{ memberships, admins, accounts: accountRemoval, sessions: sessionStore },
    ...{ clock, ids, logger },
  });
  const members = new MemberService({ memberships, admins, roles, changes: memberChanges });
  const makers = new Makers({ memberships, admins });
  const invitations = new InvitationService({
    ...{ ...links, invitations: invitationStore, memberships, admins, makers, roles, registry },
    logger,
  });
  const acceptance = new InvitationAcceptance({
    ...{ invitations: invitationStore, memberships, admins, accounts: accountRemoval, registry },
    ...{ clock, ids, logger },
  });
  const joining = new JoiningService({
    ...{ invitations: invitationStore, acceptance, admins, registry, credentials, passwords },
    ...{ logins, clock, ids },
  });
  const sessionUse = new LastUse({ clock, record: (uses) => sessionStore.recordUse(uses) });
  const keyUse = new LastUse({ clock, record: (uses) => apiKeyStore.recordUse(uses) });
  const apiKeyAccess = new ApiKeyAccess({
    ...{ keys: apiKeyStore, registry, keyAccess, lastUse: keyUse, clock },
  });
  const apiKeys = new ApiKeyService({
    ...{ keys: apiKeyStore, registry, makers, clock, ids, makeKey: makeApiKey },
    forgetAnswers: (id) => idempotencyStore.eraseSubject(id),
  });
  const access = new AccessService({
    ...{ accessTokens, sessions: sessionStore, memberships, registry, roles: roleStore },
    ...{ sessionAccess, lastUse: sessionUse, apiKeys: apiKeyAccess, clock },
  });
  const organizations = new OrganizationService({
    ...{ registry, admins, memberships, passwords, credentials, creation, deletion, budget },
    ...{ clock, ids, tenantDatabase },
  });
  const organizationUpdates = new OrganizationUpdateService({
    ...{
      organizations,
      registry,
      admins,
      sessions: sessionStore,
      passwords,
      update,
      notices,
      clock,
    },
  });
  const idempotency = new IdempotencyService({ store: idempotencyStore, ids, keys });
  const readiness = new Readiness({ client });
  const reconciliation = new Reconciliation({
    ...{ registry, collections, update, memberships, admins, accounts: accountRemoval },
    ...{ belongings, clock, logger, tenantDatabase },
  });
  const recoveryTask = new RepeatingTask({
    name: 'recovery',
    everyMs: RECOVERY_INTERVAL_MS,
    logger,
    task: async () => {
      await recovery.recoverExpired();
      await memberChanges.finishInterrupted();
      await acceptance.finishInterrupted();
      readiness.recovered();
    },
  });
  const reconciliationTask = new RepeatingTask({
    name: 'reconciliation',
    everyMs: RECONCILIATION_INTERVAL_MS,
    logger,
    task: () => reconciliation.run(),
  });

  const recordLastUse = async () => {
    await Promise.all([sessionUse.flush(), keyUse.flush()]);
  };
  const lastUseTask = new RepeatingTask({
    ...{ name: 'recording of last use', everyMs: LAST_USE_INTERVAL_MS, logger },
    task: recordLastUse,
  });
  const changes = new MasterChanges({
    ...{ master, clock, logger },
    collections: ACCESS_COLLECTIONS.map(({ name }) => name),
    unimportant: UNIMPORTANT_FIELDS,
    onChange: (changed) => accessChanged(...changed),
    onGap: () => {
      for (const cache of caches) cache.clear();
    },
  });

  return {
    access,
    accounts,
    members,
    memberChanges,
    invitations,
    acceptance,
    joining,
    passwordResets,
    emailChanges,
    roles,
    apiKeys,
    organizations,
    organizationUpdates,
    logins,
    sessions,
    accessTokens,
    mfa,
    idempotency,
    mailTasks,
    routeLimits,
    guesses,
    recovery,
    reconciliation,
    readiness,
    /** Writes down what was used since the last time; a timer does it as well. */
    recordLastUse,

    /** An organization's data. @throws OrganizationNotFoundError */
    async tenantCollection(id: ObjectId): Promise<TenantCollection> {
      const reference = collectionReference(await organizations.findServing(id));
      if (reference === undefined) throw new Error('a serving organization has a collection');
      return new TenantCollection(client, reference);
    },

    /** Builds the indexes, ends what a crash left, and keeps looking for more of it. */
    async start(): Promise<void> {
      await ensureIndexes(master, MASTER_COLLECTIONS);
      readiness.indexesBuilt();
      await passwords.warmUp();
      changes.start();
      await recoveryTask.start();
      // In the background: it reads the whole registry, and nothing waits for what it finds.
      void reconciliationTask.start();
      void lastUseTask.start();
    },

    async [Symbol.asyncDispose](): Promise<void> {
      await changes[Symbol.asyncDispose]();
      await lastUseTask[Symbol.asyncDispose]();
      await recordLastUse().catch((error: unknown) =>
        logger.warn({ err: error }, 'could not record last use'),
      );
      await recoveryTask[Symbol.asyncDispose]();
      await reconciliationTask[Symbol.asyncDispose]();
      await mailTasks[Symbol.asyncDispose]();
    },
  };
}
