/** One thing that is not as it has to be. */
export interface Finding {
  kind: 'lost' | 'ghost' | 'orphan';
  what: string;
}

export const lost = (what: string): Finding => ({ kind: 'lost', what });
export const ghost = (what: string): Finding => ({ kind: 'ghost', what });
export const orphan = (what: string): Finding => ({ kind: 'orphan', what });
