import { MongoMemoryReplSet } from 'mongodb-memory-server-core';
import type { TestProject } from 'vitest/node';
import { testMongodBinary } from './test-mongod.ts';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const systemBinary = await testMongodBinary();
  const set = await MongoMemoryReplSet.create({
    replSet: { count: 1, storageEngine: 'wiredTiger' },
    binary: { systemBinary },
  });
  project.provide('mongoUrl', set.getUri());
  project.provide('topology', 'replica-set');
  return async () => {
    await set.stop();
  };
}
