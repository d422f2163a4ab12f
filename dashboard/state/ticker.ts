type TextAt = (now: number) => string;

/**
 * One clock for all times that run on the page. Each second it writes those that can be seen, and no others: with
 * hundreds of rows, drawing each anew would cost more than all the rest.
 */
export class Ticker {
  /** By how much the clock of the server is ahead, in milliseconds. */
  aheadMs = 0;
  readonly #texts = new Map<Element, TextAt>();
  readonly #visible = new Set<Element>();
  readonly #listeners = new Set<() => void>();
  readonly #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: '200px' });

  constructor() {
    setInterval(() => this.#tick(), 1_000);
    document.addEventListener('visibilitychange', () => this.#tick());
  }

  /** The time of the server. */
  get now(): number {
    return Date.now() + this.aheadMs;
  }

  /** Keeps the text of an element up to date. Answers a function that ends it. */
  write(element: Element, textAt: TextAt): () => void {
    this.#texts.set(element, textAt);
    show(element, textAt(this.now));
    this.#observer.observe(element);
    return () => {
      this.#observer.unobserve(element);
      this.#texts.delete(element);
      this.#visible.delete(element);
    };
  }

  /** Told each second while the page can be seen. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tick(): void {
    if (document.hidden) return;
    const { now } = this;
    for (const element of this.#visible) {
      const textAt = this.#texts.get(element);
      if (textAt !== undefined) show(element, textAt(now));
    }
    for (const listener of this.#listeners) listener();
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    const { now } = this;
    for (const { target, isIntersecting } of entries) {
      const textAt = this.#texts.get(target);
      if (!isIntersecting || textAt === undefined) {
        this.#visible.delete(target);
        continue;
      }
      this.#visible.add(target);
      show(target, textAt(now));
    }
  }
}

function show(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
