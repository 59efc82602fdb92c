import { AppError } from '../errors.ts';
import type { QuotaDocument } from '../registry/organization-document.ts';

/** A limit, and what there is of it. */
export interface Excess {
  limit: keyof QuotaDocument;
  allowed: number;
  used: number;
  /** What was to be added. */
  adding: number;
}

const THINGS: Record<keyof QuotaDocument, string> = {
  max_records: 'records',
  max_bytes: 'bytes of records',
  max_members: 'members',
};

/** There is no room for what was asked for. Nothing has changed. */
export class QuotaExceededError extends AppError {
  readonly excesses: readonly Excess[];

  constructor(excesses: readonly Excess[]) {
    const errors = excesses.map(({ limit, allowed, used, adding }) => ({
      path: `/quota/${limit}`,
      message: `allows ${allowed} ${THINGS[limit]}; there are ${used}, and this would add ${adding}`,
    }));
    const detail = errors.map(({ path, message }) => `${path.slice(7)} ${message}`).join('; ');
    super('forbidden', 'quota_exceeded', `The organization's quota leaves no room: ${detail}.`, {
      errors,
    });
    this.excesses = excesses;
  }
}
