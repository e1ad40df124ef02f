// The GraphiQL page in a real browser, under its content security policy, with no other host in reach.
// Needs node 20 or newer, a Chromium, the built page (`make graphiql`) and `npm ci` in this folder.
//   CHROMIUM=path      the browser, if it isn't one of the usual names on the PATH
//   PYTHON=path        the interpreter with the application's requirements (default: .venv's)
//   SCREENSHOT=a.png   where to leave a picture of the page
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';

const here = import.meta.dirname;
const root = join(here, '..', '..');
const TOKEN = 'laurels_0123456789_secretpart';
const SENT = `Bearer ${TOKEN}`;

let playwright, browser, server, origin;

before(async () => {
  playwright = await import('playwright-core').catch(() =>
    missing('playwright-core', 'run `npm ci` in tests/browser (it needs node 20 or newer)'),
  );
  if (!existsSync(join(root, 'app/graphiql/dist/manifest.json')))
    missing('the built page', 'run `make graphiql` (it needs node 20 or newer)');
  server = startServer();
  origin = `http://127.0.0.1:${await firstLine(server.stdout)}`;
  browser = await playwright.chromium.launch({
    executablePath: findChromium(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic'],
  });
});

after(async () => {
  await browser?.close();
  server?.stdin.end();
});

test('a link hands a token over: it is sent, and kept nowhere', async () => {
  await inPage(`/graphiql#token=${TOKEN}`, async (page) => {
    await page.getByText('Sending the token …part').waitFor();
    assert.equal(page.url(), `${origin}/graphiql`);

    await run(page, 'Authorization', `"authorization": "${SENT}"`);
    await run(page, 'Callers', `"callers": "2: ${SENT}"`);
    await run(page, 'Members', '"name": "Ayşe Demir"');
    await page.getByLabel('Show Documentation Explorer').click();
    await page.getByText('Query', { exact: true }).first().waitFor();
    if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });

    await page.waitForTimeout(1000); // GraphiQL writes to its storage after a pause
    const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    assert.match(stored, /query Members/, 'GraphiQL has stored what it stores');
    assert.ok(!stored.includes(TOKEN), 'the token is in the browser’s storage');

    await page.reload();
    await page.getByText('Paste a token').waitFor();
  });
});

test('a pasted token is used until it is forgotten', async () => {
  await inPage('/graphiql', async (page) => {
    await page.getByText('Paste a token: make one with laurels token --admin').waitFor();
    await run(page, 'Authorization', 'Paste a token: make one with `laurels token --admin`');

    await page.getByLabel('Token', { exact: true }).fill('two words');
    await page.getByRole('button', { name: 'Use token' }).click();
    await page.getByText('That is not a token').waitFor();

    await page.getByLabel('Token', { exact: true }).fill(` Bearer ${TOKEN}\n`);
    await page.keyboard.press('Enter');
    await page.getByText('Sending the token …part').waitFor();
    await run(page, 'Authorization', `"authorization": "${SENT}"`);

    await page.getByRole('button', { name: 'Forget it' }).click();
    await run(page, 'Authorization', 'Who are you?');
  });
});

test('a refused token is named as such', async () => {
  const refusals = await inPage(
    '/graphiql#token=revoked-token',
    async (page) => {
      await run(page, 'Authorization', 'The server refused this token');
      await page.getByText('The server refused a token').waitFor();
    },
    /401 \(Unauthorized\)/,
  );
  assert.ok(refusals > 0);
});

test('a link opened over the page replaces the token', async () => {
  await inPage(`/graphiql#token=${TOKEN}`, async (page) => {
    await page.getByText('Sending the token …part').waitFor();
    await page.evaluate(() => { location.hash = 'token=laurels_0123456789_another'; });
    await page.getByText('Sending the token …ther').waitFor();
    assert.equal(page.url(), `${origin}/graphiql`);
    await run(page, 'Authorization', 'Bearer laurels_0123456789_another');
  });
});

/**
 * Opens a path in a profile of its own and, once the scenario is through, fails on a request to another
 * host, on an error in the console and on a breach of the policy. Returns how many errors were as expected.
 */
async function inPage(path, scenario, expectedError = /(?!)/) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 860 } });
  const foreign = [];
  const problems = [];
  let expected = 0;
  context.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (!/^(data|blob):/.test(protocol) && `http://${host}` !== origin) foreign.push(request.url());
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on('websocket', (socket) => {
    if (`http://${new URL(socket.url()).host}` !== origin) foreign.push(socket.url());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (expectedError.test(message.text())) expected += 1;
    else if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  try {
    await page.goto(origin + path);
    await scenario(page);
    assert.deepEqual(foreign, [], 'requests to other hosts');
    assert.deepEqual(problems, [], 'errors in the console');
  } catch (error) {
    throw new Error([error.message, 'Console:', ...problems].join('\n'), { cause: error });
  } finally {
    await context.close();
  }
  return expected;
}

/** Opens a tab by its operation's name, runs it and waits for a text in the response. */
async function run(page, operation, answer) {
  await page.getByTitle(operation, { exact: true }).click();
  await page.waitForTimeout(500); // GraphiQL reads an operation's name a moment after its text
  await page.getByRole('button', { name: /Execute query/ }).click();
  // Monaco draws blanks as no-break spaces and wraps long lines.
  await page.waitForFunction(
    (text) =>
      document
        .querySelector('.result-window')
        ?.textContent.replace(/\s+/g, ' ')
        .includes(text),
    answer,
  );
}

function startServer() {
  const venv = join(root, '.venv', 'bin', 'python');
  const python = process.env.PYTHON ?? (existsSync(venv) ? venv : 'python3');
  return spawn(python, ['-m', 'tests.browser.stub'], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

async function firstLine(stream) {
  for await (const line of createInterface({ input: stream })) return line;
  throw new Error('the stub server ended before it said its port');
}

function findChromium() {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const folders = (process.env.PATH ?? '').split(delimiter);
  const usual = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = [process.env.CHROMIUM, ...usual].filter(Boolean).find(isExecutable);
  return found ?? missing('Chromium', 'install it (Debian: apt install chromium) or set CHROMIUM');
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function missing(what, remedy) {
  throw new Error(`The browser tests need ${what}: ${remedy}`);
}
