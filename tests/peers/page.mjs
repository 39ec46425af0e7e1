// Carries out one visit in Chromium: node page.mjs '{"executable":…,"step_timeout_ms":…,"profile":{…},"steps":[{"do":"open",…},…]}'
//
// Prints {"read":[…],"violations":[…],"measured":[…],"watched":[…],"errors":[…],"loaded":[…]} and exits 0, or names the step that failed on
// standard error and exits 1. The steps are described in tests/src/peers/browser.rs.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const { executable, step_timeout_ms: timeout, profile, steps } = JSON.parse(process.argv[2]);
const visit = { read: [], violations: [], measured: [], watched: [], errors: [], loaded: [] };
const { read, violations, measured, watched, errors, loaded } = visit;

// Evaluated from outside, so that a page's content policy is not asked.
const axe = async (page) => {
  const path = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
  await page.evaluate(readFileSync(path, 'utf8'));
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  for (const { id, impact, help, nodes } of found.violations) {
    if (impact !== 'serious' && impact !== 'critical') continue;
    violations.push(`${page.url()}: ${impact}: ${id}: ${help}: ${nodes.map((node) => node.html).join(' ')}`);
  }
};

// What the page that is shown took to be painted first, and what was fetched for it so far.
const measure = async (page) => {
  const paint = () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime;
  const first = await page.waitForFunction(paint);
  const transferred_bytes = await page.evaluate(() => {
    const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    return entries.reduce((sum, entry) => sum + entry.transferSize, 0);
  });
  measured.push({ first_paint_ms: Math.ceil(await first.jsonValue()), transferred_bytes });
};

// The next visit to any page fetches everything again.
const forget = async (page) => {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.clearBrowserCache');
  await session.detach();
};

// Frame by frame for so long: how long there was none, what kept the page from making one, and when a text became which.
const watch = async (page, { selector, ms }) => {
  watched.push(await page.evaluate(async ({ selector, ms }) => {
    const seen = { longest_gap_ms: 0, longest_task_ms: 0, long_tasks: 0, frames: 0, fetches: 0, shown: [], end_ms: 0 };
    const noted = (list) => list.getEntries().forEach(({ duration }) => {
      seen.long_tasks += 1;
      seen.longest_task_ms = Math.max(seen.longest_task_ms, duration);
    });
    const tasks = new PerformanceObserver(noted);
    tasks.observe({ type: 'longtask' });
    const own = (list) => { seen.fetches += list.getEntries().filter(({ name }) => name === location.href).length; };
    const fetches = new PerformanceObserver(own);
    fetches.observe({ type: 'resource' });
    const end = performance.now() + ms;
    let before = null;
    for (;;) {
      const now = await new Promise(requestAnimationFrame);
      if (before !== null) seen.longest_gap_ms = Math.max(seen.longest_gap_ms, now - before);
      before = now;
      seen.frames += 1;
      const text = document.querySelector(selector)?.textContent ?? '';
      if (text !== seen.shown.at(-1)?.text) seen.shown.push({ at_ms: Date.now(), text });
      if (now >= end) break;
    }
    seen.end_ms = Date.now();
    tasks.disconnect();
    fetches.disconnect();
    return seen;
  }, { selector, ms }));
};

const sideways = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;

const actions = {
  open: (page, { url }) => page.goto(url, { waitUntil: 'load' }),
  reload: (page) => page.reload({ waitUntil: 'load' }),
  fill: (page, { selector, value }) => page.locator(selector).fill(value),
  select: (page, { selector, value }) => page.locator(selector).selectOption(value),
  click: (page, { selector }) => page.locator(selector).click(),
  focus: (page, { selector }) => page.locator(selector).focus(),
  press: (page, { key }) => page.keyboard.press(key),
  wait_text: (page, { selector, text }) => page.locator(selector).filter({ hasText: text, visible: true }).waitFor(),
  wait_gone: (page, { selector }) => page.locator(selector).filter({ visible: true }).waitFor({ state: 'detached' }),
  text: async (page, { selector }) => read.push(await page.locator(selector).innerText()),
  attribute: async (page, { selector, name }) => read.push((await page.locator(selector).getAttribute(name)) ?? ''),
  count: async (page, { selector }) => read.push(String(await page.locator(selector).count())),
  clipboard: async (page) => read.push(await page.evaluate(() => navigator.clipboard.readText())),
  sideways: async (page) => read.push(String(await page.evaluate(sideways))),
  viewport: (page, { width, height }) => page.setViewportSize({ width, height }),
  color_scheme: (page, { scheme }) => page.emulateMedia({ colorScheme: scheme }),
  network: (page, { state }) => page.context().setOffline(state === 'offline'),
  axe,
  measure,
  forget,
  watch,
  screenshot: (page, { path }) => page.screenshot({ path, fullPage: true }),
  script: (page, { script }) => page.evaluate(`{${script}}`),
};

// The browser asks nobody but the page for anything: no updates, no lists, no QUIC.
const browser = await chromium.launch({
  executablePath: executable,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
  ],
});
try {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale: profile.locale,
    javaScriptEnabled: profile.scripts === 'run',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('framenavigated', (frame) => frame === page.mainFrame() && loaded.push(frame.url()));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  for (const [index, step] of steps.entries()) {
    try {
      await actions[step.do](page, step);
    } catch (error) {
      const seen = errors.length === 0 ? '' : `\nthe page said: ${errors.join('; ')}`;
      console.error(`step ${index + 1} ${JSON.stringify(step)}: ${error.message}${seen}`);
      process.exitCode = 1;
      break;
    }
  }
} finally {
  await browser.close();
}
if (!process.exitCode) console.log(JSON.stringify(visit));
