import { type DestinationStream, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

interface LoggerOptions {
  level: string;
  pretty: boolean;
  /** Fields of every line, such as the trace it belongs to. */
  fields?: (() => object) | undefined;
}

/** JSON lines for machines, or a line a person can read. What carries credentials is never written. */
export function createLogger({ level, pretty: isPretty, fields }: LoggerOptions): Logger {
  const redact = ['req.headers.authorization', 'req.headers.cookie', 'headers.authorization'];
  const options = { level, redact, ...(fields && { mixin: fields }) };
  return pino(options, isPretty ? prettyStream() : undefined);
}

/** In this process, not in a worker: a crash then loses no lines. */
function prettyStream(): DestinationStream {
  return pretty({
    colorize: process.stdout.isTTY,
    ignore: 'pid,hostname,method,path,status,trace_id,span_id',
    singleLine: true,
    sync: true,
  });
}
