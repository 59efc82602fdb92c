/** Every boundary between two steps of a lifecycle operation, in the order they are reached. */
export const FAULT_POINTS = [
  'create:reserved',
  'create:collection-created',
  'create:collection-recorded',
  'create:admin-inserted',
  'create:membership-inserted',
  'create:membership-counted',
  'create:committed',
  'update:reserved',
  'update:credentials-changed',
  'update:collection-renamed',
  'update:sessions-ended',
  'update:committed',
  'delete:marked',
  'delete:collection-dropped',
  'delete:sessions-ended',
  'delete:account-removed',
  'delete:membership-removed',
  'delete:belongings-erased',
  'delete:removed',
] as const;

/** The same of a deletion that can be taken back, and of taking it back: neither is an operation that recovery has to end. */
export const GRACE_FAULT_POINTS = [
  'grace:marked',
  'grace:sessions-ended',
  'restore:sessions-ended',
  'restore:committed',
] as const;

export type FaultPoint = (typeof FAULT_POINTS | typeof GRACE_FAULT_POINTS)[number];

/**
 * Called at every fault point. Drills inject one that kills or pauses the process there; the service itself runs with
 * {@link noFaults}, and no setting can change that.
 */
export type FaultInjector = (point: FaultPoint) => Promise<void>;

export const noFaults: FaultInjector = async () => {};
