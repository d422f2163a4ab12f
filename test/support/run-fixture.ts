import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import ts from 'typescript';
import { onTestFinished } from 'vitest';
import { requireFreshBuild } from './dist.js';
import { repository } from './repository.js';

// Inside of the package's own folder, so that `nestjs-worker` is found by its name, through its exports.
const compiled = `${repository}dist/test-fixtures`;

/** How a fixture app ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Milliseconds since the last signal that was sent, or else since the last line that was waited for. */
  readonly afterMs: number;
}

/** A fixture app in a process of its own, which is killed at the latest when the test is over. */
export class FixtureProcess {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #exit: Promise<readonly [number | null, NodeJS.Signals | null]>;
  #changed: (() => void)[] = [];
  #since = performance.now();
  #ended = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#exit = once(child, 'close').then((ended) => {
      this.#ended = true;
      this.#notify();
      return ended as [number | null, NodeJS.Signals | null];
    });
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        this.#notify();
      });
    }
  }

  get output(): string {
    return this.lines.join('\n');
  }

  /** The first line with that text, written or to come. */
  async line(text: string): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => line.includes(text));
      this.#since = performance.now();
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`Ended without a line "${text}":\n${this.output}`);
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#since = performance.now();
    this.#child.kill(signal);
  }

  /** Waits for its end. */
  async exit(): Promise<Exit> {
    const [code, signal] = await this.#exit;
    return { code, signal, afterMs: performance.now() - this.#since };
  }

  #notify(): void {
    const waiting = this.#changed;
    this.#changed = [];
    waiting.forEach((resume) => resume());
  }
}

/** Runs `test/e2e/fixtures/<name>.ts` by plain Node, against the package as it is built, with `options` as JSON. */
export function runFixture(name: string, options: object = {}): FixtureProcess {
  return startProgram(join(compileFixtures('test/e2e/fixtures'), `${name}.js`), options);
}

/** Runs a program of a test by plain Node, with `options` as JSON. */
export function startProgram(
  file: string,
  options: object = {},
  flags: readonly string[] = [],
): FixtureProcess {
  requireFreshBuild();
  const child = spawn(process.execPath, [...flags, file, JSON.stringify(options)], {
    cwd: repository,
    env: { ...process.env, NO_COLOR: '1', NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'close');
  });
  return new FixtureProcess(child);
}

const done = new Map<string, string>();

/** Compiles the fixtures of a folder; answers where they are. */
export function compileFixtures(folder: string): string {
  const known = done.get(folder);
  if (known !== undefined) return known;
  const into = join(compiled, folder);
  mkdirSync(into, { recursive: true });
  for (const file of readdirSync(`${repository}${folder}`)) {
    const { outputText } = ts.transpileModule(readFileSync(`${repository}${folder}/${file}`, 'utf8'), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        experimentalDecorators: true,
        emitDecoratorMetadata: true,
      },
    });
    // Files of tests that run at the same time write the same: whole, or not at all.
    const temporary = join(into, `${file}.${process.pid}`);
    writeFileSync(temporary, outputText);
    renameSync(temporary, join(into, file.replace(/\.ts$/, '.js')));
  }
  done.set(folder, into);
  return into;
}
