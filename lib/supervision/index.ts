export {
  type Backoff,
  type BackoffFunction,
  type BackoffOptions,
  defaultBackoff,
  delayAfter,
  type ExponentialBackoff,
} from './backoff.js';
export {
  type Decision,
  decide,
  type RestartMode,
  type RestartPolicy,
  RestartState,
  withSafeBackoff,
} from './restart-policy.js';
export { RestartWindow } from './restart-window.js';
export {
  type OnExhausted,
  readBackoff,
  readLimit,
  type ResolvedSupervision,
  resolveSupervision,
  type SupervisionOptions,
  supervisionOptionNames,
} from './supervision-options.js';
export { Supervisor, type Supervised, type SupervisorEnvironment } from './supervisor.js';
