import type { Document, ObjectId } from 'mongodb';
import { parseRecordSchema } from './record-schema.ts';
import type { RecordSchemaStore, Violations } from './record-schema-store.ts';

/** A schema, and the records from before it that break it. */
export interface DeclaredSchema {
  schema: Document;
  existing: Violations;
}

/** The rules of schemas: what an organization's records have to be like, enforced by MongoDB on every write. */
export class RecordSchemaService {
  readonly #store: RecordSchemaStore;

  constructor(deps: { store: RecordSchemaStore }) {
    this.#store = deps.store;
  }

  /** @returns the schema, with values as BSON, or null; @throws OrganizationNotFoundError, OrganizationBusyError */
  find(organizationId: ObjectId): Promise<Document | null> {
    return this.#store.find(organizationId);
  }

  /**
   * Puts a schema in force in place of the one before. Existing records that break it stay as they are, and are told; each
   * has to be mended by whatever changes it next.
   *
   * @param value - parsed JSON, with values as Extended JSON
   * @param options - `dryRun`: only tell
   * @throws InvalidSchemaError, IndexBuildInProgressError, OrganizationNotFoundError, OrganizationBusyError; nothing has
   *   changed after any of them
   * @throws DatabaseUnavailableError when it may be in force; declaring it again does no harm
   */
  async declare(
    organizationId: ObjectId,
    value: unknown,
    { dryRun }: { dryRun: boolean },
  ): Promise<DeclaredSchema> {
    const schema = parseRecordSchema(value);
    // In force first: after that no record is added that breaks it, so the report leaves none out.
    if (!dryRun) await this.#store.set(organizationId, schema);
    return { schema, existing: await this.#store.violations(organizationId, schema) };
  }

  /** Takes the schema away; done when there is none. @throws as {@link declare} */
  remove(organizationId: ObjectId): Promise<void> {
    return this.#store.set(organizationId, null);
  }
}
