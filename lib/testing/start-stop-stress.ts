/** Anything that is started and stopped. */
export interface StartStopService {
  start(): unknown;
  stop(): unknown;
  restart?(): unknown;
}

export interface StressOptions {
  /** How many call at the same time. Default 10. */
  readonly actors?: number;
  /** Calls of each. Default 50. */
  readonly calls?: number;
  /** Numbers from 0 up to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

const nextTurn = setImmediate;

/**
 * Starts, stops and restarts a service in a random order from many sides at once, and stops it at the end. A
 * sound service takes all of it, and is stopped afterwards: look at that, and that it holds no timer or handle.
 * Rejects with whatever a call throws, at once or later.
 */
export async function stressStartStop(service: StartStopService, options: StressOptions = {}): Promise<void> {
  const { actors = 10, calls = 50, random = Math.random } = options;
  const commands = [
    () => service.start(),
    () => service.stop(),
    ...(service.restart === undefined ? [] : [() => service.restart?.()]),
  ];
  const results: Promise<unknown>[] = [];
  const act = async (): Promise<void> => {
    for (let call = 0; call < calls; call++) {
      const result = Promise.resolve(commands[Math.floor(random() * commands.length)]?.());
      // Told of at the end: until then nobody may be waiting for it.
      result.catch(() => {});
      results.push(result);
      // Some calls wait for their end and some do not, as callers do.
      if (random() < 0.5) await result;
      else await new Promise<void>((resolve) => nextTurn(resolve));
    }
  };
  await Promise.all(Array.from({ length: actors }, act));
  await service.stop();
  await Promise.all(results);
}
