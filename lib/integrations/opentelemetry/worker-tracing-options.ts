import { OptionReader } from '../../execution/index.js';

/** Options of `WorkerTracingModule`. */
export interface WorkerTracingOptions {
  /**
   * How the span of an attempt at a job is tied to the span that was active where the job was enqueued.
   * `'link'` (default): a trace of its own, linked to the other. `'parent'`: the same trace, as a child; then
   * whether it is sampled was decided there.
   */
  readonly jobs?: 'link' | 'parent' | undefined;
}

/** Checks the options and completes them. Throws `InvalidOptionError`. */
export function resolveTracingOptions(options: WorkerTracingOptions): Required<WorkerTracingOptions> {
  const reader = new OptionReader('WorkerTracingModule.register()', options, ['jobs']);
  return { jobs: reader.oneOf<'link' | 'parent'>('jobs', 'link', ['link', 'parent']) };
}
