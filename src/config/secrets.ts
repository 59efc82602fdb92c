import { inspect } from 'node:util';
import type { SigningKeySet } from '../keys/signing-keys.ts';

/** What {@link Secrets} holds. */
export interface SecretValues {
  jwtSecret?: string | undefined;
  jwtPreviousSecrets?: readonly string[] | undefined;
  signingKeys?: SigningKeySet | undefined;
  mongoUrl?: string | undefined;
  smtpUrl?: string | undefined;
  operatorPassword?: string | undefined;
  metricsToken?: string | undefined;
}

/**
 * The settings that must not be seen: kept apart from the rest and in private fields, so that logging, serializing,
 * spreading or inspecting this object shows no value.
 */
export class Secrets {
  readonly #values: SecretValues;

  constructor(values: SecretValues) {
    this.#values = values;
  }

  /**
   * Signs the access tokens unless there are {@link signingKeys}, and is what every other key is derived from; at least
   * 32 bytes. Not set only in development: see `development-secret.ts`.
   */
  get jwtSecret(): string | undefined {
    return this.#values.jwtSecret;
  }

  /** What {@link jwtSecret} has replaced, or will be replaced by: what was made with it is good. */
  get jwtPreviousSecrets(): readonly string[] {
    return this.#values.jwtPreviousSecrets ?? [];
  }

  /** Sign the access tokens in place of {@link jwtSecret}. */
  get signingKeys(): SigningKeySet | undefined {
    return this.#values.signingKeys;
  }

  /** The connection string, which may hold a password. Not set: the embedded MongoDB. */
  get mongoUrl(): string | undefined {
    return this.#values.mongoUrl;
  }

  /** The mail server, which may hold a password. Not set: mails go nowhere, or into files in development. */
  get smtpUrl(): string | undefined {
    return this.#values.smtpUrl;
  }

  /** Of the first operator, when they are made; of no use afterwards. */
  get operatorPassword(): string | undefined {
    return this.#values.operatorPassword;
  }

  /** Opens the metrics. Not set: they are open to this machine alone. */
  get metricsToken(): string | undefined {
    return this.#values.metricsToken;
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return 'Secrets [redacted]';
  }
}
