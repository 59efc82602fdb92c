/*
 * The pages, and every word on them but the service's own answers and what all pages share (`link-page-markup.ts`): `assets/link-page.js` shows one section at a time and
 * fills in what `data-fill` names. Nothing here comes from a request.
 */
import { type Field, form, page, section } from './link-page-markup.ts';

const NEW_PASSWORD: Field = {
  name: 'password',
  label: 'New password',
  type: 'password',
  autocomplete: 'new-password',
  hint: 'At least 8 characters. A few words in a row are easy to remember and hard to guess.',
};

const INVITED_TO =
  '<h1 tabindex="-1">Join <bdi data-fill="organization_name"></bdi></h1>' +
  '<p>You are invited to the organization <strong><bdi data-fill="organization_name"></bdi></strong> with the role ' +
  '<strong><bdi data-fill="role"></bdi></strong>.</p>';

const OPEN_THE_LINK_AGAIN =
  'Open the link in the mail once more, the whole of it. Reloading this page is not enough: the secret part of the link ' +
  'is taken out of the address bar, so that it does not stay in your browser’s history.';

const FORGOTTEN = form({
  id: 'forgotten',
  fields: [{ name: 'email', label: 'Your e-mail address', type: 'email', autocomplete: 'email' }],
  button: 'Send me a link',
});

const INVITE = page('Accept an invitation', 'invite', [
  section('loading', '<h1 tabindex="-1">Your invitation</h1><p>One moment …</p>'),
  section(
    'missing',
    `<h1 tabindex="-1">The link is not complete</h1><p>${OPEN_THE_LINK_AGAIN}</p>`,
  ),
  section(
    'newcomer',
    `${INVITED_TO}<p>Choose a password for your new account.</p>` +
      form({
        id: 'newcomer',
        withEmail: true,
        fields: [
          { name: 'name', label: 'Your name', type: 'text', autocomplete: 'name', optional: true },
          { ...NEW_PASSWORD, label: 'Password' },
        ],
        button: 'Create account and join',
      }),
  ),
  section(
    'member',
    `${INVITED_TO}<p>You have an account already. Give its password to join with it.</p>` +
      form({
        id: 'member',
        withEmail: true,
        fields: [
          {
            name: 'password',
            label: 'Password',
            type: 'password',
            autocomplete: 'current-password',
          },
          {
            name: 'code',
            label: 'Code',
            type: 'text',
            autocomplete: 'one-time-code',
            hint: 'Your account has a second factor: the six digits of your authenticator app, or a recovery code.',
            hidden: true,
          },
        ],
        button: 'Join',
      }) +
      '<p class="aside"><a href="reset-password" target="_blank" rel="noopener">Forgot your password?</a> (in a new tab)</p>',
  ),
  section(
    'done',
    '<h1 tabindex="-1">Welcome to <bdi data-fill="organization_name"></bdi></h1>' +
      '<p>You are a member of <strong><bdi data-fill="organization_name"></bdi></strong> now, with the role ' +
      '<strong><bdi data-fill="role"></bdi></strong>. Sign in as <bdi data-fill="email"></bdi> wherever you use it; you ' +
      'can close this page.</p>',
  ),
  section(
    'dead',
    '<h1 tabindex="-1">This invitation is no longer good</h1>' +
      '<p>It may have expired, been withdrawn or sent anew, or you may have accepted it already: then simply sign in. ' +
      'Otherwise, ask whoever invited you to send it again; it comes with a new link.</p>',
  ),
  section(
    'failed',
    '<h1 tabindex="-1">The invitation cannot be shown</h1>',
    '<button type="button" data-retry>Try again</button>',
  ),
]);

const RESET_PASSWORD = page('Choose a new password', 'reset-password', [
  section(
    'missing',
    '<h1 tabindex="-1">Ask for a new password</h1>' +
      '<p>We send a link to your e-mail address that lets you choose one. If you have such a mail already, open the link ' +
      `in it once more, the whole of it.</p>${FORGOTTEN}`,
  ),
  section(
    'choose',
    '<h1 tabindex="-1">Choose a new password</h1>' +
      form({ id: 'choose', fields: [NEW_PASSWORD], button: 'Change password' }),
  ),
  section(
    'done',
    '<h1 tabindex="-1">Your password is changed</h1>' +
      '<p>You have been signed out everywhere. Sign in with the new password; you can close this page.</p>',
  ),
  section(
    'dead',
    '<h1 tabindex="-1">This link is no longer good</h1>' +
      '<p>It works once, for an hour, and only the latest one does. We gladly send you another.</p>',
    FORGOTTEN.replaceAll('forgotten', 'again'),
  ),
  section(
    'sent',
    '<h1 tabindex="-1">Look at your mail</h1>' +
      '<p>If <strong><bdi data-fill="email"></bdi></strong> has an account, a link is on its way to it. It works once, for ' +
      'an hour. If nothing comes, look in the spam folder, and whether the address is the one you sign in with.</p>',
  ),
]);

const CONFIRM_EMAIL = page('Confirm an e-mail address', 'confirm-email', [
  section(
    'missing',
    `<h1 tabindex="-1">The link is not complete</h1><p>${OPEN_THE_LINK_AGAIN}</p>`,
  ),
  section(
    'confirm',
    '<h1 tabindex="-1">Confirm your e-mail address</h1>' +
      '<p>From then on you sign in with the address that the mail was sent to, and no longer with the one before.</p>' +
      form({ id: 'confirm', fields: [], button: 'Confirm this address' }),
  ),
  section(
    'done',
    '<h1 tabindex="-1">Your e-mail address is confirmed</h1>' +
      '<p>Sign in with it from now on; you can close this page.</p>',
  ),
  section(
    'dead',
    '<h1 tabindex="-1">This link is no longer good</h1>' +
      '<p>It works once, for a day, and only the latest one does; another change of your password or e-mail address ends ' +
      'it as well. If you still sign in with the old address, change it in your account once more: that sends a new link.</p>',
  ),
]);

/** Each page, by its path. */
export const LINK_PAGES: Readonly<Record<string, string>> = {
  invite: INVITE,
  'reset-password': RESET_PASSWORD,
  'confirm-email': CONFIRM_EMAIL,
};
