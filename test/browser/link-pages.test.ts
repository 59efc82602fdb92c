import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { changeMe, forgot } from '../support/account-links.ts';
import { type Api, apiOf } from '../support/api.ts';
import { enrolled } from '../support/authenticator.ts';
import { type Front, launchChromium, look, startFront } from '../support/browser.ts';
import { invite, SOME_PASSWORD, somebodyNew } from '../support/invitations.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let browser: Browser;
let front: Front;
let service: TestService;
let api: Api;
let acme: SignedUp;
beforeAll(async () => {
  browser = await launchChromium();
  front = await startFront();
  service = await startTestService({ settings: { publicUrl: front.publicUrl } });
  front.service = service;
  api = apiOf(service);
  acme = await signUpAndIn(service);
});
afterAll(async () => {
  await browser.close();
  await front[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

let context: BrowserContext;
let page: Page;
/** What the page did wrong: errors of its script, and whatever its policy had to stop. */
let wrongs: string[];
beforeEach(async () => {
  wrongs = [];
  context = await browser.newContext();
  page = await context.newPage();
  page.on('pageerror', ({ message }) => wrongs.push(message));
  page.on('console', (said) => {
    if (said.text().includes('Content Security Policy')) wrongs.push(said.text());
  });
});
afterEach(async () => {
  await context.close();
  front.meanwhile = undefined;
  expect(wrongs).toEqual([]);
});

const heading = () => page.locator('h1:visible').textContent();
const shows = (text: string) => page.getByText(text).filter({ visible: true }).first().waitFor();
const field = (label: string) =>
  page
    .getByRole('textbox', { name: label })
    .or(page.getByLabel(label, { exact: true }))
    .filter({ visible: true });
const press = (name: string) => page.getByRole('button', { name }).click();
const focused = () =>
  page.evaluate('document.activeElement.id || document.activeElement.textContent');
/** What a field's own words say is wrong with it. */
const faultOf = (id: string) => page.locator(`#${id}-error`).textContent();

/** Opens the link of the latest mail to somebody, and checks that its secret stays with the page. */
async function openLinkTo(email: string): Promise<string> {
  const mails = service.mails.to(email);
  const link = mails.at(-1)?.link ?? '';
  const token = tokenIn(mails);
  await page.goto('about:blank');
  await page.goto(link);
  expect(page.url()).toBe(link.split('#')[0]);
  await page.waitForFunction(
    "document.querySelector('section:not([hidden], [data-state=loading])')",
  );
  return token;
}

async function invited(email: string, by = acme): Promise<string> {
  expectStatus(await invite(service, by.auth, { email, role: 'editor' }), 201);
  return openLinkTo(email);
}

describe('an invitation', () => {
  test('of a new person: name, password, member', async () => {
    const email = somebodyNew();
    const token = await invited(email);
    const { organization_name } = acme.signUp;
    expect(await heading()).toBe(`Join ${organization_name}`);
    expect(await page.locator('#newcomer-username').inputValue()).toBe(email);
    await look(page, 'invite-newcomer');

    await field('Your name').fill('Grace Hopper');
    await field('Password').fill('short');
    await press('Create account and join');
    await shows('must have at least 8 characters');
    expect(await focused()).toBe('newcomer-password');
    expect(await page.locator('#newcomer-password').getAttribute('aria-invalid')).toBe('true');
    await shows('Please look at what is marked.');
    await look(page, 'invite-newcomer-refused');

    await page.getByLabel('Show the password').filter({ visible: true }).check();
    expect(await page.locator('#newcomer-password').getAttribute('type')).toBe('text');
    await field('Password').fill(SOME_PASSWORD);
    await press('Create account and join');
    await shows('You are a member of');
    expect(await heading()).toBe(`Welcome to ${organization_name}`);
    expect(await focused()).toBe(`Welcome to ${organization_name}`);
    await look(page, 'invite-done');

    // The session that accepting began has been ended: nobody has its tokens.
    const account = await service.db.collection('admins').findOne({ email });
    const sessions = service.db.collection('sessions');
    await expect.poll(() => sessions.countDocuments({ admin_id: account?._id })).toBe(0);
    const login = expectStatus(await api.login({ email, password: SOME_PASSWORD }), 200);
    expect(await sessions.countDocuments({ admin_id: account?._id })).toBe(1);
    expect(login.json()).toMatchObject({
      admin: { email, name: 'Grace Hopper' },
      organization: { organization_name, role: 'editor' },
    });
    expect(front.asked.some((url) => url.includes(token))).toBe(false);
    expect(
      await page.evaluate('Object.keys(localStorage).length + Object.keys(sessionStorage).length'),
    ).toBe(0);

    await openLinkTo(email);
    expect(await heading()).toBe('This invitation is no longer good');
    await shows('Ask for a new one.');
    await look(page, 'invite-dead');
  });

  test('is accepted once, however often the button is pressed', async () => {
    await invited(somebodyNew());
    let accepting = 0;
    let pass = () => {};
    front.meanwhile = async (url) => {
      if (!url.endsWith('/accept')) return;
      accepting += 1;
      await new Promise<void>((resolve) => {
        pass = resolve;
      });
    };
    await field('Password').fill(SOME_PASSWORD);
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await expect.poll(() => accepting).toBe(1);
    expect(await page.locator('#newcomer button').isDisabled()).toBe(true);
    await page.evaluate("document.querySelector('#newcomer').requestSubmit()");
    pass();
    await shows('You are a member of');
    expect(accepting).toBe(1);
  });

  test('of somebody with a second factor: password, then code', async () => {
    const grace = await enrolled(service, api);
    const { email, password } = grace.signUp;
    await invited(email);
    expect(await page.locator('#member-code').isVisible()).toBe(false);
    await field('Password').fill('not the password');
    await press('Join');
    await shows('The e-mail address or the password is wrong.');
    expect(await focused()).toBe('member-password');
    await field('Password').fill(password);
    await press('Join');
    await page.locator('#member-code').waitFor();
    expect(await focused()).toBe('member-code');
    await look(page, 'invite-member-code');
    await field('Code').fill(grace.app.wrongCode());
    await press('Join');
    await expect.poll(() => faultOf('member-code')).not.toBe('');
    await field('Code').fill(grace.app.code());
    await press('Join');
    await shows('You are a member of');
  });

  test('to an organization whose name is long, without spaces, and markup', async () => {
    const organization_name = `<img src=x onerror=alert(1)>${'x'.repeat(70)}`;
    const other = await signUpAndIn(service, { organization_name });
    const email = `${'a'.repeat(60)}@${'b'.repeat(50)}.${'c'.repeat(50)}.example`;
    await invited(email, other);
    expect(await heading()).toBe(`Join ${organization_name}`);
    await look(page, 'invite-long');
    await page.goto('about:blank');
    await page.setContent(service.mails.to(email)[0]?.html ?? '');
    // Not the contrast (AA): a mail leaves its ground to the program, and axe takes it for white.
    await look(page, 'mail-long', ['wcag2a', 'wcag21a']);
  });

  test('when no answer comes', async () => {
    const email = somebodyNew();
    expectStatus(await invite(service, acme.auth, { email, role: 'editor' }), 201);
    front.meanwhile = async (url) => {
      if (url.endsWith('/lookup')) throw new Error('the line is cut');
    };
    await openLinkTo(email);
    await shows('No answer came.');
    await look(page, 'invite-failed');
    front.meanwhile = undefined;
    await press('Try again');
    await shows('Choose a password for your new account.');
  });

  test('without its secret', async () => {
    await page.goto(`${front.publicUrl}/invite`);
    await shows('Open the link in the mail once more');
    await look(page, 'invite-missing');
  });
});

describe('a forgotten password', () => {
  test('is asked for, and replaced by another', async () => {
    const { signUp } = await signUpAndIn(service);
    const { email } = signUp;
    await page.goto(`${front.publicUrl}/reset-password`);
    await look(page, 'reset-missing');
    await field('Your e-mail address').fill('nobody');
    await press('Send me a link');
    await shows('must be an e-mail address');
    await field('Your e-mail address').fill(email);
    await press('Send me a link');
    await shows('a link is on its way');
    await look(page, 'reset-sent');
    await service.services.mailTasks.idle();

    const token = await openLinkTo(email);
    await look(page, 'reset-choose');
    await field('New password').fill('password1');
    await press('Change password');
    await expect.poll(() => faultOf('choose-password')).toMatch(/common/);
    await field('New password').fill('an entirely different passphrase');
    await press('Change password');
    await shows('You have been signed out everywhere.');
    await look(page, 'reset-done');
    expectStatus(await api.login({ email, password: 'an entirely different passphrase' }), 200);
    expect(front.asked.some((url) => url.includes(token))).toBe(false);

    await page.goto('about:blank');
    await page.goto(`${front.publicUrl}/reset-password#token=${token}`);
    await field('New password').fill('yet another passphrase');
    await press('Change password');
    await shows('only the latest one does');
    await look(page, 'reset-dead');
    await field('Your e-mail address').fill(email);
    await page.getByRole('button', { name: 'Send me a link' }).click();
    await shows('a link is on its way');
  });

  test('with another link in the same tab', async () => {
    const { signUp } = await signUpAndIn(service);
    await page.goto(`${front.publicUrl}/reset-password`);
    expectStatus(await forgot(service, { email: signUp.email }), 202);
    await service.services.mailTasks.idle();
    const link = service.mails.to(signUp.email).at(-1)?.link ?? '';
    await page.goto(link);
    await field('New password').waitFor();
    await expect.poll(() => page.url()).toBe(link.split('#')[0]);
  });
});

test('a new e-mail address is confirmed by a press of the button, not by opening the page', async () => {
  const { signUp, auth } = await signUpAndIn(service);
  const email = somebodyNew();
  const { password } = signUp;
  expectStatus(await changeMe(service, auth, { email, current_password: password }), 200);
  const token = await openLinkTo(email);
  await look(page, 'confirm');
  await page.waitForLoadState('networkidle');
  expectStatus(await api.login({ email, password }), 401);
  await press('Confirm this address');
  await shows('Your e-mail address is confirmed');
  await look(page, 'confirm-done');
  expectStatus(await api.login({ email, password }), 200);
  expect(front.asked.some((url) => url.includes(token))).toBe(false);

  await openLinkTo(email);
  await press('Confirm this address');
  await shows('This link is no longer good');
  await look(page, 'confirm-dead');
  await page.goto(`${front.publicUrl}/confirm-email`);
  await shows('The link is not complete');
  await look(page, 'confirm-missing');
});
