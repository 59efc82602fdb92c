import type { Collection, Db, Filter, FindOptions, ObjectId, SortDirection } from 'mongodb';
import { masterCollection } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { LIST_INDEXES } from './list-indexes.ts';
import type { OrganizationDocument, OrganizationState } from './organization-document.ts';
import { ORGANIZATIONS } from './registry-store.ts';

/** What organizations can be listed by. */
export type OrganizationSort = keyof typeof LIST_INDEXES;

/** What a sort compares. */
export type SortValue = string | number | Date;

/** One page of a list of organizations. */
export interface OrganizationPageRequest {
  sort: OrganizationSort;
  descending: boolean;
  /** Those in one of these states. */
  states: readonly OrganizationState[];
  /** See `search-keys.ts`. */
  searchKey: string;
  limit: number;
  /** The last of the page before. */
  after?: { value: SortValue; id: ObjectId };
}

/** What a list tells of an organization. */
export type ListedOrganization = Omit<OrganizationDocument, 'search_keys' | 'metadata' | 'held'>;

/** One of the queries that make a page: at most two, because neither has to look past what it gives. */
export interface ListQueryPlan {
  filter: Filter<OrganizationDocument>;
  options: FindOptions & { sort: Record<string, SortDirection>; hint: string };
}

const LEFT_OUT = { search_keys: 0, metadata: 0, held: 0 };

/** Lists of organizations for operators: each page costs what it gives, however many organizations there are. */
export class OrganizationListStore {
  readonly #organizations: Collection<OrganizationDocument>;

  constructor(master: Db) {
    this.#organizations = masterCollection<OrganizationDocument>(master, ORGANIZATIONS);
  }

  /** @returns up to `limit` and one more, if there is more */
  async page(request: OrganizationPageRequest): Promise<ListedOrganization[]> {
    const most = request.limit + 1;
    const found: ListedOrganization[] = [];
    for (const query of queriesOf(request)) {
      if (found.length === most) break;
      found.push(...(await this.#run(query, most - found.length)));
    }
    return found;
  }

  #run({ filter, options }: ListQueryPlan, limit: number): Promise<ListedOrganization[]> {
    return retryTransient(() =>
      this.#organizations
        .find<ListedOrganization>(filter, { ...options, limit, ...withinDeadline() })
        .toArray(),
    );
  }
}

/**
 * The queries of a page, in order: what has the value of the last one seen, and what comes after it. One query with an `$or`
 * would leave it to the planner whether the order of the index is used.
 */
export function queriesOf(request: OrganizationPageRequest): ListQueryPlan[] {
  const { sort, descending, states, searchKey, after } = request;
  const { field, name: hint } = LIST_INDEXES[sort];
  const direction = descending ? -1 : 1;
  const options = {
    ...{ projection: LEFT_OUT, hint },
    sort: { [field]: direction, _id: direction } as Record<string, SortDirection>,
  };
  const filter = { search_keys: searchKey, state: { $in: [...states] } };
  if (after === undefined) return [{ filter, options }];
  const beyond = descending ? '$lt' : '$gt';
  return [
    {
      filter: { ...filter, [field]: after.value, _id: { [beyond]: after.id } },
      // All have the same value. With it in the sort the planner would not see that the index gives the order.
      options: { ...options, sort: { _id: direction } },
    },
    { filter: { ...filter, [field]: { [beyond]: after.value } }, options },
  ];
}

/** What a sort compares of an organization. */
export function sortValueOf(organization: ListedOrganization, sort: OrganizationSort): SortValue {
  switch (sort) {
    case 'name':
      return organization.name_key;
    case 'created_at':
      return organization.created_at;
    case 'size':
      return organization.measured?.bytes ?? 0;
    case 'last_activity':
      return organization.last_active_at ?? organization.created_at;
  }
}
