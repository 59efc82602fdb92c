import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  classifyFailure,
  readLogTail,
  summarizeLog,
} from '../../../../src/database/embedded/mongod-log.ts';
import { temporaryFolder } from './fake-mongod.ts';

function entry(s: string, msg: string, attr?: object): string {
  return JSON.stringify({
    t: { $date: '2026-01-01T00:00:00Z' },
    s,
    c: 'CONTROL',
    id: 1,
    msg,
    attr,
  });
}

const ordinary = [
  entry('I', 'MongoDB starting', { pid: 1 }),
  entry('I', 'Setting featureCompatibilityVersion', { newVersion: '6.0' }),
];
const portInUse = entry('E', 'Error setting up listener', {
  error: { code: 9001, codeName: 'SocketException', errmsg: 'Address already in use' },
});
const folderInUse = entry('E', 'DBException in initAndListen, terminating', {
  error: 'DBPathInUse: Unable to lock the lock file: /data/db/mongod.lock',
});
const damaged = [
  entry('E', 'WiredTiger error message', {
    error: -31802,
    message: { ts_sec: 1, msg: 'File WiredTiger.wt is smaller than allocation size' },
  }),
  entry('W', 'WiredTiger metadata corruption detected'),
  entry('F', '\n\n***aborting after fassert() failure\n\n'),
  entry('F', 'Backtrace', { frames: 'long' }),
];
const newerData = entry('F', 'Wrong mongod version', {
  error: 'UPGRADE PROBLEM: Found an invalid featureCompatibilityVersion document',
});

describe('summarizeLog', () => {
  test('keeps warnings and errors, with their cause, each once', () => {
    const log = [...ordinary, ...damaged, ...damaged, portInUse, folderInUse].join('\n');
    expect(summarizeLog(log)).toEqual([
      'WiredTiger error message: File WiredTiger.wt is smaller than allocation size',
      'WiredTiger metadata corruption detected',
      'aborting after fassert() failure',
      'Error setting up listener: Address already in use',
      'DBException in initAndListen, terminating: DBPathInUse: Unable to lock the lock file: /data/db/mongod.lock',
    ]);
  });

  test('keeps lines that are no log entries, as the loader and the option parser write', () => {
    expect(summarizeLog('sh: 1: exec: /nowhere/mongod: not found\n')).toEqual([
      'sh: 1: exec: /nowhere/mongod: not found',
    ]);
  });

  test('without an error, the last lines; never more than ten, never endless ones', () => {
    expect(summarizeLog(ordinary.join('\n'))).toEqual([
      'MongoDB starting: {"pid":1}',
      'Setting featureCompatibilityVersion: {"newVersion":"6.0"}',
    ]);
    const many = Array.from({ length: 50 }, (_, i) => entry('E', `${i} ${'x'.repeat(1000)}`));
    const summary = summarizeLog(many.join('\n'));
    expect(summary.map((line) => line.split(' ')[0])).toEqual([
      '40',
      '41',
      '42',
      '43',
      '44',
      '45',
      '46',
      '47',
      '48',
      '49',
    ]);
    expect(Math.max(...summary.map((line) => line.length))).toBe(401);
  });

  test('leaves out the advice of every start, and lines cut short by a full disk', () => {
    const advice = JSON.stringify({
      s: 'W',
      msg: 'Access control is not enabled for the database',
      tags: ['startupWarnings'],
    });
    const cut = entry('E', 'something long').slice(0, 40);
    expect(summarizeLog([advice, portInUse, cut].join('\n'))).toEqual([
      'Error setting up listener: Address already in use',
    ]);
    expect(summarizeLog('')).toEqual([]);
  });
});

describe('classifyFailure', () => {
  test.each([
    ['port_in_use', [portInUse]],
    ['folder_in_use', [folderInUse]],
    ['data_refused', damaged],
    ['data_refused', [newerData]],
    [
      'disk_full',
      [entry('E', 'WiredTiger error message', { message: 'write: No space left on device' })],
    ],
    ['other', [entry('F', 'Something else')]],
    ['other', []],
  ])('%s', (failure, lines) => {
    expect(classifyFailure([...ordinary, ...lines].join('\n'))).toBe(failure);
  });
});

describe('readLogTail', () => {
  test('begins at the offset, and reads no more than the end of a long log', async () => {
    const path = join(await temporaryFolder(), 'mongod.log');
    await writeFile(path, 'before\nafter\n');
    expect(await readLogTail(path, 7)).toBe('after\n');
    expect(await readLogTail(path, 100)).toBe('');
    await writeFile(path, `${'x'.repeat(1024 * 1024)}\nlast line\n`);
    expect(await readLogTail(path, 0)).toBe('last line\n');
    await writeFile(path, 'short line\n'.repeat(100_000));
    const tail = await readLogTail(path, 0);
    expect(tail.startsWith('short line\n')).toBe(true);
    expect(tail.length).toBeGreaterThan(255 * 1024);
    expect(tail.length).toBeLessThanOrEqual(256 * 1024);
  });
});
