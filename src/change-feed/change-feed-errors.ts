import { AppError } from '../errors.ts';

/** What the service runs on has no change streams. */
export class ChangeFeedUnavailableError extends AppError {
  constructor() {
    super(
      'unavailable',
      'change_feed_unavailable',
      'The change feed needs MongoDB to run as a replica set, and this one is a standalone server.',
    );
  }
}

/** As many feeds are open as one instance, or one organization on it, may have. */
export class TooManyFeedsError extends AppError {
  constructor(message: string) {
    super('unavailable', 'too_many_feeds', message, { retryAfter: 5 });
  }
}

/** The position is older than what the database remembers. */
export class HistoryLostError extends AppError {
  constructor(cause: unknown) {
    super(
      ...(['gone', 'history_lost'] as const),
      'The database no longer remembers all changes since this position. Open the feed without one, then read the records anew.',
      { cause },
    );
  }
}

/** Not the id of an event of this organization's feed. */
export class InvalidPositionError extends AppError {
  /** @param field - where it was sent */
  constructor(field: 'last-event-id' | 'after') {
    const message = 'must be the id of an event of this feed';
    super('malformed', 'invalid_cursor', `${field}: ${message}`, {
      errors: [{ path: `/${field}`, message }],
    });
  }
}

/** An answer that never ends is for those who ask for one. */
export class EventStreamOnlyError extends AppError {
  constructor() {
    super(
      ...(['not_acceptable', 'event_stream_only'] as const),
      'The answer is a stream of events: send Accept: text/event-stream.',
    );
  }
}
