import type { Document } from 'mongodb';
import { jsonOf } from '../records/extended-json.ts';

const MAX_SHOWN = 200;

/**
 * What a record has to be like by one keyword of a schema, as an end to "the field …".
 *
 * @param schema - the schema with the keyword
 */
export function ruleInWords(keyword: string, schema: Document): string {
  const rule = Object.hasOwn(RULES, keyword) ? RULES[keyword] : undefined;
  return rule?.(schema) ?? `breaks the schema (${keyword})`;
}

/** @param description - of the schema of the field, if it has one */
export function withDescription(message: string, description: unknown): string {
  return typeof description === 'string' ? `${message} (${description})` : message;
}

const RULES: Readonly<Record<string, (schema: Document) => string>> = {
  type: ({ type }) => `must be of type ${oneOf(type)}`,
  bsonType: ({ bsonType }) => `must be of type ${oneOf(bsonType)}`,
  required: () => 'is required',
  enum: ({ enum: values }) => `must be ${oneOf(values.map(shown))}`,
  minimum: ({ minimum, exclusiveMinimum }) =>
    `must be ${exclusiveMinimum ? 'greater than' : 'at least'} ${shown(minimum)}`,
  maximum: ({ maximum, exclusiveMaximum }) =>
    `must be ${exclusiveMaximum ? 'less than' : 'at most'} ${shown(maximum)}`,
  multipleOf: ({ multipleOf }) => `must be a multiple of ${shown(multipleOf)}`,
  minLength: ({ minLength }) => `must have at least ${many(minLength, 'character')}`,
  maxLength: ({ maxLength }) => `must have at most ${many(maxLength, 'character')}`,
  pattern: ({ pattern }) => `must match the pattern ${pattern}`,
  minItems: ({ minItems }) => `must have at least ${many(minItems, 'item')}`,
  maxItems: ({ maxItems }) => `must have at most ${many(maxItems, 'item')}`,
  uniqueItems: () => 'must not hold an item twice',
  items: () => 'has an item that breaks the schema',
  additionalItems: ({ additionalItems }) =>
    additionalItems === false
      ? 'has more items than the schema allows'
      : 'has an additional item that breaks the schema',
  minProperties: ({ minProperties }) => `must have at least ${many(minProperties, 'field')}`,
  maxProperties: ({ maxProperties }) => `must have at most ${many(maxProperties, 'field')}`,
  additionalProperties: ({ additionalProperties }) =>
    additionalProperties === false
      ? 'has a field that the schema does not allow'
      : 'has an additional field that breaks the schema',
  patternProperties: () => 'has a field that breaks the schema of its name',
  dependencies: () => 'lacks what one of its fields calls for',
  anyOf: () => 'fits none of the schemas in anyOf',
  oneOf: () => 'must fit exactly one of the schemas in oneOf',
  not: () => 'is what the schema excludes (not)',
};

function oneOf(values: unknown): string {
  const all = [values].flat().map(String);
  const text = all.length === 1 ? `${all[0]}` : `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`;
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function many(count: unknown, thing: string): string {
  return `${shown(count)} ${thing}${Number(count) === 1 ? '' : 's'}`;
}

function shown(value: unknown): string {
  return JSON.stringify(jsonOf(value, 'relaxed'));
}
