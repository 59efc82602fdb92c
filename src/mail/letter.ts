import type { MailKind, MailMessage } from './mailer.ts';

/** A mail before it has a form: what it says, once for plain text and HTML. Nothing in it is markup. */
export interface Letter {
  kind: MailKind;
  to: string;
  subject: string;
  /** What stands above the link. */
  paragraphs: readonly string[];
  action?: {
    /** What the button says. */
    label: string;
    link: string;
    /** It holds a secret. */
    secret: boolean;
  };
  /** What stands below it, smaller. */
  notes: readonly string[];
}

/** Writes a letter as plain text and as HTML. */
export function writeLetter(letter: Letter): MailMessage {
  const { kind, to, subject, action } = letter;
  return {
    ...{ kind, to, subject },
    text: plainText(letter),
    html: html(letter),
    ...(action?.secret && { link: action.link }),
  };
}

function plainText({ paragraphs, action, notes }: Letter): string {
  const linked = action === undefined ? [] : [`${action.label}:\n${action.link}`];
  return `${[...paragraphs, ...linked, ...notes].join('\n\n')}\n`;
}

const FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";

/**
 * Inline styles, because mail programs drop style sheets; nothing from elsewhere, so nothing that tells who reads it. It
 * sets no background and no colour of text, so programs may show it light or dark; the button reads well on both.
 */
function html({ subject, paragraphs, action, notes }: Letter): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${escaped(subject)}</title>
</head>
<body style="margin:0;padding:24px;${FONT};font-size:16px;line-height:1.5">
<div style="max-width:560px;margin:0 auto;overflow-wrap:anywhere;word-break:break-word">
${paragraphs.map((one) => `<p style="margin:0 0 16px">${escaped(one)}</p>`).join('\n')}
${action === undefined ? '' : buttonTo(action)}
${notes.map((one) => `<p style="margin:0 0 8px;font-size:14px;opacity:0.8">${escaped(one)}</p>`).join('\n')}
</div>
</body>
</html>
`;
}

/** The address is written out as well: a button says nothing of where it leads. */
function buttonTo({ label, link }: NonNullable<Letter['action']>): string {
  const target = escaped(link);
  return `<p style="margin:24px 0"><a href="${target}" style="display:inline-block;padding:12px 20px;border-radius:6px;background-color:#1d4ed8;color:#ffffff;text-decoration:none;font-weight:600">${escaped(label)}</a></p>
<p style="margin:0 0 24px;font-size:14px;word-break:break-all"><a href="${target}">${target}</a></p>`;
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
