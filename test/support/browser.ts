import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { AxeBuilder } from '@axe-core/playwright';
import type { HTTPMethods, LightMyRequestResponse } from 'fastify';
import { type Browser, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import type { TestService } from './test-service.ts';

/** Where Debian puts it; `CHROMIUM` names another one. */
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** Where pictures of what is looked at are kept, if they are wanted. */
const { SCREENSHOTS } = process.env;

/** Chromium, without a window and without conversations of its own. */
export function launchChromium(): Promise<Browser> {
  if (!existsSync(EXECUTABLE))
    throw new Error(`there is no ${EXECUTABLE}: apt-get install chromium, or set CHROMIUM`);
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  });
}

/** A proxy in front of a service that is reached below a path, as many are. */
export interface Front extends AsyncDisposable {
  /** What PUBLIC_URL has to be. */
  publicUrl: string;
  /** The service it leads to, once there is one. */
  service: Pick<TestService, 'app'> | undefined;
  /** The path and query of every request so far. */
  asked: string[];
  /** Runs before a request is passed on. */
  meanwhile: ((url: string) => Promise<unknown>) | undefined;
}

const BELOW = '/tenantry';

export async function startFront(): Promise<Front> {
  const server = createServer(async (request, response) => {
    const url = request.url ?? '';
    front.asked.push(url);
    if (!url.startsWith(`${BELOW}/`) || front.service === undefined) {
      response.writeHead(404).end();
      return;
    }
    try {
      await front.meanwhile?.(url);
      const answer = await passOn(front.service, request, url.slice(BELOW.length));
      response.writeHead(answer.statusCode, answer.headers).end(answer.rawPayload);
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const front: Front = {
    publicUrl: `http://127.0.0.1:${port}${BELOW}`,
    service: undefined,
    asked: [],
    meanwhile: undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return front;
}

async function passOn(
  { app }: Pick<TestService, 'app'>,
  request: IncomingMessage,
  url: string,
): Promise<LightMyRequestResponse> {
  const { method, headers } = request;
  const payload = await buffer(request);
  return app.inject({
    ...{ method: method as HTTPMethods & 'GET', url },
    headers: headers as Record<string, string>,
    ...(payload.length > 0 && { payload }),
  });
}

/**
 * Looks at a page as people do, light and dark, on a phone and on a desk: nothing may run off to the side, and axe must
 * find nothing.
 *
 * @param name - of the pictures
 * @param rules - tags of axe's, for what is no page; by default all of them
 */
export async function look(page: Page, name: string, rules?: string[]): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 800 });
      const over = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      expect(over, `${name} at ${width}`).toBeLessThanOrEqual(0);
      if (SCREENSHOTS === undefined) continue;
      await mkdir(SCREENSHOTS, { recursive: true });
      await page.screenshot({ path: join(SCREENSHOTS, `${name}-${colorScheme}-${width}.png`) });
    }
    const axe = new AxeBuilder({ page });
    const { violations } = await (rules === undefined ? axe : axe.withTags(rules)).analyze();
    expect(violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)])).toEqual([]);
  }
}
