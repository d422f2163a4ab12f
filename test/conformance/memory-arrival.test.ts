import { describeJobBackend } from 'nestjs-worker/testing';
import { describe, it } from 'vitest';
import { ArrivalJobBackend } from '../support/arrival-job-backend.js';
import { memorySubject } from '../support/memory-subject.js';

// What is asked of a backend whose jobs are in order of arrival, and whose tokens are any text, can be done.
describeJobBackend({
  runner: { describe, it },
  capabilities: new ArrivalJobBackend().capabilities,
  make: () => memorySubject(ArrivalJobBackend),
  timeTravels: true,
});
