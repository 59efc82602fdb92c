import { readFile } from 'node:fs/promises';
import type { FastifyPluginAsync, FastifyReply } from 'fastify';
import { LINK_PAGES } from './link-page-html.ts';

/** What a page may load: its own style and script, from this service, and nothing else (CSP Level 3). */
const CONTENT_SECURITY_POLICY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    connectSrc: ["'self'"],
    formAction: ["'self'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
  },
};

/** What the pages load, by the end of its path. The build copies the folder. */
const ASSETS = {
  'link-page.css': 'text/css; charset=utf-8',
  'link-page.js': 'text/javascript; charset=utf-8',
};

/**
 * The pages that the links in mails lead to (`mail/links.ts`). They are clients of the public operations like any other:
 * the secret of a link stays in the fragment, so this service sees it only in the bodies of what the page sends.
 *
 * All paths in them are relative, so that they work below whatever path PUBLIC_URL has.
 */
export const linkPageRoutes: FastifyPluginAsync = async (app) => {
  const options = {
    schema: { hide: true },
    helmet: { contentSecurityPolicy: CONTENT_SECURITY_POLICY },
  };
  for (const [name, html] of Object.entries(LINK_PAGES))
    app.get(`/${name}`, options, async (_request, reply) =>
      send(reply, 'text/html; charset=utf-8', html),
    );
  for (const [name, type] of Object.entries(ASSETS)) {
    const content = await readFile(new URL(`./assets/${name}`, import.meta.url), 'utf8');
    app.get(`/link-pages/${name}`, options, async (_request, reply) => send(reply, type, content));
  }
};

/** Not to be kept: a page is opened once, and after an upgrade its script has to be the one that was made for it. */
function send(reply: FastifyReply, type: string, content: string): FastifyReply {
  return reply
    .header('cache-control', 'no-store')
    .header('referrer-policy', 'no-referrer')
    .type(type)
    .send(content);
}
