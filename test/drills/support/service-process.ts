import { type ChildProcess, fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { killed, tracked } from './drill-processes.ts';
import { ServiceApi } from './service-api.ts';
import type { Question, Reply, ServiceOptions, ToChild, ToParent } from './service-protocol.ts';
import { untilTrue } from './waiting.ts';

const CHILD = fileURLToPath(new URL('./service-child.ts', import.meta.url));
const FAULT_LIMIT_MS = 20_000;
/** What a process takes to listen on two idle cores, and a little more. */
const USUAL_START_MS = 1_500;
const NO_ANSWER: Reply = { ok: false, code: 'no_answer' };

/** One instance of the service in a process of its own. */
export class ServiceProcess implements AsyncDisposable {
  /** When it was started, by `performance.now()`. */
  readonly startedAt: number;
  /** How much longer than usual it took to listen, in milliseconds: that is the machine being busy, not the service. */
  readonly startDelayMs: number;
  readonly api: ServiceApi;
  /** Settles when the process is gone. */
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #asked = 0;

  private constructor(child: ChildProcess, port: number, startedAt: number) {
    this.#child = child;
    this.startedAt = startedAt;
    this.startDelayMs = Math.max(0, performance.now() - startedAt - USUAL_START_MS);
    this.api = new ServiceApi(`http://127.0.0.1:${port}`);
    child.on('message', (message: ToParent) => {
      if ('reply' in message) this.#waiting.get(message.id)?.(message.reply);
    });
    this.exited = new Promise((resolve) => {
      const end = () => {
        for (const settle of this.#waiting.values()) settle(NO_ANSWER);
        resolve();
      };
      if (isOver(child)) end();
      else child.once('exit', end);
    });
  }

  /** @returns once it listens */
  static async start(options: ServiceOptions): Promise<ServiceProcess> {
    const startedAt = performance.now();
    const child = tracked(fork(CHILD, [JSON.stringify(options)], { stdio: 'inherit' }));
    const port = await new Promise<number>((resolve, reject) => {
      child.on('message', (message: ToParent) => 'port' in message && resolve(message.port));
      child.once('exit', (code) => reject(new Error(`the service ended at its start: ${code}`)));
    });
    return new ServiceProcess(child, port, startedAt);
  }

  /**
   * Asks over IPC; answered with `no_answer` when the process ends first.
   *
   * @param onSent - called when the question is on its way, before it is answered
   */
  async ask(question: Question, onSent: () => void = () => {}): Promise<Reply> {
    if (isOver(this.#child)) return NO_ANSWER;
    this.#asked += 1;
    const id = this.#asked;
    const reply = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
    const message: ToChild = { id, question };
    // A failure is the same as no answer: the process is ending.
    this.#child.send(message, onSent);
    try {
      return await reply;
    } finally {
      this.#waiting.delete(id);
    }
  }

  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Waits until an armed `SIGSTOP` has struck. */
  async paused(): Promise<void> {
    await untilTrue('the process pauses', FAULT_LIMIT_MS, async () => {
      const stat = await readFile(`/proc/${this.#child.pid}/stat`, 'utf8');
      return /\) [Tt] /.test(stat);
    });
  }

  /** `kill -9`. */
  kill(): Promise<void> {
    return killed(this.#child);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
