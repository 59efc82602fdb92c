import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';

/**
 * Pushes much data through import and export of a service with little memory, and prints what it took:
 *
 *     npm run bench:transfers -- --megabytes 1000 --heap 256
 *
 * Starts the service, and with it a MongoDB of its own, on a folder that is gone afterwards. Set `MONGO_URL` for another.
 * Linux only: the peak of the memory is read from /proc.
 */

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '64' },
    heap: { type: 'string', default: '96' },
    port: { type: 'string', default: '8499' },
  },
});
const MEGABYTE = 1024 * 1024;
const total = Number(values.megabytes) * MEGABYTE;
const base = `http://127.0.0.1:${values.port}`;

const dataDir = await mkdtemp(join(tmpdir(), 'tenantry-bench-'));
const service = startService();
try {
  await ready();
  const token = await signUpAndIn();
  console.log(`heap limit ${values.heap} MB; ${await memory('at rest')}`);
  await timed('import ndjson', () => importing(token));
  await timed('import ndjson, mode=upsert', () => importing(token, '&mode=upsert', total / 4));
  for (const query of [
    'format=ndjson',
    'format=ndjson&extended_json=canonical',
    'format=csv',
    'format=mongodump',
  ])
    await timed(`export ${query}`, () => exporting(token, query));
} finally {
  service.kill('SIGTERM');
  if (service.exitCode === null) await once(service, 'exit');
  await rm(dataDir, { recursive: true });
}

function startService(): ChildProcess {
  const env = {
    ...process.env,
    ...{ PORT: values.port, DATA_DIR: dataDir, LOG_LEVEL: 'warn', RATE_LIMITS: 'off' },
  };
  const child = spawn(process.execPath, [`--max-old-space-size=${values.heap}`, 'src/main.ts'], {
    ...{ env, stdio: 'inherit' },
  });
  child.once('exit', (code) => {
    if (code !== 0) process.exitCode = 1;
  });
  return child;
}

async function ready(): Promise<void> {
  while (service.exitCode === null) {
    const answer = await fetch(`${base}/health/ready`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the service did not start');
}

async function signUpAndIn(): Promise<string> {
  const body = JSON.stringify({
    ...{ organization_name: 'Acme', email: 'ada@acme.example' },
    password: 'correct horse battery staple',
  });
  const send = (path: string) =>
    fetch(base + path, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  await send('/org/create');
  const answer = (await (await send('/admin/login')).json()) as { access_token: string };
  return answer.access_token;
}

/** Some 450 bytes a record: texts, numbers, a date, an object and a list. */
function* records(bytes: number): Generator<Buffer> {
  let sent = 0;
  for (let n = 0; sent < bytes; ) {
    const lines: string[] = [];
    for (let more = 0; more < 200; more += 1, n += 1)
      lines.push(
        JSON.stringify({
          ...{
            _id: `record-${String(n).padStart(12, '0')}`,
            number: n,
            price: n / 7,
            active: n % 2 === 0,
          },
          ...{ name: `Customer ${n}`, at: { $date: '2026-11-24T09:30:00.123Z' } },
          address: {
            street: `Street ${n % 97}`,
            city: 'Köln',
            zip: String(n % 99_999).padStart(5, '0'),
          },
          ...{
            tags: ['new', 'paying', `t${n % 13}`],
            note: 'Lorem ipsum dolor sit amet, "consetetur". '.repeat(4),
          },
        }),
      );
    const chunk = Buffer.from(`${lines.join('\n')}\n`);
    sent += chunk.length;
    yield chunk;
  }
}

async function importing(token: string, query = '', bytes = total): Promise<number> {
  const sending = request(`${base}/org/records/import?format=ndjson${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
  });
  const answered = once(sending, 'response');
  await pipeline(Readable.from(records(bytes)), sending);
  const [response] = await answered;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const report = JSON.parse(Buffer.concat(chunks).toString());
  if (response.statusCode !== 200 || report.failed > 0) throw new Error(JSON.stringify(report));
  return report.bytes;
}

async function exporting(token: string, query: string): Promise<number> {
  const asking = request(`${base}/org/records/export?${query}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  asking.end();
  const [response] = await once(asking, 'response');
  if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`);
  let bytes = 0;
  for await (const chunk of response) bytes += chunk.length;
  return bytes;
}

async function timed(what: string, work: () => Promise<number>): Promise<void> {
  const before = await cpuSeconds();
  const startedAt = performance.now();
  const megabytes = (await work()) / MEGABYTE;
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpu = (await cpuSeconds()) - before;
  console.log(
    [
      `${what}: ${megabytes.toFixed(0)} MB in ${seconds.toFixed(1)} s, ${(megabytes / seconds).toFixed(0)} MB/s`,
      `${(megabytes / cpu).toFixed(0)} MB for each second of processor that the service took`,
      await memory(''),
    ].join('; '),
  );
}

/** What the service has taken of the processor: what counts where the machine has other work as well. */
async function cpuSeconds(): Promise<number> {
  const stat = await readFile(`/proc/${service.pid}/stat`, 'utf8');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}

/** The resident set of the service: heap, buffers, code. */
async function memory(when: string): Promise<string> {
  const status = await readFile(`/proc/${service.pid}/status`, 'utf8');
  const peak = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
  const now = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  return `${when} RSS ${now.toFixed(0)} MB, peak ${peak.toFixed(0)} MB`.trim();
}
