import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import closeWithGrace from 'close-with-grace';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { buildApp } from './app.ts';
import { FEED_LIMITS } from './change-feed/feed-times.ts';
import type { Config } from './config/config.ts';
import { ConfigError } from './config/config-error.ts';
import { developmentSecret } from './config/development-secret.ts';
import { loadConfig } from './config/env.ts';
import type { Secrets } from './config/secrets.ts';
import { defaultMongodCacheDir } from './database/embedded/mongod-binary.ts';
import { SupervisedMongod } from './database/embedded/supervised-mongod.ts';
import { createMongoClient } from './database/mongo-client.ts';
import { assertUsableDatabase } from './database/server-requirements.ts';
import { AppError } from './errors.ts';
import { drain } from './http/draining.ts';
import { createLogger } from './logging/create-logger.ts';
import { createMailer } from './mail/create-mailer.ts';
import { createServices } from './services.ts';
import type { Tracing } from './tracing/tracing.ts';

/** When all else fails. The embedded MongoDB may take the most of it; without it, the limits below add up to 10 s. */
const SHUTDOWN_LIMIT_MS = 20_000;
/** After the requests ({@link drain}): what the services write down, what is under way in the background, mails. */
const SERVICES_LIMIT_MS = 3_200;
const CLIENT_LIMIT_MS = 300;
const TRACES_LIMIT_MS = 500;
/** For opening and closing change feeds while all that there may be hold theirs. */
const SPARE_CONNECTIONS = 20;

/** Runs the service until a signal, or until it cannot go on. @param tracing - begun before all this was loaded */
export async function run(tracing: Tracing | undefined): Promise<void> {
  // What has been started; disposing of it stops everything, in reverse order.
  const running = new AsyncDisposableStack();
  // What is left to send does not keep the process from ending.
  running.defer(async () => stopped(tracing?.[Symbol.asyncDispose](), TRACES_LIMIT_MS));
  try {
    const { config, secrets, warnings } = loadConfig();
    const logger = createLogger({ ...config.logging, fields: tracing?.current });
    for (const warning of warnings) logger.warn(warning);
    if (config.tracing !== undefined) logger.info(`traces are sent to ${config.tracing.endpoint}`);
    tracing?.reportTo(logger);
    let lost: unknown;
    const { close } = closeWithGrace(
      // A failed start ends by itself, with its own exit code.
      { delay: SHUTDOWN_LIMIT_MS, logger, skip: ['beforeExit'] },
      async ({ err, signal }) => {
        ignoreFurtherSignals();
        if (err) logger.fatal({ err }, 'stopping after an unexpected error');
        else logger.info(`stopping${signal === undefined ? '' : ` on ${signal}`}`);
        await running.disposeAsync();
        logger.info('stopped');
        // Makes the exit code 1, so that whoever watches the process starts it again.
        if (lost !== undefined) throw new Error('the embedded MongoDB is gone', { cause: lost });
      },
    );
    await serve({ config, secrets, logger, running, tracing }, (reason) => {
      lost = reason;
      close();
    });
  } catch (error) {
    // A sentence for what the person who starts the service can mend; anything else is a bug, with its stack.
    const expected = error instanceof ConfigError || error instanceof AppError;
    process.stderr.write(`${expected ? error.message : inspect(error)}\n`);
    process.exitCode = 1;
    await running.disposeAsync();
  }
}

/** Ctrl-C under npm arrives twice, from the terminal and from npm; the second one must not cut the first one's work short. */
function ignoreFurtherSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.removeAllListeners(signal);
    process.on(signal, () => {});
  }
}

interface Parts {
  config: Config;
  secrets: Secrets;
  logger: FastifyBaseLogger;
  running: AsyncDisposableStack;
  tracing: Tracing | undefined;
}

