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
import { createLogger } from './logging/create-logger.ts';
import { createMailer } from './mail/create-mailer.ts';
import { createServices } from './services.ts';

/** How long requests under way, and then the embedded MongoDB, may take to end. */
const SHUTDOWN_LIMIT_MS = 20_000;
/** For opening and closing change feeds while all that there may be hold theirs. */
const SPARE_CONNECTIONS = 20;

await main();

async function main(): Promise<void> {
  // What has been started; disposing of it stops everything, in reverse order.
  const running = new AsyncDisposableStack();
  try {
    const { config, secrets, warnings } = loadConfig();
    const logger = createLogger(config.logging);
    for (const warning of warnings) logger.warn(warning);
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
    await serve(config, secrets, logger, running, (reason) => {
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

async function serve(
  config: Config,
  secrets: Secrets,
  logger: FastifyBaseLogger,
  running: AsyncDisposableStack,
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
  const client = running.adopt(createMongoClient(url), (one) => one.close());
  const feedClient = running.adopt(
    createMongoClient(url, { maxPoolSize: FEED_LIMITS.total + SPARE_CONNECTIONS }),
    (one) => one.close(),
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
  const services = running.use(createServices(client, settings, logger, { mailer, feedClient }));
  await services.start();
  const app = running.adopt(await buildApp(services, { logger, ...proxiesOf(config) }), (one) =>
    one.close(),
  );
  await listen(app, config);
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
