import type { ClaimedJob } from '../../jobs/index.js';

/*
 * A slot: its version (4 bytes; 0: nothing is in it), the length of its text (4), since when it is held in ms by the
 * machine's monotonic clock (8), and the text: token, a space, id.
 */
export const slotBytes = 256;
export const textAt = 16;
const slotsPerPage = 128;
const highestVersion = 2 ** 31 - 1;

interface Page {
  readonly words: Int32Array;
  readonly numbers: Float64Array;
  readonly bytes: Buffer;
}

/**
 * Jobs that are held, in memory that a thread reads. A message for each batch that is claimed or let go would cost more
 * than the jobs themselves, and would not be sent while the event loop is blocked.
 */
export class HeldLeases {
  readonly #onPage: (page: SharedArrayBuffer) => void;
  readonly #pages: Page[] = [];
  readonly #free: number[] = [];
  readonly #jobs: (ClaimedJob | undefined)[] = [];
  readonly #slots = new Map<ClaimedJob, number>();
  #version = 0;

  constructor(onPage: (page: SharedArrayBuffer) => void) {
    this.#onPage = onPage;
  }

  /**
   * `heldAt`: since when, in ms by the machine's monotonic clock. Answers whether there is a place for it: its id may be
   * too long.
   */
  hold(job: ClaimedJob, heldAt: number): boolean {
    const text = `${job.token} ${job.id}`;
    if (Buffer.byteLength(text) > slotBytes - textAt) return false;
    const slot = this.#free.pop() ?? this.#addPage();
    const { words, numbers, bytes } = this.#pages[Math.floor(slot / slotsPerPage)]!;
    const start = (slot % slotsPerPage) * slotBytes;
    words[start / 4 + 1] = bytes.write(text, start + textAt);
    numbers[start / 8 + 1] = heldAt;
    this.#version = this.#version === highestVersion ? 1 : this.#version + 1;
    Atomics.store(words, start / 4, this.#version);
    this.#jobs[slot] = job;
    this.#slots.set(job, slot);
    return true;
  }

  letGo(job: ClaimedJob): void {
    const slot = this.#slots.get(job);
    if (slot === undefined) return;
    this.#slots.delete(job);
    this.#jobs[slot] = undefined;
    this.#free.push(slot);
    const { words } = this.#pages[Math.floor(slot / slotsPerPage)]!;
    Atomics.store(words, ((slot % slotsPerPage) * slotBytes) / 4, 0);
  }

  /** The job in a slot, if it is still the one that was there. */
  at(slot: number, version: number): ClaimedJob | undefined {
    const words = this.#pages[Math.floor(slot / slotsPerPage)]?.words;
    return words?.[((slot % slotsPerPage) * slotBytes) / 4] === version ? this.#jobs[slot] : undefined;
  }

  all(): readonly ClaimedJob[] {
    return [...this.#slots.keys()];
  }

  #addPage(): number {
    const page = new SharedArrayBuffer(slotsPerPage * slotBytes);
    const first = this.#pages.length * slotsPerPage;
    this.#pages.push({
      words: new Int32Array(page),
      numbers: new Float64Array(page),
      bytes: Buffer.from(page),
    });
    for (let slot = first + slotsPerPage - 1; slot > first; slot--) this.#free.push(slot);
    this.#onPage(page);
    return first;
  }
}
