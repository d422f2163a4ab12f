import { describe, expect, it, vi } from 'vitest';
import { EventEmitter, type ListenerFailure } from '../../lib/events/index.js';

function emitter(): { events: EventEmitter<string>; failures: ListenerFailure<string>[] } {
  const failures: ListenerFailure<string>[] = [];
  return { events: new EventEmitter<string>((failure) => failures.push(failure)), failures };
}

describe('EventEmitter', () => {
  it('tells listeners in the order in which they were added', () => {
    const { events } = emitter();
    const told: string[] = [];
    events.on((event) => told.push(`1${event}`));
    events.on((event) => told.push(`2${event}`));
    events.emit('a');
    events.emit('b');
    expect(told).toEqual(['1a', '2a', '1b', '2b']);
  });

  it('tells the others when one throws, and reports it with its event', () => {
    const { events, failures } = emitter();
    const error = new Error('listener');
    const other = vi.fn();
    events.on(() => {
      throw error;
    });
    events.on(other);
    events.emit('a');
    expect(other).toHaveBeenCalledExactlyOnceWith('a');
    expect(failures).toEqual([{ error, event: 'a' }]);
  });

  it('reports what an async listener rejects with, and waits for none', async () => {
    const { events, failures } = emitter();
    const error = new Error('async listener');
    events.on(async () => {
      await Promise.resolve();
      throw error;
    });
    events.emit('a');
    expect(failures).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(failures).toEqual([{ error, event: 'a' }]);
  });

  it('tells a listener that is added while an event is told only of the next one', () => {
    const { events } = emitter();
    const late = vi.fn();
    events.on((event) => {
      if (event === 'a') events.on(late);
    });
    events.emit('a');
    expect(late).not.toHaveBeenCalled();
    events.emit('b');
    expect(late).toHaveBeenCalledExactlyOnceWith('b');
  });

  it('skips nobody when a listener takes itself off while an event is told', () => {
    const { events } = emitter();
    const told: string[] = [];
    const off = events.on((event) => {
      told.push(`once ${event}`);
      off();
    });
    events.on((event) => told.push(`always ${event}`));
    events.emit('a');
    events.emit('b');
    expect(told).toEqual(['once a', 'always a', 'always b']);
  });

  it('adds the same function twice as two listeners, each taken off by its own', () => {
    const { events } = emitter();
    const listener = vi.fn();
    const off = events.on(listener);
    events.on(listener);
    events.emit('a');
    off();
    off();
    events.emit('b');
    expect(listener.mock.calls).toEqual([['a'], ['a'], ['b']]);
  });

  it('tells of an event that a listener causes in between', () => {
    const { events } = emitter();
    const told: string[] = [];
    events.on((event) => {
      if (event === 'a') events.emit('b');
    });
    events.on((event) => told.push(event));
    events.emit('a');
    expect(told).toEqual(['b', 'a']);
  });
});
