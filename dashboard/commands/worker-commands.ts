import { type Api, pathTo } from '../net/api.js';
import type { Command } from './command.js';

export type WorkerAction = 'start' | 'stop' | 'restart';

const words = {
  start: {
    label: 'Start',
    explanation: 'It begins with its first attempt, and its count of restarts begins anew.',
    doing: 'Starting',
    done: 'has been told to start',
  },
  stop: {
    label: 'Stop',
    explanation: 'It is told to stop, and stays stopped until somebody starts it or the app is restarted.',
    doing: 'Stopping',
    done: 'has been told to stop',
  },
  restart: {
    label: 'Restart',
    explanation: 'It is told to stop, and starts again as soon as its current attempt has ended.',
    doing: 'Restarting',
    done: 'has been told to restart',
  },
} as const satisfies Record<WorkerAction, unknown>;

export function workerCommand(api: Api, action: WorkerAction, name: string): Command {
  const { label, explanation, doing, done } = words[action];
  return {
    target: `worker ${name}`,
    label,
    question: `${label} worker “${name}”?`,
    explanation: `${explanation} Only the worker of this process is meant.`,
    destructive: action === 'stop',
    doing: `${doing} worker “${name}” …`,
    done: () => `Worker “${name}” ${done}.`,
    run: () => api.post(pathTo(`workers/{}/${action}`, name)),
  };
}
