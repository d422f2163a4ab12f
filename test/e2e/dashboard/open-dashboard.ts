import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import { launchChromium } from '../../support/chromium.js';
import { asOperator, asViewer } from '../../support/http-app.js';

/** Signed in as somebody, as far as the browser is concerned. */
export const operator = { extraHTTPHeaders: asOperator };
export const viewer = { extraHTTPHeaders: asViewer };

/** One browser for all tests of a file. */
export function useBrowser(): () => Browser {
  let browser: Browser;
  // Where there is none, one has to be downloaded first.
  beforeAll(async () => void (browser = await launchChromium()), 240_000);
  afterAll(() => browser.close());
  return () => browser;
}

export interface Dashboard {
  readonly page: Page;
  /** What the browser complained of: errors, warnings, violations of the Content-Security-Policy. */
  readonly complaints: readonly string[];
  /** Goes to a page by its address. */
  readonly go: (hash: string) => Promise<void>;
  /** The row of a list that has that name. */
  readonly row: (name: string) => Locator;
  /** Presses a button of the page, and yes in the dialog that it opens. */
  readonly command: (label: string) => Promise<void>;
}

/** Opens the dashboard in a context of its own. */
export async function openDashboard(
  browser: Browser,
  url: string,
  { hash = '', ...options }: BrowserContextOptions & { readonly hash?: string } = {},
): Promise<Dashboard> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  const onViolation = `(event) => console.error('Refused by the policy: ' + event.violatedDirective)`;
  await page.addInitScript({ content: `addEventListener('securitypolicyviolation', ${onViolation})` });
  await page.goto(`${url}${hash}`);
  return {
    page,
    complaints,
    go: (to) => page.evaluate(`location.hash = ${JSON.stringify(to)}`),
    row: (name) => page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) }),
    command: async (label) => {
      await page.getByRole('main').getByRole('button', { name: label, exact: true }).click();
      await page.getByRole('dialog').getByRole('button', { name: label, exact: true }).click();
    },
  };
}

/** Waits until it is there; throws what playwright says of it otherwise. */
export async function seen(locator: Locator, timeout = 10_000): Promise<void> {
  await locator.first().waitFor({ state: 'visible', timeout });
}

/** What axe finds, whatever the impact: in the rules of WCAG and in those of good practice. */
export async function findings(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map(
    ({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map((node) => node.html).join()}`,
  );
}

/** Nothing lies beside the screen. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const beside = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
  expect(beside).toBeLessThanOrEqual(0);
}
