import type { Document } from 'mongodb';
import { pointer } from '../records/extended-json.ts';
import { ruleInWords, withDescription } from './rule-messages.ts';

/** One rule of a schema, as a schema of its own: what breaks it breaks the whole, and what breaks the whole breaks one. */
export interface SchemaRule {
  schema: Document;
  /** The place that breaks it, as a JSON Pointer into the record. */
  path: string;
  message: string;
}

/** Says nothing by itself, or goes with another keyword. */
const SILENT = new Set(['title', 'description', 'exclusiveMinimum', 'exclusiveMaximum']);
/** Keywords whose meaning depends on others beside them. */
const TOGETHER: Readonly<Record<string, readonly string[]>> = {
  minimum: ['exclusiveMinimum'],
  maximum: ['exclusiveMaximum'],
};

/**
 * Takes a schema apart into rules that can each be asked about, because MongoDB explains only what it refuses to write.
 * Inside lists, and where schemas are alternatives, a rule stays whole.
 */
export function rulesOf(schema: Document): SchemaRule[] {
  return [...rules(schema, [])];
}

function* rules(schema: Document, names: readonly string[]): Generator<SchemaRule> {
  // That of the whole is not about a field.
  const description = names.length === 0 ? undefined : schema.description;
  for (const [keyword, value] of Object.entries(schema)) {
    if (SILENT.has(keyword)) continue;
    if (keyword === 'properties')
      for (const [name, inner] of Object.entries<Document>(value))
        yield* rules(inner, [...names, name]);
    else if (keyword === 'allOf') for (const inner of value) yield* rules(inner, names);
    else if (keyword === 'required')
      for (const name of value) {
        const message = ruleInWords(keyword, schema);
        const path = pointer(pathOf(names), name);
        yield { schema: rooted({ required: [name] }, names), path, message };
      }
    else {
      const own = aloneOf(keyword, schema);
      const message = withDescription(ruleInWords(keyword, own), description);
      yield { schema: rooted(own, names), path: pathOf(names), message };
    }
  }
}

/** The schema of a record, of one for what is at the end of these names. */
function rooted(schema: Document, names: readonly string[]): Document {
  return names.reduceRight<Document>((inner, name) => ({ properties: { [name]: inner } }), schema);
}

/** The keyword with what it depends on, and nothing else. */
function aloneOf(keyword: string, schema: Document): Document {
  const own = { [keyword]: schema[keyword] };
  if (keyword === 'additionalProperties')
    return {
      ...own,
      ...(schema.properties && { properties: emptied(schema.properties) }),
      ...(schema.patternProperties && { patternProperties: emptied(schema.patternProperties) }),
    };
  if (keyword === 'additionalItems')
    return Array.isArray(schema.items) ? { ...own, items: schema.items.map(() => ({})) } : own;
  for (const other of TOGETHER[keyword] ?? [])
    if (schema[other] !== undefined) own[other] = schema[other];
  return own;
}

/** The names alone. */
function emptied(schemas: Document): Document {
  return Object.fromEntries(Object.keys(schemas).map((name) => [name, {}]));
}

function pathOf(names: readonly string[]): string {
  return names.reduce(pointer, '');
}
