import { inspect } from 'node:util';

/**
 * The settings that must not be seen: kept apart from the rest and in private fields, so that logging, serializing,
 * spreading or inspecting this object shows no value.
 */
export class Secrets {
  readonly #jwtSecret: string | undefined;
  readonly #mongoUrl: string | undefined;

  constructor(values: { jwtSecret?: string | undefined; mongoUrl?: string | undefined }) {
    this.#jwtSecret = values.jwtSecret;
    this.#mongoUrl = values.mongoUrl;
  }

  /** Signs the access tokens; at least 32 bytes. Not set only in development: see `development-secret.ts`. */
  get jwtSecret(): string | undefined {
    return this.#jwtSecret;
  }

  /** The connection string, which may hold a password. Not set: the embedded MongoDB. */
  get mongoUrl(): string | undefined {
    return this.#mongoUrl;
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return 'Secrets [redacted]';
  }
}
