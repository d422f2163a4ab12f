import { describe, it } from 'vitest';
import { MemoryJobBackend } from '../../lib/jobs/index.js';
import { describeJobBackend } from 'nestjs-worker/testing';
import { memorySubject } from '../support/memory-subject.js';

describeJobBackend({
  runner: { describe, it },
  capabilities: new MemoryJobBackend().capabilities,
  make: () => memorySubject(),
  timeTravels: true,
});
