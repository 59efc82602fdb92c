import type { OrganizationDocument } from '../../registry/organization-document.ts';
import { collectionNameOf } from '../collection-name.ts';
import type { OrganizationName } from '../organization-name.ts';

type Identity = Pick<
  OrganizationDocument,
  'organization_name' | 'name_key' | 'slug' | 'skeleton' | 'collection_name'
>;

/** The fields of a registry document that follow from an organization's name. */
export function identityOf(name: OrganizationName, database: string): Identity {
  return {
    organization_name: name.display,
    name_key: name.key,
    slug: name.slug,
    skeleton: name.skeleton,
    collection_name: collectionNameOf(name.slug, database),
  };
}
