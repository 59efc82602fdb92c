import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { createMailer } from '../../../src/mail/create-mailer.ts';
import { OutboxMailer } from '../../../src/mail/outbox-mailer.ts';
import { SmtpMailer } from '../../../src/mail/smtp-mailer.ts';
import { parseMail } from '../../support/parsed-mail.ts';
import { CLOCK, FROM, LINK, someMail } from './some-mail.ts';

let dataDir: string;
let lines: { msg: string; level: number }[];
let logger: pino.Logger;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'tenantry-outbox-'));
  lines = [];
  logger = pino({ level: 'trace' }, { write: (line) => lines.push(JSON.parse(line)) });
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

function outbox(directory = join(dataDir, 'outbox')): OutboxMailer {
  return new OutboxMailer({ directory, from: FROM, clock: CLOCK, logger });
}

test('a mail becomes a whole .eml that only its owner reads, and one line in the log', async () => {
  await outbox().send(someMail({ subject: 'Invitation to join Müller' }));
  const directory = join(dataDir, 'outbox');
  const files = await readdir(directory);
  expect(files).toEqual([
    expect.stringMatching(/^20261123T093000\.123Z-invitation-[\da-f]{6}\.eml$/),
  ]);
  const file = join(directory, String(files[0]));
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect(parseMail(await readFile(file, 'utf8'))).toMatchObject({
    headers: {
      from: 'Tenantry <no-reply@tenantry.example>',
      to: 'ada@acme.example',
      subject: 'Invitation to join Müller',
      date: 'Mon, 23 Nov 2026 09:30:00 +0000',
    },
    text: expect.stringContaining(LINK),
    html: expect.stringContaining(LINK),
  });
  expect(lines.map(({ msg }) => msg)).toEqual([`mail to ada@acme.example: ${LINK} (${file})`]);
});

test('mails of one instant are all kept', async () => {
  const mailer = outbox();
  await Promise.all(Array.from({ length: 20 }, () => mailer.send(someMail())));
  expect(await readdir(join(dataDir, 'outbox'))).toHaveLength(20);
});

test('a folder that cannot be written to is a matter of trying again', async () => {
  const file = join(dataDir, 'file');
  await writeFile(file, '');
  await expect(outbox(file).send(someMail())).rejects.toMatchObject({ code: 'mail_unavailable' });
  expect(lines).toEqual([]);
});

const JWT_SECRET = 'kJ3v9Qx0Tz7Lr2Wm5Yb8Nc1Hd4Gf6Sp0';

test('the settings decide which mailer there is', async () => {
  const mailerFor = (environment: Record<string, string>) => {
    const { config, secrets } = parseConfig({ JWT_SECRET, DATA_DIR: dataDir, ...environment });
    return createMailer(config, secrets, logger, CLOCK);
  };
  await mailerFor({}).send(someMail());
  expect(await readdir(join(dataDir, 'outbox'))).toHaveLength(1);
  await expect(mailerFor({ NODE_ENV: 'production' }).send(someMail())).rejects.toMatchObject({
    kind: 'unavailable',
    code: 'mail_not_configured',
    retryAfter: undefined,
  });
  const mail = { SMTP_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'a@acme.example' };
  expect(mailerFor(mail)).toBeInstanceOf(SmtpMailer);
  expect(lines.filter(({ level }) => level > 30)).toEqual([]);
});
