// The GraphiQL page in a real browser, under its content security policy, with a small server behind it:
// who is signed in, what becomes of the tabs when that ends, and what the browser keeps.
import assert from 'node:assert/strict';
import { assertKeptSecret, execute, openTab, pages, readable, run, setVariables, shown, signIn } from './harness.mjs';

const TOKEN = 'laurels_0123456789_secretpart';
const OTHER = 'laurels_0123456789_another';
const NOBODY = /401 \(Unauthorized\)/; // the browser's own note of `GET /session` without one
const { pageTest, inPage } = pages('tests.browser.stub');

pageTest('a link signs in: its token becomes a cookie that no script can read', async ({ origin }) => {
  await inPage(`/graphiql#token=${TOKEN}`, async (page) => {
    await page.getByText('Signed in as ayse').waitFor();
    await page.getByText('owner', { exact: true }).waitFor();
    assert.equal(page.url(), `${origin}/graphiql`);
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite], ['laurels_session', true, 'Strict']);

    assert.deepEqual(await run(page, 'Caller'), { data: { caller: 'ayse by the cookie alone' } });
    await run(page, 'Members');
    await shown(page, '"name": "Ayşe Demir"');
    await openTab(page, 'Callers');
    await execute(page);
    await shown(page, '"callers": "2: ayse by the cookie alone"');

    await page.waitForTimeout(800); // GraphiQL writes to its storage after a pause
    await page.reload();
    await page.getByText('Signed in as ayse').waitFor();
  }, { secrets: [TOKEN, 'Ayşe'] });
});

pageTest('what the browser keeps is operations, and the check of that can fail', async () => {
  await inPage(`/graphiql#token=${TOKEN}`, async (page) => {
    await run(page, 'Members');
    await page.waitForTimeout(800);
    const kept = await readable(page);
    assert.match(kept, /query Members/, 'GraphiQL has stored what it stores');
    await assertKeptSecret(page, [TOKEN, 'Ayşe']); // neither the token nor a variable

    await page.reload();
    await page.getByText('Signed in as ayse').waitFor();
    await openTab(page, 'Members');
    await page.waitForFunction(() => document.querySelector('.graphiql-editor-tool')?.textContent.includes('Ayşe'));

    await page.evaluate((token) => sessionStorage.setItem('careless', token), TOKEN);
    await assert.rejects(assertKeptSecret(page, [TOKEN]), /the browser keeps/);
    await page.evaluate(() => sessionStorage.clear());
    await page.evaluate(() => { document.cookie = 'laurels_session2=x'; });
    await assert.rejects(assertKeptSecret(page, []), /a script can read/);
    await page.evaluate(() => { document.cookie = 'laurels_session2=x; max-age=0'; });
  });
});

pageTest('who isn’t signed in is asked to, and told why a token doesn’t do', async () => {
  const refusals = await inPage('/graphiql', async (page) => {
    await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor();
    assert.equal(await page.locator('.graphiql-container').count(), 0);
    const way = page.getByRole('link', { name: 'Sign in with your organisation' });
    assert.equal(await way.getAttribute('href'), '/session/login');

    await page.getByLabel('Token', { exact: true }).fill('two words');
    await page.keyboard.press('Enter');
    await page.getByText('That is not a token').waitFor();
    await page.getByLabel('Token', { exact: true }).fill('revoked-token');
    await page.keyboard.press('Enter');
    await page.getByText('The server refused this token').waitFor();
    assert.equal(await page.getByLabel('Token', { exact: true }).inputValue(), '');

    await signIn(page, ` Bearer ${TOKEN}`);
    assert.deepEqual(await run(page, 'Caller'), { data: { caller: 'ayse by the cookie alone' } });
  }, { expectedError: NOBODY, secrets: [TOKEN, 'revoked-token'] });
  assert.equal(refusals, 2);
});

pageTest('a session that ends under one’s hands leaves the tabs as they are', async () => {
  const refusals = await inPage(`/graphiql#token=${TOKEN}`, async (page) => {
    await openTab(page, 'Members');
    await setVariables(page, { search: 'Deniz' });
    await run(page, 'Forget'); // ends all sessions
    await openTab(page, 'Caller');
    await execute(page);
    await page.getByRole('heading', { name: 'Your session has ended' }).waitFor();
    assert.equal(await page.locator('main').getAttribute('inert'), '');

    await signIn(page, TOKEN);
    await shown(page, 'Your session has ended');
    await run(page, 'Members');
    await shown(page, '"name": "Deniz Kaya"');
  }, { expectedError: NOBODY, secrets: [TOKEN, 'Deniz'] });
  assert.equal(refusals, 1);
});

