import type { Logger } from '../../logging/logger.ts';
import type { OperationClaim } from '../../registry/operation-claim.ts';
import { LEASE_MS, type OperationStore } from '../../registry/operation-store.ts';

/**
 * Keeps an operation's lease while this instance works on it, for steps that may take longer than the lease. Disposing
 * of it stops the renewals; the lease then runs out by itself or ends with the operation.
 */
export class OperationLease implements Disposable {
  readonly #timer: NodeJS.Timeout;

  constructor(deps: { operations: OperationStore; claim: OperationClaim; logger: Logger }) {
    this.#timer = setInterval(() => {
      // A failed renewal is no error by itself: the operation's next write finds out whether the claim still holds.
      deps.operations.renewLease(deps.claim).catch((error: unknown) => {
        deps.logger.warn(
          { err: error, organization_id: deps.claim.organizationId.toHexString() },
          'could not renew an operation lease',
        );
      });
    }, LEASE_MS / 3);
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
