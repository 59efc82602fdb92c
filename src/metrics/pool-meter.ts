import type { MongoClient } from 'mongodb';

/** How a connection is named in the driver's events. */
interface Named {
  address: string;
  connectionId: number | '<monitor>';
}

/**
 * Follows the driver's connections by its events. Made for a client that is connected already, it learns of each connection
 * when that is used.
 *
 * @see https://github.com/mongodb/specifications/blob/master/source/connection-monitoring-and-pooling/connection-monitoring-and-pooling.md
 */
export class PoolMeter {
  /** The most connections to one server. */
  readonly limit: number;
  readonly #open = new Set<string>();
  readonly #inUse = new Set<string>();
  #waiting = 0;
  #failed = 0;

  constructor(client: MongoClient) {
    this.limit = client.options.maxPoolSize;
    client.on('connectionCreated', (event) => void this.#open.add(nameOf(event)));
    client.on('connectionClosed', (event) => {
      this.#open.delete(nameOf(event));
      this.#inUse.delete(nameOf(event));
    });
    client.on('connectionCheckOutStarted', () => {
      this.#waiting += 1;
    });
    client.on('connectionCheckedOut', (event) => {
      this.#served();
      this.#open.add(nameOf(event));
      this.#inUse.add(nameOf(event));
    });
    client.on('connectionCheckOutFailed', () => {
      this.#served();
      this.#failed += 1;
    });
    client.on('connectionCheckedIn', (event) => void this.#inUse.delete(nameOf(event)));
  }

  /** Connections, those in use included. */
  get open(): number {
    return this.#open.size;
  }

  get inUse(): number {
    return this.#inUse.size;
  }

  /** Operations that wait for a connection. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Operations that got none, since the beginning. */
  get failed(): number {
    return this.#failed;
  }

  #served(): void {
    this.#waiting = Math.max(0, this.#waiting - 1);
  }
}

function nameOf({ address, connectionId }: Named): string {
  return `${address} ${connectionId}`;
}