pageTest('a session whose time is up asks for the next by itself', async () => {
  const refusals = await inPage('/graphiql#token=laurels_0123456789_hurried', async (page) => {
    await page.getByRole('heading', { name: 'Your session has ended' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Sign out' }).count(), 0);
  }, { expectedError: NOBODY });
  assert.ok(refusals > 0);
});

pageTest('another person finds neither the answers nor the variables of the one before', async () => {
  await inPage(`/graphiql#token=${TOKEN}`, async (page) => {
    await run(page, 'Members');
    await shown(page, 'Ayşe Demir');
    await page.evaluate((token) => { location.hash = `token=${token}`; }, OTHER);
    await page.getByRole('button', { name: 'Sign in by the link' }).click();
    await page.getByText('Signed in as deniz').waitFor();
    await openTab(page, 'Members');
    await page.waitForTimeout(400);
    assert.ok(!(await page.locator('.result-window').textContent()).includes('Demir'));
    assert.deepEqual(await run(page, 'Caller'), { data: { caller: 'deniz by the cookie alone' } });
  }, { secrets: [TOKEN, OTHER] });
});

pageTest('a link takes nobody’s session from under their hands: it is asked about', async ({ origin }) => {
  const refusals = await inPage(`/graphiql#token=${TOKEN}`, async (page) => {
    const question = page.getByRole('heading', { name: 'Sign in by this link?' });
    const cookie = async () => (await page.context().cookies())[0].value;
    const follow = async (token) => {
      await page.goto('about:blank');
      await page.goto(`${origin}/graphiql#token=${token}`);
      await question.waitFor();
      assert.equal(page.url(), `${origin}/graphiql`);
      assert.equal(await page.locator('main').getAttribute('inert'), '');
    };
    await page.getByText('Signed in as ayse').waitFor();
    const before = await cookie();

    // In a page that is open already, too, where nothing but the fragment changes.
    await page.evaluate((token) => { location.hash = `token=${token}`; }, OTHER);
    await question.waitFor();
    assert.equal(page.url(), `${origin}/graphiql`);
    await page.keyboard.press('Enter'); // to stay is what has the focus
    await question.waitFor({ state: 'detached' });
    assert.equal(await cookie(), before);
    assert.deepEqual(await run(page, 'Caller'), { data: { caller: 'ayse by the cookie alone' } });

    await follow(OTHER);
    await page.getByRole('button', { name: 'Stay signed in as ayse' }).click();
    await page.reload(); // and it isn't asked again
    await page.getByText('Signed in as ayse').waitFor();
    assert.equal(await question.count(), 0);

    await follow('revoked-token');
    await page.getByRole('button', { name: 'Sign in by the link' }).click();
    await page.getByText('The server refused this token').waitFor();
    await page.getByText('Signed in as ayse').waitFor();
    assert.equal(await cookie(), before);

    await follow(OTHER);
    await page.getByRole('button', { name: 'Sign in by the link' }).click();
    await page.getByText('Signed in as deniz').waitFor();
    assert.notEqual(await cookie(), before);
    assert.deepEqual(await run(page, 'Caller'), { data: { caller: 'deniz by the cookie alone' } });
  }, { expectedError: NOBODY, secrets: [TOKEN, OTHER, 'revoked-token'] });
  assert.equal(refusals, 1); // the revoked one
});

pageTest('signing out ends the session and forgets the answers', async () => {
  const refusals = await inPage(`/graphiql#token=${TOKEN}`, async (page) => {
    await run(page, 'Members');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    assert.ok(!(await page.content()).includes('Demir'));
  }, { expectedError: NOBODY, secrets: [TOKEN] });
  assert.equal(refusals, 1);
});

pageTest('operations are saved by name, exported, taken from a file, and opened', async () => {
  await inPage(`/graphiql#token=${TOKEN}`, async (page) => {
    await openTab(page, 'Members');
    await page.getByLabel('Show Operations').click();
    await page.getByLabel('Save this tab’s operation as').fill('By name');
    await page.keyboard.press('Enter');
    await page.getByText('Saved as “By name”').waitFor();

    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export' }).click(),
    ]);
    assert.equal(file.suggestedFilename(), 'laurels-operations.json');
    const exported = await file.path();
    await page.getByRole('button', { name: 'Delete By name' }).click();
    await page.getByText('None yet.').waitFor();
    await page.getByLabel('File of operations').setInputFiles({ name: 'a.json', mimeType: 'application/json', buffer: Buffer.from('{}') });
    await page.getByText('This file holds no saved operations').waitFor();
    await page.getByLabel('File of operations').setInputFiles(exported);
    await page.getByRole('button', { name: 'By name', exact: true }).waitFor();

    await page.reload();
    await page.getByRole('button', { name: 'By name', exact: true }).waitFor();
    await page.getByRole('button', { name: /^Listed/ }).click();
    await page.getByTitle('Listed', { exact: true }).waitFor();
    assert.deepEqual(await run(page, 'Listed'), { data: { caller: 'ayse by the cookie alone' } });
    await page.getByLabel('Show History').click();
    await page.getByRole('button', { name: 'Listed', exact: true }).first().waitFor();
  }, { secrets: [TOKEN, 'Ayşe'] });
});

pageTest('a request to another host is seen, and the policy stops it', async ({ origin }) => {
  const elsewhere = origin.replace('127.0.0.1', 'localhost');
  const breach = inPage(`/graphiql#token=${TOKEN}`, async (page) => {
    await page.getByText('Signed in as ayse').waitFor();
    const sent = await page.evaluate((url) => fetch(url).then(() => 'sent', () => 'stopped'), elsewhere);
    assert.equal(sent, 'stopped');
  });
  await assert.rejects(breach, /Content Security Policy/);
});
