/** A message of a stream of server-sent events. */
export interface ServerSentEvent {
  /** `message` where the stream names none. */
  readonly event: string;
  readonly data: string;
}

/**
 * Reads server-sent events out of text that comes in chunks, split anywhere. Lines may end in LF, CR or CRLF. Comments
 * (heartbeats) and events without data are no messages.
 */
export class EventStreamParser {
  #rest = '';
  #first = true;
  #event = '';
  #data: string[] = [];

  read(chunk: string): ServerSentEvent[] {
    const messages: ServerSentEvent[] = [];
    let text = this.#rest + chunk;
    if (this.#first && text !== '') {
      text = text.replace(/^\uFEFF/, '');
      this.#first = false;
    }
    for (;;) {
      const end = text.search(/[\r\n]/);
      // A CR at the end may be the first half of a CRLF.
      if (end === -1 || (text[end] === '\r' && end === text.length - 1)) break;
      const message = this.#line(text.slice(0, end));
      if (message !== undefined) messages.push(message);
      text = text.slice(text.startsWith('\r\n', end) ? end + 2 : end + 1);
    }
    this.#rest = text;
    return messages;
  }

  #line(line: string): ServerSentEvent | undefined {
    if (line === '') return this.#end();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#event = value;
    if (field === 'data') this.#data.push(value);
    return undefined;
  }

  #end(): ServerSentEvent | undefined {
    const event = this.#event === '' ? 'message' : this.#event;
    const data = this.#data;
    this.#event = '';
    this.#data = [];
    return data.length === 0 ? undefined : { event, data: data.join('\n') };
  }
}
