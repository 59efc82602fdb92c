import type { ObjectId } from 'mongodb';
import { openBytes, sealBytes } from '../keys/sealed-bytes.ts';
import type { DerivedKeys, ServiceKeys } from '../keys/service-keys.ts';

/** What a client gets as an id, and sends back in a header. Node takes 16 KiB of headers. */
const MAX_LENGTH = 6_000;

/**
 * Positions in the feed of an organization, as clients get them. They are the server's resume tokens, sealed for the
 * organization: nothing that a client makes up, or has from another organization, ever reaches the database.
 */
export class FeedPositions {
  readonly #keys: DerivedKeys;

  constructor(deps: { keys: ServiceKeys }) {
    this.#keys = deps.keys.derive('tenantry change feed position');
  }

  /**
   * @param token - of a change stream, hexadecimal
   * @returns undefined for one too long to be sent back: it holds the record's id, which may be of any length
   */
  seal(organizationId: ObjectId, token: string): string | undefined {
    const sealed = sealBytes(Buffer.from(token, 'hex'), this.#keys, organizationId.toHexString());
    const text = sealed.toString('base64url');
    return text.length <= MAX_LENGTH ? text : undefined;
  }

  /** @returns undefined for what was not sealed for this organization */
  open(organizationId: ObjectId, position: string): string | undefined {
    if (position.length > MAX_LENGTH || !/^[\w-]+$/.test(position)) return undefined;
    const sealed = Buffer.from(position, 'base64url');
    const token = openBytes(sealed, this.#keys, organizationId.toHexString());
    return token?.toString('hex').toUpperCase();
  }
}
