import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, vi } from 'vitest';
import type { Auth } from './invitations.ts';
import type { TestService } from './test-service.ts';

/** What came back. */
export interface HeldAnswer {
  status: number;
  text: string;
}

/** A request as `inject` takes it. */
export interface HeldRequest {
  method: string;
  url: string;
  headers: Auth;
  payload: object;
}

/**
 * Sends a request's headers, and keeps its body back.
 *
 * @param service - one that listens
 * @returns sends the body, once the service has let the caller in by what the headers say
 */
export async function holdBody(
  { app, services }: Pick<TestService, 'app' | 'services'>,
  { method, url, headers, payload }: HeldRequest,
): Promise<() => Promise<HeldAnswer>> {
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('the service has no port');
  const body = JSON.stringify(payload);
  const admitted = vi.spyOn(services.access, 'authenticate');
  const socket = connect(address.port, '127.0.0.1');
  await once(socket, 'connect');
  const received: string[] = [];
  socket.setEncoding('utf8').on('data', (text: string) => received.push(text));
  const closed = once(socket, 'close');
  socket.write(
    `${method} ${url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ${headers.authorization}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body[0]}`,
  );
  await vi.waitFor(() => expect(admitted.mock.settledResults[0]?.type).toBe('fulfilled'));
  admitted.mockRestore();
  return async () => {
    socket.write(body.slice(1));
    await closed;
    const [head = '', ...rest] = received.join('').split('\r\n\r\n');
    return { status: Number(head.split(' ')[1]), text: rest.join('\r\n\r\n') };
  };
}
