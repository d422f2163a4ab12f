import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { FakeClock } from 'nestjs-worker/testing';
import { expect, it, onTestFinished } from 'vitest';
import { bootOperated } from '../../support/http-app.js';
import { deadMail, demoApp, mailsOf, PriceFeed } from './demo-app.js';
import {
  expectNoSidewaysScroll,
  findings,
  openDashboard,
  operator,
  seen,
  useBrowser,
} from './open-dashboard.js';

const browser = useBrowser();

const pages = [
  ['#/workers', 'Workers'],
  ['#/workers/price-feed', 'price-feed'],
  ['#/tasks', 'Task queues'],
  ['#/tasks/thumbnails', 'thumbnails'],
  ['#/jobs', 'Job queues'],
  ['#/jobs/mails', 'mails'],
  ['#/jobs/mails/dead', 'Dead jobs'],
  ['#/jobs/mails/ready', 'Ready jobs'],
  ['#/jobs/mails/job/the-mail', 'the-mail'],
  ['#/commands', 'Commands'],
  ['#/nowhere', 'No such page'],
] as const;

it.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 360],
  ['dark', 360],
] as const)(
  'axe finds nothing in %s, %i wide, and nothing lies beside the screen',
  async (colorScheme, width) => {
    const { app, url } = await bootOperated(demoApp());
    await deadMail(app);
    app.get(PriceFeed).fail(new Error('Lost'));
    const viewport = { width, height: 800 };
    const { page, go, complaints } = await openDashboard(browser(), url, {
      ...operator,
      colorScheme,
      viewport,
    });
    for (const [hash, heading] of pages) {
      await go(hash);
      await seen(page.getByRole('heading', { name: heading, exact: true, level: 1 }));
      await page.getByText('Loading …').waitFor({ state: 'hidden' });
      expect({ hash, found: await findings(page) }).toEqual({ hash, found: [] });
      await expectNoSidewaysScroll(page);
    }
    await go('#/workers/price-feed');
    await page.getByRole('button', { name: 'Stop' }).click();
    expect(await findings(page)).toEqual([]);
    await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
    await seen(page.getByText('has been told to stop'));
    expect(await findings(page)).toEqual([]);
    await app.close();
    await seen(page.getByText('reconnecting', { exact: true }));
    expect(await findings(page)).toEqual([]);
    expect(complaints.filter((text) => !text.includes('ERR_'))).toEqual([]);
  },
  120_000,
);

it('can be told to be light or dark, and remembers', async () => {
  const { url } = await bootOperated(demoApp());
  const { page } = await openDashboard(browser(), url, { ...operator, colorScheme: 'light' });
  const ground = () => page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
  await seen(page.getByText('live', { exact: true }));
  const light = await ground();
  await page.getByLabel('Theme').selectOption('dark');
  const dark = await ground();
  expect(dark).not.toBe(light);
  await page.reload();
  await seen(page.getByText('live', { exact: true }));
  expect(await ground()).toBe(dark);
  await page.getByLabel('Theme').selectOption('system');
  expect(await ground()).toBe(light);
});

it('has its picture taken in light: workers, those in trouble first', async () => {
  const clock = new FakeClock();
  const { app, url } = await bootOperated(demoApp({}, { clock }));
  await clock.advance('3.2h');
  app.get(PriceFeed).fail(new Error('The exchange has closed the connection'));
  await clock.advance('47s');
  const { page, row } = await openDashboard(browser(), url, {
    ...operator,
    colorScheme: 'light',
    viewport: { width: 1280, height: 445 },
  });
  await seen(row('price-feed').getByText('backoff'));
  await takePicture(page, 'light');
});

it('has its picture taken in dark: a queue after some busy time', async () => {
  const clock = new FakeClock();
  // An hour fills all of the plots.
  const steps = process.env.UPDATE_SCREENSHOTS ? 726 : 128;
  const { app, url } = await bootOperated(demoApp({}, { clock }));
  for (let step = 0; step < steps; step++) {
    const load = Math.round(62 + 30 * Math.sin(step / 11) + 12 * Math.sin(step / 2));
    const mails = Array.from({ length: load }, (_, index) => ({
      to: 'ada@example.com',
      takesMs: 300 + 50 * (index % 11),
      ...(index === step % 90 && { fail: 'The mailbox is full' }),
    }));
    await mailsOf(app).enqueueMany(mails);
    await clock.advance('5s');
  }
  const { page } = await openDashboard(browser(), url, {
    ...operator,
    colorScheme: 'dark',
    viewport: { width: 1280, height: 560 },
    hash: '#/jobs/mails',
  });
  await seen(page.getByRole('img', { name: /Per minute.*completed: [1-9]/ }));
  await takePicture(page, 'dark');
  await Promise.all([app.close(), clock.advance('10s')]);
}, 120_000);

async function takePicture(page: Page, theme: string): Promise<void> {
  // The page has just been built: let it be drawn.
  await page.evaluate('new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))');
  const picture = await page.screenshot({ path: join(pictures(), `dashboard-${theme}.png`) });
  expect(picture.length).toBeGreaterThan(10_000);
  expect(picture.length).toBeLessThan(150_000);
}

/** The README shows them; only who asks for new ones gets them there. */
function pictures(): string {
  if (process.env.UPDATE_SCREENSHOTS) return new URL('../../../docs', import.meta.url).pathname;
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-worker-pictures-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}
