import { OptionReader } from '../../execution/index.js';

/** Options of `WorkerTracingModule`. */
export interface WorkerTracingOptions {
  /**
   * How the span of an attempt at a job is tied to the one that the job carries along: that of its enqueueing, or what
   * was active there. `'link'` (default): a trace of its own, linked to the other. `'parent'`: the same trace, as a child;
   * then whether it is sampled was decided there.
   */
  readonly jobs?: 'link' | 'parent' | undefined;
  /**
   * Which calls of `enqueue()` and `enqueueMany()` have a span, one for all jobs of a call. `'inside'` (default): those
   * inside of another span, whose child it is. `'always'`: all. `'never'`: none; jobs carry what is active.
   */
  readonly enqueueing?: 'inside' | 'always' | 'never' | undefined;
}

/** What `resolveTracingOptions()` makes of them. */
export type ResolvedTracingOptions = {
  readonly [Option in keyof WorkerTracingOptions]-?: NonNullable<WorkerTracingOptions[Option]>;
};

/** Checks the options and completes them. Throws `InvalidOptionError`. */
export function resolveTracingOptions(options: WorkerTracingOptions): ResolvedTracingOptions {
  const reader = new OptionReader('WorkerTracingModule.register()', options, ['jobs', 'enqueueing']);
  return {
    jobs: reader.oneOf<'link' | 'parent'>('jobs', 'link', ['link', 'parent']),
    enqueueing: reader.oneOf<'inside' | 'always' | 'never'>('enqueueing', 'inside', [
      'inside',
      'always',
      'never',
    ]),
  };
}
