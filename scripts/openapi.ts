/**
 * Writes the OpenAPI document of the service to a file, without a database or a listening port, so that it can be linted
 * and clients can be generated from it.
 *
 * Argument: the file to write; its folder is made if need be.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import pino from 'pino';
import { buildApp } from '../src/app.ts';
import { createMongoClient } from '../src/database/mongo-client.ts';
import { createServices } from '../src/services.ts';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: openapi.ts <file>');

const logger = pino({ level: 'error' });
// Nothing connects before the first operation, and there is none.
const services = createServices(
  createMongoClient('mongodb://127.0.0.1'),
  {
    masterDatabase: 'unused',
    tenantDatabase: 'unused',
    maxCollections: 0,
    jwtSecret: 'unused',
    issuer: 'tenantry',
    audience: 'tenantry',
    accessTtlSeconds: 0,
    refreshTtlSeconds: 0,
    idleTtlSeconds: 0,
    bcryptCost: 4,
    publicUrl: 'http://unused',
    rateLimits: true,
  },
  logger,
);
const app = await buildApp(services, { logger });
await app.ready();
await mkdir(dirname(file), { recursive: true });
await writeFile(file, `${JSON.stringify(app.swagger(), null, 2)}\n`);
await app.close();
