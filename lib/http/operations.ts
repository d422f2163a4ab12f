import type { Operation } from './operation.js';
import { gocraftOperations } from './operations/gocraft.js';
import { jobQueueOperations } from './operations/job-queues.js';
import { jobOperations } from './operations/jobs.js';
import { overviewOperations } from './operations/overview.js';
import { scalingOperations } from './operations/scaling.js';
import { taskQueueOperations } from './operations/task-queues.js';
import { workerOperations } from './operations/workers.js';

import { liveOperation } from './operations/live.js';
import { openApiOperation } from './operations/open-api.js';
import { pageOperations } from './operations/page.js';

const documented: readonly Operation[] = [
  ...overviewOperations,
  ...workerOperations,
  ...taskQueueOperations,
  ...jobQueueOperations,
  ...scalingOperations,
  ...jobOperations,
  ...gocraftOperations,
  liveOperation,
];

/** All that there is below the path of a module. */
export const operations: readonly Operation[] = [
  ...documented,
  openApiOperation(documented),
  ...pageOperations,
];
