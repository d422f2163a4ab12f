export {
  type Backoff,
  type BackoffFunction,
  type BackoffOptions,
  delayAfter,
  type ExponentialBackoff,
} from './backoff.js';
export {
  type Decision,
  decide,
  type RestartMode,
  type RestartPolicy,
  RestartState,
} from './restart-policy.js';
export { RestartWindow } from './restart-window.js';
export {
  type OnExhausted,
  type ResolvedSupervision,
  resolveSupervision,
  type SupervisionOptions,
  supervisionOptionNames,
} from './supervision-options.js';
export { Supervisor, type Supervised, type SupervisorEnvironment } from './supervisor.js';
