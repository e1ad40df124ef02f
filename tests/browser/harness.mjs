// What the browser tests share: a server of ours, Debian's Chromium, and a page in a fresh profile that
// fails on a request to another host, on an error in the console and on anything secret in its storage.
//   CHROMIUM=path      the browser, if it isn't one of the usual names on the PATH
//   PYTHON=path        the interpreter with the application's requirements (default: .venv's)
//   SCREENSHOTS=dir    where to leave pictures of the pages
//   CI=1               what is missing is a failure; else the tests say what it is and are left out
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const built = join(root, 'app/graphiql/dist/manifest.json');
const playwright = await import('playwright-core').catch(() => null);
const chromium = findChromium();

/** What the tests can't do without and don't find, in words; '' where all is there. */
const missingOf = (needsBuilt) => [
  playwright ? '' : 'playwright-core (npm ci in tests/browser)',
  chromium ? '' : 'Chromium (Debian: apt install chromium; or set CHROMIUM)',
  existsSync(built) || !needsBuilt ? '' : 'the built page (make graphiql)',
].filter(Boolean).join(', ');

/**
 * Serves `python -m module` for the tests of a file, and hands out what they need. Whatever is missing,
 * each test says so and is left out. `needsBuilt`: they open GraphiQL, which must have been built.
 */
export function pages(module, { needsBuilt = true } = {}) {
  const place = {};
  const missing = missingOf(needsBuilt);
  if (!missing) {
    before(async () => {
      place.server = startServer(module);
      place.told = await firstLine(place.server.stdout);
      place.origin = `http://127.0.0.1:${place.told.port}`;
      place.browser = await launch();
    });
    after(async () => {
      await place.browser?.close();
      place.server?.stdin.end();
    });
  }
  const pageTest = (name, scenario) => {
    if (!missing) return test(name, { timeout: 180_000 }, () => scenario(place));
    if (process.env.CI) return test(name, () => assert.fail(`missing: ${missing}`));
    return test(name, { skip: `LEFT OUT, missing: ${missing}` }, () => {});
  };
  return { pageTest, inPage: (path, scenario, options) => inPage(place, path, scenario, options) };
}

function launch() {
  const quiet = ['background-networking', 'component-update', 'sync', 'quic', 'gpu'];
  return playwright.chromium.launch({
    executablePath: chromium,
    args: ['--no-sandbox', '--no-first-run', ...quiet.map((name) => `--disable-${name}`)],
  });
}

/**
 * Opens a path in a profile of its own and, once the scenario is through, fails on a request to another
 * host, on an error in the console that isn't as expected, and on a secret in the browser's storage.
 * Returns how many errors were as expected.
 */
async function inPage({ browser, origin }, path, scenario, options = {}) {
  const { expectedError = /(?!)/, secrets = [], width = 1280, height = 800, scheme = 'light', locale = 'en-GB' } = options;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, locale });
  const foreign = [];
  const problems = [];
  let expected = 0;
  // Before a link's token is traded the page asks who is signed in, and the browser notes the answer.
  let nobodyYet = path.includes('#token=') ? 1 : 0;
  const isNobodyYet = (message) =>
    nobodyYet > 0 && /401 \(Unauthorized\)/.test(message.text()) && message.location().url === `${origin}/session`;
  const isForeign = (url) => !/^(data|blob):/.test(url) && new URL(url).host !== new URL(origin).host;
  context.on('request', (request) => isForeign(request.url()) && foreign.push(request.url()));
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('websocket', (socket) => isForeign(socket.url()) && foreign.push(socket.url()));
  // Monaco throws this at itself where an editor's text is replaced while it looks for like words.
  page.on('pageerror', (error) => error.name !== 'Canceled' && problems.push(String(error)));
  page.on('console', (message) => {
    if (isNobodyYet(message)) nobodyYet -= 1;
    else if (expectedError.test(message.text())) expected += 1;
    else if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  try {
    await page.goto(origin + path);
    await scenario(page);
    await assertKeptSecret(page, secrets);
    assert.deepEqual(foreign, [], 'requests to other hosts');
    assert.deepEqual(problems, [], 'errors in the console');
  } catch (error) {
    const answer = await page.locator('.result-window').textContent({ timeout: 100 }).catch(() => '');
    throw new Error([error.message, 'Answer:', answer, 'Console:', ...problems].join('\n'), { cause: error });
  } finally {
    await context.close();
  }
  return expected;
}

/** Fails if one of these texts, or the session's cookie, can be read by the page's scripts. */
export async function assertKeptSecret(page, secrets) {
  const seen = await readable(page);
  for (const secret of secrets) assert.ok(!seen.includes(secret), `the browser keeps “${secret}”`);
  assert.ok(!seen.includes('laurels_session'), 'a script can read the session’s cookie');
}

/** All that a script of the page can read of what the browser keeps. */
export async function readable(page) {
  return page.evaluate(async () => {
    const databases = (await indexedDB.databases()).map(({ name }) => name);
    const caches = await globalThis.caches.keys();
    return JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, databases, caches]);
  });
}

