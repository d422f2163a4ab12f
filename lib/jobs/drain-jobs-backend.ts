import type { Clock } from '../clock/index.js';
import { isWorkError, JobBackendError } from '../errors/index.js';
import { toErrorInfo } from '../events/index.js';
import type { JobBackend } from './job-backend.js';

const calls = [
  'open',
  'close',
  'enqueue',
  'claim',
  'extend',
  'settle',
  'get',
  'list',
  'delete',
  'cancel',
  'retry',
  'pause',
  'counts',
] as const satisfies readonly (keyof JobBackend)[];

/** By its shape: it may be of another copy of this package, or of a user. */
export function isJobBackend(value: unknown): value is JobBackend {
  if (typeof value !== 'object' || value === null) return false;
  const backend = value as Partial<Record<keyof JobBackend, unknown>>;
  return (
    typeof backend.capabilities === 'object' &&
    backend.capabilities !== null &&
    calls.every((call) => typeof backend[call] === 'function')
  );
}

/** Opens a backend for nobody but the caller, who runs no jobs. */
export async function openAlone(
  backend: JobBackend,
  clock: Clock,
  onWarning: (message: string) => void,
): Promise<void> {
  await askBackend(backend, 'could not be opened', () =>
    backend.open({
      onRevoked: () => {},
      // A call that fails for that says so.
      onConnection: () => {},
      warn: onWarning,
      setTimer: (callback, delayMs) => clock.setTimer(callback, delayMs),
    }),
  );
}

/** Calls a backend. What fails says of which one; `failing` is the rest of the sentence "The job backend …". */
export async function askBackend<Answer>(
  backend: JobBackend,
  failing: string,
  run: (backend: JobBackend) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await run(backend);
  } catch (error) {
    if (isWorkError(error)) throw error;
    const { message } = toErrorInfo(error);
    throw new JobBackendError(backend.capabilities.name, `${failing}: ${message}`, { cause: error });
  }
}
