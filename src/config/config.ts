import { isIP } from 'node:net';
import { isAbsolute, join } from 'node:path';
import type { TrustedProxies } from '../http/proxies.ts';
import { MAX_INDEXES } from '../indexes/index-service.ts';
import type { Quota } from '../usage/quota-service.ts';
import { ConfigError } from './config-error.ts';
import { readDuration } from './duration.ts';
import { type FileReader, noFiles, readJwtSettings } from './jwt-settings.ts';
import { type MailConfig, readMail } from './mail-settings.ts';
import { readMetricsToken } from './metrics-settings.ts';
import { misspeltSettings } from './misspelt-settings.ts';
import { readMongoUrl } from './mongo-url.ts';
import { type OperatorConfig, readOperators } from './operator-settings.ts';
import { Secrets } from './secrets.ts';
import { type Environment, SettingReader } from './setting-reader.ts';
import { readTracing, type TracingConfig, type TracingSettings } from './tracing-settings.ts';
import { readTrustedProxies } from './trusted-proxies.ts';

/** Every setting. `.env.example` and the README describe them. */
export const SETTINGS = [
  'NODE_ENV',
  'MONGO_URL',
  'MASTER_DB',
  'TENANT_DB',
  'MAX_COLLECTIONS',
  'MAX_INDEXES_PER_ORGANIZATION',
  'QUOTA_MAX_RECORDS',
  'QUOTA_MAX_BYTES',
  'QUOTA_MAX_MEMBERS',
  'JWT_SECRET',
  'JWT_PREVIOUS_SECRETS',
  'JWT_PRIVATE_KEYS',
  'JWT_PRIVATE_KEYS_FILE',
  'JWT_ISSUER',
  'JWT_AUDIENCE',
  'JWT_EXPIRES_IN',
  'REFRESH_EXPIRES_IN',
  'REFRESH_IDLE_EXPIRES_IN',
  'BCRYPT_COST',
  'SMTP_URL',
  'MAIL_FROM',
  'PUBLIC_URL',
  'HOST',
  'PORT',
  'TRUST_PROXY',
  'RATE_LIMITS',
  'OPERATOR_EMAIL',
  'OPERATOR_PASSWORD',
  'SIGNUP',
  'DELETE_GRACE',
  'LOG_LEVEL',
  'METRICS_TOKEN',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_PROTOCOL',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'OTEL_SERVICE_NAME',
  'DATA_DIR',
  'MONGOD_BINARY',
] as const;

const ENVIRONMENTS = ['development', 'test', 'production'] as const;
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const DAY = 86_400;
const MAX_DATABASE_BYTES = 63;
const MAX_GRACE_SECONDS = 366 * DAY;

export type RunEnvironment = (typeof ENVIRONMENTS)[number];
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The settings that may be seen. Paths are as written: relative ones start at the working directory. */
export interface Config {
  readonly environment: RunEnvironment;
  readonly server: {
    readonly host: string;
    /** 0: any free port. */
    readonly port: number;
  };
  readonly database: {
    /** The hosts of MONGO_URL, for the log. Absent: the embedded MongoDB. */
    readonly address?: string;
    readonly masterDb: string;
    readonly tenantDb: string;
    readonly maxCollections: number;
  };
  readonly organizations: {
    /** For each, the one on `_id` included. */
    readonly maxIndexes: number;
    /** For each, unless operators have set another. */
    readonly quota: Quota;
  };
  readonly tokens: {
    readonly accessTtlSeconds: number;
    /** A session's longest life, and its longest pause between two refreshes. */
    readonly refreshTtlSeconds: number;
    readonly idleTtlSeconds: number;
    /** The `iss` and the `aud` of access tokens. */
    readonly issuer: string;
    readonly audience: string;
  };
  /** The cost is bcrypt's: the work is 2 to its power. */
  readonly passwords: { readonly bcryptCost: number };
  readonly mail: MailConfig;
  /** Off: no limits and no lock-out, for load tests. */
  readonly rateLimits: boolean;
  readonly operators: OperatorConfig;
  /** How long a deleted organization can be restored; 0: not at all. */
  readonly deleteGraceSeconds: number;
  /** The proxies whose X-Forwarded-For is believed: how many, or their addresses. Absent: none. */
  readonly trustProxy?: TrustedProxies;
  readonly logging: {
    readonly level: LogLevel;
    /** For people rather than for machines. */
    readonly pretty: boolean;
  };
  /** Where traces are sent. Absent: nowhere. */
  readonly tracing?: TracingConfig;
  /** What the service keeps on disk: the development secret, mails in development, the embedded MongoDB. */
  readonly dataDir: string;
  /** For the MongoDB that the service starts itself when MONGO_URL is not set. */
  readonly embedded: {
    /** MONGOD_BINARY. */
    readonly binary?: string;
    /** Where downloads are kept: `tenantry` in the user's cache folder (XDG Base Directory Specification). */
    readonly cacheDir?: string;
    /** PATH. */
    readonly path?: string;
    readonly dataDir: string;
  };
}

