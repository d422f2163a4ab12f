export { FakeClock } from './fake-clock.js';
export { EventRecorder, type EventMatch, recordEvents } from './event-recorder.js';
export { type StartStopService, type StressOptions, stressStartStop } from './start-stop-stress.js';
export { describeJobBackend } from './job-backend-conformance.js';
export type {
  ConformanceRunner,
  ConformanceSubject,
  JobBackendConformanceOptions,
} from './job-backend/conformance-options.js';
