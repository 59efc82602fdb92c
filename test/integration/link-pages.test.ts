import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  emailConfirmationLink,
  forgottenPasswordPage,
  invitationLink,
  passwordResetLink,
} from '../../src/mail/links.ts';
import { expectProblem } from '../support/api.ts';
import { expectStatus, startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service[Symbol.asyncDispose]());

const POLICY =
  "default-src 'none';script-src 'self';style-src 'self';connect-src 'self';form-action 'self';base-uri 'none';" +
  "frame-ancestors 'none'";
const PAGES = ['/invite', '/reset-password', '/confirm-email'];
const ASSETS = ['/link-pages/link-page.css', '/link-pages/link-page.js'];

const get = async (url: string) => expectStatus(await service.app.inject({ url }), 200);

test('every link in a mail leads to a page', async () => {
  const { publicUrl } = service.settings;
  const links = [invitationLink, passwordResetLink, emailConfirmationLink].map((link) =>
    link(publicUrl, 'some-token'),
  );
  for (const link of [...links, forgottenPasswordPage(publicUrl)]) {
    const { headers } = await get(new URL(link).pathname);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
  }
});

describe.each([...PAGES, ...ASSETS])('%s', (url) => {
  test('is not kept, says nothing of itself to others, and loads only what is here', async () => {
    const { headers } = await get(url);
    expect(headers['content-security-policy']).toBe(POLICY);
    expect(headers['referrer-policy']).toBe('no-referrer');
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['x-content-type-options']).toBe('nosniff');
  });

  test('answers HEAD, and refuses every other method', async () => {
    const head = expectStatus(await service.app.inject({ method: 'HEAD', url }), 200);
    expect(head.body).toBe('');
    const posted = await service.app.inject({ method: 'POST', url });
    expectProblem(posted, 405, 'method_not_allowed');
    expect(posted.headers.allow).toBe('GET, HEAD');
  });

  test('names no other host', async () => {
    expect((await get(url)).body).not.toMatch(/https?:|\/\/\w+\.\w|@import|url\(/);
  });

  test('is no operation of the document', async () => {
    const { paths } = (await get('/openapi.json')).json();
    expect(Object.keys(paths)).not.toContain(url);
  });
});

describe.each(PAGES)('the page %s', (url) => {
  test('has nothing inline that its policy would stop', async () => {
    const { body } = await get(url);
    expect(body).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:/i);
    for (const [, attributes, content] of body.matchAll(/<script([^>]*)>([^<]*)<\/script>/g)) {
      expect(attributes).toContain(' src="');
      expect(content).toBe('');
    }
  });

  test('loads what exists, by paths that also hold below another path', async () => {
    const { body } = await get(url);
    const paths = [...body.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, path]) => path ?? '');
    expect(paths.length).toBeGreaterThanOrEqual(2);
    for (const path of paths) {
      expect(path).not.toMatch(/^[/.]|:/);
      await get(`/${path}`);
    }
  });

  test('sends nothing that is typed into an address, even without its script', async () => {
    const { body } = await get(url);
    const forms = body.match(/<form[^>]*>/g) ?? [];
    expect(forms.length).toBeGreaterThan(0);
    for (const form of forms) expect(form).toContain('method="post"');
    expect(body).toContain('<noscript>');
  });

  test('gives every field a label, and a place for what is wrong with it', async () => {
    const { body } = await get(url);
    const ids = [...body.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [input] of body.matchAll(/<input id="[^>]*>/g)) {
      const id = /id="([^"]*)"/.exec(input)?.[1];
      expect(body).toContain(`<label for="${id}">`);
      expect(input).toContain('autocomplete="');
      for (const name of /aria-describedby="([^"]*)"/.exec(input)?.[1]?.split(' ') ?? [])
        expect(ids).toContain(name);
    }
  });
});

test('the script asks only for operations that exist, and puts in text alone', async () => {
  const { body } = await get('/link-pages/link-page.js');
  const { paths } = (await get('/openapi.json')).json();
  const asked = [...body.matchAll(/post\(\s*'([^']*)'/g)].map(([, path]) => `/${path}`);
  expect(asked).toHaveLength(6);
  for (const path of asked) expect(paths[path]).toHaveProperty('post');
  expect(body).not.toMatch(/innerHTML|outerHTML|insertAdjacent|document\.write|eval\(/);
  expect(body).not.toMatch(/localStorage|sessionStorage|indexedDB|document\.cookie/);
});
