import { describe, expect, test } from 'vitest';
import { assertStaysInside } from '../../../src/library/aggregation-stages.ts';
import { UnsupportedStageError } from '../../../src/library/library-errors.ts';

/** Every stage of a collection's or a database's aggregation in the manuals of MongoDB 6.0 and 8.0, Atlas included. */
const INSIDE = [
  ...['$addFields', '$bucket', '$bucketAuto', '$count', '$densify', '$fill', '$geoNear', '$group'],
  ...['$limit', '$match', '$project', '$redact', '$replaceRoot', '$replaceWith', '$sample', '$set'],
  ...['$setWindowFields', '$skip', '$sort', '$sortByCount', '$unset', '$unwind'],
];
const OUTSIDE = [
  ...['$changeStream', '$changeStreamSplitLargeEvent', '$collStats', '$currentOp', '$documents'],
  ...['$graphLookup', '$indexStats', '$listClusterCatalog', '$listLocalSessions'],
  ...['$listSampledQueries', '$listSearchIndexes', '$listSessions', '$lookup', '$merge', '$out'],
  ...['$planCacheStats', '$querySettings', '$queryStats', '$rankFusion', '$scoreFusion', '$search'],
  ...['$searchMeta', '$shardedDataDistribution', '$unionWith', '$vectorSearch'],
  ...['$_internalInhibitOptimization', '$noSuchStage', 'match', ''],
];

describe('a stage that stays within the collection', () => {
  test.for(INSIDE)('%s can be used, also within $facet', (stage) => {
    assertStaysInside([{ [stage]: {} }, { $facet: { one: [{ [stage]: {} }] } }]);
  });
});

describe('any other stage', () => {
  test.for(OUTSIDE)('%s is refused by its name, also within $facet', (stage) => {
    for (const pipeline of [
      [{ $match: {} }, { [stage]: {} }],
      [{ $facet: { fine: [{ $match: {} }], other: [{ [stage]: {} }] } }],
    ]) {
      const refusal = catching(() => assertStaysInside(pipeline));
      expect(refusal).toBeInstanceOf(UnsupportedStageError);
      expect(refusal).toMatchObject({ code: 'unsupported_stage', stage });
    }
  });
});

test.for([
  undefined,
  {},
  'abc',
  [undefined],
  [null],
  ['$match'],
  [{}],
  [{ $match: {}, $out: 'org_other' }],
  [new Map([['$out', 'org_other']])],
  [{ $match: {}, toBSON: () => ({ $out: 'org_other' }) }],
  [Object.create({ toBSON: () => ({ $out: 'org_other' }) }, { $match: { enumerable: true } })],
  [[{ $match: {} }]],
  [{ $facet: null }],
  [{ $facet: new Map([['one', [{ $out: 'org_other' }]]]) }],
  [{ $facet: { one: { $out: 'org_other' } } }],
])('what is no pipeline is refused: %j', (pipeline) => {
  expect(() => assertStaysInside(pipeline)).toThrow(UnsupportedStageError);
});

function catching(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
