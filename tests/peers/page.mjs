// Carries out one visit in Chromium: node page.mjs '{"executable":…,"step_timeout_ms":…,"steps":[{"do":"open",…},…]}'
//
// Prints {"read":[…],"errors":[…],"loaded":[…]} and exits 0, or names the step that failed on standard error and exits 1.
// The steps are described in tests/src/peers/browser.rs.
import { chromium } from 'playwright-core';

const { executable, step_timeout_ms: timeout, steps } = JSON.parse(process.argv[2]);
const read = [];
const errors = [];
const loaded = [];

const actions = {
  open: (page, { url }) => page.goto(url, { waitUntil: 'load' }),
  fill: (page, { selector, value }) => page.locator(selector).fill(value),
  click: (page, { selector }) => page.locator(selector).click(),
  press: (page, { key }) => page.keyboard.press(key),
  wait_text: (page, { selector, text }) => page.locator(selector).filter({ hasText: text, visible: true }).waitFor(),
  text: async (page, { selector }) => read.push(await page.locator(selector).innerText()),
  count: async (page, { selector }) => read.push(String(await page.locator(selector).count())),
  screenshot: (page, { path }) => page.screenshot({ path, fullPage: true }),
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
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
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
if (!process.exitCode) console.log(JSON.stringify({ read, errors, loaded }));
