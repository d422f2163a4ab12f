// A Nest application with one queue, as a user would write it.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getJobQueueToken, JobsModule } from 'nestjs-worker';
import { backends } from './backends.mjs';
import { queueName } from './names.mjs';

/** Loaded before anybody says who this process is to be. */
const { makeBackend } = await backends[process.env.CHAOS_BACKEND].make();

/** Warnings and errors go to the ledger: they are what somebody who runs the app would see. */
function loggerOf(ledger) {
  const write = (level) => (message, fields) =>
    ledger.write('log', {
      level,
      message,
      error: fields?.err === undefined ? undefined : String(fields.err?.stack ?? fields.err),
    });
  const logger = {
    debug() {},
    log() {},
    warn: write('warn'),
    error: write('error'),
    isEnabled: (level) => level === 'warn' || level === 'error',
    child: () => logger,
  };
  return logger;
}

/** Writes down what the backend answers: who was given which job, and whose settlement it took. */
function recorded(backend, ledger) {
  const claim = backend.claim.bind(backend);
  const settle = backend.settle.bind(backend);
  const claimed = (jobs) => {
    if (jobs.length > 0)
      ledger.write('claimed', { jobs: jobs.map(({ id, token, deaths }) => [id, token, deaths]) });
  };
  backend.claim = async (...given) => {
    const jobs = await claim(...given);
    claimed(jobs);
    return jobs;
  };
  backend.settle = async (queue, settlements, thenClaim) => {
    const answer = await settle(queue, settlements, thenClaim);
    const settled = settlements.map(({ job, kind, cause }, index) => ({
      id: job.id,
      token: job.token,
      kind,
      cause,
      accepted: answer.accepted[index],
    }));
    if (settled.length > 0) ledger.write('settled', { settled });
    claimed(answer.claimed);
    return answer;
  };
  return backend;
}

/** Answers the app, its queue and its backend. */
export async function openApp(order, ledger, handlers = []) {
  const { lease, blockedLimit, shutdownTimeout, abortMargin, timeout } = order;
  const backend = recorded(makeBackend(order), ledger);
  class App {}
  Module({
    imports: [
      JobsModule.forRoot({ backend, logger: loggerOf(ledger), shutdownTimeout, abortMargin }),
      JobsModule.registerQueue({
        name: queueName,
        lease,
        blockedLimit,
        enqueueTimeout: timeout,
        callTimeout: timeout,
      }),
    ],
    providers: handlers,
  })(App);
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  app.enableShutdownHooks();
  return { app, backend, queue: app.get(getJobQueueToken(queueName)) };
}
