import type { Document } from 'mongodb';
import { until, untilTrue } from '../support/waiting.ts';
import { MongodNode } from './mongod-node.ts';

const REPLICA_SET = 'drill';
const WAIT_LIMIT_MS = 60_000;
const PRIMARY = 1;
const SECONDARY = 2;

/** A replica set of three nodes with MongoDB's own defaults: elections are called after 10 s without a primary. */
export class MongodSet implements AsyncDisposable {
  readonly nodes: readonly MongodNode[];

  private constructor(nodes: readonly MongodNode[]) {
    this.nodes = nodes;
  }

  /** @param args - further arguments of every `mongod`; @returns when there is a primary and both others follow it */
  static async create(binary: string, args: readonly string[] = []): Promise<MongodSet> {
    const nodes = await Promise.all(
      [0, 1, 2].map(() => MongodNode.create(binary, { replicaSet: REPLICA_SET, args })),
    );
    const set = new MongodSet(nodes);
    try {
      const members = nodes.map(({ address }, _id) => ({ _id, host: address }));
      await nodes[0]?.command({ replSetInitiate: { _id: REPLICA_SET, members } });
      await set.elect(...nodes);
      await set.complete();
      return set;
    } catch (error) {
      await set[Symbol.asyncDispose]();
      throw error;
    }
  }

  get url(): string {
    const hosts = this.nodes.map(({ address }) => address).join(',');
    return `mongodb://${hosts}/?replicaSet=${REPLICA_SET}`;
  }

  /** @returns the node that takes writes, once there is one and no other believes it does */
  primary(): Promise<MongodNode> {
    return until('there is a primary', WAIT_LIMIT_MS, async () => {
      const answers = await Promise.all(this.nodes.map((node) => helloOf(node)));
      const primaries = this.nodes.filter((_, at) => answers[at]?.isWritablePrimary === true);
      return primaries.length === 1 ? primaries[0] : undefined;
    });
  }

  /** @returns the nodes that follow the primary */
  async secondaries(): Promise<MongodNode[]> {
    const primary = await this.primary();
    return this.nodes.filter((node) => node !== primary);
  }

  /** Makes one of the candidates the primary without waiting for the election timeout. */
  async elect(...candidates: readonly MongodNode[]): Promise<void> {
    await until('one is elected', WAIT_LIMIT_MS, async () => {
      for (const node of candidates) {
        const elected = await node.command({ replSetStepUp: 1 }).catch(() => undefined);
        if (elected !== undefined) return elected;
      }
    });
  }

  /** Waits for one primary and two secondaries. */
  async complete(): Promise<void> {
    const complete = [PRIMARY, SECONDARY, SECONDARY].join();
    await untilTrue('the set is complete', WAIT_LIMIT_MS, async () => {
      const members = await this.#members();
      return (
        members
          .map(({ state }) => state)
          .sort()
          .join() === complete
      );
    });
  }

  /** Waits until every node has all there is; for a set at rest. */
  async level(): Promise<void> {
    await this.complete();
    await untilTrue('the nodes are level', WAIT_LIMIT_MS, async () => {
      const members = await this.#members();
      return new Set(members.map(({ optime }) => String(optime?.ts))).size === 1;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
  }

  async #members(): Promise<Document[]> {
    const primary = await this.primary();
    const status = await primary.command({ replSetGetStatus: 1 }).catch(() => undefined);
    return status?.members ?? [];
  }
}

async function helloOf(node: MongodNode): Promise<Document | undefined> {
  return node.running ? node.command({ hello: 1 }).catch(() => undefined) : undefined;
}
