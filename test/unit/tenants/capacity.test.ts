import type { MongoClient } from 'mongodb';
import { expect, test } from 'vitest';
import type { RegistryStore } from '../../../src/registry/registry-store.ts';
import { CapacityReachedError, CollectionBudget } from '../../../src/tenants/capacity.ts';

/** A server that says how many collections it has, and a clock. */
class FakeServer {
  collections = 0;
  counts = 0;
  failing = false;
  #now = 0;

  get client(): MongoClient {
    const command = async () => {
      if (this.failing) throw new Error('the count fails');
      this.counts += 1;
      const { collections } = this;
      return { catalogStats: { collections } };
    };
    return { db: () => ({ command }) } as unknown as MongoClient;
  }

  get clock() {
    return { now: () => new Date(this.#now), monotonicMs: () => this.#now };
  }

  budget(limit: number): CollectionBudget {
    const { client, clock } = this;
    return new CollectionBudget({ client, clock, limit, registry: {} as RegistryStore });
  }

  /** Long enough for the next count. */
  later(collections: number): void {
    this.collections = collections;
    this.#now += 2_000;
  }
}

test('as many of 20 simultaneous sign-ups get a place as there are left, after one count', async () => {
  const server = new FakeServer();
  server.collections = 7;
  const budget = server.budget(10);
  const taken = await Promise.allSettled(Array.from({ length: 20 }, () => budget.take()));
  const refusals = taken.filter(({ status }) => status === 'rejected');
  expect(refusals).toHaveLength(17);
  for (const refusal of refusals)
    expect(refusal).toMatchObject({ reason: expect.any(CapacityReachedError) });
  expect(server.counts).toBe(1);
});

test('a collection that is still being made when the next count is taken keeps its place', async () => {
  const server = new FakeServer();
  const budget = server.budget(10);
  server.later(9);
  const place = await budget.take();
  server.later(9);
  await expect(budget.take()).rejects.toThrow(CapacityReachedError);
  place[Symbol.dispose]();
  server.later(10);
  await expect(budget.take()).rejects.toThrow(CapacityReachedError);
});

test('a place is free again when no collection was made, or one was dropped', async () => {
  const server = new FakeServer();
  const budget = server.budget(10);
  server.later(9);
  (await budget.take())[Symbol.dispose]();
  await expect(budget.take()).rejects.toThrow(CapacityReachedError);
  server.later(9);
  await expect(budget.take()).resolves.toBeDefined();
});

test('a count that fails is no count: the next sign-up counts again', async () => {
  const server = new FakeServer();
  const budget = server.budget(1);
  server.failing = true;
  await expect(budget.take()).rejects.toThrow('the count fails');
  server.failing = false;
  await expect(budget.take()).resolves.toBeDefined();
});
