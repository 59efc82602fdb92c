import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Db, MongoClient } from 'mongodb';
import pino from 'pino';
import { buildApp } from '../../../src/app.ts';
import type { ServiceSources } from '../../../src/composition/foundation.ts';
import { createMongoClient } from '../../../src/database/mongo-client.ts';
import { createServices, type Services } from '../../../src/services.ts';
import { lostMail } from '../support/lost-mail.ts';

/** How an instance differs from a usual one. */
export interface DrillServiceOptions extends Partial<ServiceSources> {
  maxCollections?: number;
  /** 4 unless the cost of passwords is part of the drill. */
  bcryptCost?: number;
}

/** What a request was answered. */
export interface Answer {
  /** 0 when the connection broke or nothing came within 10 s. */
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
  milliseconds: number;
}

/** What a request carries. */
export interface RequestParts {
  body?: object;
  token?: string;
  headers?: Record<string, string>;
}

const CLIENT_PATIENCE_MS = 10_000;

/** The service in this process, listening on a free loopback port. Only its database is attacked. */
export class DrillService implements AsyncDisposable {
  readonly services: Services;
  readonly client: MongoClient;
  /** Master and tenant database in one. */
  readonly db: Db;
  /** What the service logged as an error: the reason of every 500. */
  readonly errors: string[];
  readonly #app: FastifyInstance;
  readonly #url: string;

  private constructor(parts: {
    services: Services;
    client: MongoClient;
    db: Db;
    errors: string[];
    app: FastifyInstance;
    url: string;
  }) {
    this.services = parts.services;
    this.client = parts.client;
    this.db = parts.db;
    this.errors = parts.errors;
    this.#app = parts.app;
    this.#url = parts.url;
  }

  static async start(mongoUrl: string, options: DrillServiceOptions = {}): Promise<DrillService> {
    const { maxCollections = 9_000, bcryptCost = 4, ...sources } = options;
    const client = createMongoClient(mongoUrl);
    const database = `drill_${randomBytes(4).toString('hex')}`;
    const errors: string[] = [];
    const logger = pino({ level: 'error' }, collecting(errors));
    const settings = {
      masterDatabase: database,
      tenantDatabase: database,
      maxCollections,
      jwtSecret: 'a secret of the drills, long enough to sign with',
      issuer: 'tenantry',
      audience: 'tenantry',
      accessTtlSeconds: 3_600,
      refreshTtlSeconds: 30 * 24 * 3_600,
      idleTtlSeconds: 30 * 24 * 3_600,
      bcryptCost,
      publicUrl: 'https://tenantry.example',
      rateLimits: false,
    };
    const services = createServices(client, settings, logger, { mailer: lostMail, ...sources });
    const app = await buildApp(services, { logger });
    await services.start();
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    return new DrillService({ services, client, db: client.db(database), errors, app, url });
  }

  /** Sends one request. Never throws: a connection that breaks is an answer of status 0. */
  async request(method: string, path: string, parts: RequestParts = {}): Promise<Answer> {
    const { body, token, headers } = parts;
    const startedAt = performance.now();
    const elapsed = () => Math.round(performance.now() - startedAt);
    try {
      const response = await fetch(this.#url + path, {
        method,
        headers: {
          ...(body && { 'content-type': 'application/json' }),
          ...(token && { authorization: `Bearer ${token}` }),
          ...headers,
        },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(CLIENT_PATIENCE_MS),
      });
      const text = await response.text();
      const parsed = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
      const milliseconds = elapsed();
      return { status: response.status, headers: response.headers, body: parsed, milliseconds };
    } catch (error) {
      const body = { code: `no answer: ${error}` };
      return { status: 0, headers: new Headers(), body, milliseconds: elapsed() };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app.close();
    await this.services[Symbol.asyncDispose]();
    await this.client.close();
  }
}

/** Says of an answer what tells it from others: `201`, `503 database_unavailable`. */
export function kindOf({ status, body }: Answer): string {
  return status < 400 && status > 0 ? `${status}` : `${status} ${body.code}`;
}

function collecting(lines: string[]): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk).trim());
      done();
    },
  });
}
