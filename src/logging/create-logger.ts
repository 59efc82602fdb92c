import { type DestinationStream, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

/** JSON lines for machines, or a line a person can read. What carries credentials is never written. */
export function createLogger(options: { level: string; pretty: boolean }): Logger {
  const { level } = options;
  const redact = ['req.headers.authorization', 'req.headers.cookie', 'headers.authorization'];
  return pino({ level, redact }, options.pretty ? prettyStream() : undefined);
}

/** In this process, not in a worker: a crash then loses no lines. */
function prettyStream(): DestinationStream {
  return pretty({
    colorize: process.stdout.isTTY,
    ignore: 'pid,hostname,method,path,status',
    singleLine: true,
    sync: true,
  });
}
