import type { Document } from 'mongodb';
import { UnsupportedStageError } from './library-errors.ts';

/**
 * The stages that read nothing but the documents that come in, and write nothing. Whatever a later MongoDB adds is refused
 * until it is listed here. `$lookup`, `$graphLookup` and `$unionWith` name collections, which the fence does not cover, not even
 * for the organization's own; `$out` and `$merge` write to them; others tell of the server or of other collections.
 *
 * @see https://www.mongodb.com/docs/manual/reference/operator/aggregation-pipeline/
 */
const STAGES = new Set([
  '$addFields',
  '$bucket',
  '$bucketAuto',
  '$count',
  '$densify',
  '$facet',
  '$fill',
  '$geoNear',
  '$group',
  '$limit',
  '$match',
  '$project',
  '$redact',
  '$replaceRoot',
  '$replaceWith',
  '$sample',
  '$set',
  '$setWindowFields',
  '$skip',
  '$sort',
  '$sortByCount',
  '$unset',
  '$unwind',
]);

/**
 * Makes sure that an aggregation stays within the collection it is run on.
 *
 * @returns the stages, in lists and objects of our own: what is sent is what was looked at, whatever getters, `toBSON` or a
 *   later change would make of the caller's. What is inside a stage names no stage, except in `$facet`
 * @throws UnsupportedStageError
 */
export function stagesInside(pipeline: unknown): Document[] {
  if (!Array.isArray(pipeline)) throw new UnsupportedStageError('what is no list of stages');
  return Array.from(pipeline, stageInside);
}

function stageInside(stage: unknown): Document {
  if (typeof stage !== 'object' || stage === null)
    throw new UnsupportedStageError(`the stage ${String(stage)}`);
  const entries = Object.entries(stage);
  const [first] = entries;
  // What a Map or an object with toBSON would become on its way cannot be seen here.
  if (first === undefined || entries.length > 1 || stage instanceof Map || 'toBSON' in stage)
    throw new UnsupportedStageError(`the stage {${entries.map(([name]) => name).join(', ')}}`);
  const [name, value] = first;
  if (!STAGES.has(name)) throw new UnsupportedStageError(name);
  return { [name]: name === '$facet' ? pipelinesInside(value) : value };
}

function pipelinesInside(facet: unknown): Document {
  if (typeof facet !== 'object' || facet === null || facet instanceof Map || 'toBSON' in facet)
    throw new UnsupportedStageError('a $facet that is no object of pipelines');
  return Object.fromEntries(
    Object.entries(facet).map(([name, pipeline]) => [name, stagesInside(pipeline)]),
  );
}
