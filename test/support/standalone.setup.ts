import { MongoMemoryServer } from 'mongodb-memory-server-core';
import type { TestProject } from 'vitest/node';
import { testMongodBinary } from './test-mongod.ts';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const systemBinary = await testMongodBinary();
  const server = await MongoMemoryServer.create({
    instance: { storageEngine: 'wiredTiger' },
    binary: { systemBinary },
  });
  project.provide('mongoUrl', server.getUri());
  project.provide('topology', 'standalone');
  return async () => {
    await server.stop();
  };
}
