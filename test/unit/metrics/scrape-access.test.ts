import type { FastifyRequest } from 'fastify';
import { describe, expect, test } from 'vitest';
import { ScrapeAccess } from '../../../src/metrics/scrape-access.ts';

type Asked = Parameters<ScrapeAccess['decide']>[0];

const TOKEN = 'b7e1c09a5d3f48c2a6e4f1908d7b3c5e';

function asking(headers: FastifyRequest['headers'] = {}, remoteAddress = '127.0.0.1'): Asked {
  const socket = { remoteAddress } as FastifyRequest['socket'];
  return { headers: { host: '127.0.0.1:8000', ...headers }, socket };
}

describe('without a token', () => {
  const access = new ScrapeAccess({ behindProxy: false });

  test.each(['127.0.0.1', '127.3.2.1', '::1', '::ffff:127.0.0.1'])('%s may', (address) => {
    expect(access.decide(asking({}, address))).toBe('granted');
  });

  test.each(['10.0.0.1', '192.0.2.7', '::ffff:10.0.0.1', '2001:db8::1', '::', ''])(
    'to "%s" there is nothing',
    (address) => {
      expect(access.decide(asking({}, address))).toBe('hidden');
    },
  );

  test.each(['localhost', 'localhost:8000', '[::1]:8000', '127.0.0.1'])(
    'it may be asked for by the name %s',
    (host) => {
      expect(access.decide(asking({ host }))).toBe('granted');
    },
  );

  test.each([
    'tenantry.example',
    'tenantry.example:8000',
    '10.0.0.1:8000',
    'localhost.evil.example',
    '',
  ])('a request that was sent to "%s" has come through something else', (host) => {
    expect(access.decide(asking({ host }))).toBe('hidden');
  });

  test.each([
    'forwarded',
    'via',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-real-ip',
  ])('a request with %s has come through a proxy', (name) => {
    expect(access.decide(asking({ [name]: '127.0.0.1' }))).toBe('hidden');
  });

  test('nobody may where a proxy is known to stand in front', () => {
    expect(new ScrapeAccess({ behindProxy: true }).decide(asking())).toBe('hidden');
  });

  test('a token opens nothing', () => {
    expect(access.decide(asking({ authorization: `Bearer ${TOKEN}` }, '10.0.0.1'))).toBe('hidden');
  });
});

describe('with a token', () => {
  const access = new ScrapeAccess({ token: TOKEN, behindProxy: true });

  test.each([`Bearer ${TOKEN}`, `bearer ${TOKEN}`, `Bearer  ${TOKEN} `])(
    'it opens the metrics from anywhere: %s',
    (authorization) => {
      const asked = asking({ authorization, host: 'x.example', via: '1.1 x' }, '10.0.0.1');
      expect(access.decide(asked)).toBe('granted');
    },
  );

  test.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    TOKEN,
    `Basic ${TOKEN}`,
    `Bearer ${TOKEN.slice(1)}`,
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN} ${TOKEN}`,
    `Bearer ${TOKEN.toUpperCase()}`,
  ])('nothing else does, not even from this machine: %s', (authorization) => {
    const asked = asking(authorization === undefined ? {} : { authorization });
    expect(access.decide(asked)).toBe('unauthenticated');
  });
});
