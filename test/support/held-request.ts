import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, vi } from 'vitest';
import type { TestService } from './test-service.ts';

/** The answer to a request whose body was kept back. */
export interface HeldAnswer {
  status: number;
  body: string;
}

/**
 * Sends the headers of a request and the first byte of its body, and waits until the service has let it in.
 *
 * @param service - listening
 * @returns sends the rest, and gives the answer
 */
export async function hold(
  { app, services }: TestService,
  method: string,
  url: string,
  auth: { authorization: string },
  payload: object,
): Promise<() => Promise<HeldAnswer>> {
  const address = app.server.address();
  if (address === null || typeof address === 'string')
    throw new Error('the service does not listen');
  const text = JSON.stringify(payload);
  const socket = connect(address.port, '127.0.0.1');
  await once(socket, 'connect');
  let received = '';
  socket.on('data', (data) => {
    received += data.toString();
  });
  const ended = once(socket, 'close');
  const letIn = vi.spyOn(services.access, 'identify');
  socket.write(
    `${method} ${url} HTTP/1.1\r\nHost: service.example\r\nConnection: close\r\n` +
      `Authorization: ${auth.authorization}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text.slice(0, 1)}`,
  );
  await vi.waitFor(() => expect(letIn.mock.settledResults).toMatchObject([{ type: 'fulfilled' }]), {
    timeout: 10_000,
    interval: 5,
  });
  letIn.mockRestore();
  return async () => {
    socket.write(text.slice(1));
    await ended;
    const [head = '', ...body] = received.split('\r\n\r\n');
    return { status: Number(head.split(' ')[1]), body: body.join('\r\n\r\n') };
  };
}
