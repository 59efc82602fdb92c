import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';

/** RFC 5321, 4.5.3.1. */
const MAX_LENGTH = 254;
const MAX_LOCAL_LENGTH = 64;
/** RFC 5322, 3.2.3: a dot-atom, in ASCII. No quoted local parts and no comments. */
const LOCAL = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
/** RFC 1123, 2.1: labels of letters, digits and hyphens, two or more. */
const DOMAIN = /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)+[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/i;

/**
 * Whether a text is an e-mail address that this service takes: exactly one, ASCII, with nothing in it that a header, an
 * envelope or another program could read as anything else. The JSON Schema format `email` is this function.
 *
 * A domain that URL parsers take for a number (`1.2`, `1.0x2`) is none, since they, nodemailer's among them, would turn
 * it into an IP address, and the mail would go elsewhere.
 */
export function isEmailAddress(text: string): boolean {
  if (text.length > MAX_LENGTH) return false;
  const at = text.indexOf('@');
  const domain = text.slice(at + 1);
  if (at < 1 || at > MAX_LOCAL_LENGTH || !LOCAL.test(text.slice(0, at)) || !DOMAIN.test(domain))
    return false;
  return isIP(domain) === 0 && domainToASCII(domain) === domain.toLowerCase();
}
