/** Which kind of MongoDB a drill runs on. */
export type Topology = 'standalone' | 'one-node replica set' | 'three-node replica set';

/** What a drill is given. */
export interface DrillContext {
  /** The form that CI runs: the same steps, fewer rounds. */
  short: boolean;
  /** Says what is going on, for whoever watches a long run. Goes to standard error. */
  log(line: string): void;
  /** Path of the mongod to start. */
  mongodBinary: string;
}

/** The figures a drill ends with. All of the counts but `acknowledged` and `rounds` have to be 0. */
export interface DrillResult {
  name: string;
  topology: Topology;
  /** How many times the fault was made to happen. */
  rounds: number;
  /** Operations that were answered with success. */
  acknowledged: number;
  /** Acknowledged operations whose effect is missing, or was undone by a late repetition of an older one. */
  lost: number;
  /** What nobody asked for or was told of: strays, half of an operation, what was deleted and is there. */
  ghosts: number;
  /** What belongs to nothing or is stuck in a middle state. */
  orphans: number;
  /** The longest the service took to be consistent, or to answer, again. In milliseconds. */
  longestGapMs: number;
  /** One line each: the first findings, or figures that have no column. */
  notes: readonly string[];
}

/** One drill on one topology; it cleans up all it starts, also when it fails. */
export interface Drill {
  /** Unique, for `--only`. */
  name: string;
  /** The protection the drill is about is turned off in it, so it has to lose something: the proof of its checker. */
  mustFail?: boolean;
  /** Left out of the short form. */
  longOnly?: boolean;
  run(context: DrillContext): Promise<DrillResult>;
}

/** How many things a result complains of. */
export function faultsOf({ lost, ghosts, orphans }: DrillResult): number {
  return lost + ghosts + orphans;
}