/** All that the environment says. `warnings` are sentences for the log. */
export interface ParsedConfig {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly warnings: readonly string[];
}

/**
 * Turns environment variables into settings. Pure: reads nothing but its arguments. A variable that is empty counts as
 * not set.
 *
 * @param readFile - reads the files that settings name; by default there are none
 * @throws ConfigError with every fault at once
 */
export function parseConfig(
  environment: Environment,
  readFile: FileReader = noFiles,
): ParsedConfig {
  const reader = new SettingReader(environment);
  const warnings = misspeltSettings(environment, SETTINGS).map(
    ({ name, setting }) =>
      `${name} is not a setting of this service and has no effect; ${setting} is.`,
  );
  const runEnvironment = readRunEnvironment(reader);
  const dataDir = reader.text('DATA_DIR') ?? './data';
  const { database, mongoUrl } = readDatabase(reader);
  const strict = runEnvironment !== 'development';
  const jwt = readJwtSettings(reader, { strict, warnings, readFile });
  const server = {
    host: reader.checked('HOST', hostFault) ?? '127.0.0.1',
    port: reader.integer('PORT', { min: 0, max: 65_535, fallback: 8000 }),
  };
  const production = runEnvironment === 'production';
  const { mail, smtpUrl } = readMail(reader, { production, ...server, warnings });
  const trustProxy = readTrustedProxies(reader);
  const { operators, operatorPassword } = readOperators(reader);
  const metricsToken = readMetricsToken(reader, { strict, warnings });
  const tracing = visibleOf(readTracing(reader));
  const config: Config = {
    environment: runEnvironment,
    server,
    database,
    organizations: readOrganizations(reader),
    tokens: { ...readLifetimes(reader), issuer: jwt.issuer, audience: jwt.audience },
    passwords: {
      bcryptCost: reader.integer('BCRYPT_COST', {
        min: runEnvironment === 'test' ? 4 : 10,
        max: 15,
        fallback: 12,
      }),
    },
    mail,
    rateLimits: readRateLimits(reader, warnings),
    operators,
    deleteGraceSeconds: readDeleteGrace(reader),
    ...(trustProxy !== undefined && { trustProxy }),
    logging: {
      level: reader.choice('LOG_LEVEL', LOG_LEVELS, 'info'),
      pretty: runEnvironment === 'development',
    },
    ...(tracing !== undefined && { tracing }),
    dataDir,
    embedded: { ...readEmbedded(reader), dataDir },
  };
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return {
    config,
    secrets: new Secrets({ ...jwt.secrets, mongoUrl, smtpUrl, metricsToken, operatorPassword }),
    warnings,
  };
}

/** Without the headers, which are secret; whoever sends traces reads them by itself. */
function visibleOf(settings: TracingSettings | undefined): TracingConfig | undefined {
  if (settings === undefined) return undefined;
  const { headers: _, ...visible } = settings;
  return visible;
}

/** A misspelt "production" must not loosen the rules for production. */
function readRunEnvironment(reader: SettingReader): RunEnvironment {
  const fallback = reader.text('NODE_ENV') === undefined ? 'development' : 'production';
  return reader.choice('NODE_ENV', ENVIRONMENTS, fallback);
}

function readDatabase(reader: SettingReader): { database: Config['database']; mongoUrl?: string } {
  const masterDb = reader.checked('MASTER_DB', databaseNameFault) ?? 'organization_master';
  const tenantDb = reader.checked('TENANT_DB', databaseNameFault) ?? masterDb;
  if (masterDb !== tenantDb && masterDb.toLowerCase() === tenantDb.toLowerCase()) {
    reader.fault('TENANT_DB', 'must not differ from MASTER_DB only by case: MongoDB refuses that');
  }
  const maxCollections = reader.integer('MAX_COLLECTIONS', {
    min: 1,
    max: 1_000_000,
    fallback: 9000,
  });
  const database = { masterDb, tenantDb, maxCollections };
  const mongoUrl = reader.text('MONGO_URL');
  if (mongoUrl === undefined) return { database };
  const reading = readMongoUrl(mongoUrl);
  if ('address' in reading)
    return { database: { ...database, address: reading.address }, mongoUrl };
  reader.fault('MONGO_URL', reading.fault);
  return { database };
}

