import type {
  CreateIndexesOptions,
  Document,
  IndexDescription,
  IndexDescriptionInfo,
  IndexSpecification,
} from 'mongodb';
import type { FencedCommands } from '../tenants/fenced-commands.ts';
import { indexKeysOf, indexNameOf, knownOptions } from './driver-forms.ts';

/** An index over many documents takes its time. */
const BUILD_LIMIT_MS = 30 * 60 * 1_000;
const COMMAND_OPTIONS = ['maxTimeMS', 'comment'];
/** What an index can be, as the driver passes it on. */
const INDEX_OPTIONS = [
  ...['key', 'name', 'unique', 'partialFilterExpression', 'sparse', 'hidden', 'expireAfterSeconds'],
  ...['storageEngine', 'collation', 'weights', 'default_language', 'language_override'],
  ...['textIndexVersion', '2dsphereIndexVersion', 'bits', 'min', 'max', 'wildcardProjection'],
  'background',
];

/** The indexes of one organization's collection. */
export class RecordIndexes {
  readonly #commands: FencedCommands;

  constructor(commands: FencedCommands) {
    this.#commands = commands;
  }

  async create(spec: IndexSpecification, options: CreateIndexesOptions): Promise<string> {
    const { maxTimeMS, comment, ...index } = options;
    const description = { ...index, key: indexKeysOf(spec) } as IndexDescription;
    const [name] = await this.createAll([description], { maxTimeMS, comment });
    return name ?? '';
  }

  async createAll(descriptions: readonly IndexDescription[], options: object): Promise<string[]> {
    const { maxTimeMS, ...command } = knownOptions('createIndexes', options, COMMAND_OPTIONS);
    const indexes = descriptions.map((description) => {
      const { key, name, background, ...index } = knownOptions(
        'createIndex',
        description,
        INDEX_OPTIONS,
      );
      const keys = indexKeysOf(key as IndexSpecification);
      return { ...index, name: String(name ?? indexNameOf(keys)), key: keys };
    });
    await this.#run((createIndexes) => ({ createIndexes, indexes, ...command }), maxTimeMS);
    return indexes.map(({ name }) => name);
  }

  async drop(index: string, options: object): Promise<Document> {
    const { maxTimeMS } = knownOptions('dropIndex', options, COMMAND_OPTIONS);
    return this.#run((dropIndexes) => ({ dropIndexes, index }), maxTimeMS, false);
  }

  /** `listIndexes` takes no fence; this tells the same. */
  async list(): Promise<IndexDescriptionInfo[]> {
    const pipeline = [{ $indexStats: {} }, { $sort: { name: 1 } }, { $replaceWith: '$spec' }];
    const found: Document[] = [];
    const batches = this.#commands.batches(
      (aggregate) => ({ aggregate, pipeline, cursor: {} }),
      {},
    );
    for await (const batch of batches) found.push(...batch);
    return found as IndexDescriptionInfo[];
  }

  #run(build: (name: string) => Document, maxTimeMS: unknown, repeatable = true) {
    const timeLimitMs = Number(maxTimeMS ?? BUILD_LIMIT_MS);
    return this.#commands.run(build, { write: true, repeatable, timeLimitMs });
  }
}
