import type { OrganizationDocument } from '../registry/organization-document.ts';
import {
  type ListedOrganization,
  type OrganizationListStore,
  type OrganizationSort,
  sortValueOf,
} from '../registry/organization-list-store.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { EVERYTHING, searchKeyOf, searchKeysOf } from '../registry/search-keys.ts';
import { cursorOf, positionOf } from './organization-cursor.ts';
import { type ListedStatus, statesOf } from './organization-status.ts';

/** The orders of lists of organizations; with `-` the other way round. */
export const ORGANIZATION_ORDERS = [
  'name',
  '-name',
  'created_at',
  '-created_at',
  'size',
  '-size',
  'last_activity',
  '-last_activity',
] as const;
export type OrganizationOrder = (typeof ORGANIZATION_ORDERS)[number];

/** Which organizations are wanted, in which order. */
export interface OrganizationListRequest {
  q?: string;
  status?: ListedStatus;
  external_id?: string;
  sort?: OrganizationOrder;
  limit?: number;
  after?: string;
}

/** One page of it. */
export interface OrganizationList {
  items: readonly ListedOrganization[];
  nextCursor: string | null;
}

/** The list of all organizations. */
export class OrganizationListService {
  readonly #deps: { list: OrganizationListStore; registry: RegistryStore };

  constructor(deps: { list: OrganizationListStore; registry: RegistryStore }) {
    this.#deps = deps;
  }

  /** @throws AppError `invalid_cursor` */
  async page(request: OrganizationListRequest): Promise<OrganizationList> {
    const { q, status, external_id, sort: order = 'name', limit = 50, after } = request;
    const descending = order.startsWith('-');
    const sort = order.replace('-', '') as OrganizationSort;
    const position = after === undefined ? undefined : positionOf(after, order, sort);
    const searchKey = q === undefined ? EVERYTHING : searchKeyOf(q);
    const states = statesOf(status);
    if (external_id !== undefined) {
      // One at most: there is nothing after it.
      if (position !== undefined) return { items: [], nextCursor: null };
      const found = await this.#deps.registry.findInAnyStateByExternalId(external_id);
      const isMeant = (one: OrganizationDocument) =>
        states.includes(one.state) && searchKeysOf(one.slug).includes(searchKey);
      return { items: found !== null && isMeant(found) ? [found] : [], nextCursor: null };
    }
    const found = await this.#deps.list.page({
      ...{ sort, descending, states, searchKey, limit },
      ...(position && { after: position }),
    });
    const items = found.slice(0, limit);
    const last = items.at(-1);
    const isMore = found.length > limit && last !== undefined;
    const end = isMore ? { value: sortValueOf(last, sort), id: last._id } : undefined;
    return { items, nextCursor: end === undefined ? null : cursorOf(order, end) };
  }
}
