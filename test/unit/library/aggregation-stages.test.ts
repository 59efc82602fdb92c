import { BSON, type Document } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { stagesInside } from '../../../src/library/aggregation-stages.ts';
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
    stagesInside([{ [stage]: {} }, { $facet: { one: [{ [stage]: {} }] } }]);
  });
});

describe('any other stage', () => {
  test.for(OUTSIDE)('%s is refused by its name, also within $facet', (stage) => {
    for (const pipeline of [
      [{ $match: {} }, { [stage]: {} }],
      [{ $facet: { fine: [{ $match: {} }], other: [{ [stage]: {} }] } }],
    ]) {
      const refusal = catching(() => stagesInside(pipeline));
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
  expect(() => stagesInside(pipeline)).toThrow(UnsupportedStageError);
});

describe('what is sent is what was looked at', () => {
  const outside = [{ $out: 'org_other' }];

  test('of a list with toBSON, its items', () => {
    const one = Object.assign([{ $match: {} }], { toBSON: () => outside });
    expect(bsonOf([{ $facet: { one } }])).toEqual([{ $facet: { one: [{ $match: {} }] } }]);
  });

  test('of a getter, what it gave', () => {
    let asked = 0;
    const stage = {
      get $facet() {
        asked += 1;
        return { one: asked === 1 ? [] : outside };
      },
    };
    expect(bsonOf([stage])).toEqual([{ $facet: { one: [] } }]);
  });

  test('whatever becomes of the list and its stages later', () => {
    const pipeline = [{ $facet: { one: [{ $match: {} }] } }] as Document[];
    const stages = stagesInside(pipeline);
    pipeline[0]?.$facet.one.push(...outside);
    Object.assign(pipeline[0] ?? {}, ...outside);
    expect(stages).toEqual([{ $facet: { one: [{ $match: {} }] } }]);
  });
});

/** As the server gets it. */
function bsonOf(pipeline: unknown): unknown {
  const stages = stagesInside(pipeline);
  return BSON.deserialize(BSON.serialize({ stages })).stages;
}

function catching(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
