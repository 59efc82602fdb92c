import type { Document } from 'mongodb';
import type { FieldError } from '../errors.ts';
import { pointer } from '../records/extended-json.ts';
import { ruleInWords, withDescription } from './rule-messages.ts';

/** So many are told of one record. */
const MAX_ERRORS = 20;
const MAX_ALTERNATIVES = 500;

/**
 * Says which fields of a record break the schema, and how.
 *
 * @param errInfo - of MongoDB's refusal (DocumentValidationFailure, 121)
 * @returns at least one error; paths are JSON Pointers into the record
 * @see https://www.mongodb.com/docs/manual/core/schema-validation/specify-json-schema/ (errInfo is not specified further:
 *   what is read here was captured from MongoDB 6.0, for every keyword)
 */
export function schemaErrors(errInfo: Document | undefined): FieldError[] {
  const errors = listOf(errInfo?.details?.schemaRulesNotSatisfied).flatMap((rule) =>
    broken(rule, ''),
  );
  const whole = { path: '', message: "breaks the organization's schema" };
  return errors.length === 0 ? [whole] : errors.slice(0, MAX_ERRORS);
}

function all(rules: unknown, path: string): FieldError[] {
  return listOf(rules).flatMap((rule) => broken(rule, path));
}

/** One rule that the value at this place breaks. */
function broken(rule: Document, path: string): FieldError[] {
  const { operatorName: keyword } = rule;
  const read = Object.hasOwn(NESTED, keyword) ? NESTED[keyword] : undefined;
  const inside = read?.(rule, path) ?? [];
  if (inside.length > 0) return inside;
  return [{ path, message: ruleInWords(keyword, rule.specifiedAs ?? {}) }];
}

/** The keywords whose errors are about something inside the value. An empty list stands for the value itself. */
const NESTED: Readonly<Record<string, (rule: Document, path: string) => FieldError[]>> = {
  properties: ({ propertiesNotSatisfied }, path) =>
    listOf(propertiesNotSatisfied).flatMap(({ propertyName, description, details }) =>
      described(
        all(details, pointer(path, propertyName)),
        pointer(path, propertyName),
        description,
      ),
    ),
  required: ({ missingProperties }, path) => missing(missingProperties, path, 'is required'),
  additionalProperties: ({ additionalProperties, failingProperty, details }, path) =>
    failingProperty === undefined
      ? missing(additionalProperties, path, 'is not a field that the schema allows')
      : all(details, pointer(path, failingProperty)),
  patternProperties: ({ details }, path) =>
    listOf(details).flatMap((one) => all(one.details, pointer(path, one.propertyName))),
  items: (rule, path) => ofItems(rule, path),
  additionalItems: (rule, path) => ofItems(rule, path),
  dependencies: ({ failingDependencies }, path) =>
    listOf(failingDependencies).flatMap(({ conditionalProperty, missingProperties, details }) => [
      ...missing(missingProperties, path, `is required where there is ${conditionalProperty}`),
      ...all(details, path),
    ]),
  allOf: ({ schemasNotSatisfied }, path) =>
    listOf(schemasNotSatisfied).flatMap(({ details }) => all(details, path)),
  anyOf: ({ schemasNotSatisfied }, path) => alternatives('anyOf', schemasNotSatisfied, path),
  oneOf: ({ schemasNotSatisfied, matchingSchemaIndexes }, path) =>
    matchingSchemaIndexes === undefined
      ? alternatives('oneOf', schemasNotSatisfied, path)
      : [{ path, message: `fits more than one of the schemas in oneOf` }],
};

/** One item by its index, or several, each with its own. */
function ofItems({ itemIndex, details }: Document, path: string): FieldError[] {
  if (itemIndex !== undefined) return all(details, `${path}/${itemIndex}`);
  return listOf(details).flatMap((one) => ofItems(one, path));
}

function missing(names: unknown, path: string, message: string): FieldError[] {
  return listOf(names).map((name) => ({ path: pointer(path, String(name)), message }));
}

/** What each of the alternatives would need, in one sentence about the value. */
function alternatives(keyword: string, failed: unknown, path: string): FieldError[] {
  const needs = listOf(failed).map(({ details }) =>
    all(details, '')
      .map((error) => (error.path === '' ? error.message : `${error.path} ${error.message}`))
      .join(' and '),
  );
  const text = needs.join('; or ');
  const shown = text.length > MAX_ALTERNATIVES ? `${text.slice(0, MAX_ALTERNATIVES)}…` : text;
  return [{ path, message: `fits none of the schemas in ${keyword}: ${shown}` }];
}

/** With what the schema itself says of the field. */
function described(
  errors: readonly FieldError[],
  field: string,
  description: unknown,
): FieldError[] {
  return errors.map(({ path, message }) => ({
    path,
    message: path === field ? withDescription(message, description) : message,
  }));
}

function listOf(value: unknown): Document[] {
  return Array.isArray(value) ? value : [];
}
