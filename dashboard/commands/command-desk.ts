import { Store } from '../state/store.js';
import type { Command } from './command.js';

/** How a command goes, for everybody to read. */
export interface Toast {
  readonly id: number;
  readonly state: 'pending' | 'done' | 'failed';
  readonly text: string;
}

/** How long it says that a command was carried out. What failed stays until it is dismissed. */
const doneShownMs = 8_000;

/** Where commands are handed in: asks back, has them carried out, and says how it went. */
export class CommandDesk {
  /** What waits for a yes or no. */
  readonly asked = new Store<Command | null>(null);
  /** The targets of the commands that are under way. */
  readonly pending = new Store<ReadonlySet<string>>(new Set());
  readonly toasts = new Store<readonly Toast[]>([]);
  #onAnswer: ((answer: unknown) => void) | undefined;
  #lastId = 0;

  /** `onAnswer`: what is to be done with the answer of the server. */
  ask(command: Command, onAnswer?: (answer: unknown) => void): void {
    if (this.pending.value.has(command.target)) return;
    this.#onAnswer = onAnswer;
    // Another object each time: the same question asked again is a new one.
    this.asked.set({ ...command });
  }

  refuse(): void {
    this.asked.set(null);
  }

  async confirm(): Promise<void> {
    const command = this.asked.value;
    const onAnswer = this.#onAnswer;
    this.asked.set(null);
    if (command === null || this.pending.value.has(command.target)) return;
    const id = ++this.#lastId;
    this.pending.update((pending) => new Set([...pending, command.target]));
    this.#say({ id, state: 'pending', text: command.doing });
    try {
      const answer = await command.run();
      onAnswer?.(answer);
      this.#say({ id, state: 'done', text: command.done(answer) });
      setTimeout(() => this.dismiss(id), doneShownMs);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#say({ id, state: 'failed', text: `${command.question.replace(/\?$/, '')}: failed. ${reason}` });
    } finally {
      this.pending.update((pending) => new Set([...pending].filter((target) => target !== command.target)));
    }
  }

  dismiss(id: number): void {
    this.toasts.update((toasts) => toasts.filter((toast) => toast.id !== id));
  }

  #say(toast: Toast): void {
    this.toasts.update((toasts) =>
      toasts.some(({ id }) => id === toast.id)
        ? toasts.map((one) => (one.id === toast.id ? toast : one))
        : [...toasts, toast],
    );
  }
}
