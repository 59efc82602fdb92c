import { AppError } from '../errors.ts';

/** Another organization has this name, give or take case and spacing. */
export class OrganizationNameTakenError extends AppError {
  constructor(name: string, cause?: unknown) {
    super(
      'conflict',
      'organization_name_taken',
      `An organization named "${name}" already exists.`,
      {
        cause,
      },
    );
  }
}

/** A differently written name leads to the same collection. Which one is not the caller's to know. */
export class CollectionNameTakenError extends AppError {
  constructor(name: string, cause?: unknown) {
    super(
      'conflict',
      'collection_name_taken',
      `The collection name that "${name}" leads to is already in use. Choose a name that differs in letters or digits.`,
      { cause },
    );
  }
}

/** The name is written in other scripts so that it looks like an existing one (UTS #39). */
export class ConfusableNameError extends AppError {
  constructor(name: string, cause?: unknown) {
    super(
      'conflict',
      'organization_name_confusable',
      `"${name}" looks like the name of an existing organization, written with characters of another script.`,
      { cause },
    );
  }
}

export class ExternalIdTakenError extends AppError {
  constructor(externalId: string, cause?: unknown) {
    super(
      'conflict',
      'external_id_taken',
      `Another organization has the external_id "${externalId}".`,
      {
        cause,
      },
    );
  }
}

/** What does not exist, and what the caller may not see: the same answer. */
export class OrganizationNotFoundError extends AppError {
  constructor() {
    super('not_found', 'organization_not_found', 'There is no such organization.');
  }
}

/** Another change to the same organization is under way. */
export class OrganizationBusyError extends AppError {
  constructor() {
    super(
      'conflict',
      'organization_busy',
      'Another change to this organization is under way. Try again shortly.',
      { retryAfter: 1 },
    );
  }
}

/** This instance was too slow: another one has taken the operation over and ends it. */
export class OperationLostError extends AppError {
  constructor() {
    super(
      'unavailable',
      'operation_interrupted',
      'The change was interrupted and is being finished or undone. Look before trying again.',
      { retryAfter: 5 },
    );
  }
}

/** Somebody dropped the collection behind the service's back. Its data is gone; an operator has to look. */
export class CollectionMissingError extends AppError {
  constructor(cause?: unknown) {
    super(
      'conflict',
      'collection_missing',
      "The organization's collection no longer exists. The people who run this service have to look into it.",
      { cause },
    );
  }
}

/** MongoDB neither renames a collection nor changes its schema while it builds an index on it. Nothing has changed. */
export class IndexBuildInProgressError extends AppError {
  constructor(cause?: unknown) {
    super(
      'conflict',
      'index_build_in_progress',
      'An index of the organization is being built. Try again when it is ready, or delete it.',
      { cause, retryAfter: 5 },
    );
  }
}
