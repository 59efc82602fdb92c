import { createHash } from 'node:crypto';
import type { Document } from 'mongodb';
import { pack as newPack, type Pack } from 'tar-stream';
import { jsonOf } from '../records/extended-json.ts';
import { TAG_OF_ANY } from '../tenants/collection-tag.ts';
import type { CollectionDescription } from '../tenants/tenant-collection.ts';
import type { SpoolFile } from './spool-file.ts';

/** The longest file name that mongodump gives, and how much of a longer one it keeps. */
const MAX_FILE_NAME = 238;
const KEPT_OF_LONG = 208;

/**
 * A tar with the folder that `mongodump` (100.x) would have made of one collection: `dump/<database>/<collection>.bson` and
 * `.metadata.json`. `mongorestore dump/` takes it.
 *
 * @param documents - their BSON, one after another. A tar says how long a file is before the file, so they have to be there
 */
export async function* mongodumpArchive(
  collection: CollectionDescription,
  documents: SpoolFile,
  madeAt: Date,
): AsyncGenerator<Buffer, void> {
  const path = `dump/${collection.database}/${fileNameOf(collection.name)}`;
  const metadata = Buffer.from(metadataOf(collection));
  const pack = newPack();
  const fill = async () => {
    const about = { mtime: madeAt, mode: 0o644 };
    const metadataFile = { ...about, name: `${path}.metadata.json`, size: metadata.length };
    await addFile(pack, metadataFile, [metadata]);
    await addFile(pack, { ...about, name: `${path}.bson`, size: documents.size }, documents.read());
    pack.finalize();
  };
  const filling = fill();
  filling.catch((error: Error) => pack.destroy(error));
  try {
    for await (const chunk of pack) yield chunk as Buffer;
  } finally {
    pack.destroy();
    await filling.catch(() => {});
  }
}

async function addFile(
  pack: Pack,
  header: Parameters<Pack['entry']>[0],
  content: Iterable<Buffer> | AsyncIterable<Buffer>,
): Promise<void> {
  const file = pack.entry(header);
  const ended = new Promise<void>((resolve, reject) => {
    file.once('close', () => resolve());
    file.once('error', reject);
  });
  ended.catch(() => {});
  for await (const chunk of content) {
    if (file.write(chunk)) continue;
    await Promise.race([
      new Promise<void>((resolve) => file.once('drain', () => resolve())),
      ended,
    ]);
    if (file.destroyed) return;
  }
  file.end(null);
  await ended;
}

/** By the rules of mongodump: as in the query of a URL, and a hash in place of the end of what is too long. */
export function fileNameOf(collection: string): string {
  const escaped = encodeURIComponent(collection)
    .replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
  if (escaped.length <= MAX_FILE_NAME) return escaped;
  const hash = createHash('sha1').update(collection).digest('base64url');
  return `${escaped.slice(0, KEPT_OF_LONG)}%24${hash}`;
}

/** What mongodump writes beside the documents. */
export function metadataOf({ name, uuid, options, indexes }: CollectionDescription): string {
  const metadata = {
    ...{ options: withoutTag(options), indexes },
    ...{ uuid: uuid.toHexString(false), collectionName: name, type: 'collection' },
  };
  return JSON.stringify(jsonOf(metadata, 'canonical'));
}

/** Restored somewhere else, the collection must not say that it is an organization's of this installation. */
function withoutTag({ validator, validationLevel, validationAction, ...options }: Document) {
  const { $comment, ...rules } = (validator ?? {}) as Document;
  const isTag = typeof $comment === 'string' && TAG_OF_ANY.test($comment);
  const kept = { ...($comment !== undefined && !isTag && { $comment }), ...rules };
  if (Object.keys(kept).length === 0) return options;
  return {
    ...{ ...options, validator: kept },
    ...(validationLevel !== undefined && { validationLevel }),
    ...(validationAction !== undefined && { validationAction }),
  };
}
