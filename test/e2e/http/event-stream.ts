import { onTestFinished, vi } from 'vitest';

export interface StreamEvent<Data = Record<string, unknown>> {
  readonly type: string;
  readonly data: Data;
}

/** A reader of the event stream that sends headers, as the page does. It is closed when the test is over. */
export class EventStream {
  readonly events: StreamEvent[] = [];
  readonly comments: string[] = [];
  #text = '';
  #isOver = false;
  readonly #controller: AbortController;
  /** Once the server has ended it, or the reader has left. */
  readonly ended: Promise<void>;

  private constructor(
    readonly response: Response,
    controller: AbortController,
  ) {
    this.#controller = controller;
    this.ended = this.#read().finally(() => (this.#isOver = true));
  }

  static async open(url: string, headers: Record<string, string>): Promise<EventStream> {
    const controller = new AbortController();
    const response = await fetch(url, { headers, signal: controller.signal });
    const stream = new EventStream(response, controller);
    onTestFinished(() => stream.leave());
    return stream;
  }

  /** The first event of that type, from the `from`th on, that has come or is to come. */
  async next<Data = Record<string, unknown>>(
    type: string,
    matches: (data: Data) => boolean = () => true,
    from = 0,
  ): Promise<Data> {
    const found = (): StreamEvent | undefined =>
      this.events.slice(from).find((event) => event.type === type && matches(event.data as Data));
    await vi.waitUntil(
      () => {
        if (found() !== undefined) return true;
        if (this.#isOver) throw new Error(`The stream has ended without such a ${type}`);
        return false;
      },
      { timeout: 10_000, interval: 5 },
    );
    return found()!.data as Data;
  }

  leave(): void {
    this.#controller.abort();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.response.body!)
        this.#take(decoder.decode(chunk as Uint8Array, { stream: true }));
    } catch (error) {
      if (!this.#controller.signal.aborted) throw error;
    }
  }

  #take(text: string): void {
    const blocks = (this.#text + text).split('\n\n');
    this.#text = blocks.pop()!;
    for (const block of blocks) {
      if (block.startsWith(':')) this.comments.push(block.slice(1).trim());
      else this.events.push(eventOf(block));
    }
  }
}

export function eventOf(block: string): StreamEvent {
  const [type, data, ...rest] = block.split('\n');
  if (!type!.startsWith('event: ') || !data!.startsWith('data: ') || rest.length > 0)
    throw new Error(`This is no event: ${block.slice(0, 200)}`);
  return {
    type: type!.slice('event: '.length),
    data: JSON.parse(data!.slice('data: '.length)) as StreamEvent['data'],
  };
}