function readDeleteGrace(reader: SettingReader): number {
  const text = reader.checked('DELETE_GRACE', (value) =>
    (readDuration(value) ?? Number.POSITIVE_INFINITY) <= MAX_GRACE_SECONDS
      ? undefined
      : 'must be seconds, or a number with s, m, h or d behind it (7d), up to 366d',
  );
  return text === undefined ? 0 : (readDuration(text) ?? 0);
}

function readOrganizations(reader: SettingReader): Config['organizations'] {
  const quota = (name: string, min: number) =>
    reader.text(name) === undefined
      ? null
      : reader.integer(name, { min, max: 999_999_999_999_999, fallback: min });
  return {
    maxIndexes: reader.integer('MAX_INDEXES_PER_ORGANIZATION', {
      ...{ min: 1, max: 64, fallback: MAX_INDEXES },
    }),
    quota: {
      max_records: quota('QUOTA_MAX_RECORDS', 0),
      max_bytes: quota('QUOTA_MAX_BYTES', 0),
      // Whoever signs up is one.
      max_members: quota('QUOTA_MAX_MEMBERS', 1),
    },
  };
}

function readRateLimits(reader: SettingReader, warnings: string[]): boolean {
  const on = reader.choice('RATE_LIMITS', ['on', 'off'], 'on') === 'on';
  if (!on)
    warnings.push(
      'RATE_LIMITS is off: passwords can be guessed without end, and anybody can fill the database.',
    );
  return on;
}

function readLifetimes(
  reader: SettingReader,
): Pick<Config['tokens'], 'accessTtlSeconds' | 'refreshTtlSeconds' | 'idleTtlSeconds'> {
  const accessTtlSeconds = reader.integer('JWT_EXPIRES_IN', {
    min: 60,
    max: 30 * DAY,
    fallback: 3600,
  });
  const refreshTtlSeconds = reader.integer('REFRESH_EXPIRES_IN', {
    min: 60,
    max: 366 * DAY,
    fallback: 30 * DAY,
  });
  if (refreshTtlSeconds < accessTtlSeconds) {
    reader.fault(
      'REFRESH_EXPIRES_IN',
      `must not be less than JWT_EXPIRES_IN (${accessTtlSeconds})`,
    );
  }
  const idleTtlSeconds = reader.integer('REFRESH_IDLE_EXPIRES_IN', {
    min: 60,
    max: 366 * DAY,
    fallback: Math.min(refreshTtlSeconds, Math.max(7 * DAY, accessTtlSeconds)),
  });
  if (idleTtlSeconds < accessTtlSeconds && reader.text('REFRESH_IDLE_EXPIRES_IN') !== undefined) {
    reader.fault(
      'REFRESH_IDLE_EXPIRES_IN',
      `must not be less than JWT_EXPIRES_IN (${accessTtlSeconds})`,
    );
  }
  return { accessTtlSeconds, refreshTtlSeconds, idleTtlSeconds };
}

function readEmbedded(reader: SettingReader): Omit<Config['embedded'], 'dataDir'> {
  const binary = reader.text('MONGOD_BINARY');
  const path = reader.text('PATH');
  const cacheDir = cacheDirOf(reader.text('XDG_CACHE_HOME'), reader.text('HOME'));
  return {
    ...(binary !== undefined && { binary }),
    ...(cacheDir !== undefined && { cacheDir }),
    ...(path !== undefined && { path }),
  };
}

/** A relative XDG_CACHE_HOME is ignored, as its specification asks. */
function cacheDirOf(cacheHome: string | undefined, home: string | undefined): string | undefined {
  if (cacheHome !== undefined && isAbsolute(cacheHome)) return join(cacheHome, 'tenantry');
  return home === undefined ? undefined : join(home, '.cache', 'tenantry');
}

function hostFault(host: string): string | undefined {
  const isName = host.split('.').every((label) => /^[\w-]{1,63}$/.test(label));
  const looksLikeAddress = /^[\d.]+$/.test(host);
  if (isIP(host) !== 0 || (isName && !looksLikeAddress)) return undefined;
  return 'must be an IP address or a host name, without scheme, brackets or port';
}

/** MongoDB manual, "MongoDB Limits and Thresholds": what is refused on any platform. */
function databaseNameFault(name: string): string | undefined {
  if (/[/\\. "$*<>:|?\0]/.test(name)) return 'must not contain / \\ . " $ * < > : | ? or a space';
  if (Buffer.byteLength(name) > MAX_DATABASE_BYTES) {
    return `must be at most ${MAX_DATABASE_BYTES} bytes long`;
  }
  const reserved = ['admin', 'local', 'config'].includes(name.toLowerCase());
  return reserved ? 'must not be a database of MongoDB itself' : undefined;
}
