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
 * @throws UnsupportedStageError
 */
export function assertStaysInside(pipeline: unknown): void {
  if (!Array.isArray(pipeline)) throw new UnsupportedStageError('what is no list of stages');
  for (const stage of pipeline) assertStage(stage);
}

function assertStage(stage: unknown): void {
  if (typeof stage !== 'object' || stage === null)
    throw new UnsupportedStageError(`the stage ${String(stage)}`);
  const names = Object.keys(stage);
  const [name] = names;
  // What a Map or an object with toBSON would become on its way cannot be seen here.
  if (name === undefined || names.length > 1 || stage instanceof Map || 'toBSON' in stage)
    throw new UnsupportedStageError(`the stage {${names.join(', ')}}`);
  if (!STAGES.has(name)) throw new UnsupportedStageError(name);
  if (name === '$facet') assertFacet((stage as { $facet: unknown }).$facet);
}

function assertFacet(facet: unknown): void {
  if (typeof facet !== 'object' || facet === null || facet instanceof Map || 'toBSON' in facet)
    throw new UnsupportedStageError('a $facet that is no object of pipelines');
  for (const pipeline of Object.values(facet)) assertStaysInside(pipeline);
}
