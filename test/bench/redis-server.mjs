// A Redis of our own for measurements: on a free port, with nothing written to disk.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { loadTypescript } from '../support/load-typescript.mjs';

const { findDebianTool } = await loadTypescript(new URL('../support/debian-tool.ts', import.meta.url));

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Answers its port, its version, and how to end it. */
export async function startRedis() {
  const tool = { command: 'redis-server', package: 'redis-server', variable: 'REDIS_SERVER' };
  const { path: binary, env: own } = await findDebianTool(tool);
  const env = { ...process.env, ...own };
  const port = await freePort();
  const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = spawn(binary, options.map(String), { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ready = new Promise((resolve, reject) => {
    let text = '';
    server.stdout.on('data', (chunk) => {
      text += chunk;
      if (text.includes('Ready to accept connections')) resolve();
    });
    server.on('error', reject);
    server.on('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${text}`)));
  });
  await ready;
  return {
    port,
    version: await new Promise((resolve) => {
      let text = '';
      const asked = spawn(binary, ['--version'], { env });
      asked.stdout.on('data', (chunk) => (text += chunk));
      asked.on('close', () => resolve(/v=([\d.]+)/.exec(text)?.[1] ?? 'unknown'));
    }),
    stop: () =>
      new Promise((resolve) => {
        server.removeAllListeners('exit');
        server.on('exit', resolve);
        server.kill();
      }),
  };
}
