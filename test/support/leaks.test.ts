import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { watchLeaks } from './leaks.js';

/** Long enough for the timers of vitest to end. */
const patienceMs = 300;

describe('watchLeaks', () => {
  it('names timers', async () => {
    const leftBehind = watchLeaks();
    const timers = [setTimeout(() => undefined, 60_000), setInterval(() => undefined, 60_000)];
    expect(await leftBehind(patienceMs)).toEqual(['2 x Timeout']);
    timers.forEach((timer) => clearTimeout(timer));
    expect(await leftBehind()).toEqual([]);
  });

  it('names a server', async () => {
    const leftBehind = watchLeaks();
    const server = createServer().listen(0);
    await once(server, 'listening');
    expect(await leftBehind(patienceMs)).toEqual(['1 x TCPServerWrap']);
    server.close();
    expect(await leftBehind()).toEqual([]);
  });

  it('says nothing of a server that was there before', async () => {
    const server = createServer().listen(0);
    await once(server, 'listening');
    expect(await watchLeaks()()).toEqual([]);
    server.close();
  });

  it('names a child process', async () => {
    const leftBehind = watchLeaks();
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    expect(await leftBehind(patienceMs)).toContain('1 x ProcessWrap');
    child.stdin.end();
    await once(child, 'close');
    expect(await leftBehind()).toEqual([]);
  });

  it('waits for what is about to end', async () => {
    const leftBehind = watchLeaks();
    setTimeout(() => undefined, 200);
    expect(await leftBehind()).toEqual([]);
  });
});
