import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A program that a test has started. */
export class Program {
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  readonly #child: ChildProcess;
  /** Its exit code, or the signal that ended it, once it has ended and all its output is there. */
  readonly ended: Promise<number | NodeJS.Signals>;

  constructor(path: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(path, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('It has no pipes');
    createInterface(stdout).on('line', (line) => this.stdout.push(line));
    createInterface(stderr).on('line', (line) => this.stderr.push(line));
    this.ended = once(this.#child, 'close').then((result) => {
      const [code, signal] = result as [number, null] | [null, NodeJS.Signals];
      return code ?? signal;
    });
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it: asks first, and insists after `patienceMs`. */
  async stop(patienceMs = 10_000): Promise<void> {
    if (this.running) this.signal('SIGTERM');
    const insist = setTimeout(() => this.signal('SIGKILL'), patienceMs);
    await this.ended;
    clearTimeout(insist);
  }
}
