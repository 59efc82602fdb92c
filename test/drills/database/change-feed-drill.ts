import { setTimeout as delay } from 'node:timers/promises';
import { ObjectId } from 'mongodb';
import type { ChangeFeed } from '../../../src/change-feed/change-feed.ts';
import type { TenantCollection } from '../../../src/tenants/tenant-collection.ts';
import type { Drill, DrillContext, DrillResult } from '../support/drill.ts';
import { until } from '../support/waiting.ts';
import { DrillService } from './drill-service.ts';
import { MongodSet } from './mongod-set.ts';
import { promise, resultOf } from './verdict.ts';

const NAME = 'change feed through fail-over';
const WRITERS = 4;
const BETWEEN_MS = 2_500;
/** What the feed may lag behind on a busy machine. */
const CATCH_UP_MS = 30_000;

/**
 * Has the primary of three nodes step down, and kills it, while records are written and one reader follows the feed. The
 * reader has to be told every acknowledged change, each writer's in order, over one connection.
 */
export const changeFeedDrill: Drill = { name: NAME, run };

async function run({ short, log, mongodBinary }: DrillContext): Promise<DrillResult> {
  const rounds = short ? 1 : 10;
  await using set = await MongodSet.create(mongodBinary);
  await using service = await DrillService.start(set.url);
  const { records, feed } = await follow(service);
  const told = listen(feed);
  const writing = new Writing(records);
  for (let round = 1; round <= rounds; round += 1) {
    await delay(BETWEEN_MS);
    await (await set.primary()).command({ replSetStepDown: 2, secondaryCatchUpPeriodSecs: 1 });
    await delay(BETWEEN_MS);
    const primary = await set.primary();
    await primary.kill();
    const before = writing.acknowledged.length;
    await until('writes resume', CATCH_UP_MS, async () => writing.acknowledged[before]);
    await primary.start();
    await set.complete();
    log(`${round}/${rounds}: ${writing.acknowledged.length} acknowledged, ${told.ids.size} told`);
  }
  const acknowledged = await writing.end();
  await until('the feed has caught up', CATCH_UP_MS, async () =>
    acknowledged.every((id) => told.ids.has(id)) ? true : undefined,
  ).catch(() => {});
  const lost = acknowledged.filter((id) => !told.ids.has(id));
  promise(!feed.output.isOver, 'the feed lasts', told.last);
  promise(told.disorder === undefined, 'changes are told in order', told.disorder ?? '');
  const longestGapMs = told.longestGapMs;
  feed.end('shutting_down');
  const notes = ['one connection, every change in order'];
  const about = { name: NAME, topology: 'three-node replica set' as const, rounds, longestGapMs };
  return resultOf({ ...about, acknowledged: acknowledged.length, notes }, { lost, ghosts: [] }, []);
}

/** Makes an organization, and opens its feed. */
async function follow(service: DrillService) {
  const body = { email: 'ada@acme.example', password: 'correct horse battery staple' };
  const organization = { ...body, organization_name: 'Acme' };
  const created = await service.request('POST', '/org/create', { body: organization });
  const login = await service.request('POST', '/admin/login', { body });
  const { changeFeeds, access, directory } = service.services;
  const organizationId = ObjectId.createFromHexString(String(created.body.id));
  const admit = () => access.authenticate(String(login.body.access_token), 'recent');
  const feed = await changeFeeds.open({ organizationId, admit, mode: 'relaxed' });
  return { feed, records: await directory.open(organizationId) };
}

/** What the reader was told. */
interface Told {
  ids: Set<string>;
  /** The event that came last, as it was sent. */
  last: string;
  /** The first change that came before an older one of the same writer. */
  disorder: string | undefined;
  longestGapMs: number;
}

function listen({ output }: ChangeFeed): Told {
  const told: Told = { ids: new Set(), last: '', disorder: undefined, longestGapMs: 0 };
  const newest = new Map<string, number>();
  let toldAt = performance.now();
  let text = '';
  output.stream.setEncoding('utf8').on('data', (chunk: string) => {
    const events = (text + chunk).split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      told.last = event;
      const id = /^data: .*"id":"(\d+\/\d+)"/m.exec(event)?.[1];
      if (id === undefined) continue;
      told.longestGapMs = Math.max(told.longestGapMs, Math.round(performance.now() - toldAt));
      toldAt = performance.now();
      const [writer = '', n] = id.split('/');
      if (!told.ids.has(id) && Number(n) < (newest.get(writer) ?? 0)) told.disorder ??= id;
      newest.set(writer, Math.max(Number(n), newest.get(writer) ?? 0));
      told.ids.add(id);
    }
  });
  return told;
}

/** Writes until it is told to stop. */
class Writing {
  readonly acknowledged: string[] = [];
  readonly #writers: Promise<void>[];
  #goesOn = true;

  constructor(records: TenantCollection) {
    this.#writers = Array.from({ length: WRITERS }, (_, writer) => this.#write(records, writer));
  }

  /** @returns the ids of what was acknowledged */
  async end(): Promise<readonly string[]> {
    this.#goesOn = false;
    await Promise.all(this.#writers);
    return this.acknowledged;
  }

  async #write(records: TenantCollection, writer: number): Promise<void> {
    for (let n = 0; this.#goesOn; n += 1) {
      const _id = `${writer}/${n}`;
      // Without an acknowledgement it may be told or not.
      await records.insertMany([{ _id }]).then(
        () => this.acknowledged.push(_id),
        () => {},
      );
      await delay(5);
    }
  }
}
