import { open } from 'node:fs/promises';

const TAIL_BYTES = 256 * 1024;
const MAX_LINES = 10;
const MAX_LINE_LENGTH = 400;

interface LogEntry {
  s: string;
  msg: string;
  attr?: Record<string, unknown>;
  tags?: string[];
}

/**
 * The end of a `mongod` log from `offset` on.
 *
 * @param offset - bytes; where the log of the run in question begins
 */
export async function readLogTail(path: string, offset: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const start = Math.max(offset, size - TAIL_BYTES);
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(Math.max(0, size - start)),
      position: start,
    });
    const tail = buffer.toString('utf8', 0, bytesRead);
    // Never the second half of a line.
    return start === offset ? tail : tail.slice(tail.indexOf('\n') + 1);
  } finally {
    await file.close();
  }
}

/**
 * The last lines of a log that say why `mongod` ended: its warnings and errors
 * (https://www.mongodb.com/docs/manual/reference/log-messages/), and whatever is no log entry at all, as the
 * dynamic loader and the option parser write; without any of these, simply its last lines.
 */
export function summarizeLog(log: string): string[] {
  const entries = parse(log);
  const grave = graveOf(entries);
  const chosen = grave.length > 0 ? grave : entries;
  return [...new Set(chosen.map(toLine))].slice(-MAX_LINES);
}

/** What the end of a log tells about a failed start. */
export type StartFailure = 'port_in_use' | 'folder_in_use' | 'data_refused' | 'disk_full' | 'other';

/** Tells from the end of its log why a `mongod` did not start. */
export function classifyFailure(log: string): StartFailure {
  // Only grave entries count: ordinary ones mention the compatibility version, for one, at every first start.
  const grave = graveOf(parse(log))
    .map((entry) => JSON.stringify(entry))
    .join('\n');
  return FAILURES.find(({ pattern }) => pattern.test(grave))?.failure ?? 'other';
}

const FAILURES: readonly { failure: StartFailure; pattern: RegExp }[] = [
  { failure: 'folder_in_use', pattern: /DBPathInUse/ },
  { failure: 'port_in_use', pattern: /set(ting)? up listener.*Address already in use/i },
  { failure: 'disk_full', pattern: /No space left on device/i },
  {
    failure: 'data_refused',
    pattern:
      /featureCompatibilityVersion|unsupported upgrade or downgrade|corruption|dochub\.mongodb\.org\/core\/repair/i,
  },
];

function parse(log: string): LogEntry[] {
  return log.split('\n').flatMap((line) => parseLine(line.trim()));
}

function parseLine(line: string): LogEntry[] {
  if (line === '') return [];
  if (!line.startsWith('{')) return [{ s: 'E', msg: line }];
  try {
    return [JSON.parse(line)];
  } catch {
    // mongod died, or the disk was full, while it wrote this one.
    return [];
  }
}

/** Warnings and worse, without stack traces and without the advice that mongod gives at every start. */
function graveOf(entries: LogEntry[]): LogEntry[] {
  return entries.filter(
    ({ s, msg, tags }) =>
      'FEW'.includes(s) &&
      !/^\s*(backtrace|frame)/i.test(msg) &&
      tags?.includes('startupWarnings') !== true,
  );
}

function toLine({ msg, attr }: LogEntry): string {
  const text = msg.replaceAll('\n', ' ').replaceAll('*', '').trim();
  const line = attr === undefined ? text : `${text}: ${describe(attr)}`;
  return line.length > MAX_LINE_LENGTH ? `${line.slice(0, MAX_LINE_LENGTH)}…` : line;
}

/** Most entries carry the cause as `error`, as text or as `{errmsg}`; WiredTiger's as `message.msg`. */
function describe(attr: Record<string, unknown>): string {
  for (const value of [attr.message, attr.error]) {
    if (typeof value === 'string') return value;
    if (typeof value === 'object' && value !== null) {
      const { msg, errmsg } = value as { msg?: unknown; errmsg?: unknown };
      if (typeof msg === 'string') return msg;
      if (typeof errmsg === 'string') return errmsg;
    }
  }
  return JSON.stringify(attr);
}
