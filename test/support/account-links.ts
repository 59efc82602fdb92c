import type { LightMyRequestResponse } from 'fastify';
import type { Auth } from './invitations.ts';
import type { TestService } from './test-service.ts';

type By = Pick<TestService, 'app'>;
type Reply = Promise<LightMyRequestResponse>;

function post({ app }: By, url: string, payload: object): Reply {
  return app.inject({ method: 'POST', url, payload });
}

export const forgot = (by: By, payload: object): Reply =>
  post(by, '/admin/password/forgot', payload);

export const reset = (by: By, payload: object): Reply => post(by, '/admin/password/reset', payload);

export const confirmEmail = (by: By, payload: object): Reply =>
  post(by, '/admin/email/confirm', payload);

export function changeMe({ app }: By, headers: Auth, payload: object): Reply {
  return app.inject({ method: 'PATCH', url: '/admin/me', headers, payload });
}

export function me({ app }: By, headers: Auth): Reply {
  return app.inject({ url: '/admin/me', headers });
}
