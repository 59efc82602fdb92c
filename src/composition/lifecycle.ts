import { AccountRemoval } from '../admins/account-removal.ts';
import { CollectionBudget } from '../tenants/capacity.ts';
import { OrganizationCreation } from '../tenants/lifecycle/organization-creation.ts';
import { OrganizationDeletion } from '../tenants/lifecycle/organization-deletion.ts';
import { OrganizationGrace } from '../tenants/lifecycle/organization-grace.ts';
import { OrganizationUpdate } from '../tenants/lifecycle/organization-update.ts';
import { Reconciliation } from '../tenants/reconciliation.ts';
import { Recovery } from '../tenants/recovery.ts';
import type { Foundation } from './foundation.ts';
import type { Stores } from './stores.ts';

/** The steps in the life of an organization, and what ends them when their instance dies. */
export function createLifecycle(foundation: Foundation, stores: Stores) {
  const { client, settings, clock, logger } = foundation;
  const { registry, admins, memberships, collections, belongings } = stores;
  const accounts = new AccountRemoval({ admins, memberships, belongings });
  const parts = { ...foundation, ...stores, accounts };
  const creation = new OrganizationCreation(parts);
  const update = new OrganizationUpdate(parts);
  const deletion = new OrganizationDeletion(parts);
  const grace = new OrganizationGrace({
    ...{ ...parts, deletion },
    graceMs: (settings.deleteGraceSeconds ?? 0) * 1_000,
  });
  const recovery = new Recovery({ ...parts, creation, update, deletion });
  const reconciliation = new Reconciliation({
    ...{ registry, collections, update, memberships, admins, accounts, belongings },
    ...{ clock, logger, tenantDatabase: settings.tenantDatabase },
  });
  const budget = new CollectionBudget({ client, registry, clock, limit: settings.maxCollections });
  return { accounts, creation, update, grace, recovery, reconciliation, budget };
}
