import type {
  BulkWriteOptions,
  CountDocumentsOptions,
  DeleteOptions,
  InsertOneOptions,
  ReplaceOptions,
  Sort,
  UpdateOptions,
} from 'mongodb';
import type { InsertOptions, WriteOptions } from '../tenants/tenant-collection.ts';
import { knownOptions } from './driver-forms.ts';
import { DEFAULT_TIME_LIMIT_MS } from './find-cursor.ts';

type Command = 'maxTimeMS' | 'comment';
type UpdateCommand = Command | 'bypassDocumentValidation' | 'let';

/** The options of the driver's that are honoured, method by method. Any other is refused. */
export type InsertRecordOptions = Pick<InsertOneOptions, Command | 'bypassDocumentValidation'>;
export type InsertRecordsOptions = InsertRecordOptions & Pick<BulkWriteOptions, 'ordered'>;
export type BulkRecordsOptions = Pick<BulkWriteOptions, UpdateCommand | 'ordered'>;
export type UpdateRecordsOptions = Pick<
  UpdateOptions,
  UpdateCommand | 'upsert' | 'arrayFilters' | 'collation' | 'hint'
>;
export type ReplaceRecordOptions = Pick<
  ReplaceOptions,
  UpdateCommand | 'upsert' | 'collation' | 'hint'
>;
export type DeleteRecordsOptions = Pick<DeleteOptions, Command | 'let' | 'collation' | 'hint'>;
export type CountRecordsOptions = Pick<
  CountDocumentsOptions,
  Command | 'collation' | 'hint' | 'skip' | 'limit'
>;
/** Which of several documents is updated (MongoDB 8.0). */
export interface Sorted {
  sort?: Sort;
}

const COMMAND_OPTIONS = ['comment', 'let', 'bypassDocumentValidation', 'maxTimeMS'];
const INSERT_OPTIONS = ['comment', 'bypassDocumentValidation', 'maxTimeMS', 'ordered'];

/** @returns the options of the statement, and those of the command */
export function splitOptions(options: object): [statement: object, command: object] {
  const entries = Object.entries(options);
  const isOfCommand = ([name]: [string, unknown]) => COMMAND_OPTIONS.includes(name);
  return [
    Object.fromEntries(entries.filter((entry) => !isOfCommand(entry))),
    Object.fromEntries(entries.filter(isOfCommand)),
  ];
}

/**
 * How a write is run. On a standalone MongoDB nobody can tell whether a write whose answer was lost took place, and carried
 * out twice it may change another document than the first time.
 *
 * @throws UnsupportedOptionError
 */
export function writeOptions(method: string, options: object): WriteOptions {
  return { repeatable: false, ...commandOptions(method, options, [...COMMAND_OPTIONS, 'ordered']) };
}

/** @throws UnsupportedOptionError */
export function insertOptions(method: string, options: object): InsertOptions {
  return commandOptions(method, options, INSERT_OPTIONS);
}

function commandOptions(method: string, options: object, known: readonly string[]): InsertOptions {
  const {
    maxTimeMS = DEFAULT_TIME_LIMIT_MS,
    ordered = true,
    ...fields
  } = knownOptions(method, options, known);
  return { timeLimitMs: Number(maxTimeMS), ordered: ordered !== false, fields };
}
