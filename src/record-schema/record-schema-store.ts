import { type Document, MongoServerError, type ObjectId } from 'mongodb';
import type { FieldError } from '../errors.ts';
import { jsonOf } from '../records/extended-json.ts';
import { IndexBuildInProgressError, OrganizationBusyError } from '../registry/registry-errors.ts';
import type { TenantCollection } from '../tenants/tenant-collection.ts';
import { INDEX_BUILD_IN_PROGRESS, type TenantCollections } from '../tenants/tenant-collections.ts';
import type { TenantDirectory } from '../tenants/tenant-directory.ts';
import { InvalidSchemaError } from './record-schema-errors.ts';
import { patternsIn } from './schema-keywords.ts';
import { rulesOf, type SchemaRule } from './schema-rules.ts';

const MAX_TIME_MS_EXPIRED = 50;
const LOCK_TIMEOUT = 24;
/** What one question about existing records, or the change itself, may take. */
const LIMIT_MS = 5_000;
/** Renames that may overtake a look at the schema. */
const MAX_MOVES = 10;
const EXAMPLES = 10;
const RULES_AT_ONCE = 100;

/** An existing record that breaks the schema. */
export interface ViolatingRecord {
  /** As MongoDB has it. */
  id: unknown;
  errors: FieldError[];
}

/** The existing records that break a schema. */
export interface Violations {
  violating: number;
  /** Whether all records were looked at; if not, there are at least so many. */
  exact: boolean;
  examples: ViolatingRecord[];
}

interface RecordSchemaStoreDeps {
  directory: TenantDirectory;
  collections: TenantCollections;
}

/** The schema of an organization's records. It is kept nowhere but in the validator that enforces it. */
export class RecordSchemaStore {
  readonly #deps: RecordSchemaStoreDeps;

  constructor(deps: RecordSchemaStoreDeps) {
    this.#deps = deps;
  }

  /** @returns the schema, or null; @throws OrganizationNotFoundError, OrganizationBusyError, DatabaseUnavailableError */
  async find(organizationId: ObjectId): Promise<Document | null> {
    const { directory, collections } = this.#deps;
    const { commands } = await directory.open(organizationId);
    for (let moves = 0; moves <= MAX_MOVES; moves += 1) {
      const validator = await collections.findValidator(commands.reference);
      if (validator !== undefined) return validator.$jsonSchema ?? null;
      // `listCollections` knows no fence: what does finds the collection's name, or that it is gone.
      const probe = (find: string) => ({ find, limit: 1, projection: { _id: 1 } });
      await commands.run(probe, { write: false });
    }
    throw new OrganizationBusyError();
  }

  /**
   * Puts a schema in force, or takes it away, in one step: of two at once, one comes last and stands as it is.
   *
   * @throws InvalidSchemaError, IndexBuildInProgressError, OrganizationNotFoundError, OrganizationBusyError; nothing has
   *   changed after any of them
   * @throws DatabaseUnavailableError when the outcome is unknown
   */
  async set(organizationId: ObjectId, schema: Document | null): Promise<void> {
    const { directory, collections } = this.#deps;
    const { commands } = await directory.open(organizationId);
    const validator = collections.validatorOf(organizationId, schema);
    const settings = { validationLevel: 'strict', validationAction: 'error' };
    const command = (collMod: string) => ({ collMod, validator, ...settings });
    try {
      await commands.run(command, { write: true, timeLimitMs: LIMIT_MS });
    } catch (error) {
      if (!(error instanceof MongoServerError)) throw error;
      const code = Number(error.code);
      if (code === INDEX_BUILD_IN_PROGRESS) throw new IndexBuildInProgressError(error);
      if (code === MAX_TIME_MS_EXPIRED || code === LOCK_TIMEOUT) throw new OrganizationBusyError();
      throw await this.#refusal(organizationId, schema ?? {}, error);
    }
  }

  /** The records that break a schema, whether or not it is in force; each question has {@link LIMIT_MS}. @throws as {@link set} */
  async violations(organizationId: ObjectId, schema: Document): Promise<Violations> {
    const collection = await this.#deps.directory.open(organizationId);
    const breaking = { $nor: [{ $jsonSchema: schema }] };
    const limits = { timeLimitMs: LIMIT_MS };
    try {
      const narrowed = { limit: EXAMPLES, projection: { _id: 1 }, ...limits };
      const found = await inTime(collection.find(breaking, narrowed));
      if (found === undefined) return { violating: 0, exact: false, examples: [] };
      const examples = await explained(
        collection,
        schema,
        found.map(({ _id }) => _id),
      );
      const known = { violating: found.length, exact: found.length < EXAMPLES, examples };
      if (known.exact) return known;
      const counted = await inTime(collection.count(breaking, limits));
      return counted === undefined ? known : { violating: counted, exact: true, examples };
    } catch (error) {
      if (!(error instanceof MongoServerError)) throw error;
      throw await this.#refusal(organizationId, schema, error);
    }
  }

  /** MongoDB does not say where: of what was not checked before, only the patterns are left, and each can be tried. */
  async #refusal(organizationId: ObjectId, schema: Document, cause: MongoServerError) {
    const { commands } = await this.#deps.directory.open(organizationId);
    const errors: FieldError[] = [];
    for (const [path, $regex] of patternsIn(schema)) {
      const probe = (find: string) => ({ find, filter: { _id: { $regex } }, limit: 1 });
      const isGood = await commands.run(probe, { write: false }).then(
        () => true,
        (error: unknown) => !(error instanceof MongoServerError),
      );
      if (!isGood) errors.push({ path, message: 'is not a regular expression that MongoDB takes' });
    }
    const general = { path: '', message: 'is not a schema that MongoDB takes' };
    return new InvalidSchemaError(errors.length === 0 ? [general] : errors, { cause });
  }
}

/** Asks of each rule which of the records break it: MongoDB decides, and nothing is written. */
async function explained(
  collection: TenantCollection,
  schema: Document,
  ids: unknown[],
): Promise<ViolatingRecord[]> {
  if (ids.length === 0) return [];
  const examples = new Map(ids.map((id) => [keyOf(id), { id, errors: [] as FieldError[] }]));
  const rules = rulesOf(schema);
  for (let from = 0; from < rules.length; from += RULES_AT_ONCE) {
    const some = rules.slice(from, from + RULES_AT_ONCE);
    const asked = [{ $match: { _id: { $in: ids } } }, { $facet: facetsOf(some) }];
    const [broken] = (await inTime(collection.aggregate(asked, { timeLimitMs: LIMIT_MS }))) ?? [];
    for (const [at, { path, message }] of some.entries())
      for (const { _id } of (broken?.[`r${at}`] ?? []) as Document[])
        examples.get(keyOf(_id))?.errors.push({ path, message });
  }
  return [...examples.values()];
}

function facetsOf(rules: readonly SchemaRule[]): Document {
  return Object.fromEntries(
    rules.map(({ schema }, at) => [
      `r${at}`,
      [{ $match: { $nor: [{ $jsonSchema: schema }] } }, { $project: { _id: 1 } }],
    ]),
  );
}

function keyOf(id: unknown): string {
  return JSON.stringify(jsonOf(id, 'canonical'));
}

/** @returns undefined when the database took longer than it may */
async function inTime<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof MongoServerError && Number(error.code) === MAX_TIME_MS_EXPIRED)
      return undefined;
    throw error;
  }
}