async function serve(
  { config, secrets, logger, running, tracing }: Parts,
  onDatabaseLost: (reason: unknown) => void,
): Promise<void> {
  const jwtSecret = secrets.jwtSecret ?? (await developmentSecret(config.dataDir));
  let { maxCollections } = config.database;
  let url = secrets.mongoUrl;
  if (url === undefined) {
    const mongod = running.use(await startMongod(config, logger));
    void mongod.failed.then(onDatabaseLost);
    url = mongod.url;
    maxCollections = Math.min(maxCollections, mongod.maxCollections);
  }
  const client = running.adopt(createMongoClient(url), (one) =>
    stopped(one.close(), CLIENT_LIMIT_MS),
  );
  const feedClient = running.adopt(
    createMongoClient(url, { maxPoolSize: FEED_LIMITS.total + SPARE_CONNECTIONS }),
    (one) => stopped(one.close(), CLIENT_LIMIT_MS),
  );
  await assertUsableDatabase(client);
  const settings = {
    masterDatabase: config.database.masterDb,
    tenantDatabase: config.database.tenantDb,
    maxCollections,
    maxIndexes: config.organizations.maxIndexes,
    defaultQuota: config.organizations.quota,
    jwtSecret,
    jwtPreviousSecrets: secrets.jwtPreviousSecrets,
    signingKeys: secrets.signingKeys,
    ...config.tokens,
    bcryptCost: config.passwords.bcryptCost,
    publicUrl: config.mail.publicUrl,
    rateLimits: config.rateLimits,
    firstOperator: firstOperatorOf(config, secrets),
    signup: config.operators.signup,
    deleteGraceSeconds: config.deleteGraceSeconds,
  };
  const mailer = createMailer(config, secrets, logger);
  if (config.mail.server !== undefined) logger.info(`mail is sent through ${config.mail.server}`);
  running.defer(async () => mailer[Symbol.asyncDispose]?.());
  const services = running.adopt(
    createServices(client, settings, logger, { mailer, feedClient }),
    (all) => stopped(all[Symbol.asyncDispose](), SERVICES_LIMIT_MS),
  );
  await services.start();
  const { metricsToken } = secrets;
  const app = running.adopt(
    await buildApp(services, { logger, tracing, metricsToken, ...proxiesOf(config) }),
    (one) => drain(one, services.stopping, logger),
  );
  await listen(app, config);
}

/** Waits for the end of something, but not for long: recovery, of this service or another, ends what this leaves. */
async function stopped(end: PromiseLike<unknown> | undefined, limitMs: number): Promise<void> {
  const limit = new AbortController();
  const timeUp = delay(limitMs, undefined, { signal: limit.signal }).catch(() => {});
  await Promise.race([end, timeUp]).finally(() => limit.abort());
}

function firstOperatorOf({ operators: { email } }: Config, { operatorPassword }: Secrets) {
  if (email === undefined || operatorPassword === undefined) return undefined;
  return { email, password: operatorPassword };
}

function proxiesOf({ trustProxy }: Config) {
  return trustProxy === undefined ? {} : { trustProxy };
}

function startMongod({ embedded }: Config, logger: FastifyBaseLogger): Promise<SupervisedMongod> {
  const { dataDir, cacheDir = defaultMongodCacheDir(), ...binary } = embedded;
  return SupervisedMongod.start({ dataDir, binary: { cacheDir, ...binary }, logger });
}

/** @throws ConfigError when the address cannot be had */
async function listen(app: FastifyInstance, { server }: Config): Promise<void> {
  try {
    await app.listen({
      ...server,
      listenTextResolver: (address) => `Tenantry is ready: ${address}/docs`,
    });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const taken = { name: 'PORT', message: `${server.port} is in use on ${server.host}` };
    const faults: Record<string, { name: string; message: string }> = {
      EADDRINUSE: taken,
      EACCES: { name: 'PORT', message: `${server.port} needs rights this process does not have` },
      EADDRNOTAVAIL: { name: 'HOST', message: `${server.host} is not an address of this machine` },
      ENOTFOUND: { name: 'HOST', message: `${server.host} is not a name of this machine` },
    };
    const fault = faults[String(code)];
    throw fault === undefined ? error : new ConfigError([fault], { cause: error });
  }
}
