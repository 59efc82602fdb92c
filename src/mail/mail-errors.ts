import { AppError } from '../errors.ts';

/** The mail server is away, too slow, or takes no mail now. */
export class MailUnavailableError extends AppError {
  constructor(cause: unknown) {
    super('unavailable', 'mail_unavailable', 'No mail can be sent just now. Try again shortly.', {
      cause,
      retryAfter: 30,
    });
  }
}

/** There is no mail server to send with. Trying again is of no use until somebody sets SMTP_URL. */
export class MailNotConfiguredError extends AppError {
  constructor() {
    super('unavailable', 'mail_not_configured', 'This service has not been set up to send mail.');
  }
}

/** The mail server says that there is no such mailbox, or that it takes no mail, for good (a 5xx reply to RCPT TO). */
export class MailRefusedError extends AppError {
  /** @param path - JSON Pointer of the field that holds the address */
  constructor(cause: unknown, path = '/email') {
    const message = 'does not take mail, says the mail server';
    super('invalid', 'mail_refused', `${path.slice(1)}: ${message}`, {
      cause,
      errors: [{ path, message }],
    });
  }
}
