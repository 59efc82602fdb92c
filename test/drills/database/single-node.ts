import type { SingleNodeTopology } from '../support/drill-mongod.ts';
import { untilTrue } from '../support/waiting.ts';
import { MongodNode, type MongodNodeOptions } from './mongod-node.ts';

const REPLICA_SET = 'drill';

/** Starts one `mongod`, alone or as a replica set of its own. @returns it, taking writes, and how clients reach it */
export async function startSingle(
  binary: string,
  topology: SingleNodeTopology,
  options: MongodNodeOptions = {},
): Promise<{ node: MongodNode; url: string }> {
  if (topology === 'standalone') {
    const node = await MongodNode.create(binary, options);
    return { node, url: `mongodb://${node.address}/` };
  }
  const node = await MongodNode.create(binary, { ...options, replicaSet: REPLICA_SET });
  const members = [{ _id: 0, host: node.address }];
  await node.command({ replSetInitiate: { _id: REPLICA_SET, members } });
  await untilTrue('it is the primary', 30_000, async () => {
    return (await node.command({ hello: 1 })).isWritablePrimary === true;
  });
  return { node, url: `mongodb://${node.address}/?replicaSet=${REPLICA_SET}` };
}
