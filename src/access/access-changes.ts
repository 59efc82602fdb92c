import type { ObjectId } from 'mongodb';

/**
 * Told by the stores that hold what access is decided by, after each of their writes, so that this instance knows of its
 * own changes at once. Ids of documents, or of the person or the organization that several of them belong to.
 */
export type AccessChanged = (...ids: ObjectId[]) => void;
