import { randomBytes, randomUUID } from 'node:crypto';
import { ObjectId } from 'mongodb';

/** Where identifiers and secrets come from. Injected, so that tests can predict them. */
export interface IdSource {
  objectId(): ObjectId;
  uuid(): string;
  /** `size` bytes from a cryptographically secure source. */
  secret(size: number): Buffer;
}

export const randomIds: IdSource = {
  objectId: () => new ObjectId(),
  uuid: () => randomUUID(),
  secret: (size) => randomBytes(size),
};
