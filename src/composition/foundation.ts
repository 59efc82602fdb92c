import type { Db, MongoClient } from 'mongodb';
import {
  FEED_LIMITS,
  FEED_TIMES,
  type FeedLimits,
  type FeedTimes,
} from '../change-feed/feed-times.ts';
import { type Clock, systemClock } from '../clock.ts';
import { type IdSource, randomIds } from '../ids.ts';
import { ServiceKeys } from '../keys/service-keys.ts';
import type { SigningKeySet } from '../keys/signing-keys.ts';
import type { Logger } from '../logging/logger.ts';
import { noMailer } from '../mail/create-mailer.ts';
import type { Mailer } from '../mail/mailer.ts';
import { randomTokens, type TokenSource } from '../one-time-tokens/one-time-tokens.ts';
import type { TokenKeys } from '../sessions/token-signatures.ts';
import { type FaultInjector, noFaults } from '../tenants/lifecycle/fault-points.ts';
import type { Quota } from '../usage/quota-service.ts';

/** What the services are built from. */
export interface ServiceSettings {
  masterDatabase: string;
  tenantDatabase: string;
  maxCollections: number;
  /** For each organization, the one on `_id` included; by default 16. */
  maxIndexes?: number;
  /** How long a request waits for an index to be built; by default 10 s. */
  indexBuildWaitMs?: number;
  /** What organizations may use for which operators have set nothing; by default as much as they like. */
  defaultQuota?: Quota;
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
  /** The operator to make at the start, unless there is one of that address. */
  firstOperator?: { email: string; password: string } | undefined;
  /** How long a deleted organization can be restored; by default not at all. */
  deleteGraceSeconds?: number;
  /** Who may create organizations; by default anybody. */
  signup?: 'open' | 'operators';
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
  /** What change feeds read with: each holds a connection. Without one, the client of everything else. */
  feedClient: MongoClient;
  feedTimes: FeedTimes;
  feedLimits: FeedLimits;
}

/** What everything is made from. */
export interface Foundation extends Omit<ServiceSources, 'mailer'> {
  client: MongoClient;
  master: Db;
  settings: ServiceSettings;
  logger: Logger;
  mailer: Mailer;
  keys: ServiceKeys;
  /** Names this process in leases. */
  instanceId: string;
}

/** What signs access tokens. */
export function tokenKeysOf(settings: ServiceSettings): TokenKeys {
  const { jwtSecret, jwtPreviousSecrets = [], signingKeys } = settings;
  return signingKeys ? { keys: signingKeys } : { secrets: [jwtSecret, ...jwtPreviousSecrets] };
}

export function createFoundation(
  client: MongoClient,
  settings: ServiceSettings,
  logger: Logger,
  sources: Partial<ServiceSources>,
): Foundation {
  const { clock = systemClock, ids = randomIds, tokens = randomTokens } = sources;
  const { faults = noFaults, mailer = noMailer, feedClient = client } = sources;
  const { feedTimes = FEED_TIMES, feedLimits = FEED_LIMITS } = sources;
  const { jwtSecret: current, jwtPreviousSecrets: previous = [] } = settings;
  return {
    ...{ client, settings, logger, mailer, clock, ids, tokens, faults },
    ...{ feedClient, feedTimes, feedLimits },
    master: client.db(settings.masterDatabase),
    keys: new ServiceKeys({ current, previous }),
    instanceId: ids.uuid(),
  };
}
