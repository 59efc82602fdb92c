import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { type Collection, MongoClient } from 'mongodb';
import { MongoMemoryReplSet } from 'mongodb-memory-server-core';
import { testMongodBinary } from '../test/support/test-mongod.ts';

/**
 * Inserts records through the service and with the plain driver, on one MongoDB, with as many at once, and prints how they
 * compare:
 *
 *     npm run bench:records -- --seconds 5 --rounds 3
 */

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    port: { type: 'string', default: '8498' },
  },
});
const run = promisify(execFile);
const seconds = Number(values.seconds);
const base = `http://127.0.0.1:${values.port}`;
const DURABLE = { writeConcern: { w: 'majority', j: true } } as const;

/** How many records a second; `atOnce` requests are under way, each of `each` records. */
interface Workload {
  name: string;
  atOnce: number;
  each: number;
  target: number;
}
const WORKLOADS: readonly Workload[] = [
  { name: 'single inserts', atOnce: 32, each: 1, target: 0.5 },
  { name: 'batches of 1,000', atOnce: 4, each: 1_000, target: 0.7 },
];

process.env.MONGOMS_SYSTEM_BINARY_VERSION_CHECK = 'false';
const set = await MongoMemoryReplSet.create({
  replSet: { count: 1, storageEngine: 'wiredTiger' },
  binary: { systemBinary: await testMongodBinary() },
});
const client = new MongoClient(set.getUri());
const dataDir = await mkdtemp(join(tmpdir(), 'tenantry-bench-'));
const service = spawn(process.execPath, ['src/main.ts'], {
  env: {
    ...process.env,
    ...{ PORT: values.port, DATA_DIR: dataDir, LOG_LEVEL: 'error', RATE_LIMITS: 'off' },
    MONGO_URL: set.getUri(),
  },
  stdio: 'inherit',
});
try {
  const token = await signUpAndIn();
  const collection = client.db('bench').collection('records');
  for (const workload of WORKLOADS) await compare(workload, collection, token);
} finally {
  service.kill('SIGTERM');
  if (service.exitCode === null) await once(service, 'exit');
  await client.close();
  await set.stop();
  await rm(dataDir, { recursive: true });
}

/** Rounds alternate, so that a slow moment of the machine meets both. */
async function compare(workload: Workload, collection: Collection, token: string): Promise<void> {
  const driver: number[] = [];
  const http: number[] = [];
  for (let round = 0; round < Number(values.rounds); round += 1) {
    driver.push(await withDriver(workload, collection));
    http.push(await withService(workload, token));
  }
  const [raw, ours] = [median(driver), median(http)];
  const ratio = (ours / raw).toFixed(2);
  console.log(
    `${workload.name}, ${workload.atOnce} at once: driver ${Math.round(raw)} records/s, service ${Math.round(ours)} records/s, ratio ${ratio} (aim ${workload.target})`,
  );
}

async function withDriver({ atOnce, each }: Workload, collection: Collection): Promise<number> {
  const until = performance.now() + seconds * 1_000;
  let done = 0;
  const work = async () => {
    while (performance.now() < until) {
      if (each === 1) await collection.insertOne(someRecord(), DURABLE);
      else await collection.insertMany(Array.from({ length: each }, someRecord), DURABLE);
      done += each;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return done / seconds;
}

async function withService({ atOnce, each }: Workload, token: string): Promise<number> {
  const operations = () =>
    Array.from({ length: each }, () => ({ op: 'insert', record: someRecord() }));
  const body = JSON.stringify(each === 1 ? someRecord() : { operations: operations() });
  const url = base + (each === 1 ? '/org/records' : '/org/records/batch');
  const headers = [
    ['-H', `authorization=Bearer ${token}`],
    ['-H', 'content-type=application/json'],
  ];
  const file = join(dataDir, 'body.json');
  await writeFile(file, body);
  const load = ['-m', 'POST', '-i', file, '-c', String(atOnce), '-d', String(seconds)];
  // In a process of its own, as clients are.
  const { stdout } = await run('autocannon', ['--json', ...load, ...headers.flat(), url], {
    maxBuffer: 1 << 24,
  });
  const result = JSON.parse(stdout);
  if (result.non2xx + result.errors > 0)
    throw new Error(`${result.non2xx} refusals, ${result.errors} errors`);
  return (result['2xx'] * each) / result.duration;
}

function someRecord() {
  return {
    ...{ name: 'Ada Lovelace', email: 'ada@acme.example', age: 36, active: true },
    address: { street: 'Street 1', city: 'Köln', zip: '50667' },
    tags: ['new', 'paying'],
  };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

async function signUpAndIn(): Promise<string> {
  while (!(await fetch(`${base}/health/ready`).catch(() => undefined))?.ok) {
    if (service.exitCode !== null) throw new Error('the service did not start');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const body = JSON.stringify({
    ...{ organization_name: 'Acme', email: 'ada@acme.example' },
    password: 'correct horse battery staple',
  });
  const send = (path: string) =>
    fetch(base + path, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  await send('/org/create');
  return ((await (await send('/admin/login')).json()) as { access_token: string }).access_token;
}
