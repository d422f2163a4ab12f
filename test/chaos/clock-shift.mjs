// Given to node by --import, also for its threads: in this process the time of day is off by CHAOS_CLOCK_SHIFT
// milliseconds. What counts from a start (performance.now(), timers, hrtime) is right, as on such a machine.
const shiftMs = Number(process.env.CHAOS_CLOCK_SHIFT ?? 0);
const Right = Date;

globalThis.Date = class Date extends Right {
  constructor(...given) {
    if (given.length === 0) super(Right.now() + shiftMs);
    else super(...given);
  }

  static now() {
    return Right.now() + shiftMs;
  }
};

const origin = performance.timeOrigin;
Object.defineProperty(performance, 'timeOrigin', { get: () => origin + shiftMs, configurable: true });
