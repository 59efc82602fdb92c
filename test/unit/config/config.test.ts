import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig, SETTINGS } from '../../../src/config/config.ts';
import type { Environment } from '../../../src/config/setting-reader.ts';
import { makeKey } from '../../support/tokens.ts';
import { errorOf, faultsOf, namesOfFaults } from './config-faults.ts';

const SECRET = 'kJ3v9Qx0Tz7Lr2Wm5Yb8Nc1Hd4Gf6Sp0';
const SAMPLE = 'replace-this-with-the-output-of-openssl-rand-base64-48';
const config = (environment: Environment) => parseConfig(environment).config;

describe('settings', () => {
  test('have a default each', () => {
    const { config, secrets, warnings } = parseConfig({});
    expect(config).toEqual({
      environment: 'development',
      server: { host: '127.0.0.1', port: 8000 },
      database: {
        masterDb: 'organization_master',
        tenantDb: 'organization_master',
        maxCollections: 9000,
      },
      organizations: {
        maxIndexes: 16,
        quota: { max_records: null, max_bytes: null, max_members: null },
      },
      tokens: {
        accessTtlSeconds: 3600,
        refreshTtlSeconds: 2_592_000,
        idleTtlSeconds: 604_800,
        issuer: 'tenantry',
        audience: 'tenantry',
      },
      passwords: { bcryptCost: 12 },
      mail: {
        delivery: 'outbox',
        from: { name: 'Tenantry', address: 'no-reply@localhost' },
        publicUrl: 'http://127.0.0.1:8000',
      },
      rateLimits: true,
      operators: { signup: 'open' },
      deleteGraceSeconds: 0,
      logging: { level: 'info', pretty: true },
      dataDir: './data',
      embedded: { dataDir: './data' },
    });
    expect(secrets.jwtSecret).toBeUndefined();
    expect(secrets.jwtPreviousSecrets).toEqual([]);
    expect(secrets.signingKeys).toBeUndefined();
    expect(secrets.mongoUrl).toBeUndefined();
    expect(secrets.smtpUrl).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  test('are taken from the environment', () => {
    const { privatePem, kid } = makeKey('EdDSA');
    const { config, secrets, warnings } = parseConfig({
      NODE_ENV: 'production',
      MONGO_URL: 'mongodb://me:hunter2@db1.example.com,db2.example.com:27018/?replicaSet=rs0',
      MASTER_DB: 'registry',
      TENANT_DB: 'tenants',
      MAX_COLLECTIONS: '500',
      MAX_INDEXES_PER_ORGANIZATION: '8',
      QUOTA_MAX_RECORDS: '0',
      QUOTA_MAX_BYTES: '1000000000000',
      QUOTA_MAX_MEMBERS: '25',
      JWT_SECRET: SECRET,
      JWT_PREVIOUS_SECRETS: `${SECRET.toLowerCase()}, ${SECRET.toUpperCase()}`,
      JWT_PRIVATE_KEYS: privatePem,
      JWT_ISSUER: 'https://auth.acme.example',
      JWT_AUDIENCE: 'acme',
      JWT_EXPIRES_IN: '60',
      REFRESH_EXPIRES_IN: '86400',
      REFRESH_IDLE_EXPIRES_IN: '3600',
      BCRYPT_COST: '10',
      SMTP_URL: 'smtps://me:hunter2@mail.example.com',
      MAIL_FROM: 'Acme Inc. <no-reply@acme.example>',
      PUBLIC_URL: 'https://acme.example/tenantry/',
      HOST: '0.0.0.0',
      PORT: '0',
      TRUST_PROXY: '2',
      RATE_LIMITS: 'on',
      LOG_LEVEL: 'warn',
      DATA_DIR: '/var/lib/tenantry',
      MONGOD_BINARY: '/usr/bin/mongod',
      XDG_CACHE_HOME: '/var/cache/me',
      HOME: '/home/me',
      OPERATOR_EMAIL: 'grace@ops.example',
      OPERATOR_PASSWORD: 'a passphrase of grace',
      SIGNUP: 'operators',
      DELETE_GRACE: '7d',
      PATH: '/usr/bin:/bin',
    });
    expect(config).toEqual({
      environment: 'production',
      server: { host: '0.0.0.0', port: 0 },
      database: {
        address: 'db1.example.com:27017,db2.example.com:27018',
        masterDb: 'registry',
        tenantDb: 'tenants',
        maxCollections: 500,
      },
      organizations: {
        maxIndexes: 8,
        quota: { max_records: 0, max_bytes: 1_000_000_000_000, max_members: 25 },
      },
      tokens: {
        accessTtlSeconds: 60,
        refreshTtlSeconds: 86_400,
        idleTtlSeconds: 3_600,
        issuer: 'https://auth.acme.example',
        audience: 'acme',
      },
      passwords: { bcryptCost: 10 },
      mail: {
        delivery: 'smtp',
        server: 'mail.example.com:465',
        from: { name: 'Acme Inc.', address: 'no-reply@acme.example' },
        publicUrl: 'https://acme.example/tenantry',
      },
      rateLimits: true,
      operators: { email: 'grace@ops.example', signup: 'operators' },
      deleteGraceSeconds: 604_800,
      trustProxy: 2,
      logging: { level: 'warn', pretty: false },
      dataDir: '/var/lib/tenantry',
      embedded: {
        binary: '/usr/bin/mongod',
        cacheDir: '/var/cache/me/tenantry',
        path: '/usr/bin:/bin',
        dataDir: '/var/lib/tenantry',
      },
    });
    expect(secrets.jwtSecret).toBe(SECRET);
    expect(secrets.jwtPreviousSecrets).toEqual([SECRET.toLowerCase(), SECRET.toUpperCase()]);
    expect(secrets.signingKeys).toMatchObject([{ kid, algorithm: 'EdDSA' }]);
    expect(secrets.mongoUrl).toBe(
      'mongodb://me:hunter2@db1.example.com,db2.example.com:27018/?replicaSet=rs0',
    );
    expect(secrets.smtpUrl).toBe('smtps://me:hunter2@mail.example.com');
    expect(secrets.operatorPassword).toBe('a passphrase of grace');
    expect(warnings).toEqual([]);
  });

  test('that are empty count as not set', () => {
    const empty = Object.fromEntries([...SETTINGS, 'HOME', 'PATH'].map((name) => [name, '']));
    expect(parseConfig(empty)).toEqual(parseConfig({}));
  });

  test('keep the tenants in the registry database unless told otherwise', () => {
    expect(config({ MASTER_DB: 'one' }).database).toMatchObject({
      masterDb: 'one',
      tenantDb: 'one',
    });
  });

  test.each([
    [{ XDG_CACHE_HOME: '/c', HOME: '/h' }, '/c/tenantry'],
    [{ XDG_CACHE_HOME: 'relative', HOME: '/h' }, '/h/.cache/tenantry'],
    [{ HOME: '/h' }, '/h/.cache/tenantry'],
    [{}, undefined],
  ])('put the cache, given %j, into %s', (environment: Environment, cacheDir) => {
    expect(config(environment).embedded.cacheDir).toBe(cacheDir);
  });

  test('are all in .env.example, commented out, and nothing else is', () => {
    const example = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8');
    const entries = [...example.matchAll(/^# ([A-Z_]+)=(.*)$/gm)];
    expect(entries.map(([, name]) => name).sort()).toEqual([...SETTINGS].sort());
    expect(example).not.toMatch(/^[^#\n]/m);
    const values = Object.fromEntries(entries.map(([, name, value]) => [name, value]));
    const { MONGO_URL, JWT_SECRET, MONGOD_BINARY, SMTP_URL, ...others } = values;
    const { JWT_PREVIOUS_SECRETS, JWT_PRIVATE_KEYS, JWT_PRIVATE_KEYS_FILE, ...rest } = others;
    const { METRICS_TOKEN, OTEL_EXPORTER_OTLP_ENDPOINT, ...defaults } = rest;
    expect(parseConfig(defaults)).toEqual(parseConfig({}));
    const { JWT_PRIVATE_KEYS: _, ...all } = values;
    expect(namesOfFaults({ ...all, NODE_ENV: 'production' })).toEqual([
      'JWT_SECRET',
      'JWT_PREVIOUS_SECRETS',
      'JWT_PRIVATE_KEYS_FILE',
      'METRICS_TOKEN',
    ]);
    expect(OTEL_EXPORTER_OTLP_ENDPOINT).toBeTruthy();
    expect(METRICS_TOKEN).toBeTruthy();
    expect(namesOfFaults({ JWT_PRIVATE_KEYS })).toEqual(['JWT_PRIVATE_KEYS']);
    expect(JWT_PREVIOUS_SECRETS).toBeTruthy();
    expect(JWT_PRIVATE_KEYS_FILE).toBeTruthy();
    expect(JWT_SECRET).toBe(SAMPLE);
    expect(MONGO_URL).toBeTruthy();
    expect(SMTP_URL).toBeTruthy();
    expect(MONGOD_BINARY).toBeTruthy();
  });
});

describe('faults', () => {
  const everything = {
    NODE_ENV: 'prod',
    MONGO_URL: 'mongodb://me:hunter2@localhost/?foo=1',
    MASTER_DB: 'admin',
    TENANT_DB: 'a.b',
    MAX_COLLECTIONS: 'many',
    JWT_SECRET: 'hunter2',
    JWT_PREVIOUS_SECRETS: 'hunter2,hunter2',
    JWT_PRIVATE_KEYS: '-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----',
    JWT_PRIVATE_KEYS_FILE: 'hunter2',
    JWT_ISSUER: 'two words',
    JWT_AUDIENCE: 'two words',
    JWT_EXPIRES_IN: '1h',
    REFRESH_EXPIRES_IN: '30d',
    REFRESH_IDLE_EXPIRES_IN: '7d',
    BCRYPT_COST: '31',
    SMTP_URL: 'smtp://me:hunter2@mail.example.com/hunter2',
    MAIL_FROM: 'nobody',
    PUBLIC_URL: 'acme.example',
    HOST: 'http://localhost',
    PORT: '80x',
    TRUST_PROXY: 'true',
    RATE_LIMITS: 'false',
    LOG_LEVEL: 'loud',
    METRICS_TOKEN: 'hunter2',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://me:hunter2@traces.example',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_HEADERS: 'hunter2',
    OTEL_SERVICE_NAME: 'two words',
  };

  test('are all reported at once, by name, without a secret', () => {
    const error = errorOf(everything);
    expect(new Set(error?.faults.map(({ name }) => name))).toEqual(
      new Set(Object.keys(everything)),
    );
    for (const name of Object.keys(everything))
      expect(error?.message).toContain(`\n  ${name} must `);
    expect(error?.message).toMatch(/^Cannot start: 28 settings to mend/);
    expect(error?.message).not.toContain('hunter2');
  });

  test('read as a sentence', () => {
    expect(errorOf({ PORT: '80x' })?.message).toBe(
      'Cannot start: one setting to mend (environment or .env).\n' +
        '  PORT must be a whole number from 0 to 65535, not "80x"',
    );
  });

  test('of a misspelt environment come with those of production', () => {
    expect(namesOfFaults({ NODE_ENV: 'prodution' })).toEqual(['NODE_ENV', 'JWT_SECRET']);
  });

  test('quote only the beginning of a long value', () => {
    const message = faultsOf({ LOG_LEVEL: 'x'.repeat(5000) })[0]?.message ?? '';
    expect(message.length).toBeLessThan(200);
    expect(message).toContain('…');
  });

  test('are the only thing thrown, whatever the values', { timeout: 30_000 }, () => {
    const anyValue = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.nat().map(String));
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...SETTINGS), anyValue), (environment) => {
        const error = errorOf(environment);
        if (error !== undefined) expect(error.faults.length).toBeGreaterThan(0);
      }),
      { seed: 2039, numRuns: 2000 },
    );
  });
});
