import {
  defaultMongodCacheDir,
  resolveMongodBinary,
} from '../../src/database/embedded/mongod-binary.ts';

// Any version that the resolver accepts will do.
process.env.MONGOMS_SYSTEM_BINARY_VERSION_CHECK = 'false';

declare module 'vitest' {
  interface ProvidedContext {
    /** The MongoDB the project runs on. */
    mongoUrl: string;
    topology: 'replica-set' | 'standalone';
  }
}

/** The mongod that tests run on: found or fetched as the service itself does it. */
export function testMongodBinary(): Promise<string> {
  const { MONGOD_BINARY, PATH } = process.env;
  return resolveMongodBinary({
    cacheDir: defaultMongodCacheDir(),
    ...(MONGOD_BINARY && { binary: MONGOD_BINARY }),
    ...(PATH && { path: PATH }),
    onProgress: (message) => console.info(message),
  });
}
