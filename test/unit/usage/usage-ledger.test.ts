import { expect, test } from 'vitest';
import { type Amount, UsageLedger } from '../../../src/usage/usage-ledger.ts';

/** A collection, and a ledger that measures it when a test lets it. */
class Measured {
  stored: Amount = { records: 0, bytes: 0 };
  nowMs = 0;
  measurements = 0;
  hold: Promise<void> = Promise.resolve();
  readonly ledger = new UsageLedger({
    nowMs: () => this.nowMs,
    measure: async () => {
      this.measurements += 1;
      const found = this.stored;
      await this.hold;
      return found;
    },
  });

  /** Stores so many records, as a write that is counted. */
  write(records: number): void {
    const end = this.ledger.begin({ records, bytes: 10 * records });
    this.store(records);
    end();
  }

  /** Stores, or deletes, past the ledger. */
  store(records: number): void {
    const { records: before, bytes } = this.stored;
    this.stored = { records: before + records, bytes: bytes + 10 * records };
  }
}

test('measures once, and adds what has been written since', async () => {
  const measured = new Measured();
  measured.store(5);
  await measured.ledger.refresh(1_000);
  measured.write(2);
  measured.nowMs = 999;
  await measured.ledger.refresh(1_000);
  expect(measured.ledger.total).toEqual({ records: 7, bytes: 70 });
  expect(measured.measurements).toBe(1);
});

test('measures again after its time, and counts nothing twice', async () => {
  const measured = new Measured();
  await measured.ledger.refresh(1_000);
  measured.write(2);
  measured.store(-1);
  measured.nowMs = 1_000;
  await measured.ledger.refresh(1_000);
  expect(measured.ledger.total).toEqual({ records: 1, bytes: 10 });
});

test('keeps what is written while it measures', async () => {
  const measured = new Measured();
  const { promise, resolve } = Promise.withResolvers<void>();
  measured.hold = promise;
  measured.write(1);
  const measuring = measured.ledger.measureAnew();
  measured.write(2);
  const end = measured.ledger.begin({ records: 4, bytes: 40 });
  resolve();
  await measuring;
  expect(measured.ledger.total.records).toBe(1 + 2 + 4);
  end();
  expect(measured.ledger.total.records).toBe(7);
});

test('gives nobody an answer from before the question', async () => {
  const measured = new Measured();
  const { promise, resolve } = Promise.withResolvers<void>();
  measured.hold = promise;
  const first = measured.ledger.measureAnew();
  measured.store(3);
  const second = measured.ledger.measureAnew();
  const third = measured.ledger.measureAnew();
  resolve();
  await Promise.all([first, second, third]);
  expect(measured.ledger.total.records).toBe(3);
  expect(measured.measurements).toBe(2);
});

test('goes on counting after a measurement that failed', async () => {
  const measured = new Measured();
  await measured.ledger.measureAnew();
  measured.write(2);
  measured.hold = Promise.reject(new Error('away'));
  await expect(measured.ledger.measureAnew()).rejects.toThrow('away');
  expect(measured.ledger.total.records).toBe(2);
  measured.hold = Promise.resolve();
  await measured.ledger.measureAnew();
  expect(measured.ledger.total.records).toBe(2);
});

test('tells when a write has ended', async () => {
  const { ledger } = new Measured();
  await ledger.writeEnd();
  const end = ledger.begin({ records: 1, bytes: 1 });
  const ended = ledger.writeEnd();
  end();
  await ended;
  expect(ledger.isWriting).toBe(false);
});
