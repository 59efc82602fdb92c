/** How a feed passes its time, in milliseconds. Tests have shorter ones. */
export interface FeedTimes {
  /** How often a feed shows that it is there. */
  heartbeatMs: number;
  /** How often it is looked whether the reader may still read. */
  accessMs: number;
  /** How long a reader may take nothing. */
  stallMs: number;
  /** How long the answer to a reader that resumes is held back, so that it may be a refusal. */
  openMs: number;
  /** The pause after a failure of the database. */
  pauseMs: number;
  /** How long the database may be away. */
  awayMs: number;
}

export const FEED_TIMES: FeedTimes = {
  heartbeatMs: 15_000,
  accessMs: 500,
  stallMs: 30_000,
  openMs: 1_000,
  pauseMs: 500,
  awayMs: 60_000,
};

/** How many feeds there may be on one instance: each holds a connection to the database, and has it look at every change. */
export interface FeedLimits {
  total: number;
  perOrganization: number;
}

export const FEED_LIMITS: FeedLimits = { total: 200, perOrganization: 50 };
