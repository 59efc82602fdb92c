import { randomBytes } from 'node:crypto';
import type { LightMyRequestResponse } from 'fastify';
import type { RecordingMailer } from './recording-mailer.ts';
import { tokenIn } from './recording-mailer.ts';
import { expectStatus, type SignedUp, type TestService } from './test-service.ts';

/** The header that says who is asking. */
export type Auth = { authorization: string };

type By = Pick<TestService, 'app'>;
type Reply = Promise<LightMyRequestResponse>;

export const SOME_PASSWORD = 'correct horse battery staple';

let people = 0;

/** An address that nobody in the tests has. */
export function somebodyNew(): string {
  people += 1;
  return `new-${people}-${randomBytes(4).toString('hex')}@new.example`;
}

export const authOf = (tokens: { access_token: string }): Auth => ({
  authorization: `Bearer ${tokens.access_token}`,
});

export function invite({ app }: By, headers: Auth, payload: object, key?: string): Reply {
  const url = '/org/invitations';
  const all = { ...headers, ...(key !== undefined && { 'idempotency-key': key }) };
  return app.inject({ method: 'POST', url, headers: all, payload });
}

export function resend({ app }: By, headers: Auth, id: string): Reply {
  return app.inject({ method: 'POST', url: `/org/invitations/${id}/resend`, headers });
}

export function revoke({ app }: By, headers: Auth, id: string): Reply {
  return app.inject({ method: 'DELETE', url: `/org/invitations/${id}`, headers });
}

export function invitationsOf(
  { app }: By,
  headers: Auth,
  query: Record<string, string> = {},
): Reply {
  return app.inject({ url: '/org/invitations', headers, query });
}

export function accept({ app }: By, payload: object, headers: Partial<Auth> = {}): Reply {
  return app.inject({ method: 'POST', url: '/invitations/accept', payload, headers });
}

export function lookUp({ app }: By, payload: object): Reply {
  return app.inject({ method: 'POST', url: '/invitations/lookup', payload });
}

/** An invitation, and the token of its link. */
export interface Sent {
  id: string;
  email: string;
  token: string;
}

/** Invites somebody, by default a person without an account as a viewer. */
export async function anInvitation(
  service: By & { mails: RecordingMailer },
  { auth }: Pick<SignedUp, 'auth'>,
  { email = somebodyNew(), role = 'viewer' }: { email?: string; role?: string } = {},
): Promise<Sent> {
  const { id } = expectStatus(await invite(service, auth, { email, role }), 201).json();
  return { id, email, token: tokenIn(service.mails.to(email)) };
}
