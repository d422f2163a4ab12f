import { setTimeout as delay } from 'node:timers/promises';
import { MemoryJobBackend } from 'nestjs-worker';
import { describeJobBackend } from 'nestjs-worker/testing';
import { describe, it } from 'vitest';

// As a backend is tested whose clock nobody can move.
describeJobBackend({
  runner: { describe, it },
  capabilities: new MemoryJobBackend().capabilities,
  make: () => ({ backend: new MemoryJobBackend(), now: () => Date.now(), advance: (ms) => delay(ms) }),
  unitMs: 25,
});
