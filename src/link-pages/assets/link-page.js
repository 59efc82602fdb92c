/*
 * What moves on the pages of links in mails. No words of its own: they are in the page, or come from the service, and all
 * of them are put in as text. Nothing is stored.
 */

/**
 * What the service answered.
 * @typedef {{ ok: boolean, body: any, retryAfter: string | null, requestId: string | null }} Answer
 */

/** Refusals that have no field in their answer, and the field that people know them by. */
const FIELD_OF = new Map([
  ['invalid_credentials', 'password'],
  ['invalid_code', 'code'],
]);
/** The link itself is at fault: no other input would help. */
const DEAD = new Set(['invitation_not_found', 'reset_token_invalid', 'email_token_invalid']);
/** A little longer than the service takes at most. */
const PATIENCE_MS = 35_000;

const token = takeToken();
// Another link, pasted into the address bar of the same page, does not load it anew.
addEventListener('hashchange', () => location.reload());
for (const box of document.querySelectorAll('[data-shows]')) addToggle(box);
const PAGES = new Map([
  ['invite', invitePage],
  ['reset-password', resetPage],
  ['confirm-email', confirmPage],
]);
PAGES.get(document.body.dataset.page ?? '')?.();

/** Takes the token out of the address, so that it does not stay in the history. */
function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
  if (location.hash !== '') history.replaceState(null, '', location.pathname);
  return found;
}

function invitePage() {
  if (token === '') return show('missing');
  element('[data-retry]').addEventListener('click', lookUp);
  onSubmit('newcomer', accept);
  onSubmit('member', accept);
  return lookUp();
}

async function lookUp() {
  show('loading');
  const answer = await post('invitations/lookup', { token });
  if (answer.ok) {
    fill(answer.body);
    show(answer.body.account_exists ? 'member' : 'newcomer');
  } else if (isDead(answer)) showDead(answer);
  else alertIn(show('failed'), answer);
}

/** @param {Record<string, string>} fields */
async function accept({ name, ...fields }) {
  const given = name === undefined || name.trim() === '' ? {} : { name };
  const answer = await post('invitations/accept', { token, ...fields, ...given });
  if (!answer.ok) return answer;
  fill({ ...answer.body.organization, email: answer.body.admin.email });
  show('done');
  // Nobody goes on with this session. If this fails, it ends by itself.
  await post('admin/logout', undefined, answer.body.access_token);
  return answer;
}

function resetPage() {
  onSubmit('forgotten', askForLink);
  onSubmit('again', askForLink);
  onSubmit('choose', async ({ password }) => {
    const answer = await post('admin/password/reset', { token, password });
    if (answer.ok) show('done');
    return answer;
  });
  show(token === '' ? 'missing' : 'choose');
}

/** @param {Record<string, string>} fields */
async function askForLink({ email }) {
  const answer = await post('admin/password/forgot', { email });
  if (answer.ok) {
    fill({ email });
    show('sent');
  }
  return answer;
}

/** A button and not by itself: whatever else opens a link in a mail presses none. */
function confirmPage() {
  onSubmit('confirm', async () => {
    const answer = await post('admin/email/confirm', { token });
    if (answer.ok) show('done');
    return answer;
  });
  show(token === '' ? 'missing' : 'confirm');
}

/**
 * Sends what a form holds, once at a time, and says what was refused.
 * @param {string} id
 * @param {(fields: Record<string, string>) => Promise<Answer>} send
 */
function onSubmit(id, send) {
  const form = /** @type {HTMLFormElement} */ (element(`#${id}`));
  const button = /** @type {HTMLButtonElement} */ (element('button', form));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    clearErrors(form);
    const answer = await send(valuesOf(form));
    button.disabled = false;
    if (answer.ok) form.reset();
    else if (isDead(answer)) showDead(answer);
    else refuse(form, answer);
  });
}

/**
 * Of the fields that are shown.
 * @param {HTMLFormElement} form
 * @returns {Record<string, string>}
 */
function valuesOf(form) {
  const inputs = [...form.querySelectorAll('input')].filter(
    (one) => one.name !== '' && one.closest('[hidden]') === null,
  );
  return Object.fromEntries(inputs.map(({ name, value }) => [name, value]));
}

/**
 * @param {HTMLFormElement} form
 * @param {Answer} answer
 */