/** Signs in with a token, as a person does who pastes it. */
export async function signIn(page, token) {
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.keyboard.press('Enter');
  await page.getByText('Signed in as').waitFor();
}

/** Opens a tab by its operation's name. */
export async function openTab(page, operation) {
  // GraphiQL takes a click on a tab for nothing until its editors stand.
  await page.locator('.graphiql-query-editor .view-line').first().waitFor();
  await page.locator('.graphiql-editor-tool .view-line').first().waitFor({ state: 'attached' });
  await page.getByTitle(operation, { exact: true }).click();
  await page.waitForFunction(
    (name) => [...document.querySelectorAll('.graphiql-query-editor .view-line')].some((line) => line.textContent.includes(name)),
    operation,
  );
}

/** Opens a tab, runs it and waits for its answer, which is returned as JSON. */
export async function run(page, operation) {
  await openTab(page, operation);
  // GraphiQL reads an operation's name a moment after its text; until then it asks by the last one's.
  for (let turn = 0; turn < 20; turn += 1) {
    const [response] = await Promise.all([page.waitForResponse(isAnswer), execute(page)]);
    const { query, operationName } = response.request().postDataJSON();
    if (query.includes(` ${operation}`) && [undefined, operation].includes(operationName)) return response.json();
  }
  throw new Error(`GraphiQL doesn't see that ${operation} stands in the tab`);
}

const isAnswer = (response) => response.request().method() === 'POST' && response.url().endsWith('/graphql');

/** Puts other variables into the open tab, by pasting them: what is typed, the editor would complete. */
export async function setVariables(page, variables) {
  await page.locator('.graphiql-editor-tool .view-lines').first().click({ position: { x: 5, y: 5 } });
  await page.keyboard.press('Control+A');
  await page.evaluate((text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', text);
    document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, JSON.stringify(variables, null, 2));
  await page.waitForTimeout(400); // GraphiQL takes what was typed into the tab after a pause
}

/** Presses the button, once GraphiQL is likely to know which operation stands in the tab. */
export async function execute(page) {
  await page.waitForTimeout(300);
  await page.getByRole('button', { name: /Execute query/ }).click();
}

/** Waits for a text in the response as it is shown; Monaco draws blanks as no-break spaces. */
export async function shown(page, text) {
  await page.waitForFunction(
    (wanted) => document.querySelector('.result-window')?.textContent.replace(/\s+/g, ' ').includes(wanted),
    text,
  );
}

/** Leaves a picture of the page where SCREENSHOTS says. */
export async function screenshot(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

function startServer(module) {
  const venv = join(root, '.venv', 'bin', 'python');
  const python = process.env.PYTHON ?? (existsSync(venv) ? venv : 'python3');
  return spawn(python, ['-m', module], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] });
}

async function firstLine(stream) {
  for await (const line of createInterface({ input: stream })) return JSON.parse(line);
  throw new Error('the server ended before it said its port');
}

function findChromium() {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const folders = (process.env.PATH ?? '').split(delimiter);
  const usual = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [process.env.CHROMIUM, ...usual].filter(Boolean).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
