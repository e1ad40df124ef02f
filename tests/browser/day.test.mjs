// An admin's day at the GraphiQL page, against the real application with the demo's coalition.
import assert from 'node:assert/strict';
import { execute, openTab, pages, run, screenshot, setVariables, shown, signIn } from './harness.mjs';

const EMAIL = 'ada@example.com';
const NOBODY = /401 \(Unauthorized\)/;
const { pageTest, inPage } = pages('tests.browser.day');

/** Fails on an answer with an error of GraphQL's own, or a member of a union that is one. */
function assertNoError(answer, what) {
  assert.equal(answer.errors, undefined, `${what}: ${JSON.stringify(answer.errors)}`);
  const refused = [];
  JSON.stringify(answer, (key, value) => {
    if (key === '__typename' && value.endsWith('Error')) refused.push(value);
    return value;
  });
  assert.deepEqual(refused, [], `${what}: ${JSON.stringify(answer)}`);
}

/** The titles of the pictures that are drawn, once one of them has these words in it. */
async function pictures(page, words) {
  const drawn = await page.waitForFunction((wanted) => {
    const titles = [...document.querySelectorAll('.picture figcaption')].map(({ textContent }) => textContent);
    return titles.some((title) => title.includes(wanted)) && titles;
  }, words);
  return drawn.jsonValue();
}

/** Searches a member who is known, and waits for the answer. */
async function search(page, known) {
  await Promise.all([
    page.waitForResponse((response) => response.request().postDataJSON()?.operationName === 'FindMember'),
    page.getByLabel('Find a member').fill(known).then(() => page.keyboard.press('Enter')),
  ]);
  await shown(page, '"name": "Ada Karaca"');
}

const secretsOf = ({ told: { owner, support } }) => [owner, owner.split('.')[2], support, EMAIL, 'Ada Karaca'];

pageTest('the day’s work, from signing in to signing out', async (place) => {
  const { told } = place;
  const refusals = await inPage('/graphiql', async (page) => {
    await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor();
    await signIn(page, told.owner);
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite], ['laurels_session', true, 'Strict']);
    await openTab(page, 'FindMember');

    for (const known of ['9012', EMAIL]) await search(page, known);
    assert.deepEqual((await pictures(page, 'Tiers')).slice(0, 3), [
      'Ada Karaca · LAUREL · Balance', 'Ada Karaca · LAUREL · Expires', 'Ada Karaca · STAMP · Balance',
    ]);
    await page.getByLabel('Find a member').fill('nobody at all');
    await page.keyboard.press('Enter');
    await page.getByText('Nobody is known by this').waitFor();
    await page.getByLabel('Find a member').fill('9012');
    assert.equal(await page.getByText('Nobody is known by this').count(), 0);

    assertNoError(await run(page, 'ExplainEntry'), 'ExplainEntry');
    assert.deepEqual(await pictures(page, 'Entries'), ['Ada Karaca · BASKET · Balance', 'Ada Karaca · BASKET · Entries']);
    await screenshot(page, 'graphiql');

    const why = await run(page, 'WhyNot');
    assertNoError(why, 'WhyNot');
    assert.notEqual(why.data.purchase.whyNot.because, '');

    const adjusted = await run(page, 'Adjust');
    assertNoError(adjusted, 'Adjust');
    assert.deepEqual([adjusted.data.adjustPoints.adjustment.points, adjusted.data.adjustPoints.replayed], [20, false]);
    assert.equal((await run(page, 'Adjust')).data.adjustPoints.replayed, true); // the key books once

    const reversed = await run(page, 'ReverseReceipt');
    assertNoError(reversed, 'ReverseReceipt');
    assert.equal(reversed.data.cancelPurchases.results[0].__typename, 'PurchaseCancelled');

    assertNoError(await run(page, 'ReviewPartner'), 'ReviewPartner');
    const books = await run(page, 'TrialBalance');
    assertNoError(books, 'TrialBalance');
    assert.deepEqual([...new Set(books.data.trialBalance.currencies.map(({ sum }) => sum))], [0]);
    assert.ok((await pictures(page, 'BASKET · Accounts')).includes('BASKET · Issued by Greenleaf Grocer'));

    assertNoError(await run(page, 'WhatIf'), 'WhatIf');
    await openTab(page, 'WhatIfReports');
    let report = null;
    for (let asked = 0; !report && asked < 40; asked += 1) {
      const answer = await run(page, 'WhatIfReports');
      assertNoError(answer, 'WhatIfReports');
      report = answer.data.simulations.edges[0].node.report;
    }
    assert.ok(report.purchases > 0);
    const drawn = await pictures(page, 'Winners');
    assert.ok(drawn.some((title) => title.endsWith('Rules')), drawn.join());
    await screenshot(page, 'what-if');

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor();
    assert.deepEqual(await page.context().cookies(), []);
  }, { expectedError: NOBODY, secrets: secretsOf(place) });
  assert.equal(refusals, 2); // before the sign-in, and after the sign-out
});

