import { mfaStatusOf } from '../mfa/mfa-service.ts';
import type { OperatorDocument } from './operator-document.ts';

/** An operator, as they see themselves. */
export function operatorView(operator: OperatorDocument) {
  const { _id, email, name, created_at } = operator;
  return {
    ...{ id: _id.toHexString(), email, name },
    created_at: created_at.toISOString(),
    mfa: mfaStatusOf(operator),
  };
}
