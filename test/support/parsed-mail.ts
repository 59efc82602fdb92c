/** A mail as a mail program reads it, as far as this service's own go: two alternatives, in UTF-8. */
export interface ParsedMail {
  /** Each header once, unfolded and decoded, by its name in lower case. */
  headers: Record<string, string>;
  text: string;
  html: string;
}

/** Reads a mail (RFC 5322, 2045–2047). Fails when a header comes twice, or a part is missing. */
export function parseMail(raw: string): ParsedMail {
  const { headers, body } = parseEntity(raw);
  const boundary = /boundary="?([^";]+)"?/.exec(headers['content-type'] ?? '')?.[1];
  if (boundary === undefined) throw new Error('the mail has no alternatives');
  const parts = body
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((one) => parseEntity(one.trimStart()));
  const part = (type: string) => {
    const found = parts.find(({ headers: { 'content-type': it = '' } }) => it.startsWith(type));
    if (found === undefined) throw new Error(`the mail has no ${type}`);
    return contentOf(found);
  };
  return { headers, text: part('text/plain'), html: part('text/html') };
}

interface Entity {
  headers: Record<string, string>;
  body: string;
}

function parseEntity(raw: string): Entity {
  const end = raw.indexOf('\r\n\r\n');
  const headers: Record<string, string> = {};
  for (const line of raw
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    if (name in headers) throw new Error(`the header ${name} comes twice`);
    headers[name] = decodeWords(line.slice(colon + 1).trim());
  }
  return { headers, body: raw.slice(end + 4) };
}

function contentOf({ headers, body }: Entity): string {
  const encoding = headers['content-transfer-encoding'];
  const bytes = encoding === 'base64' ? Buffer.from(body, 'base64') : undefined;
  const text = bytes?.toString() ?? (encoding === 'quoted-printable' ? decodeQuoted(body) : body);
  return text.replaceAll('\r\n', '\n').trimEnd();
}

function decodeQuoted(text: string): string {
  return fromBytes(text.replaceAll('=\r\n', ''));
}

/** RFC 2047: white space between two encoded words is none. */
function decodeWords(text: string): string {
  return text
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?UTF-8\?([QB])\?([^?]*)\?=/gi, (_, encoding: string, word: string) =>
      encoding.toUpperCase() === 'B'
        ? Buffer.from(word, 'base64').toString('latin1')
        : quotedBytes(word.replaceAll('_', ' ')),
    )
    .replace(/[\x80-\xff]+/g, (bytes) => Buffer.from(bytes, 'latin1').toString());
}

function fromBytes(text: string): string {
  return Buffer.from(quotedBytes(text), 'latin1').toString();
}

function quotedBytes(text: string): string {
  return text.replace(/=([0-9A-F]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
