import { defineConfig } from 'vitest/config';

const integration = {
  include: ['test/integration/**/*.test.ts'],
  testTimeout: 30_000,
  hookTimeout: 60_000,
  // Nothing here keeps state in a module, and loading the service anew for each file took a third of the time.
  isolate: false,
};

/** What is no different on a standalone MongoDB: the HTTP interface, tokens, and what changes one document at a time. */
const ANYWHERE = [
  'access-matrix',
  'account',
  'account-secrecy',
  'api-key-access',
  'api-key-scope',
  'authorization-header',
  'bad-bodies',
  'bad-input',
  'bad-queries-and-headers',
  'code-guesses',
  'deletion-grace',
  'draining',
  'email-change',
  'guess-attacks',
  'guess-limits',
  'held-bodies',
  'hostile-records',
  'hostile-values',
  'import-export',
  'invitation-crashes',
  'invitation-races',
  'invitations',
  'key-rotation',
  'late-writes',
  'library-cursors',
  'library-package',
  'library-tokens',
  'link-pages',
  'log-secrecy',
  'log-walk',
  'mail',
  'mail-walks',
  'members',
  'metrics',
  'mfa',
  'mfa-codes',
  'mfa-secrecy',
  'openapi',
  'operators',
  'organization-activity',
  'organization-list',
  'orphans-of-deletion',
  'overload',
  'oversized-input',
  'password-policy',
  'password-reset',
  'problem-details',
  'rate-limits',
  'readme',
  'record-queries',
  'record-quotas',
  'reset-races',
  'roles',
  'schema-violations',
  'session-eras',
  'stop-under-load',
  'suspension',
  'token-attacks',
  'traces',
  'two-invitations',
];
/** They start a MongoDB of their own, whatever the project's is. */
const WITH_THEIR_OWN = ['embedded-mongod', 'index-builds', 'start', 'stop'];

export default defineConfig({
  test: {
    // The default leaves a core free, of two cores one; and these tests wait for MongoDB more than they compute.
    maxWorkers: 4,
    projects: [
      // Some go through every character there is, which takes long beside other work.
      {
        test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 30_000 },
      },
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
          exclude: [...ANYWHERE, ...WITH_THEIR_OWN].map(
            (name) => `test/integration/${name}.test.ts`,
          ),
          globalSetup: 'test/support/standalone.setup.ts',
        },
      },
      // Needs Chromium, so `npm test` leaves it out.
      {
        test: {
          ...integration,
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          globalSetup: 'test/support/replica-set.setup.ts',
        },
      },
    ],
  },
});
