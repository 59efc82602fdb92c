import pino from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import {
  MailNotConfiguredError,
  MailRefusedError,
  MailUnavailableError,
} from '../../../src/mail/mail-errors.ts';
import { MailTasks } from '../../../src/mail/mail-tasks.ts';
import type { Mailer, MailMessage } from '../../../src/mail/mailer.ts';
import { startSmtpServer } from '../../support/smtp-server.ts';
import { mailerTo, someMail } from './some-mail.ts';

let lines: string[];
let logger: pino.Logger;
beforeEach(() => {
  lines = [];
  logger = pino({ level: 'trace' }, { write: (line) => lines.push(line) });
});

/** Fails in turn with what it is given, and then sends. */
function mailerFailing(...failures: AppError[]) {
  const sent: MailMessage[] = [];
  const mailer: Mailer & { attempts: number } = {
    attempts: 0,
    async send(message) {
      this.attempts++;
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      sent.push(message);
    },
  };
  return { mailer, sent };
}

function unavailable(): MailUnavailableError {
  return new MailUnavailableError(new Error('SMTP: away'));
}

/** Never sends. */
function stuckMailer(): { mailer: Mailer; begun: number } {
  const stuck = {
    begun: 0,
    mailer: {
      send: () => {
        stuck.begun++;
        return new Promise<void>(() => {});
      },
    },
  };
  return stuck;
}

describe('a mail in the background', () => {
  test('is sent, once the server is there again', async () => {
    await using server = await startSmtpServer({ recipientReply: '451 later' });
    await using mailer = mailerTo(server);
    let attempts = 0;
    const watched: Mailer = {
      send: async (message) => {
        if (++attempts === 3) delete server.behaviour.recipientReply;
        await mailer.send(message);
      },
    };
    await using tasks = new MailTasks({ mailer: watched, logger, backOffMs: 1 });
    tasks.add('password_reset', () => someMail());
    await tasks.idle();
    expect(server.mails).toMatchObject([{ recipients: ['ada@acme.example'] }]);
    expect(attempts).toBe(3);
  });

  test('is given up after five attempts', async () => {
    const { mailer, sent } = mailerFailing(...Array.from({ length: 9 }, unavailable));
    await using tasks = new MailTasks({ mailer, logger, backOffMs: 1 });
    tasks.add('password_reset', () => someMail());
    await tasks.idle();
    expect(mailer.attempts).toBe(5);
    expect(sent).toEqual([]);
    expect(lines.filter((line) => line.includes('a mail was given up'))).toHaveLength(1);
  });

  test.each([
    ['refused', () => new MailRefusedError(new Error('SMTP: 550'))],
    ['impossible', () => new MailNotConfiguredError()],
  ])('that is %s is not tried again', async (_, failure) => {
    const { mailer } = mailerFailing(failure());
    await using tasks = new MailTasks({ mailer, logger, backOffMs: 1 });
    tasks.add('password_reset', () => someMail());
    await tasks.idle();
    expect(mailer.attempts).toBe(1);
    expect(lines.filter((line) => line.includes('a mail was given up'))).toHaveLength(1);
  });

  test('need not exist, and may fail to be made', async () => {
    const { mailer, sent } = mailerFailing();
    await using tasks = new MailTasks({ mailer, logger });
    tasks.add('password_reset', async () => undefined);
    tasks.add('password_reset', () => {
      throw new AppError('unavailable', 'database_unavailable', 'away');
    });
    tasks.add('password_reset', () => someMail());
    await tasks.idle();
    expect(sent).toHaveLength(1);
    expect(lines.filter((line) => line.includes('a mail was given up'))).toHaveLength(1);
  });

  test('that waits for its next attempt is in no other’s way', async () => {
    const { mailer, sent } = mailerFailing(...Array.from({ length: 5 }, unavailable));
    const tasks = new MailTasks({ mailer, logger, backOffMs: 60_000, drainMs: 0 });
    for (let index = 0; index < 6; index++) tasks.add('password_reset', () => someMail());
    await expect.poll(() => sent.length).toBe(1);
    await tasks[Symbol.asyncDispose]();
  });

  test('leaves no address and no link in the log when it fails', async () => {
    const { mailer } = mailerFailing(unavailable(), unavailable(), new MailRefusedError('x'));
    await using tasks = new MailTasks({ mailer, logger, backOffMs: 1 });
    tasks.add('password_reset', () => someMail());
    await tasks.idle();
    expect(lines.length).toBeGreaterThanOrEqual(3);
    expect(lines.join('')).toContain('SMTP: away');
    expect(lines.join('')).not.toMatch(/s3cret|ada@/);
  });
});

test('there are never more than so many', async () => {
  const { mailer } = stuckMailer();
  const tasks = new MailTasks({ mailer, logger, maxWaiting: 10, drainMs: 0 });
  for (let index = 0; index < 15; index++) tasks.add('password_reset', () => someMail());
  expect(lines.filter((line) => line.includes('a mail was dropped'))).toHaveLength(5);
  await tasks[Symbol.asyncDispose]();
});

describe('when the service stops', () => {
  test('what waits is sent first', async () => {
    const { mailer, sent } = mailerFailing();
    const tasks = new MailTasks({ mailer, logger });
    for (let index = 0; index < 50; index++)
      tasks.add('password_reset', async () => someMail({ subject: `${index}` }));
    await tasks[Symbol.asyncDispose]();
    expect(sent).toHaveLength(50);
  });

  test('what cannot be sent holds it up for a few seconds at most', async () => {
    const { mailer, begun } = stuckMailer();
    expect(begun).toBe(0);
    const tasks = new MailTasks({ mailer, logger, drainMs: 20 });
    for (let index = 0; index < 9; index++) tasks.add('password_reset', () => someMail());
    await tasks[Symbol.asyncDispose]();
    await expect
      .poll(() => lines.filter((line) => line.includes('a mail was given up')).length)
      .toBe(9);
  });

  test('what waits for its next attempt is given up', async () => {
    const { mailer } = mailerFailing(unavailable());
    const tasks = new MailTasks({ mailer, logger, backOffMs: 60_000, drainMs: 20 });
    tasks.add('password_reset', () => someMail());
    await tasks[Symbol.asyncDispose]();
    await tasks.idle();
    expect(lines.filter((line) => line.includes('a mail was given up'))).toHaveLength(1);
  });

  test('nothing more is taken', async () => {
    const { mailer, sent } = mailerFailing();
    const tasks = new MailTasks({ mailer, logger });
    await tasks[Symbol.asyncDispose]();
    tasks.add('password_reset', () => someMail());
    await tasks.idle();
    expect(sent).toEqual([]);
    expect(lines.join('')).toContain('a mail was dropped');
  });
});
