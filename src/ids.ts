import { randomUUID } from 'node:crypto';
import { ObjectId } from 'mongodb';

/** Where identifiers come from. Injected, so that tests can predict them. */
export interface IdSource {
  objectId(): ObjectId;
  uuid(): string;
}

export const randomIds: IdSource = {
  objectId: () => new ObjectId(),
  uuid: () => randomUUID(),
};
