import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { Program } from './program.js';
import { requireFreshSampleApp } from './dist.js';
import { repository } from './repository.js';

/** A folder for an inbox. Remove it at the end. */
export function makeInbox(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'nestjs-worker-inbox-'));
}

/** The sample app as it was built, in a process of its own, with an inbox of its own unless `INBOX` names one. */
export class SampleApp {
  readonly #program: Program;
  readonly inbox: string;
  readonly #ownsInbox: boolean;
  #url = '';

  private constructor(program: Program, inbox: string, ownsInbox: boolean) {
    this.#program = program;
    this.inbox = inbox;
    this.#ownsInbox = ownsInbox;
  }

  /** Answers once it listens. */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<SampleApp> {
    requireFreshSampleApp();
    const inbox = env['INBOX'] ?? (await makeInbox());
    const program = new Program(process.execPath, [`${repository}dist/sample-app/main.js`], {
      PORT: '0',
      INBOX: inbox,
      // Jobs are in memory unless the test says otherwise.
      REDIS_URL: '',
      ...env,
    });
    const app = new SampleApp(program, inbox, env['INBOX'] === undefined);
    try {
      app.#url = await app.#listening();
    } catch (error) {
      await app.stop();
      throw error;
    }
    return app;
  }

  /** Without a slash at its end. */
  get url(): string {
    return this.#url;
  }

  /** What it has logged, line by line. */
  get log(): readonly string[] {
    return this.#program.stdout;
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    return this.#ask(path, { method: 'GET' });
  }

  async post(
    path: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ status: number; text: string }> {
    return this.#ask(path, { method: 'POST', headers });
  }

  /** The value of a series, named as `/metrics` names it; 0 if there is none. */
  async metric(series: string): Promise<number> {
    const { text } = await this.get('/metrics');
    const line = text.split('\n').find((one) => one.startsWith(`${series} `));
    return Number(line?.slice(series.length) ?? 0);
  }

  /** Presses Ctrl-C. */
  interrupt(): void {
    this.#program.signal('SIGINT');
  }

  /** Does as Kubernetes does. */
  terminate(): void {
    this.#program.signal('SIGTERM');
  }

  /** As the kernel does when memory runs out. */
  kill(): void {
    this.#program.signal('SIGKILL');
  }

  /** Its exit code, or the signal that ended it. */
  get ended(): Promise<number | NodeJS.Signals> {
    return this.#program.ended;
  }

  async stop(): Promise<void> {
    await this.#program.stop();
    if (this.#ownsInbox) await rm(this.inbox, { recursive: true, force: true });
  }

  async #ask(path: string, request: RequestInit): Promise<{ status: number; text: string }> {
    const response = await fetch(`${this.#url}${path}`, request);
    return { status: response.status, text: await response.text() };
  }

  async #listening(): Promise<string> {
    return vi.waitUntil(
      () => {
        if (!this.#program.running) {
          throw new Error(`It has ended: ${[...this.log, ...this.#program.stderr].join('\n')}`);
        }
        return /Metrics: +(http.*)\/metrics/.exec(this.log.join('\n'))?.[1];
      },
      { timeout: 20_000, interval: 20 },
    );
  }
}
