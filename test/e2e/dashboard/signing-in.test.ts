import { expect, it } from 'vitest';
import { bootOperated } from '../../support/http-app.js';
import { deadMail, demoApp } from './demo-app.js';
import { findings, openDashboard, operator, seen, useBrowser, viewer } from './open-dashboard.js';

const browser = useBrowser();

it('shows viewers neither buttons nor payloads nor stacks', async () => {
  const { app, url } = await bootOperated(demoApp());
  await deadMail(app, { subject: 'secret-subject' });
  const { page, go, complaints } = await openDashboard(browser(), url, viewer);
  await seen(page.getByText('read-only'));
  expect(await page.getByRole('link', { name: 'Commands' }).count()).toBe(0);
  await go('#/workers/search-indexer');
  await seen(page.getByText('Its stack is hidden from read-only users.'));
  expect(await page.getByText('Stack', { exact: true }).count()).toBe(0);
  expect(await page.getByRole('main').getByRole('button').count()).toBe(0);
  await go('#/jobs/mails/job/the-mail');
  await seen(page.getByText('Hidden from read-only users.'));
  expect(await page.getByRole('main').getByRole('button').count()).toBe(0);
  expect(await page.content()).not.toContain('secret-subject');
  await go('#/jobs/mails');
  await seen(page.getByRole('img', { name: /Ready and active/ }));
  expect(await page.getByRole('main').getByRole('button').count()).toBe(0);
  expect(complaints).toEqual([]);
});

it('signs in with a header that the browser would not send, stream included', async () => {
  const { url } = await bootOperated(demoApp({ signIn: 'token' }), 'fastify');
  const { page, row, command } = await openDashboard(browser(), url);
  const enter = async (value: string): Promise<void> => {
    await page.getByLabel('Authorization header').fill(value);
    await page.keyboard.press('Enter');
  };
  await enter('Bearer nobody');
  await seen(page.getByRole('alert').getByText(/./));
  expect(await findings(page)).toEqual([]);
  await enter('two\u2603');
  await seen(page.getByText('This has characters that no header may have.'));
  await enter('Bearer operator');
  await seen(page.getByText('live', { exact: true }));
  await row('price-feed').getByRole('link').click();
  await command('Restart');
  await seen(page.getByText('has been told to restart'));
  await page.reload();
  await seen(page.getByText('live', { exact: true }));
  await page.getByRole('button', { name: 'Sign out' }).click();
  await seen(page.getByLabel('Authorization header'));
  await page.reload();
  await seen(page.getByLabel('Authorization header'));
  expect(await page.getByText('price-feed').count()).toBe(0);
});

it('says plainly when it is not let in', async () => {
  const { url } = await bootOperated(demoApp());
  const { page } = await openDashboard(browser(), url, operator);
  await seen(page.getByText('live', { exact: true }));
  await page.context().setExtraHTTPHeaders({});
  await page.getByRole('link', { name: 'price-feed' }).click();
  await seen(page.getByRole('heading', { name: 'You are not signed in' }));
  await seen(page.getByRole('button', { name: 'Reload' }));
  expect(await findings(page)).toEqual([]);
});
