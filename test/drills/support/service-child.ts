/**
 * One instance of the service, in a process of its own, to be killed, paused and raced by the drills. The services and the
 * application are the real ones; the parent can put a fault into them and reach tenant data, over IPC.
 *
 * Argument: {@link ServiceOptions} as JSON.
 */
import { ObjectId } from 'mongodb';
import pino from 'pino';
import { buildApp } from '../../../src/app.ts';
import { createMongoClient } from '../../../src/database/mongo-client.ts';
import { AppError } from '../../../src/errors.ts';
import { collectionReference } from '../../../src/registry/organization-document.ts';
import { createServices } from '../../../src/services.ts';
import { TenantCollection } from '../../../src/tenants/tenant-collection.ts';
import { COMMAND_RUNNERS } from './command-runners.ts';
import { FaultTrigger } from './fault-trigger.ts';
import { lostMail } from './lost-mail.ts';
import type { Question, Reply, ServiceOptions, ToChild, ToParent } from './service-protocol.ts';

const MOST_DOCUMENTS = 10_000;

const options: ServiceOptions = JSON.parse(process.argv[2] ?? '');
const { url, database, runner = 'fenced' } = options;
const logger = pino({ level: process.env.DRILL_LOG_LEVEL ?? 'silent' });
const trigger = new FaultTrigger();
// The driver emits the events that the trigger waits for only on request.
const client = createMongoClient(`${url}&monitorCommands=true`);
client.on('commandStarted', trigger.commandStarted);
const services = createServices(
  client,
  {
    masterDatabase: database,
    tenantDatabase: database,
    maxCollections: 9_000,
    jwtSecret: 'a secret of the drills, the same in every instance',
    issuer: 'tenantry',
    audience: 'tenantry',
    accessTtlSeconds: 3_600,
    refreshTtlSeconds: 30 * 24 * 3_600,
    idleTtlSeconds: 30 * 24 * 3_600,
    bcryptCost: 4,
    publicUrl: 'https://tenantry.example',
    rateLimits: false,
  },
  logger,
  { faults: trigger.faults, mailer: lostMail },
);
const references = new Map<string, TenantCollection>();

process.on('disconnect', () => process.exit());
process.on('message', ({ id, question }: ToChild) => {
  void answer(question).then((reply) => send({ id, reply }));
});
await services.start();
const app = await buildApp(services, { logger });
send({ port: Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port) });

async function answer(question: Question): Promise<Reply> {
  try {
    return { ok: true, ...(await act(question)) };
  } catch (error) {
    const code = error instanceof AppError ? error.code : 'bug';
    return { ok: false, code, message: error instanceof Error ? error.message : String(error) };
  }
}

async function act(question: Question): Promise<Partial<Reply>> {
  switch (question.kind) {
    case 'arm':
      trigger.arm(question.fault);
      return {};
    case 'disarm':
      trigger.disarm();
      return {};
    case 'reached':
      return { reached: trigger.reached };
    case 'release':
      trigger.release();
      return {};
    case 'resolve':
      await tenantCollection(question.organizationId);
      return {};
    case 'insert':
      await (await tenantCollection(question.organizationId)).insertMany(question.documents);
      return {};
    case 'find': {
      const collection = await tenantCollection(question.organizationId);
      return { documents: await collection.find({}, { limit: MOST_DOCUMENTS }) };
    }
    case 'reconcile':
      await services.reconciliation.run();
      return {};
  }
}

/** Looked up once and never again: a reference can only get older, which is what the fence is for. */
async function tenantCollection(organizationId: string): Promise<TenantCollection> {
  const known = references.get(organizationId);
  if (known !== undefined) return known;
  const found = await services.organizations.findServing(new ObjectId(organizationId));
  const reference = collectionReference(found);
  if (reference === undefined) throw new Error('a serving organization has a collection');
  const collection = new TenantCollection(client, reference, { run: COMMAND_RUNNERS[runner] });
  references.set(organizationId, collection);
  return collection;
}

function send(message: ToParent): void {
  process.send?.(message);
}
