/* How a page is made of its parts. Everything is trusted markup: nothing here comes from a request. */

/** What a form asks for. `name` is the field's in the operation's body. */
export interface Field {
  name: string;
  label: string;
  type: 'text' | 'email' | 'password';
  /** https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#autofill */
  autocomplete: string;
  hint?: string;
  optional?: boolean;
  /** Not there until the service asks for it. */
  hidden?: boolean;
}

export interface Form {
  id: string;
  fields: readonly Field[];
  button: string;
  /** Shown to password managers and people alike: whose password is asked for. */
  withEmail?: boolean;
}

const ALERT =
  '<div class="alert" role="alert" data-alert hidden><p data-alert-text></p>' +
  '<p class="small" data-wait hidden>Wait <span data-alert-seconds></span> s before you try again.</p>' +
  '<p class="small" data-request hidden>Request <code data-alert-request></code></p></div>';

/** A page. @param name - its path; the script knows it by that */
export function page(title: string, name: string, sections: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="stylesheet" href="link-pages/link-page.css">
<script type="module" src="link-pages/link-page.js"></script>
</head>
<body data-page="${name}">
<main>
<noscript><h1>${title}</h1><p>This page needs JavaScript. Switch it on and open the link in the mail again.</p></noscript>
${sections.join('\n')}
</main>
<template id="no-answer">No answer came. Look whether you are online, then try again. If the link is said to be no longer good then, it may have worked the first time.</template>
<template id="marked-fields">Please look at what is marked.</template>
</body>
</html>
`;
}

/** One state of a page. @param after - what comes below the place for what the service says */
export function section(state: string, content: string, after = ''): string {
  // Forms bring such a place of their own.
  const place = state === 'dead' || state === 'failed' ? ALERT : '';
  return `<section data-state="${state}" hidden>${content}${place}${after}</section>`;
}

/** `post`, so that a browser without the script would not put what is typed into an address. */
export function form({ id, fields, button, withEmail = false }: Form): string {
  const email = withEmail
    ? `<div class="field"><label for="${id}-username">E-mail address</label>` +
      `<input id="${id}-username" type="email" autocomplete="username" readonly data-fill="email"></div>`
    : '';
  return `<form id="${id}" method="post" novalidate>${email}${fields.map((one) => field(id, one)).join('')}${ALERT}<button type="submit">${button}</button></form>`;
}

function field(formId: string, about: Field): string {
  const { name, label, type, autocomplete, hint, optional = false, hidden = false } = about;
  const id = `${formId}-${name}`;
  const described = [...(hint === undefined ? [] : [`${id}-hint`]), `${id}-error`].join(' ');
  const show =
    type === 'password'
      ? `<label class="show"><input type="checkbox" data-shows="${id}"> Show the password</label>`
      : '';
  return (
    `<div class="field"${hidden ? ' hidden' : ''}>` +
    `<label for="${id}">${label}${optional ? ' <span class="small">(optional)</span>' : ''}</label>` +
    (hint === undefined ? '' : `<p class="small" id="${id}-hint">${hint}</p>`) +
    `<input id="${id}" name="${name}" type="${type}" autocomplete="${autocomplete}" aria-describedby="${described}"` +
    `${optional ? '' : ' required'} spellcheck="false" autocapitalize="${name === 'name' ? 'words' : 'none'}">` +
    `<p class="error" id="${id}-error"></p>${show}</div>`
  );
}
