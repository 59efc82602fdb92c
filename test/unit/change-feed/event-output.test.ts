import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test, vi } from 'vitest';
import { EventOutput, eventText } from '../../../src/change-feed/event-output.ts';

afterEach(() => {
  vi.useRealTimers();
});

const BIG = 'x'.repeat(1_000_000);

test('an event is lines of fields, and an empty line', () => {
  expect(eventText({ event: 'update', id: 'a-1', data: '{}', retry: 2_000 })).toBe(
    'retry: 2000\nevent: update\nid: a-1\ndata: {}\n\n',
  );
  expect(eventText({ comment: 'heartbeat', id: undefined })).toBe(': heartbeat\n\n');
});

test('events go out whole and in order, heartbeats and the last one between them', async () => {
  const output = new EventOutput({ stallMs: 10_000 });
  const sending = output.send({ event: 'insert', data: BIG });
  output.sendWhenIdle({ comment: 'heartbeat' });
  output.end({ event: 'end', data: '{}' });
  expect(output.isOver).toBe(true);
  expect(await text(output.stream)).toBe(`event: insert\ndata: ${BIG}\n\nevent: end\ndata: {}\n\n`);
  await sending;
  expect(await output.send({ data: 'late' })).toBe(false);
});

test('no more is taken than is read', async () => {
  const output = new EventOutput({ stallMs: 10_000 });
  expect(await output.send({ data: 'small' })).toBe(true);
  const sending = output.send({ data: BIG });
  await vi.waitFor(() => expect(output.stream.writableNeedDrain).toBe(true));
  const { readableLength, writableLength } = output.stream;
  expect(readableLength + writableLength).toBeLessThan(200_000);
  output.stream.resume();
  // It had to wait on the way.
  expect(await sending).toBeTypeOf('boolean');
});

test.each([
  ['an event', (output: EventOutput) => void output.send({ data: BIG })],
  [
    'heartbeats',
    (output: EventOutput) => {
      for (let n = 0; n < 100; n += 1) output.sendWhenIdle({ comment: 'x'.repeat(10_000) });
    },
  ],
])('a reader that takes nothing of %s is given up', async (_what, send) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const output = new EventOutput({ stallMs: 30_000 });
  send(output);
  await vi.advanceTimersByTimeAsync(29_999);
  expect(output.stream.destroyed).toBe(false);
  expect(output.stream.readableLength + output.stream.writableLength).toBeLessThan(200_000);
  const closed = once(output.stream, 'close');
  await vi.advanceTimersByTimeAsync(1);
  await closed;
  expect(output.isOver).toBe(true);
});
