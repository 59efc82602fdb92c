import { Binary } from 'mongodb';
import { openBytes, sealBytes } from '../keys/sealed-bytes.ts';
import type { DerivedKeys, ServiceKeys } from '../keys/service-keys.ts';
import type { StoredAnswer } from './idempotency-store.ts';

/** An answer as it was sent. */
export interface Answer {
  status: number;
  content_type: string;
  body: string;
}

/**
 * Stored answers hold what was shown to one caller, once: API keys, names, e-mail addresses. So their bodies are encrypted
 * under a key that is not in the database, each for the idempotency key it answers.
 */
export class AnswerSeal {
  readonly #keys: DerivedKeys;

  constructor(deps: { keys: ServiceKeys }) {
    this.#keys = deps.keys.derive('tenantry idempotent answer');
  }

  seal({ status, content_type, body }: Answer, keyId: string): StoredAnswer {
    const sealed = sealBytes(Buffer.from(body), this.#keys, keyId);
    return { status, content_type, sealed_body: new Binary(sealed) };
  }

  /** @returns undefined when it was sealed under a secret that is known no more */
  open({ status, content_type, sealed_body }: StoredAnswer, keyId: string): Answer | undefined {
    const body = openBytes(Buffer.from(sealed_body.value()), this.#keys, keyId);
    return body && { status, content_type, body: body.toString() };
  }
}
