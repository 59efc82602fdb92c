/**
 * Links in mails lead to pages: the service's own (`link-pages/`), or those of a front end that PUBLIC_URL names. The token sits in the fragment, which browsers keep to themselves: so it
 * is in no server's log and in no `Referer` (RFC 9110, 10.1.3).
 *
 * @param publicUrl - PUBLIC_URL, without a slash at the end
 */
export function invitationLink(publicUrl: string, token: string): string {
  return link(publicUrl, 'invite', token);
}

/** Where a forgotten password is replaced; see {@link invitationLink}. */
export function passwordResetLink(publicUrl: string, token: string): string {
  return link(publicUrl, 'reset-password', token);
}

/** Where somebody who cannot sign in asks for a {@link passwordResetLink}: the same page, without a token. */
export function forgottenPasswordPage(publicUrl: string): string {
  return `${publicUrl}/reset-password`;
}

/** Where a new e-mail address is confirmed; see {@link invitationLink}. */
export function emailConfirmationLink(publicUrl: string, token: string): string {
  return link(publicUrl, 'confirm-email', token);
}

function link(publicUrl: string, page: string, token: string): string {
  return `${publicUrl}/${page}#token=${encodeURIComponent(token)}`;
}
