import { inspect } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { consoleLogger, LogLine, noLogger } from '../../lib/execution/index.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('LogLine', () => {
  it('is an object with message and fields for loggers that write JSON', () => {
    const line = new LogLine('started', { worker: 'relay', attempt: 2 });
    expect(JSON.parse(JSON.stringify(line))).toEqual({ msg: 'started', worker: 'relay', attempt: 2 });
  });

  it('is a line of text for loggers that print', () => {
    expect(inspect(new LogLine('started', { worker: 'relay', attempt: 2 }))).toBe(
      'started worker=relay attempt=2',
    );
    expect(inspect(new LogLine('plain', {}))).toBe('plain');
  });

  it('prints the stack of an error, or what there is of it', () => {
    expect(inspect(new LogLine('failed', { err: { message: 'boom', stack: 'Error: boom\n  at x' } }))).toBe(
      'failed\nError: boom\n  at x',
    );
    expect(inspect(new LogLine('failed', { err: { message: 'boom' } }))).toBe('failed\nboom');
    expect(inspect(new LogLine('failed', { err: 42 }))).toBe('failed\n42');
  });
});

describe('consoleLogger', () => {
  it.each(['debug', 'log', 'warn', 'error'] as const)('writes to console.%s', (level) => {
    const written = vi.spyOn(console, level).mockReturnValue();
    consoleLogger.child({ worker: 'relay' }).child({ shard: 1 })[level]('working', { rows: 3 });
    expect(written).toHaveBeenCalledTimes(1);
    expect({ ...(written.mock.calls[0]?.[0] as object) }).toEqual({
      msg: 'working',
      worker: 'relay',
      shard: 1,
      rows: 3,
    });
  });
});

describe('noLogger', () => {
  it('wants no line', () => {
    expect(noLogger.isEnabled?.('error')).toBe(false);
    expect(noLogger.child({ a: 1 })).toBe(noLogger);
    for (const level of ['debug', 'log', 'warn', 'error'] as const)
      expect(noLogger[level]('x')).toBeUndefined();
  });
});
