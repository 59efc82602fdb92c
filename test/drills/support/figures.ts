import type { Finding } from '../../support/finding.ts';
import { type DrillResult, faultsOf } from './drill.ts';

const SHOWN = 8;

/** The figures of one drill while it runs. */
export class Figures {
  rounds = 0;
  acknowledged = 0;
  longestGapMs = 0;
  readonly #findings: Finding[] = [];
  readonly #notes: string[] = [];

  /** @param context - where it was found, as said in the notes */
  add(findings: readonly Finding[], context?: string): void {
    for (const { kind, what } of findings)
      this.#findings.push({ kind, what: context === undefined ? what : `${context}: ${what}` });
  }

  note(line: string): void {
    this.#notes.push(line);
  }

  gap(milliseconds: number): void {
    this.longestGapMs = Math.max(this.longestGapMs, milliseconds);
  }

  result(identity: Pick<DrillResult, 'name' | 'topology'>): DrillResult {
    const count = (kind: Finding['kind']) =>
      this.#findings.filter((finding) => finding.kind === kind).length;
    const { rounds, acknowledged, longestGapMs } = this;
    const counts = { lost: count('lost'), ghosts: count('ghost'), orphans: count('orphan') };
    const result = { ...identity, rounds, acknowledged, ...counts, longestGapMs, notes: [] };
    const shown = this.#findings.slice(0, SHOWN).map(({ kind, what }) => `${kind}: ${what}`);
    const more = faultsOf(result) - shown.length;
    return {
      ...result,
      notes: [...this.#notes, ...shown, ...(more > 0 ? [`and ${more} more`] : [])],
    };
  }
}
