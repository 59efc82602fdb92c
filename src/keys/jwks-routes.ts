import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { problemResponses } from '../http/problem-details.ts';
import type { Services } from '../services.ts';

/** How long products may go by an answer, in seconds. A new key has to be published for longer before it signs. */
const MAX_AGE_SECONDS = 300;

const Jwk = Type.Object(
  {
    kty: Type.Enum(['EC', 'OKP'], { examples: ['OKP'] }),
    crv: Type.Enum(['P-256', 'Ed25519'], { examples: ['Ed25519'] }),
    x: Type.String({ examples: ['11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'] }),
    y: Type.Optional(
      Type.String({
        description: 'With P-256 only.',
        examples: ['4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM'],
      }),
    ),
    use: Type.Literal('sig'),
    alg: Type.Enum(['ES256', 'EdDSA'], { examples: ['EdDSA'] }),
    kid: Type.String({
      description: "The key's thumbprint (RFC 7638), as in the header of the tokens it signs.",
      examples: ['kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'],
    }),
  },
  { description: 'A public key.' },
);

const JwkSet = Type.Object(
  {
    keys: Type.Array(Jwk, { description: 'The key that signs at present comes first.' }),
  },
  { description: 'A JSON Web Key Set (RFC 7517).' },
);

/** For the products' back ends. */
export const jwksRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const keys = [...services.accessTokens.publicKeys];
  app.get(
    '/.well-known/jwks.json',
    {
      schema: {
        operationId: 'getKeySet',
        tags: ['Keys'],
        summary: 'The public keys that access tokens are signed with',
        description:
          'For the back end of a product that verifies access tokens by itself, with any JWT library. Empty unless ' +
          '`JWT_PRIVATE_KEYS` is set: tokens that a secret signs cannot be verified without it. A token is good here ' +
          'only as long as its session; a back end that goes by the signature alone learns of a sign-out when the ' +
          'token expires.',
        response: { 200: JwkSet, ...problemResponses(400) },
      },
    },
    async (_request, reply) => {
      reply.header('cache-control', `public, max-age=${MAX_AGE_SECONDS}`);
      return { keys };
    },
  );
};
