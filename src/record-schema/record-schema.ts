import type { Document } from 'mongodb';
import { InvalidSchemaError } from './record-schema-errors.ts';
import { schemaOf } from './schema-keywords.ts';
import { SchemaPlace, SchemaSurvey } from './schema-place.ts';

/**
 * Reads the schema of an organization's records: JSON Schema draft 4 as MongoDB takes it.
 *
 * @param value - parsed JSON, with values as Extended JSON
 * @returns what MongoDB is given
 * @throws InvalidSchemaError with every fault, by its JSON Pointer
 */
export function parseRecordSchema(value: unknown): Document {
  const survey = new SchemaSurvey();
  const place = new SchemaPlace(survey);
  const schema = schemaOf(value, place);
  if (survey.faults.length === 0) assertAllowsRecords(schema, place);
  if (survey.faults.length > 0) throw new InvalidSchemaError(survey.faults);
  return schema;
}

/** Notes what would refuse every record. */
function assertAllowsRecords(schema: Document, place: SchemaPlace): void {
  const { additionalProperties, properties = {}, patternProperties = {}, allOf = [] } = schema;
  for (const keyword of ['type', 'bsonType'] as const)
    if (schema[keyword] !== undefined && ![schema[keyword]].flat().includes('object'))
      place.at(keyword).fault('must be "object", as every record is one');
  // Which names a pattern matches is MongoDB's to say.
  const allowsId = '_id' in properties || Object.keys(patternProperties).length > 0;
  if (additionalProperties === false && !allowsId)
    place
      .at('additionalProperties')
      .fault('would forbid _id, which every record has: put "_id": {} into properties');
  for (const [index, one] of allOf.entries()) assertAllowsRecords(one, place.at('allOf').at(index));
}
