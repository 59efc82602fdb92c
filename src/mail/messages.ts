import { writeLetter } from './letter.ts';
import {
  emailConfirmationLink,
  forgottenPasswordPage,
  invitationLink,
  passwordResetLink,
} from './links.ts';
import type { MailMessage } from './mailer.ts';
import { plainName } from './plain-name.ts';

/*
 * Every mail the service sends. Each function is pure; what people typed (names) may hold anything, and is made
 * harmless here. Addresses have been validated.
 */

/** Who gets a link, and what it is made of. */
interface WithLink {
  to: string;
  /** PUBLIC_URL. */
  publicUrl: string;
  /** The secret that the link carries. */
  token: string;
  /** Until when it works. */
  expiresAt: Date;
}

/** Asks somebody to join an organization. */
export function invitationMail(
  about: WithLink & {
    organizationName: string;
    /** The name of who invites, or the e-mail address. */
    invitedBy: string;
    role: string;
  },
): MailMessage {
  const organization = plainName(about.organizationName);
  return writeLetter({
    kind: 'invitation',
    to: about.to,
    subject: `Invitation to join ${organization}`,
    paragraphs: [
      `${plainName(about.invitedBy)} invites you to join the organization “${organization}” with the role ` +
        `“${plainName(about.role)}”.`,
    ],
    action: {
      label: 'Accept the invitation',
      link: invitationLink(about.publicUrl, about.token),
      secret: true,
    },
    notes: [
      `The link works once, until ${moment(about.expiresAt)}.`,
      'If you do not know who this is from, ignore this mail: nothing happens unless you accept.',
    ],
  });
}

/** Lets somebody who forgot the password choose another. */
export function passwordResetMail(about: WithLink): MailMessage {
  return writeLetter({
    kind: 'password_reset',
    to: about.to,
    subject: 'Choose a new password',
    paragraphs: ['Somebody, hopefully you, asked for a new password for your account.'],
    action: {
      label: 'Choose a new password',
      link: passwordResetLink(about.publicUrl, about.token),
      secret: true,
    },
    notes: [
      `The link works once, until ${moment(about.expiresAt)}.`,
      'If it was not you, ignore this mail: your password stays as it is.',
    ],
  });
}

/** Tells somebody that the password was changed (OWASP ASVS 5.0, 6.3.7), and what to do if it was somebody else. */
export function passwordChangedMail(about: {
  to: string;
  /** PUBLIC_URL. */
  publicUrl: string;
  changedAt: Date;
}): MailMessage {
  return writeLetter({
    kind: 'password_changed',
    to: about.to,
    subject: 'Your password was changed',
    paragraphs: [
      `The password of your account was changed on ${moment(about.changedAt)}.`,
      'If it was you, there is nothing to do. If it was not, somebody else has had access to your account: ask for a new ' +
        'password at once, and tell the owners of your organizations.',
    ],
    action: {
      label: 'Ask for a new password',
      link: forgottenPasswordPage(about.publicUrl),
      secret: false,
    },
    notes: ['A new password ends every session, so whoever was signed in is signed out.'],
  });
}

/** Asks for confirmation at the new address that it is the person's own. */
export function emailConfirmationMail(about: WithLink): MailMessage {
  return writeLetter({
    kind: 'email_confirmation',
    to: about.to,
    subject: 'Confirm your new e-mail address',
    paragraphs: [`Somebody, hopefully you, wants to sign in with ${about.to} from now on.`],
    action: {
      label: 'Confirm this address',
      link: emailConfirmationLink(about.publicUrl, about.token),
      secret: true,
    },
    notes: [
      `The link works once, until ${moment(about.expiresAt)}.`,
      'If it was not you, ignore this mail: nothing happens unless you confirm.',
    ],
  });
}

/** Tells somebody that an account was to be moved to the address of theirs: only here, for it is nobody else's business. */
export function emailInUseMail(about: { to: string }): MailMessage {
  return writeLetter({
    kind: 'email_in_use',
    to: about.to,
    subject: 'This e-mail address already has an account',
    paragraphs: [
      `Somebody, perhaps you, wants to sign in to another account with ${about.to}. But this address has an account ` +
        'already, so it cannot be used for the other one.',
    ],
    notes: [
      'If it was not you, ignore this mail: nothing was changed, and nobody was told of your account.',
    ],
  });
}

/** Tells somebody, at the **old** address, that another one signs in now (OWASP ASVS 5.0, 6.3.7). */
export function emailChangedMail(about: {
  to: string;
  newEmail: string;
  changedAt: Date;
}): MailMessage {
  return writeLetter({
    kind: 'email_changed',
    to: about.to,
    subject: 'Your e-mail address was changed',
    paragraphs: [
      `On ${moment(about.changedAt)}, the e-mail address of your account was changed from ${about.to} to ` +
        `${about.newEmail}. From now on, only the new one signs in.`,
      'If it was you, there is nothing to do.',
    ],
    notes: [
      'If it was not you, somebody else has had access to your account: tell the owners of your organizations at once.',
    ],
  });
}

const MOMENT = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'long',
  timeStyle: 'short',
  timeZone: 'UTC',
});

/** "30 November 2026 at 09:30 UTC": a mail does not know the time zone of who reads it. */
function moment(time: Date): string {
  return `${MOMENT.format(time)} UTC`;
}