pageTest('a redemption is made and reversed, by operations from the list', async (place) => {
  await inPage(`/graphiql#token=${place.told.owner}`, async (page) => {
    await openTab(page, 'FindMember');
    await page.getByLabel('Show Operations').click();
    await fromList(page, 'Redeem');
    const { data } = await run(page, 'Redeem');
    const { id } = data.redeemReward.redemption;

    await fromList(page, 'ReverseRedemption');
    await openTab(page, 'ReverseRedemption');
    await setVariables(page, { input: { key: 'browser', redemption: id, reason: 'damaged' } });
    const undone = await run(page, 'ReverseRedemption');
    assertNoError(undone, 'ReverseRedemption');
    assert.equal(undone.data.reverseRedemption.redemption.status, 'REVERSED');

    for (const name of ['Lots', 'Adjustments', 'Audit', 'ApiKeys', 'Partners', 'Members', 'Quote', 'RecordPurchases', 'RecordReturns']) {
      await fromList(page, name);
      assertNoError(await run(page, name), name);
    }
  }, { secrets: secretsOf(place) });
});

pageTest('a ledger is followed by the cookie, and drawn anew when it changes', async (place) => {
  await inPage(`/graphiql#token=${place.told.owner}`, async (page) => {
    await openTab(page, 'FindMember');
    await page.getByLabel('Show Operations').click();
    await fromList(page, 'FollowLedger');
    await page.getByLabel('Show Pictures').click();
    await execute(page);
    const active = page.getByRole('img', { name: 'LAUREL · Balance' }).locator('desc');
    await active.waitFor({ state: 'attached' });
    const before = points(await active.textContent());
    const booked = await page.evaluate(adjust);
    assertNoError(booked, 'the adjustment beside it');
    await page.waitForFunction(
      (wanted) => [...document.querySelectorAll('.picture desc')].some((desc) => desc.textContent.startsWith(wanted)),
      `Active: ${before + 7};`,
    );
    await page.getByRole('button', { name: /Stop query/ }).click();
  }, { secrets: secretsOf(place) });
});

const points = (text) => Number(/^Active: ([\d,]+);/.exec(text)[1].replaceAll(',', ''));

/** Seven laurels for Ada, by the page's own session; runs in the page. */
async function adjust() {
  const input = '{ key: "followed", member: { card: "9012" }, currency: "LAUREL", points: 7, reason: "goodwill" }';
  const query = `mutation { adjustPoints(input: ${input}) { __typename ... on Error { message } } }`;
  const headers = { 'content-type': 'application/json', 'x-laurels-csrf': '1' };
  const answer = await fetch('/graphql', { method: 'POST', headers, body: JSON.stringify({ query }) });
  return answer.json();
}

async function fromList(page, name) {
  await page.getByRole('button', { name: new RegExp(`^${name} `) }).click();
  await page.getByTitle(name, { exact: true }).waitFor();
}

pageTest('an error is told in words, and draws nothing', async (place) => {
  await inPage(`/graphiql#token=${place.told.owner}`, async (page) => {
    await openTab(page, 'FindMember');
    await page.getByText('Run the operation: what it answers is drawn here').waitFor();
    await openTab(page, 'Adjust');
    await setVariables(page, {
      input: { key: 'k', member: { card: '9012' }, currency: 'LAUREL', points: 1, reason: 'whim' },
    });
    await execute(page);
    await shown(page, 'a reason is one of');
    await page.getByText('Nothing in this answer makes a picture').waitFor();
  }, { secrets: secretsOf(place) });
});

pageTest('who may less is told so by each answer, and stays signed in', async (place) => {
  await inPage(`/graphiql#token=${place.told.support}`, async (page) => {
    await page.getByText('Signed in as sam').waitFor();
    await page.getByText('support', { exact: true }).waitFor();
    assertNoError(await run(page, 'ReviewPartner'), 'ReviewPartner');
    const { errors } = await run(page, 'TrialBalance');
    assert.deepEqual(errors.map(({ extensions }) => extensions.code), ['FORBIDDEN']);
    await shown(page, 'For admins:');
    assert.equal(await page.locator('.login').count(), 0);
  }, { secrets: secretsOf(place) });
});

for (const [width, scheme] of [[1280, 'dark'], [800, 'light']]) {
  pageTest(`the page holds at ${width} pixels, ${scheme}, by keyboard and for who reads with their ears`, async (place) => {
    await inPage(`/graphiql#token=${place.told.owner}`, async (page) => {
      await openTab(page, 'FindMember');
      if (await page.getByLabel('Show Pictures').count()) await page.getByLabel('Show Pictures').click();
      await search(page, '9012');
      await pictures(page, 'Tiers');

      const drawing = page.getByRole('img', { name: 'Ada Karaca · LAUREL · Balance' });
      assert.match(await drawing.getByText(/^Active: /).first().textContent(), /^Active: [\d,]+; Pending: 0; Reserved: 0; Arrears: 0$/);
      const summary = page.getByRole('figure').first().locator('summary');
      await summary.focus();
      await page.keyboard.press('Enter');
      assert.deepEqual(await page.getByRole('figure').first().getByRole('row').first().getByRole('columnheader').allTextContents(), ['', 'points']);

      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `the page is ${wide} wide at ${width}`);
      for (const name of ['Sign out', /Execute query/]) {
        const box = await page.getByRole('button', { name }).boundingBox();
        assert.ok(box.x >= 0 && box.x + box.width <= width, `${name} is out of sight`);
      }
      await openTab(page, 'ExplainEntry');
      await setVariables(page, { by: { card: '9012' }, currency: 'LAUREL', after: null });
      assertNoError(await run(page, 'ExplainEntry'), 'ExplainEntry');
      await pictures(page, 'LAUREL · Entries');
      await screenshot(page, width === 1280 ? 'panel' : 'narrow');
    }, { width, scheme, secrets: secretsOf(place) });
  });
}
