import { defineConfig } from 'vitest/config';

const integration = {
  include: ['test/integration/**/*.test.ts'],
  testTimeout: 30_000,
  hookTimeout: 60_000,
};

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      // The same tests twice: one path has to serve both kinds of MongoDB.
      {
        test: {
          name: 'replica-set',
          ...integration,
          globalSetup: 'test/support/replica-set.setup.ts',
        },
      },
      {
        test: {
          name: 'standalone',
          ...integration,
          // They start a MongoDB of their own, whatever the project's is.
          exclude: ['test/integration/embedded-mongod.test.ts', 'test/integration/stop.test.ts'],
          globalSetup: 'test/support/standalone.setup.ts',
        },
      },
    ],
  },
});
