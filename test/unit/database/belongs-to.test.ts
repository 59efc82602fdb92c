import { expect, test } from 'vitest';
import { MASTER_COLLECTIONS } from '../../../src/composition/stores.ts';
import { indexesOf, type MasterCollection } from '../../../src/database/collections.ts';
import { documentFields } from '../../support/document-fields.ts';

/** A field that names an organization or an admin, whatever comes before. */
const NAMES_AN_OWNER = /(^|[._])(organization|admin)_ids?$/;

const fields = documentFields();

/** `SESSIONS` for the collection `sessions`. */
const constantOf = ({ name }: MasterCollection) => name.toUpperCase();
const declared = ({ belongsTo = [] }: MasterCollection) => belongsTo.map(({ field }) => field);

test.each(MASTER_COLLECTIONS)('the documents of $name are known to this test', (collection) => {
  expect([...fields.keys()]).toContain(constantOf(collection));
  expect(fields.get(constantOf(collection))?.size).toBeGreaterThan(1);
});

test('no collection is opened that is not listed', () => {
  const opened = [...fields.keys()].filter((constant) => constant !== 'collection');
  expect(opened.sort()).toEqual(MASTER_COLLECTIONS.map(constantOf).sort());
});

test.each(MASTER_COLLECTIONS)('$name says whose its documents are: every field', (collection) => {
  const naming = [...(fields.get(constantOf(collection)) ?? [])].filter((field) =>
    NAMES_AN_OWNER.test(field),
  );
  expect(declared(collection)).toEqual(expect.arrayContaining(naming));
});

test.each(MASTER_COLLECTIONS)('$name says whose its documents are: every index', (collection) => {
  const keys = collection.indexes.flatMap(({ key }) => Object.keys(key));
  const naming = keys.filter((key) => NAMES_AN_OWNER.test(key));
  expect(declared(collection)).toEqual(expect.arrayContaining(naming));
});

test.each(MASTER_COLLECTIONS)('$name declares nothing that does not exist', (collection) => {
  const known = [...(fields.get(constantOf(collection)) ?? [])];
  expect(known).toEqual(expect.arrayContaining(declared(collection)));
});

test.each(MASTER_COLLECTIONS)('what is erased of $name is found by an index', (collection) => {
  const erased = (collection.belongsTo ?? []).filter(({ whenGone }) => whenGone !== 'keep');
  const first = indexesOf(collection).map(({ key }) => Object.keys(key)[0]);
  expect(first).toEqual(expect.arrayContaining(erased.map(({ field }) => field)));
});

test('an index that leaves documents out does not count', () => {
  const partial = { partialFilterExpression: { organization_id: { $type: 'objectId' } } };
  const collection: MasterCollection = {
    name: 'things',
    indexes: [
      { name: 'partial', key: { organization_id: 1 }, ...partial },
      { name: 'second', key: { at: 1, admin_id: 1 } },
    ],
    belongsTo: [
      { field: 'organization_id', owner: 'organization' },
      { field: 'admin_id', owner: 'admin' },
      { field: 'by_admin_id', owner: 'admin', whenGone: 'keep' },
    ],
  };
  expect(indexesOf(collection).slice(2)).toEqual([
    { name: 'belongs_to_organization_id', key: { organization_id: 1 } },
    { name: 'belongs_to_admin_id', key: { admin_id: 1 } },
  ]);
});
