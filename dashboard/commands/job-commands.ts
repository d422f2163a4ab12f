import { pluralText } from '../format.js';
import { type Api, pathTo } from '../net/api.js';
import type { Command } from './command.js';

export function pauseCommand(api: Api, queue: string): Command {
  return {
    target: `queue ${queue}`,
    label: 'Pause',
    question: `Pause queue “${queue}”?`,
    explanation:
      'None of its jobs is handed out any more, in any process, until it is resumed. Jobs that run go on.',
    destructive: false,
    doing: `Pausing queue “${queue}” …`,
    done: () => `Queue “${queue}” is paused.`,
    run: () => api.post(pathTo('queues/{}/pause', queue)),
  };
}

export function resumeCommand(api: Api, queue: string): Command {
  return {
    target: `queue ${queue}`,
    label: 'Resume',
    question: `Resume queue “${queue}”?`,
    explanation: 'Its jobs are handed out again, to all processes that run them.',
    destructive: false,
    doing: `Resuming queue “${queue}” …`,
    done: () => `Queue “${queue}” is no longer paused.`,
    run: () => api.post(pathTo('queues/{}/resume', queue)),
  };
}

/** `dead`: how many there are by now. */
export function redriveCommand(api: Api, queue: string, dead: number): Command {
  return {
    target: `queue ${queue}`,
    label: 'Retry all dead',
    question: `Retry ${pluralText(dead, 'dead job')} of queue “${queue}”?`,
    explanation: 'All jobs that are dead now become due at once, each with all its attempts before it.',
    destructive: false,
    doing: `Retrying the dead jobs of queue “${queue}” …`,
    done: (answer) => `${pluralText(retriedIn(answer), 'job')} of queue “${queue}” will be run again.`,
    run: () => api.post(pathTo('queues/{}/redrive', queue), {}),
  };
}

function retriedIn(answer: unknown): number {
  const retried =
    typeof answer === 'object' && answer !== null && 'retried' in answer ? answer.retried : undefined;
  return typeof retried === 'number' ? retried : 0;
}

interface JobOfQueue {
  readonly queue: string;
  readonly id: string;
}

export function retryCommand(api: Api, { queue, id }: JobOfQueue): Command {
  return {
    target: `job ${queue} ${id}`,
    label: 'Retry',
    question: `Retry job “${id}” of queue “${queue}”?`,
    explanation: 'It becomes due at once, with all its attempts before it.',
    destructive: false,
    doing: `Retrying job “${id}” …`,
    done: () => `Job “${id}” will be run again.`,
    run: () => api.post(pathTo('jobs/{}/retry?queue={}', id, queue)),
  };
}

export function cancelCommand(api: Api, { queue, id }: JobOfQueue): Command {
  return {
    target: `job ${queue} ${id}`,
    label: 'Cancel',
    question: `Cancel job “${id}” of queue “${queue}”?`,
    explanation:
      'It will not be run any more. If it is running, its handler is told to end, and what it ends with is dropped.',
    destructive: true,
    doing: `Cancelling job “${id}” …`,
    done: () => `Job “${id}” is cancelled.`,
    run: () => api.post(pathTo('jobs/{}/cancel?queue={}', id, queue)),
  };
}

export function deleteCommand(api: Api, { queue, id }: JobOfQueue): Command {
  return {
    target: `job ${queue} ${id}`,
    label: 'Delete',
    question: `Delete job “${id}” of queue “${queue}”?`,
    explanation:
      'It is removed for good, with its payload and its history. If it is running, its handler is told to end.',
    destructive: true,
    doing: `Deleting job “${id}” …`,
    done: () => `Job “${id}” is deleted.`,
    run: () => api.delete(pathTo('jobs/{}?queue={}', id, queue)),
  };
}