function refuse(form, answer) {
  const { code = '', detail = '', errors = [] } = answer.body;
  const named = FIELD_OF.get(code);
  const faults = named === undefined ? errors : [{ path: `/${named}`, message: detail }];
  if (code === 'mfa_required') return askForCode(form);
  const unplaced = faults.filter(
    (/** @type {{path: string, message: string}} */ { path, message }) =>
      !markField(form, path.slice(1), message),
  );
  const placed = faults.length > 0 && unplaced.length === 0;
  alertIn(form, answer, placed ? wordsOf('#marked-fields') : undefined);
  const first = /** @type {HTMLElement} */ (
    form.querySelector('[aria-invalid=true]') ?? element('button', form)
  );
  first.focus();
}

/** @param {HTMLFormElement} form */
function askForCode(form) {
  const code = /** @type {HTMLInputElement} */ (element('[name=code]', form));
  code.closest('.field')?.removeAttribute('hidden');
  code.focus();
}

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 * @param {string} message
 * @returns {boolean} whether there is such a field to see
 */
function markField(form, name, message) {
  const input = [...form.querySelectorAll('input')].find((one) => one.name === name);
  if (input === undefined || input.closest('[hidden]') !== null) return false;
  input.setAttribute('aria-invalid', 'true');
  element(`#${input.id}-error`).textContent = message;
  return true;
}

/** @param {HTMLFormElement} form */
function clearErrors(form) {
  for (const input of form.querySelectorAll('[aria-invalid]'))
    input.removeAttribute('aria-invalid');
  for (const text of form.querySelectorAll('.error')) text.textContent = '';
  element('[data-alert]', form).hidden = true;
}

/** @param {Answer} answer */
function isDead({ body }) {
  const errors = /** @type {{path: string}[]} */ (body.errors ?? []);
  return DEAD.has(body.code) || errors.some(({ path }) => path === '/token');
}

/** @param {Answer} answer */
function showDead(answer) {
  alertIn(show('dead'), answer);
}

/**
 * Shows what the service says. It is put in after its place is there, or screen readers would not read it out.
 * @param {Element} within
 * @param {Answer} answer
 * @param {string} [text] in place of the answer's own
 */
function alertIn(within, { body, retryAfter, requestId }, text) {
  const alert = element('[data-alert]', within);
  alert.hidden = false;
  element('[data-alert-text]', alert).textContent = text ?? body.detail ?? wordsOf('#no-answer');
  element('[data-alert-seconds]', alert).textContent = retryAfter;
  element('[data-wait]', alert).hidden = retryAfter === null;
  element('[data-alert-request]', alert).textContent = requestId;
  element('[data-request]', alert).hidden = requestId === null;
}

/**
 * Shows one state of the page in place of the one before, and takes the reader there.
 * @param {string} state
 * @returns {Element}
 */
function show(state) {
  const before = document.querySelector('section:not([hidden])');
  if (before instanceof HTMLElement) before.hidden = true;
  const section = element(`[data-state=${state}]`);
  section.hidden = false;
  // Not at first: a page that has just loaded is read out from its beginning.
  if (before !== null) element('h1', section).focus();
  return section;
}

/** @param {Record<string, unknown>} values */
function fill(values) {
  for (const place of document.querySelectorAll('[data-fill]')) {
    const value = values[/** @type {HTMLElement} */ (place).dataset.fill ?? ''];
    if (typeof value !== 'string') continue;
    if (place instanceof HTMLInputElement) place.defaultValue = value;
    else place.textContent = value;
  }
}

/** @param {Element} box */
function addToggle(box) {
  const { shows } = /** @type {HTMLElement} */ (box).dataset;
  const input = /** @type {HTMLInputElement} */ (element(`#${shows}`));
  const toggle = () => {
    input.type = /** @type {HTMLInputElement} */ (box).checked ? 'text' : 'password';
  };
  box.addEventListener('change', toggle);
  // A form that is emptied has the box unchecked by then.
  input.form?.addEventListener('reset', () => setTimeout(toggle));
}

/**
 * @param {string} path relative to the page, which may be served below any path
 * @param {object | undefined} body
 * @param {string} [accessToken]
 * @returns {Promise<Answer>} never fails: no answer is one without words
 */
async function post(path, body, accessToken) {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...{ cache: 'no-store', credentials: 'omit', redirect: 'error' },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const { headers, ok } = response;
    const requestId = headers.get('x-request-id');
    const answer = await response.json().catch(() => ({}));
    return { ok, body: answer ?? {}, retryAfter: headers.get('retry-after'), requestId };
  } catch {
    return { ok: false, body: {}, retryAfter: null, requestId: null };
  }
}

/** @param {string} selector of a template */
function wordsOf(selector) {
  const found = element(selector);
  return found instanceof HTMLTemplateElement ? found.content.textContent : '';
}

/**
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {HTMLElement}
 */
function element(selector, within = document) {
  const found = within.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no ${selector}`);
  return found;
}
