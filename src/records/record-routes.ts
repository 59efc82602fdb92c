import type { FastifyPluginAsync } from 'fastify';
import type { Services } from '../services.ts';
import { recordBatchRoutes } from './record-batch-routes.ts';
import { addRecordBodies } from './record-bodies.ts';
import { recordReadRoutes } from './record-read-routes.ts';
import { recordWriteRoutes } from './record-write-routes.ts';

/** An organization's records. */
export const recordRoutes: FastifyPluginAsync<{ services: Services }> = async (app, options) => {
  addRecordBodies(app);
  await app.register(recordReadRoutes, options);
  await app.register(recordWriteRoutes, options);
  await app.register(recordBatchRoutes, options);
};
