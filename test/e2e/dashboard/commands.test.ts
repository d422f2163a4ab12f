import { expect, it, vi } from 'vitest';
import { bootOperated } from '../../support/http-app.js';
import { poolOf } from '../../support/nest.js';
import { deadMail, demoApp, Mails, mailsOf } from './demo-app.js';
import { openDashboard, operator, seen, useBrowser } from './open-dashboard.js';

const browser = useBrowser();

it('restarts a worker by click, and shows its history', async () => {
  const { app, url } = await bootOperated(demoApp());
  const { page, command, complaints } = await openDashboard(browser(), url, operator);
  await page.getByRole('link', { name: 'price-feed' }).click();
  await seen(page.getByRole('heading', { name: 'price-feed' }));
  await seen(page.getByText('Started · attempt 1 of 5'));
  const before = poolOf(app).execution('price-feed').id;
  await command('Restart');
  await seen(page.getByText('Worker “price-feed” has been told to restart.'));
  await vi.waitUntil(() => poolOf(app).execution('price-feed').id !== before, { timeout: 10_000 });
  await command('Stop');
  await seen(page.getByText('Cancelled'));
  await seen(page.getByRole('main').getByText('cancelled', { exact: true }));
  await page.getByRole('link', { name: 'Commands' }).click();
  await seen(page.getByRole('row', { name: /restartWorker.*price-feed.*operator.*done/ }));
  await page.goBack();
  await seen(page.getByRole('heading', { name: 'price-feed' }));
  expect(complaints).toEqual([]);
});

it('says what the server says when a command is refused', async () => {
  const { app, url } = await bootOperated(demoApp());
  await deadMail(app);
  const { page } = await openDashboard(browser(), url, {
    ...operator,
    hash: '#/jobs/mails/job/the-mail',
  });
  await seen(page.getByRole('button', { name: 'Retry' }));
  await page.getByRole('button', { name: 'Retry' }).click();
  await mailsOf(app).delete(['the-mail']);
  await page.getByRole('dialog').getByRole('button', { name: 'Retry' }).click();
  await seen(page.getByRole('status').getByText(/failed\. Nothing is stored of a job the-mail/));
  await seen(page.getByText('This job is not there any more'));
  expect(await page.getByRole('button', { name: 'Retry' }).count()).toBe(0);
});

it('retries a dead job by click, and all of them', async () => {
  const { app, url } = await bootOperated(demoApp());
  await deadMail(app);
  await deadMail(app, {}, 'another-mail');
  app.get(Mails).mended = true;
  const { page, row, command, complaints } = await openDashboard(browser(), url, operator);
  await page.getByRole('link', { name: /Job queues/ }).click();
  await row('mails').getByRole('link', { name: '2 dead' }).click();
  await page.getByRole('link', { name: 'the-mail' }).click();
  await seen(page.getByText('The mailbox is full'));
  await command('Retry');
  await seen(page.getByText('Job “the-mail” will be run again.'));
  await seen(page.getByRole('main').getByText('completed', { exact: true }));
  await seen(page.getByText('"sent": true'));
  await page.getByRole('link', { name: 'mails' }).click();
  // Its minute may be over by now.
  await seen(page.getByRole('img', { name: /Per minute.*completed: [01] now, 1 at most/ }));
  await command('Retry all dead');
  await seen(page.getByText('1 job of queue “mails” will be run again.'));
  await seen(page.getByRole('link', { name: 'dead 0' }));
  expect((await mailsOf(app).get('another-mail'))?.state).toBe('completed');
  expect(complaints).toEqual([]);
});

it('pauses and resumes a queue, and cancels and deletes a job', async () => {
  const { app, url } = await bootOperated(demoApp());
  const { page, command, go } = await openDashboard(browser(), url, { ...operator, hash: '#/jobs/mails' });
  await seen(page.getByRole('button', { name: 'Pause' }));
  await command('Pause');
  await seen(page.getByRole('main').getByText('paused', { exact: true }));
  await mailsOf(app).enqueue({ to: 'ada@example.com' }, { id: 'held' });
  await go('#/jobs/mails/ready');
  await page.getByRole('link', { name: 'held' }).click();
  await seen(page.getByRole('button', { name: 'Cancel' }));
  await command('Cancel');
  await seen(page.getByRole('main').getByText('cancelled', { exact: true }));
  await command('Delete');
  await seen(page.getByText('No cancelled jobs'));
  expect(await mailsOf(app).get('held')).toBeUndefined();
  await go('#/jobs/mails');
  await command('Resume');
  await seen(page.getByText('is no longer paused'));
});

it('lets a worker be restarted without a mouse', async () => {
  const { app, url } = await bootOperated(demoApp());
  const { page } = await openDashboard(browser(), url, operator);
  await seen(page.getByRole('link', { name: 'price-feed' }));
  const before = poolOf(app).execution('price-feed').id;
  const press = (key: string): Promise<void> => page.keyboard.press(key);
  const focused = (): Promise<string> => page.evaluate('document.activeElement.textContent');
  const tabTo = async (text: string): Promise<void> => {
    for (let step = 0; step < 40; step++) {
      await press('Tab');
      if ((await focused()) === text) return;
    }
    throw new Error(`Nothing like "${text}" can be reached.`);
  };
  await press('Tab');
  expect(await focused()).toBe('Skip to the content');
  await press('Enter');
  expect(await focused()).toBe('Workers');
  await tabTo('price-feed');
  expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
  await press('Enter');
  await vi.waitUntil(async () => (await focused()) === 'price-feed', { timeout: 10_000 });
  await tabTo('Restart');
  await press('Enter');
  await seen(page.getByRole('dialog'));
  expect(await focused()).toBe('Restart');
  await press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  expect(await focused()).toBe('Restart');
  expect(poolOf(app).execution('price-feed').id).toBe(before);
  await press('Enter');
  await seen(page.getByRole('dialog'));
  await press('Enter');
  await seen(page.getByText('has been told to restart'));
  expect(await focused()).toBe('Restart');
  await vi.waitUntil(() => poolOf(app).execution('price-feed').id !== before, { timeout: 10_000 });
});
