import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { type SignedUp, someSignUp, type TestService } from './test-service.ts';

/** What makes a text suspicious when it is added to one that would be accepted. */
export const SUSPICIOUS = {
  nul: '\0',
  'high surrogate': '\ud800',
  'low surrogate': '\udc00',
  control: '\u0007',
  bidi: '\u202e',
  line: '\r\n',
  unassigned: '\u{10fffe}',
} as const;

/** A field of a body. */
export interface Field {
  required?: true;
  /** JSON types it takes; a string alone by default. */
  types?: ('string' | 'object' | 'null' | 'boolean')[];
  /** Texts it takes although they look suspicious. */
  accepts?: (keyof typeof SUSPICIOUS)[];
  /** It is only compared with what is known, however blank it is. */
  compared?: true;
}

/** An operation with a body, and what it takes: lists of bad input are made from these. */
export interface Operation {
  method: 'POST' | 'PUT' | 'DELETE';
  url: string;
  authenticated?: true;
  /** A body that would be accepted from the owner of this organization. */
  valid: (own: SignedUp) => Record<string, unknown>;
  fields: Record<string, Field>;
}

/** A secret is any text that can be stored. */
const SECRET: Field = { accepts: ['control', 'bidi', 'line', 'unassigned'] };

/** A secret that proves who somebody is. */
const PROOF: Field = { ...SECRET, compared: true };

/** A two-factor code, in which white space does not matter. */
const CODE: Field = { accepts: ['line'], required: true };

export const OPERATIONS: Record<string, Operation> = {
  create: {
    method: 'POST',
    url: '/org/create',
    valid: () => ({ ...someSignUp(), code: '123456' }),
    fields: {
      organization_name: { required: true },
      email: { required: true },
      password: { ...SECRET, required: true },
      code: PROOF,
    },
  },
  update: {
    method: 'PUT',
    url: '/org/update',
    authenticated: true,
    valid: ({ organization, signUp }) => ({
      organization_name: organization.organization_name,
      new_organization_name: organization.organization_name,
      metadata: { a: 1 },
      external_id: `customer ${organization.id}`,
      email: signUp.email,
      password: signUp.password,
    }),
    fields: {
      organization_name: {},
      new_organization_name: {},
      metadata: { types: ['object'] },
      external_id: { types: ['string', 'null'], accepts: ['unassigned'] },
      email: {},
      password: SECRET,
    },
  },
  delete: {
    method: 'DELETE',
    url: '/org/delete',
    authenticated: true,
    valid: ({ organization }) => ({ organization_name: organization.organization_name }),
    fields: { organization_name: {} },
  },
  login: {
    method: 'POST',
    url: '/admin/login',
    valid: ({ organization, signUp }) => ({
      email: signUp.email,
      password: 'not the password, so that no session is made',
      organization_name: organization.organization_name,
      code: '123456',
    }),
    fields: {
      email: { required: true },
      password: { ...PROOF, required: true },
      organization_name: {},
      code: PROOF,
    },
  },
  refresh: {
    method: 'POST',
    url: '/admin/refresh',
    valid: () => ({ refresh_token: 'not a token' }),
    fields: { refresh_token: { ...PROOF, required: true } },
  },
  invite: {
    method: 'POST',
    url: '/org/invitations',
    authenticated: true,
    // A member already, so that nobody is invited.
    valid: ({ signUp }) => ({ email: signUp.email, role: 'viewer' }),
    fields: { email: { required: true }, role: { required: true } },
  },
  'look an invitation up': {
    method: 'POST',
    url: '/invitations/lookup',
    valid: () => ({ token: 'not a token' }),
    fields: { token: { ...PROOF, required: true } },
  },
  'accept an invitation': {
    method: 'POST',
    url: '/invitations/accept',
    valid: () => ({
      ...{ token: 'not a token', password: 'correct horse battery staple' },
      ...{ name: 'Ada Lovelace', code: '123456' },
    }),
    fields: {
      token: { ...PROOF, required: true },
      password: PROOF,
      // Looked at when the token has proved good.
      name: { ...PROOF, types: ['string', 'null'] },
      code: PROOF,
    },
  },
  'forget a password': {
    method: 'POST',
    url: '/admin/password/forgot',
    valid: () => ({ email: 'nobody@acme.example' }),
    fields: { email: { required: true } },
  },
  'reset a password': {
    method: 'POST',
    url: '/admin/password/reset',
    valid: () => ({ token: 'not a token', password: 'correct horse battery staple' }),
    fields: { token: { ...PROOF, required: true }, password: { ...SECRET, required: true } },
  },
  'confirm an address': {
    method: 'POST',
    url: '/admin/email/confirm',
    valid: () => ({ token: 'not a token' }),
    fields: { token: { ...PROOF, required: true } },
  },
  'begin TOTP': {
    method: 'POST',
    url: '/admin/mfa/totp',
    authenticated: true,
    valid: () => ({ current_password: 'not the password, so that nothing is begun' }),
    fields: { current_password: { ...PROOF, required: true } },
  },
  'confirm TOTP': {
    method: 'POST',
    url: '/admin/mfa/totp/confirm',
    authenticated: true,
    valid: () => ({ code: '123456', end_other_sessions: true }),
    fields: { code: CODE, end_other_sessions: { types: ['boolean'] } },
  },
  'remove TOTP': {
    method: 'DELETE',
    url: '/admin/mfa/totp',
    authenticated: true,
    valid: ({ signUp }) => ({
      current_password: signUp.password,
      code: '123456',
      end_other_sessions: true,
    }),
    fields: {
      current_password: { ...PROOF, required: true },
      code: CODE,
      end_other_sessions: { types: ['boolean'] },
    },
  },
  'replace recovery codes': {
    method: 'POST',
    url: '/admin/mfa/recovery-codes',
    authenticated: true,
    valid: ({ signUp }) => ({ current_password: signUp.password, code: '123456' }),
    fields: { current_password: { ...PROOF, required: true }, code: CODE },
  },
};

export const OPERATION_NAMES: readonly string[] = Object.keys(OPERATIONS);

export function operation(name: string): Operation {
  const found = OPERATIONS[name];
  if (found === undefined) throw new Error(`no operation ${name}`);
  return found;
}

/** How {@link senderFor} sends a body, beside the operation's own way. */
export interface SendOptions {
  type?: string;
  query?: string;
}

/**
 * Sends bodies to operations as the owner of an organization. Text and bytes are taken to be written already, anything
 * else is written as JSON.
 */
export function senderFor({ app }: TestService, own: SignedUp) {
  return (
    name: string,
    body: unknown,
    { type = 'application/json', query = '' }: SendOptions = {},
  ): Promise<LightMyRequestResponse> => {
    const { method, url, authenticated } = operation(name);
    const written = typeof body === 'string' || Buffer.isBuffer(body);
    const headers = {
      ...(authenticated && own.auth),
      ...(type !== '' && body !== undefined && { 'content-type': type }),
    };
    const options: InjectOptions = { method, url: url + query, headers };
    if (body === undefined) return app.inject(options);
    return app.inject({ ...options, payload: written ? body : JSON.stringify(body) });
  };
}
