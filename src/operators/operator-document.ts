import type { AccountDocument } from '../admins/admin-document.ts';
import type { MasterCollection } from '../database/collections.ts';

/** Somebody who runs the installation. Never a member of an organization. */
export type OperatorDocument = AccountDocument;

export const OPERATORS: MasterCollection = {
  name: 'operators',
  indexes: [{ name: 'email', key: { email: 1 }, unique: true }],
};
