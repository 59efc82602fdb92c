import type { Document } from 'mongodb';
import { missedIn } from './fence.ts';
import type {
  DeleteStatement,
  UpdateStatement,
  WriteFailure,
  WriteOutcome,
} from './tenant-collection.ts';

/** A rename or drop ends what is under way on the collection. */
const QUERY_PLAN_KILLED = 175;

type Statement = UpdateStatement | DeleteStatement;
interface Pending {
  statement: Statement;
  /** Its place among those that were given. */
  index: number;
}

/** The statements of one update or deletion that are still to be carried out, and what came of the others. */
export class PendingStatements {
  readonly outcome: WriteOutcome = {
    ...{ n: 0, modified: 0, upserted: [], failures: [], repeated: false },
  };
  readonly #kind: 'update' | 'delete';
  readonly #ordered: boolean;
  #left: Pending[];

  constructor(kind: 'update' | 'delete', statements: readonly Statement[], ordered: boolean) {
    this.#kind = kind;
    this.#ordered = ordered;
    this.#left = statements.map((statement, index) => ({ statement, index }));
  }

  get isDone(): boolean {
    const isRefused = this.#ordered && this.outcome.failures.length > 0;
    return isRefused || this.#left.length === 0;
  }

  /** Whether each of them concerns one document at most, so that they can be numbered. */
  get isSingle(): boolean {
    return this.#left.every(({ statement }) => isSingle(statement));
  }

  /** What is left, as the server takes it. */
  command(name: string): Document {
    const statements = this.#left.map(({ statement }) => statement);
    return this.#kind === 'update'
      ? { update: name, updates: statements, ordered: this.#ordered }
      : { delete: name, deletes: statements, ordered: this.#ordered };
  }

  /** Notes what the server did of the command, and keeps what it did not, because the collection moved in the middle of it. */
  take(reply: Document): void {
    const { outcome } = this;
    const left = this.#left;
    outcome.n += Number(reply.n ?? 0);
    outcome.modified += Number(reply.nModified ?? 0);
    for (const { index, _id } of (reply.upserted ?? []) as WriteOutcome['upserted'])
      outcome.upserted.push({ index: left[index]?.index ?? index, _id });
    const missed = missedIn(reply);
    const again = new Set(missed);
    for (const failure of (reply.writeErrors ?? []) as WriteFailure[]) {
      const one = left[failure.index];
      if (one === undefined) throw new Error('the server refused a statement it was not sent');
      if (missed.has(failure.index)) continue;
      if (this.#goesOn(one, failure)) again.add(failure.index);
      else outcome.failures.push({ ...failure, index: one.index });
    }
    const [first = left.length] = [...again].toSorted((one, other) => one - other);
    this.#left = this.#ordered ? left.slice(first) : left.filter((_, index) => again.has(index));
  }

  /**
   * Whether a statement can be sent again. A rename ended the search for its one document, before anything was done to it; or
   * a deletion of many on its way, whose rest is still to be deleted.
   */
  #goesOn({ statement }: Pending, { code }: WriteFailure): boolean {
    if (code !== QUERY_PLAN_KILLED) return false;
    if (isSingle(statement)) return true;
    this.outcome.repeated = true;
    return this.#kind === 'delete';
  }
}

function isSingle(statement: Statement): boolean {
  return 'limit' in statement ? statement.limit === 1 : statement.multi !== true;
}
