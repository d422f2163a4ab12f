import { MemoryJobBackend } from 'nestjs-worker';
import { describeJobBackend } from 'nestjs-worker/testing';
import { describe, it } from 'vitest';
import { memorySubject } from '../support/memory-subject.js';

describeJobBackend({
  runner: { describe, it },
  capabilities: new MemoryJobBackend().capabilities,
  make: () => memorySubject(),
  timeTravels: true,
});
