declare module 'fastify' {
  interface FastifyContextConfig {
    /** For whoever looks after the service: answered while it stops or is overloaded, too, and logged for debugging only. */
    alwaysAnswers?: boolean;
  }
}

/** `config` of the routes by which the service is watched. */
export const ALWAYS_ANSWERS = { alwaysAnswers: true } as const;
