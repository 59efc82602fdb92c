import { setTimeout as delay } from 'node:timers/promises';
import type { Topology } from '../support/drill.ts';
import { MongodNode, type MongodNodeOptions } from './mongod-node.ts';

export type SingleTopology = Exclude<Topology, 'three-node replica set'>;

const REPLICA_SET = 'drill';

/** Starts one `mongod`, alone or as a replica set of its own. @returns it, taking writes, and how clients reach it */
export async function startSingle(
  binary: string,
  topology: SingleTopology,
  options: MongodNodeOptions = {},
): Promise<{ node: MongodNode; url: string }> {
  if (topology === 'standalone') {
    const node = await MongodNode.create(binary, options);
    return { node, url: `mongodb://${node.address}/` };
  }
  const node = await MongodNode.create(binary, { ...options, replicaSet: REPLICA_SET });
  const members = [{ _id: 0, host: node.address }];
  await node.command({ replSetInitiate: { _id: REPLICA_SET, members } });
  while ((await node.command({ hello: 1 })).isWritablePrimary !== true) await delay(20);
  return { node, url: `mongodb://${node.address}/?replicaSet=${REPLICA_SET}` };
}
