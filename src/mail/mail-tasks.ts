import { setTimeout } from 'node:timers/promises';
import PQueue from 'p-queue';
import pRetry from 'p-retry';
import { sharingPatience } from '../database/deadline.ts';
import type { Logger } from '../logging/logger.ts';
import { MailUnavailableError } from './mail-errors.ts';
import type { Mailer, MailKind, MailMessage } from './mailer.ts';

/** Fewer than the connections to the mail server, so that mails somebody waits for find one free. */
const CONCURRENCY = 3;
const MAX_WAITING = 1_000;
const RETRIES = 4;
/** 2, 8, 32 and 128 s. */
const BACK_OFF = { firstMs: 2_000, factor: 4 };
/** What is left when the service stops gets so long. */
const DRAIN_MS = 3_000;

/** Makes a mail, or finds that there is none to send. */
export type Compose = () => MailMessage | undefined | Promise<MailMessage | undefined>;

interface MailTasksDeps {
  mailer: Mailer;
  logger: Logger;
  maxWaiting?: number;
  backOffMs?: number;
  drainMs?: number;
}

/**
 * Sends the mails that no caller waits for, in the background: what is answered, and when, then says nothing about
 * whether there was a mail to send. A mail is tried again while the mail server is away. It is kept in memory alone, so
 * it does not survive the process: only for mails that people can ask for again, or can do without.
 */
export class MailTasks implements AsyncDisposable {
  readonly #deps: MailTasksDeps;
  readonly #queue = new PQueue({ concurrency: CONCURRENCY });
  readonly #tasks = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #stopped = false;
  #lost = 0;

  constructor(deps: MailTasksDeps) {
    this.#deps = deps;
  }

  /** How many have been added and neither been sent nor given up. */
  get waiting(): number {
    return this.#tasks.size;
  }

  /** How many were dropped or given up, since the beginning. */
  get lost(): number {
    return this.#lost;
  }

  /**
   * Never fails and never waits; failures are logged, without address and link.
   *
   * @param compose - makes the mail, or finds that there is none to send; everything that takes longer for one caller
   *   than for another belongs in here. Runs with a patience for the database of its own
   */
  add(kind: MailKind, compose: Compose): void {
    const { logger, maxWaiting = MAX_WAITING } = this.#deps;
    if (this.#stopped || this.#tasks.size >= maxWaiting) {
      this.#lost += 1;
      logger.error({ mail: kind }, 'a mail was dropped: too many wait, or the service stops');
      return;
    }
    const task = this.#run(kind, compose).finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** Waits until everything that was added so far has been sent or given up. */
  async idle(): Promise<void> {
    await Promise.all(this.#tasks);
  }

  /** Takes no more mails; sends those that wait, for a few seconds at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    const limit = new AbortController();
    const timeUp = setTimeout(this.#deps.drainMs ?? DRAIN_MS, undefined, limit).catch(() => {});
    await Promise.race([this.idle(), timeUp]);
    limit.abort();
    // Ends the waiting between two attempts, and whatever has not begun.
    this.#stopping.abort(new Error('the service stops'));
  }

  async #run(kind: MailKind, compose: Compose): Promise<void> {
    const { mailer, logger, backOffMs = BACK_OFF.firstMs } = this.#deps;
    const { signal } = this.#stopping;
    try {
      const message = await this.#queue.add(() => sharingPatience(async () => compose()), {
        signal,
      });
      if (message === undefined) return;
      // Only what is being sent has a place in the queue, not what waits for its next attempt.
      await pRetry(() => this.#queue.add(() => mailer.send(message), { signal }), {
        retries: RETRIES,
        minTimeout: backOffMs,
        factor: BACK_OFF.factor,
        signal,
        shouldRetry: ({ error }) => error instanceof MailUnavailableError,
        onFailedAttempt: ({ error, retriesLeft }) =>
          logger.warn({ err: error, mail: kind, retriesLeft }, 'a mail could not be sent'),
      });
    } catch (error) {
      this.#lost += 1;
      logger.error({ err: error, mail: kind }, 'a mail was given up');
    }
  }
}
