/** Who a mail is from: an address, and the name people see. */
export interface Mailbox {
  readonly name?: string;
  readonly address: string;
}

/** RFC 5322, 3.2.5: what may stand before `<address>`. Names may be in any script (RFC 6532). */
const QUOTED = /^"((?:[^"\\\p{Cc}]|\\[^\p{Cc}])*)"$/u;
const PHRASE = /^[^"<>()[\]:;@\\,\p{Cc}]*$/u;
/** A dot-atom on both sides; unlike people's addresses it may lack a dot: `no-reply@localhost`. */
const ADDRESS =
  /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)*$/i;
const MAX_ADDRESS_LENGTH = 254;

/** Reads one mailbox, `name <address>` or an address alone. @returns undefined when it is none, or more than one */
export function readMailbox(text: string): Mailbox | undefined {
  const trimmed = text.trim();
  if (!trimmed.endsWith('>')) return isAddress(trimmed) ? { address: trimmed } : undefined;
  const opening = trimmed.lastIndexOf('<');
  const address = trimmed.slice(opening + 1, -1);
  const name = readName(trimmed.slice(0, Math.max(opening, 0)).trim());
  if (opening < 0 || name === undefined || !isAddress(address)) return undefined;
  return { ...(name !== '' && { name }), address };
}

function readName(text: string): string | undefined {
  const quoted = QUOTED.exec(text)?.[1];
  if (quoted !== undefined) return quoted.replace(/\\(.)/gu, '$1');
  return PHRASE.test(text) ? text : undefined;
}

function isAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS_LENGTH && ADDRESS.test(text);
}
