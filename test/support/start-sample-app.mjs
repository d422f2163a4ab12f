// Starts the sample app as a reader of the README would (`npm start`), asks it what it should know, and presses
// Ctrl-C. Everything is bounded; exit code 1 with the reason where something does not hold.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const startWithinMs = 60_000;
const stopWithinMs = 15_000;

async function freePort() {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function until(condition, withinMs, what) {
  const giveUpAt = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > giveUpAt) throw new Error(`${what}: not within ${withinMs / 1000} s`);
    await delay(200);
  }
}

const port = await freePort();
// A process group of its own, as in a terminal, where Ctrl-C reaches npm and the app alike.
const npm = spawn('npm', ['start'], {
  env: { ...process.env, PORT: String(port) },
  stdio: ['ignore', 'inherit', 'inherit'],
  detached: true,
});

function signalGroup(signal) {
  try {
    return process.kill(-Number(npm.pid), signal);
  } catch {
    return false;
  }
}

async function ask(method, path) {
  const signal = AbortSignal.timeout(5_000);
  const headers = { authorization: `Basic ${Buffer.from('operator:demo').toString('base64')}` };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, signal, headers });
  const body = await response.text();
  return { status: response.status, body };
}

try {
  await until(
    async () => {
      if (npm.exitCode !== null) throw new Error(`npm start ended with exit code ${npm.exitCode}`);
      return (await ask('GET', '/health/readiness').catch(() => undefined))?.status === 200;
    },
    startWithinMs,
    'GET /health/readiness answers 200',
  );
  console.log('ready');
  for (const [method, path, expected] of [
    ['GET', '/metrics', 200],
    ['GET', '/workers', 200],
    ['GET', '/work', 200],
    ['GET', '/work/queues/scans/scaling', 200],
    ['POST', '/notifications/ping', 202],
  ]) {
    const { status, body } = await ask(method, path);
    console.log(`${method} ${path}: ${status}, ${body.length} characters`);
    if (status !== expected || body === '') throw new Error(`${method} ${path} answered ${status}: ${body}`);
  }
  const interruptedAt = Date.now();
  signalGroup('SIGINT');
  await until(() => !signalGroup(0), stopWithinMs, 'exit after SIGINT');
  console.log(`exited ${Date.now() - interruptedAt} ms after SIGINT`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  signalGroup('SIGKILL');
}
