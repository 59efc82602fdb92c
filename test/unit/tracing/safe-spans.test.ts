import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { expect, test } from 'vitest';
import { SafeSpanExporter } from '../../../src/tracing/safe-spans.ts';

test('a span says no more than it may, whatever a library puts into it', () => {
  const told: ReadableSpan[] = [];
  const exporter = new SafeSpanExporter(
    {
      export: (spans) => void told.push(...spans),
      shutdown: async () => {},
    },
    () => {},
  );
  const secret = 'hunter2';
  const span = {
    ...{ name: 'POST /admin/login', kind: 1, startTime: [1, 0], endTime: [2, 0], duration: [1, 0] },
    ...{ ended: true, resource: {}, instrumentationScope: { name: 'x' } },
    ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
    spanContext: () => ({ traceId: 't', spanId: 's', traceFlags: 1 }),
    parentSpanContext: { traceId: 't', spanId: 'p', traceFlags: 1 },
    attributes: {
      'http.route': '/admin/login',
      'url.path': `/x?token=${secret}`,
      'url.query': secret,
      'db.statement': secret,
      'db.query.text': secret,
      'http.request.header.authorization': secret,
    },
    status: { code: 2, message: `E11000 dup key: ${secret}` },
    events: [{ name: 'exception', time: [1, 0], attributes: { 'exception.message': secret } }],
    links: [{ context: { traceId: 'l', spanId: 'l', traceFlags: 0 }, attributes: { secret } }],
  } as unknown as ReadableSpan;
  exporter.export([span], () => {});
  expect(told).toMatchObject([
    {
      name: 'POST /admin/login',
      attributes: { 'http.route': '/admin/login' },
      status: { code: 2 },
    },
  ]);
  expect(told[0]?.spanContext().traceId).toBe('t');
  expect(told[0]?.parentSpanContext?.spanId).toBe('p');
  expect(JSON.stringify(told)).not.toContain(secret);
});

test('tells when sending begins to fail, and when it does not fail any more', () => {
  const results = [0, 1, 1, 0, 0];
  const told: boolean[] = [];
  const exporter = new SafeSpanExporter(
    {
      export: (_spans, done) => done({ code: results.shift() ?? 0 }),
      shutdown: async () => {},
    },
    (isDelivered) => told.push(isDelivered),
  );
  for (const _ of [...results]) exporter.export([], () => {});
  expect(told).toEqual([false, true]);
});
