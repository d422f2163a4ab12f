import { OptionReader } from '../../execution/index.js';
import type { TaskFunction } from '../../tasks/index.js';
import { nameOfCall, pathOfFile } from './thread-file.js';
import { ThreadPool, type ThreadTransfer } from './thread-pool.js';
import { resolveThreadsOptions, type ThreadsOptions } from './threads-options.js';

export interface InThreadOptions {
  /** The export of the file to call. Default: its default export, or `module.exports` itself. */
  readonly export?: string;
  /**
   * Parts of the input to move instead of copying them; this thread can use them no more. An `ArrayBuffer` is moved
   * by the last attempt that `maxAttempts` allows, and copied by those before it, since the next one needs it again.
   * Default: everything is copied.
   */
  readonly transfer?: readonly ThreadTransfer[];
}

/** The type of `inThread()`. */
export type InThread = <Result = unknown>(
  file: URL | string,
  input?: unknown,
  options?: InThreadOptions,
) => TaskFunction<Result>;

/** Threads of one's own. */
export interface Threads {
  /** As `inThread()`, in one of these threads. */
  readonly inThread: InThread;
  /**
   * Ends all of them at once. What still runs in them, and what is to run there later, fails with a `DiscardError`:
   * shut the queues down first. Not needed for the process to end, nor for idle threads to go.
   */
  close(): Promise<void>;
}

/**
 * Makes threads apart from those that `inThread()` shares, to bound their number or their memory. They begin when
 * they are needed. Throws `InvalidOptionError`.
 */
export function createThreads(options: ThreadsOptions = {}): Threads {
  const pool = new ThreadPool(resolveThreadsOptions(options));
  return { inThread: inThreadOf(() => pool), close: () => pool.close() };
}

// On globalThis under a versioned name: the ESM and the CommonJS copy of this package share the threads.
const key = Symbol.for('nestjs-worker:threads:v1');
const shared = globalThis as { [key]?: ThreadPool };

/**
 * Makes a task that calls a function of `file` with `input` in a thread of its own, and has what it returns, or what
 * the promise that it returns resolves to, as its result. For work that keeps the CPU busy: meanwhile this thread
 * serves requests, and the task is retried, timed, counted and drained as any other. Give it to `submit()` or
 * `enqueue()`; its name there is that of the file, without its ending, and of the export if one is given.
 *
 * - `file`: a `file:` URL, as in `new URL('./resize.js', import.meta.url)`, or an absolute path, as in
 *   `join(__dirname, 'resize.js')`; JavaScript, a module of either kind. It is loaded once in each thread.
 * - `input`: anything that `structuredClone()` copies, as it does the result. It is all that the function is given:
 *   `ctx`, `currentContext()`, the carried async context and providers of the app stay in this thread.
 *
 * When the attempt is told to end (`timeout`, `cancel()`, shutdown) its thread is ended, in the middle of a loop too,
 * and the attempt ends once it is gone. Only a call into native code has to return first. The next attempt gets
 * another thread. So does one whose thread broke: it called `process.exit()`, ran out of memory, threw outside of
 * the call.
 *
 * While all threads are taken an attempt waits for one; that counts towards its `timeout`. Keep the queue's
 * `concurrency` at the number of threads where that matters.
 *
 * An error arrives with its message, its stack and the name that the stack begins with; its other properties and its
 * class do not. One that is named `DiscardError` means: do not try again. The attempt fails with a `DiscardError`
 * also where the file has no such function, and where input or result cannot be copied.
 *
 * The threads are shared by the whole process: as many as it has CPUs (`os.availableParallelism()`), begun when they
 * are needed, and gone after ten seconds without work. They do not hold the process open. `createThreads()` makes
 * others.
 *
 * Throws `InvalidOptionError` where there is no such file, and for options that are not known.
 */
export const inThread: InThread = inThreadOf(
  () => (shared[key] ??= new ThreadPool(resolveThreadsOptions({}))),
);

function inThreadOf(pool: () => ThreadPool): InThread {
  return <Result>(file: URL | string, input?: unknown, options: InThreadOptions = {}) => {
    const path = pathOfFile(file);
    const exported = readExport(path, options);
    const name = nameOfCall(path, exported);
    const transfer = options.transfer ?? [];
    const run: TaskFunction<Result> = ({ signal, attempt, maxAttempts }) =>
      pool().run(
        { name, path, exported, input, transfer, again: attempt < maxAttempts },
        signal,
      ) as Promise<Result>;
    // What a task is called by unless it is given a name.
    return Object.defineProperty(run, 'name', { value: name });
  };
}

/** Checks the options; answers the name of the export. */
function readExport(path: string, options: InThreadOptions): string {
  const reader = new OptionReader(`inThread("${path}")`, options, ['export', 'transfer']);
  const { export: exported = 'default', transfer } = options;
  if (typeof exported !== 'string' || exported === '')
    reader.refuse('export', 'a text that is not empty', 'Name an export of the file.');
  if (transfer !== undefined && !Array.isArray(transfer))
    reader.refuse('transfer', 'an array', 'List what is to be moved: { transfer: [bytes.buffer] }.');
  return exported;
}
