import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { bootOperated } from '../../support/http-app.js';
import { createApp, poolOf, UntilAborted } from '../../support/nest.js';
import { deadMail, demoApp, mailsOf, markup, PriceFeed } from './demo-app.js';
import { expectNoSidewaysScroll, openDashboard, operator, seen, useBrowser } from './open-dashboard.js';

const browser = useBrowser();

it('shows within a second that a worker has failed', async () => {
  const { app, url } = await bootOperated(demoApp());
  const { page, row, complaints } = await openDashboard(browser(), url, operator);
  await seen(row('price-feed').getByText('running'));
  const tookMs: number[] = [];
  // The machine may be busy with something else for once: the quickest counts.
  for (let round = 1; round <= 3; round++) {
    const failedAt = performance.now();
    app.get(PriceFeed).fail(new Error(`Connection ${round} was lost`));
    await seen(row('price-feed').getByText('backoff'));
    tookMs.push(performance.now() - failedAt);
    expect(await row('price-feed').textContent()).toContain(`Connection ${round} was lost`);
    await poolOf(app).restart('price-feed');
    await seen(row('price-feed').getByText('running'));
  }
  expect(Math.min(...tookMs)).toBeLessThan(1_000);
  expect(await page.title()).toBe('Workers – Shop');
  expect(complaints).toEqual([]);
});

it('shows markup in names, errors and payloads as what it is: text', async () => {
  const { app, url } = await bootOperated(demoApp({ title: markup }));
  poolOf(app).register(new UntilAborted(), { name: markup });
  await deadMail(app, { subject: markup, fail: markup });
  const { page, row, go, complaints } = await openDashboard(browser(), url, operator);
  app.get(PriceFeed).fail(new Error(markup));
  await seen(row('price-feed').getByText(markup));
  await row('price-feed').getByRole('link').click();
  await seen(page.getByText(`Error: ${markup}`));
  await go('#/jobs/mails/job/the-mail');
  await seen(page.getByText(JSON.stringify(markup)));
  await go(`#/workers/${encodeURIComponent(markup)}`);
  await seen(page.getByRole('heading', { name: markup }));
  await go('#/workers/no-such-worker');
  await seen(page.getByText(/could not be read/));
  expect(await page.evaluate("'hacked' in window")).toBe(false);
  expect(await page.locator('img, #app script').count()).toBe(0);
  expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
});

it('browses page by page', async () => {
  const { app, url } = await bootOperated(demoApp());
  await mailsOf(app).enqueueMany(
    Array.from({ length: 120 }, () => ({ to: 'ada@example.com' })),
    { delay: '1h' },
  );
  const { page } = await openDashboard(browser(), url, { ...operator, hash: '#/jobs/mails/scheduled' });
  const rows = page.getByRole('table').getByRole('rowheader');
  await seen(rows);
  expect(await rows.count()).toBe(50);
  await page.getByRole('button', { name: 'More' }).click();
  await vi.waitUntil(async () => (await rows.count()) === 100, { timeout: 10_000 });
  await page.getByRole('button', { name: 'More' }).click();
  await vi.waitUntil(async () => (await rows.count()) === 120, { timeout: 10_000 });
  expect(await page.getByRole('button', { name: 'More' }).count()).toBe(0);
});

it('stays readable and quick with 500 workers and 100 queues', async () => {
  const names = Array.from({ length: 98 }, (_, index) => `queue-${index}`);
  const { app, url } = await bootOperated(demoApp({}, {}, names));
  for (let index = 0; index < 493; index++)
    poolOf(app).register(new UntilAborted(), { name: `worker-${index}` });
  const openedAt = performance.now();
  const { page, row, go, complaints } = await openDashboard(browser(), url, operator);
  await seen(row('search-indexer'));
  const firstRowsMs = performance.now() - openedAt;
  expect(await page.getByText('500 workers').count()).toBe(1);
  const typedAt = performance.now();
  await page.getByLabel('Name or error').fill('worker-48');
  await seen(page.getByText('11 of 500 workers'));
  const filteredMs = performance.now() - typedAt;
  expect(page.url()).toContain('text=worker-48');
  await page.getByRole('button', { name: 'Show all' }).click();
  const failedAt = performance.now();
  app.get(PriceFeed).fail(new Error('Lost'));
  await seen(row('price-feed').getByText('backoff'));
  const toldMs = performance.now() - failedAt;
  await page.setViewportSize({ width: 360, height: 740 });
  await expectNoSidewaysScroll(page);
  await go('#/jobs');
  await seen(page.getByText('100 job queues'));
  await expectNoSidewaysScroll(page);
  console.info(
    `500 workers: first rows after ${Math.round(firstRowsMs)} ms, filtered in ${Math.round(filteredMs)} ms, ` +
      `a change shown after ${Math.round(toldMs)} ms`,
  );
  expect(complaints).toEqual([]);
});

it('works behind a proxy that serves it below another path, with and without a slash at its end', async () => {
  const { url } = await bootOperated(demoApp());
  const proxy = createServer((incoming, outgoing) => {
    const target = new URL(incoming.url!.replace(/^\/some\/prefix/, ''), url);
    const options = { method: incoming.method!, headers: incoming.headers };
    const forwarded = request(target, options, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const { port } = proxy.address() as AddressInfo;
  for (const path of ['/some/prefix/work', '/some/prefix/work/']) {
    const { page, command, complaints } = await openDashboard(browser(), `http://127.0.0.1:${port}${path}`, {
      ...operator,
      hash: '#/workers/price-feed',
    });
    await command('Restart');
    await seen(page.getByText('has been told to restart'));
    expect(complaints).toEqual([]);
  }
});

it('connects again when the server is back, and says so meanwhile', async () => {
  const first = await bootOperated(demoApp());
  const { page, row } = await openDashboard(browser(), first.url, operator);
  await seen(row('price-feed').getByText('running'));
  await first.app.close();
  await seen(page.getByText(/Reconnecting: what you see may be out of date/));
  expect(await row('price-feed').count()).toBe(1);
  const port = Number(new URL(first.url).port);
  const second = await createApp(demoApp({ title: 'Shop, restarted' }));
  await second.listen(port, '127.0.0.1');
  await seen(page.getByText('live', { exact: true }), 20_000);
  await seen(page.getByText('Shop, restarted'));
  second.get(PriceFeed).fail(new Error('Lost'));
  await seen(row('price-feed').getByText('backoff'));
});
