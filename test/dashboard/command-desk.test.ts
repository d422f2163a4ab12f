import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Command } from '../../dashboard/commands/command.js';
import { CommandDesk } from '../../dashboard/commands/command-desk.js';
import { deleteCommand, redriveCommand } from '../../dashboard/commands/job-commands.js';
import { workerCommand } from '../../dashboard/commands/worker-commands.js';
import type { Api } from '../../dashboard/net/api.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const command = (run: () => Promise<unknown>, target = 'worker a'): Command => ({
  target,
  label: 'Restart',
  question: 'Restart worker “a”?',
  explanation: 'It starts again.',
  destructive: false,
  doing: 'Restarting worker “a” …',
  done: (answer) => `Done: ${String(answer)}`,
  run,
});
function held() {
  let resolve: (answer: unknown) => void = () => {};
  const promise = new Promise((settle) => void (resolve = settle));
  return { promise, resolve };
}
const said = (desk: CommandDesk) => desk.toasts.value.map(({ state, text }) => `${state} ${text}`);

it('does nothing before it is confirmed', async () => {
  const desk = new CommandDesk();
  const run = vi.fn<() => Promise<unknown>>();
  desk.ask(command(run));
  expect(desk.asked.value?.question).toBe('Restart worker “a”?');
  desk.refuse();
  await desk.confirm();
  expect(run).not.toHaveBeenCalled();
  expect(desk.asked.value).toBeNull();
});

it('says that a command is under way, and how it went', async () => {
  const desk = new CommandDesk();
  const { promise, resolve } = held();
  const onAnswer = vi.fn<(answer: unknown) => void>();
  desk.ask(
    command(() => promise),
    onAnswer,
  );
  const confirmed = desk.confirm();
  expect(said(desk)).toEqual(['pending Restarting worker “a” …']);
  expect([...desk.pending.value]).toEqual(['worker a']);
  desk.ask(command(() => promise));
  expect(desk.asked.value).toBeNull();
  resolve('yes');
  await confirmed;
  expect(onAnswer).toHaveBeenCalledExactlyOnceWith('yes');
  expect(said(desk)).toEqual(['done Done: yes']);
  expect([...desk.pending.value]).toEqual([]);
  await vi.advanceTimersByTimeAsync(8_000);
  expect(said(desk)).toEqual([]);
});

it('leaves it written that a command has failed, and why', async () => {
  const desk = new CommandDesk();
  desk.ask(command(() => Promise.reject(new Error('It is stuck.'))));
  await desk.confirm();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(said(desk)).toEqual(['failed Restart worker “a”: failed. It is stuck.']);
  expect([...desk.pending.value]).toEqual([]);
  desk.dismiss(desk.toasts.value[0]?.id ?? 0);
  expect(said(desk)).toEqual([]);
});

it('carries out commands about different things side by side', async () => {
  const desk = new CommandDesk();
  const { promise, resolve } = held();
  desk.ask(command(() => promise, 'worker a'));
  const first = desk.confirm();
  desk.ask(command(() => promise, 'worker b'));
  const second = desk.confirm();
  expect([...desk.pending.value]).toEqual(['worker a', 'worker b']);
  resolve(1);
  await Promise.all([first, second]);
  expect([...desk.pending.value]).toEqual([]);
});

it('asks the server for what each command means', async () => {
  const asked: string[] = [];
  const api = {
    post: (to: string) => Promise.resolve(void asked.push(`POST ${to}`)),
    delete: (to: string) => Promise.resolve(void asked.push(`DELETE ${to}`)),
  } as unknown as Api;
  await workerCommand(api, 'restart', 'a/b').run();
  await redriveCommand(api, 'q', 2).run();
  await deleteCommand(api, { queue: 'q&', id: 'x' }).run();
  expect(asked).toEqual(['POST workers/a%2Fb/restart', 'POST queues/q/redrive', 'DELETE jobs/x?queue=q%26']);
  expect(redriveCommand(api, 'q', 1).done({ retried: 1 })).toBe('1 job of queue “q” will be run again.');
});
