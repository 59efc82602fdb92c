import { createLibrary, type LibrarySources } from '../../src/composition/library.ts';
import type { Tenantry } from '../../src/library/tenantry.ts';
import type { TestService } from './test-service.ts';

/** The library as a product back end has it, on a service's database and by its clock. */
export function libraryOf(
  { client, settings, clock }: Pick<TestService, 'client' | 'settings' | 'clock'>,
  sources: Partial<LibrarySources> = {},
): Tenantry {
  const { masterDatabase, issuer, audience, jwtSecret } = settings;
  const tokens = { issuer, audience, secrets: [jwtSecret] as const };
  return createLibrary(client, { masterDatabase, tokens }, async () => {}, { clock, ...sources });
}
