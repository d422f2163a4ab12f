import type { QueuedTask } from './queued-task.js';

interface Watched {
  readonly tasks: Set<QueuedTask>;
  readonly stop: () => void;
}

/** Listens to the signals that tasks were given: once to each, however many tasks share it. */
export class SignalWatch {
  readonly #watched = new Map<AbortSignal, Watched>();
  readonly #onAbort: (task: QueuedTask, reason: unknown) => void;

  constructor(onAbort: (task: QueuedTask, reason: unknown) => void) {
    this.#onAbort = onAbort;
  }

  /** Answers false where the signal has aborted already. */
  add(task: QueuedTask, signal: AbortSignal): boolean {
    if (signal.aborted) return false;
    let watched = this.#watched.get(signal);
    if (watched === undefined) this.#watched.set(signal, (watched = this.#watch(signal)));
    watched.tasks.add(task);
    return true;
  }

  remove(task: QueuedTask, signal: AbortSignal): void {
    const watched = this.#watched.get(signal);
    if (watched === undefined) return;
    watched.tasks.delete(task);
    if (watched.tasks.size > 0) return;
    watched.stop();
    this.#watched.delete(signal);
  }

  #watch(signal: AbortSignal): Watched {
    const tasks = new Set<QueuedTask>();
    const listener = (): void => {
      this.#watched.delete(signal);
      for (const task of tasks) this.#onAbort(task, signal.reason);
    };
    signal.addEventListener('abort', listener, { once: true });
    return { tasks, stop: () => signal.removeEventListener('abort', listener) };
  }
}
