import { AsyncResource } from 'node:async_hooks';
import type { FastifyInstance } from 'fastify';
import { sharingPatience } from '../database/deadline.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Carries the request's patience with the database over the reading of its body. */
    patience: AsyncResource | null;
  }
}

/** Gives each request one patience with the database, whatever it asks of it: so that a 503 comes within 3 s. */
export function addDatabasePatience(app: FastifyInstance): void {
  app.decorateRequest('patience', null);
  app.addHook('onRequest', (request, _reply, done) => {
    sharingPatience(() => {
      request.patience = new AsyncResource('tenantry.request');
      done();
    });
  });
  // A body arrives in events of its socket, which belong to no request.
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.patience === null) done();
    else request.patience.runInAsyncScope(done);
  });
}
