import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startTestService } from '../support/test-service.ts';

const run = promisify(execFile);

/** A command of the walk, and the answer the README prints for it. */
interface Stop {
  command: string;
  answer: string | undefined;
}

async function readWalk(heading: string): Promise<Stop[]> {
  const readme = await readPage('README.md');
  return stopsOf(readme.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '');
}

function readPage(path: string): Promise<string> {
  return readFile(new URL(`../../${path}`, import.meta.url), 'utf8');
}

function stopsOf(walk: string): Stop[] {
  const blocks = [...walk.matchAll(/```(sh|json)\n(.*?)```/gs)];
  return blocks.flatMap(([, language, text = ''], index) => {
    const next = blocks[index + 1];
    const answer = next?.[1] === 'json' ? next[2] : undefined;
    return language === 'sh' ? [{ command: text, answer }] : [];
  });
}

/** Replaces what is different each time by what kind of thing it is. */
function shape(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => shape(one));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, shape(inner, name)]),
    );
  if (typeof value !== 'string') return value;
  if (/^[0-9a-f]{24}$/.test(value)) return '<id>';
  if (/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/.test(value)) return '<time>';
  if (/^[0-9a-f-]{36}$/.test(value)) return '<uuid>';
  return ['access_token', 'refresh_token', 'key', 'prefix', 'etag'].includes(key)
    ? '<token>'
    : value;
}

/** Runs commands as a reader would, and compares the answers. */
async function walk(stops: readonly Stop[]): Promise<void> {
  await using service = await startTestService({ settings: { rateLimits: true } });
  const url = await service.app.listen({ host: '127.0.0.1', port: 0 });
  const directory = await mkdtemp(join(tmpdir(), 'tenantry-readme-'));
  try {
    // One shell for all, as a reader would have it; a line of NULs parts the answers.
    const script = stops.map(({ command }) => `${command}\nprintf '\\0'`).join('\n');
    const { stdout } = await run('bash', ['-ec', script.replaceAll('http://127.0.0.1:8000', url)], {
      cwd: directory,
    });
    const outputs = stdout.split('\0');
    for (const [index, { answer, command }] of stops.entries()) {
      if (answer === undefined) continue;
      expect(shape(JSON.parse(outputs[index] ?? '')), command).toEqual(shape(JSON.parse(answer)));
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const FIVE_OPERATIONS = 'A walk through the five operations';
const answered = (stops: readonly Stop[]) => stops.filter(({ answer }) => answer !== undefined);

/** The commands of the walk that give a reader a token. */
async function signingIn(): Promise<Stop[]> {
  const stops = (await readWalk(FIVE_OPERATIONS)).filter(({ command }) =>
    /\/org\/create|\/admin\/login|^TOKEN=/.test(command),
  );
  expect(stops).toHaveLength(3);
  return stops;
}

test("the README's walk gives the README's answers", async () => {
  const stops = await readWalk(FIVE_OPERATIONS);
  expect(answered(stops)).toHaveLength(6);
  await walk(stops);
});

test('so do its API keys, for whoever has signed up and in', async () => {
  const before = await signingIn();
  const stops = await readWalk('API keys');
  expect(answered(stops)).toHaveLength(2);
  await walk([...before, ...stops]);
});

test('and the page about records', async () => {
  const stops = stopsOf(await readPage('docs/records.md'));
  expect(answered(stops)).toHaveLength(6);
  await walk([...(await signingIn()), ...stops]);
});
