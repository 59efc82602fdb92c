import { type Document, ObjectId, UUID } from 'mongodb';
import { searchKeysOf } from '../../src/registry/search-keys.ts';
import { parseOrganizationName } from '../../src/tenants/organization-name.ts';

const WORDS = ['Acme', 'Globex', 'Initech', 'Umbrella', 'Hooli', 'Stark', 'Wayne', 'Cyberdyne'];
const FORMS = ['GmbH', 'Inc.', 'Ltd', 'AG', 'SARL'];

/**
 * A registry document without an organization: what lists go by, for as many as a test needs. The same for the same number.
 *
 * @param at - which of them; every tenth is suspended, half of them are empty
 */
export function registryDocument(at: number): Document {
  const word = WORDS[at % WORDS.length];
  const name = parseOrganizationName(`${word} Labs ${at} ${FORMS[at % FORMS.length]}`);
  const time = Date.UTC(2026, 0, 1) + at * 60_000;
  return {
    _id: new ObjectId(at.toString(16).padStart(24, '0')),
    ...{ organization_name: name.display, name_key: name.key, slug: name.slug },
    ...{ skeleton: name.skeleton, collection_name: `org_${name.slug}`, database: 'tenants' },
    collection_uuid: new UUID(),
    state: at % 10 === 0 ? 'suspended' : 'active',
    held: { slugs: [name.slug], skeletons: [name.skeleton], external_ids: [`x-${at}`] },
    external_id: `x-${at}`,
    metadata: { plan: 'team' },
    search_keys: searchKeysOf(name.slug),
    measured: {
      records: at,
      bytes: at % 2 === 0 ? 0 : (at * 7_919) % 1_000_003,
      at: new Date(time),
    },
    last_active_at: new Date(time + ((at * 31) % 1_000) * 1_000),
    ...{ version: 1, created_at: new Date(time), updated_at: new Date(time) },
  };
}
