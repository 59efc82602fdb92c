import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { type ParsedMail, parseMail } from './parsed-mail.ts';

/** A mail as it arrived. */
export interface ReceivedMail extends ParsedMail {
  from: string;
  /** As the commands had them. */
  recipients: string[];
  /** Whether it came over TLS. */
  secure: boolean;
  user: string | undefined;
  raw: string;
}

/** How a server behaves that does not simply take every mail. */
export interface SmtpBehaviour {
  /** What it replies to RCPT TO, as `550` or `550 5.7.1 relay access denied`. */
  recipientReply?: string;
  /** What it replies after the mail, given what it has received. */
  dataReply?: (raw: string) => string;
  /** Whom it lets in, and nobody else. */
  credentials?: { user: string; pass: string };
  /** Its certificate, which goes with `tls`. */
  certificate?: { key: string; cert: string };
  /** From the first byte, or by STARTTLS; by default it has none. */
  tls?: 'implicit' | 'starttls';
}

/** A real mail server on a free port of this machine. */
export interface TestSmtpServer extends AsyncDisposable {
  port: number;
  mails: ReceivedMail[];
  /** Every command it got, oldest first. */
  commands: string[];
  /** Changes how it behaves from now on: the replies only. */
  behaviour: SmtpBehaviour;
}

/** Starts a mail server. */
export async function startSmtpServer(behaviour: SmtpBehaviour = {}): Promise<TestSmtpServer> {
  const mails: ReceivedMail[] = [];
  const commands: string[] = [];
  const current = { ...behaviour };
  const server = new SMTPServer({
    ...securityOf(behaviour),
    logger: recording(commands),
    onRcptTo: (_address, _session, done) => done(refusalOf(current.recipientReply)),
    onAuth: ({ username: user, password: pass }, _session, done) => {
      const { credentials } = current;
      if (user === credentials?.user && pass === credentials?.pass) done(null, { user });
      else done(refusalOf(`535 5.7.8 wrong: ${user} ${pass}`));
    },
    onData: (stream, { envelope, secure, user }, done) => {
      void text(stream).then((raw) => {
        const reply = current.dataReply?.(raw);
        if (reply !== undefined) return done(refusalOf(reply));
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
        const recipients = envelope.rcptTo.map(({ address }) => address);
        mails.push({ ...parseMail(raw), from, recipients, secure, user, raw });
        done();
      }, done);
    },
  });
  // A client that breaks off is part of some tests.
  server.on('error', () => {});
  const listening = server.listen(0, '0.0.0.0');
  await once(listening, 'listening');
  return {
    port: (listening.address() as AddressInfo).port,
    ...{ mails, commands, behaviour: current },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.close(resolve));
    },
  };
}

/** A server that takes connections and says nothing. */
export async function startSilentServer(): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function securityOf({ credentials, tls, certificate }: SmtpBehaviour): SMTPServerOptions {
  return {
    ...certificate,
    secure: tls === 'implicit',
    authOptional: credentials === undefined,
    disabledCommands: [
      ...(tls === 'starttls' ? [] : ['STARTTLS']),
      ...(credentials === undefined ? ['AUTH'] : []),
    ],
  };
}

function refusalOf(reply: string | undefined): Error | null {
  if (reply === undefined) return null;
  const [code, ...words] = reply.split(' ');
  return Object.assign(new Error(words.join(' ') || 'refused'), { responseCode: Number(code) });
}

function recording(commands: string[]) {
  const debug = (_data: object, message: string, line?: unknown) => {
    if (message === 'C:') commands.push(String(line));
  };
  const ignore = () => {};
  return {
    ...{ level: ignore, trace: ignore, debug },
    ...{ info: ignore, warn: ignore, error: ignore, fatal: ignore },
  };
}
