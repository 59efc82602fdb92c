import type { SendMailOptions } from 'nodemailer';
import type { Mailbox } from '../config/mailbox.ts';
import { isEmailAddress } from './email-address.ts';
import { MailRefusedError } from './mail-errors.ts';
import type { MailMessage } from './mailer.ts';
import { plainName } from './plain-name.ts';

/** A mail in nodemailer's terms. @throws MailRefusedError when the recipient is not one valid address */
export function mimeOf(message: MailMessage, from: Mailbox, date: Date): SendMailOptions {
  const { to, subject, text, html } = message;
  // Bodies are checked before; an account of an older system may have anything.
  if (!isEmailAddress(to)) throw new MailRefusedError(new Error('not a valid address'));
  return {
    from: { name: from.name ?? '', address: from.address },
    // An object, which nodemailer does not read as a list; and an envelope of its own for the same reason.
    to: { name: '', address: to },
    envelope: { from: from.address, to: [to] },
    subject: plainName(subject),
    date,
    text,
    html,
    // RFC 3834, 5: keeps vacation notices and other robots from answering.
    headers: { 'Auto-Submitted': 'auto-generated' },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}
