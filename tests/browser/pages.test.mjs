// The member's page and the programme's in a real browser, against the real application with a living
// coalition: what they show is what GraphQL answers, and they can be used by keyboard and by ear.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { pages, readable, screenshot } from './harness.mjs';

const NOBODY = /401 \(Unauthorized\)/;
const { pageTest, inPage } = pages('tests.browser.living', { needsBuilt: false });

/** What GraphQL answers to whoever has a token. */
async function api({ origin, told }, who, query, variables = {}) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${told[who]}` };
  const answer = await fetch(`${origin}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  const { data, errors } = await answer.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

const BALANCES = '{ me { ledgers { currency { code name } balance { active } } } }';
const activeIn = ({ me }, code) => me.ledgers.find(({ currency }) => currency.code === code).balance.active;
const english = (number) => number.toLocaleString('en-GB');

/** Opens a page, signed in by a link, and waits until it shows what it shows. */
const opened = (place, name, who, scenario, options = {}) =>
  inPage(`/${name}#token=${place.told[who]}`, async (page) => {
    await page.locator('main:not([aria-busy])').waitFor();
    await scenario(page);
  }, { secrets: [place.told[who]], ...options });

/** Pastes a token and sends it, whatever becomes of that. */
async function pasted(page, token) {
  for (const closed of await page.locator('main details:not([open]) summary').all()) await closed.click();
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.keyboard.press('Enter');
}

/** What axe finds wrong, in a line each. */
async function wrongs(page) {
  const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
}

/** Presses Tab until what has the focus is as wanted; fails where that never comes. */
async function tabTo(page, wanted, key = 'Tab') {
  for (let turn = 0; turn < 80; turn += 1) {
    await page.keyboard.press(key);
    if (await page.evaluate((selector) => document.activeElement.matches(selector), wanted)) return;
  }
  assert.fail(`the keyboard doesn't reach ${wanted}`);
}

pageTest('a member’s page shows what GraphQL answers, by one request', async (place) => {
  const asked = [];
  await inPage('/member', async (page) => {
    page.on('request', (request) => request.url().endsWith('/graphql') && asked.push(request));
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.equal(asked.length, 0);
    await page.evaluate((token) => { location.hash = `token=${token}`; }, place.told.member);
    await page.getByRole('heading', { name: 'Hello, Ada Karaca' }).waitFor();
    assert.equal(asked.length, 1);
    assert.equal(page.url(), `${place.origin}/member`);
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite], ['laurels_member', true, 'Strict']);

    const { me } = await api(place, 'member', `{ me {
      ledgers { currency { code } balance { active } expiring(within: "90D") { amount } entries(first: 1) { edges { node {
        explanation { text } } } } }
      tiers { ladder { code } current { name } toNext { missing tier { name } } toKeep { missing } }
      rewards(first: 60) { edges { node { code eligibility { can } } } } } }`);
    assert.ok(me.ledgers.length > 2 && me.tiers.length > 1);
    for (const { currency, balance, expiring } of me.ledgers) {
      const card = page.locator(`[data-currency="${currency.code}"]`);
      assert.equal(await card.locator('.active').textContent(), english(balance.active));
      const first = expiring.length ? `${english(expiring[0].amount)} expire ` : 'Nothing expires';
      assert.ok((await card.textContent()).includes(first), currency.code);
    }
    for (const { ladder, current, toNext, toKeep } of me.tiers) {
      const card = page.locator(`[data-ladder="${ladder.code}"]`);
      assert.equal(await card.locator('.rank strong').textContent(), current.name);
      assert.equal(await card.locator('progress').count(), toNext ? 1 : 0);
      assert.equal((await card.textContent()).includes(` keep ${current.name}`), Boolean(toKeep));
    }
    const can = me.rewards.edges.filter(({ node }) => node.eligibility.can).length;
    assert.ok(can > 0 && can < me.rewards.edges.length, 'some can be had, and some can’t');
    assert.equal(await page.getByRole('button', { name: 'Redeem' }).count(), can);
    assert.equal(await page.locator('.why').count(), me.rewards.edges.length - can);
    assert.match(await page.locator('.why').first().textContent(), /more needed|From the tier|None left/);
  }, { expectedError: NOBODY, secrets: [place.told.member, 'Ada'] });
});

pageTest('history tells why, and goes on page by page', async (place) => {
  await opened(place, 'member', 'member', async (page) => {
    const rows = page.locator('.entry');
    assert.equal(await rows.count(), 10);
    const more = page.getByRole('button', { name: 'Show more' });
    for (let shown = 10; await more.isVisible(); ) {
      await more.click();
      await page.waitForFunction(
        (before) => document.querySelectorAll('.entry').length > before && !document.getElementById('more').disabled, shown);
      shown = await rows.count();
    }
    const { me } = await api(place, 'member', `{ me { ledgers { entries(first: 100) { pageInfo { hasNextPage } edges { node {
      at explanation { text } } } } } } }`);
    assert.ok(me.ledgers.every(({ entries }) => !entries.pageInfo.hasNextPage), 'this reads all of them');
    const all = me.ledgers.flatMap(({ entries }) => entries.edges.map(({ node }) => node));
    assert.ok(all.length > 40);
    const shown = await rows.locator('details p:first-of-type').allTextContents();
    assert.deepEqual([...shown].sort(), all.map(({ explanation }) => explanation.text).sort());
    // As booked: in each ledger in its own order, and of the ledgers' next ones the newest first.
    const newest = all.reduce((one, other) => (Date.parse(other.at) > Date.parse(one.at) ? other : one));
    assert.equal(shown[0], newest.explanation.text);

    const why = page.locator('.entry summary').first();
    await why.focus();
    await page.keyboard.press('Enter');
    await page.locator('.entry details p').first().waitFor({ state: 'visible' });
  });
});

pageTest('a reward is taken once, however shaky the net, and its code is shown', async (place) => {
  await opened(place, 'member', 'member', async (page) => {
    const before = activeIn(await api(place, 'member', BALANCES), 'BASKET');
    const keys = [];
    await page.route('**/graphql', async (route) => {
      const { query, variables } = route.request().postDataJSON();
      if (!query.includes('redeemReward')) return route.continue();
      keys.push(variables.input.key);
      if (keys.length > 1) return route.continue();
      await route.fetch(); // the server does it, and the answer is lost on its way back
      return route.abort();
    });
    const card = page.locator('[data-reward="five-off"]');
    await card.getByRole('button', { name: 'Redeem' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText(`Left afterwards: ${english(before - 500)} Basket points`).waitFor();
    const confirm = dialog.getByRole('button', { name: /^Redeem for 500 Basket points/ });
    await confirm.click();
    await dialog.getByText('nothing is done twice').waitFor();
    await confirm.click();
    await dialog.getByRole('heading', { name: 'It’s yours.' }).waitFor();
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
    const code = await dialog.locator('.code').textContent();
    const { me } = await api(place, 'member', '{ me { redemptions(first: 2) { edges { node { codes points requestedAt } } } } }');
    assert.deepEqual(me.redemptions.edges[0].node.codes, [code]);
    assert.notDeepEqual(me.redemptions.edges[1]?.node.requestedAt.slice(0, 16), me.redemptions.edges[0].node.requestedAt.slice(0, 16));
    assert.equal(activeIn(await api(place, 'member', BALANCES), 'BASKET'), before - 500);

    await dialog.getByRole('button', { name: 'Done' }).click();
    await page.waitForFunction(
      (wanted) => document.querySelector('[data-currency="BASKET"] .active').textContent === wanted, english(before - 500));
    await page.locator('.taken').getByText(code).waitFor();
    // The next time it is another request.
    await card.getByRole('button', { name: 'Redeem' }).click();
    await page.getByRole('dialog').getByRole('button', { name: /^Redeem for/ }).click();
    await page.getByRole('dialog').getByText('It’s yours.').waitFor();
    assert.notEqual(keys[2], keys[0]);
  }, { expectedError: /net::ERR_FAILED/ });
});

pageTest('what was taken meanwhile is refused in words, and nothing is lost', async (place) => {
  await opened(place, 'member', 'member', async (page) => {
    await page.route('**/graphql', (route) => {
      const body = route.request().postDataJSON();
      if (!body.query.includes('redeemReward')) return route.continue();
      const input = { ...body.variables.input, reward: 'barista-class', partner: 'cafe', currency: 'STAR' };
      return route.continue({ postData: JSON.stringify({ ...body, variables: { input } }) });
    });
    await page.locator('.reward').getByRole('button', { name: 'Redeem' }).first().click();
    await page.getByRole('dialog').getByRole('button', { name: /^Redeem for/ }).click();
    await page.getByRole('alert').filter({ hasText: 'Nothing was taken:' }).waitFor();
    await page.keyboard.press('Escape');
    assert.equal(await page.getByRole('dialog').count(), 0);
  });
});

pageTest('the keyboard alone goes all the way, and the focus is never lost', async (place) => {
  await opened(place, 'member', 'member', async (page) => {
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'skip');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    await tabTo(page, '.reward button');
    const id = await page.evaluate(() => document.activeElement.id);
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement.id === 'confirm');
    await tabTo(page, 'dialog .quiet');
    await page.keyboard.press('Enter');
    await page.waitForFunction((wanted) => document.activeElement.id === wanted, id);
    await tabTo(page, '.entry summary');
    await tabTo(page, '#more');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement.matches('.entry:nth-child(n + 11) summary'));
    await page.getByRole('status').filter({ hasText: '10 more entries' }).waitFor();
    await tabTo(page, '#sign-out', 'Shift+Tab');
  });
});

pageTest('the browser’s language is spoken, until another is chosen, which is kept', async (place) => {
  await opened(place, 'member', 'member', async (page) => {
    await page.getByRole('heading', { name: 'Merhaba, Ada Karaca' }).waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), 'tr');
    const active = activeIn(await api(place, 'member', BALANCES), 'BASKET');
    assert.equal(await page.locator('[data-currency="BASKET"] .active').textContent(), active.toLocaleString('tr-TR'));
    assert.deepEqual(await page.evaluate(() => ({ ...localStorage })), {});

    await page.getByLabel('Dil').selectOption('English');
    await page.getByRole('heading', { name: 'Hello, Ada Karaca' }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'language');
    assert.deepEqual(await page.evaluate(() => ({ ...localStorage })), { 'laurels-language': 'en' });
    await page.reload();
    await page.getByRole('heading', { name: 'Hello, Ada Karaca' }).waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    assert.ok(!(await readable(page)).includes('Ada'));
  }, { locale: 'tr-TR' });
});

pageTest('who isn’t a member is told what to do, and signing out ends it', async (place) => {
  await inPage('/member', async (page) => {
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'address');
    await pasted(page, 'two words');
    await page.getByText('That is not a token').waitFor();
    await pasted(page, 'nonsense');
    await page.getByText('Ask for a new link').waitFor();
    await pasted(page, place.told.finance);
    await page.getByText('This token is good, but no member’s').waitFor();
    await pasted(page, place.told.member);
    await page.getByRole('heading', { name: 'Hello, Ada Karaca' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    assert.ok(!(await page.content()).includes('Ada'));
  }, { expectedError: /40[13] \((Unauthorized|Forbidden)\)/, secrets: [place.told.member, place.told.finance] });
});

pageTest('a link takes nobody’s session from under their hands', async (place) => {
  await opened(place, 'member', 'member', async (page) => {
    const cookie = async () => (await page.context().cookies())[0].value;
    const before = await cookie();
    await page.evaluate((token) => { location.hash = `token=${token}`; }, place.told.other);
    await page.getByRole('heading', { name: 'Sign in by this link?' }).waitFor();
    assert.equal(page.url(), `${place.origin}/member`);
    await page.keyboard.press('Enter'); // to stay is what has the focus
    await page.getByRole('heading', { name: 'Hello, Ada Karaca' }).waitFor();
    assert.equal(await cookie(), before);
    await page.evaluate((token) => { location.hash = `token=${token}`; }, place.told.other);
    await page.getByRole('button', { name: 'Sign in by the link' }).click();
    await page.getByRole('heading', { name: 'Hello, Ben Okafor' }).waitFor();
    assert.notEqual(await cookie(), before);
  });
});

pageTest('a membership is shown with what it brings', async (place) => {
  const query = 'mutation($input: JoinPlanInput!) { joinPlan(input: $input) { __typename ... on Error { message } } }';
  const input = { key: 'browser', partner: 'marketplace', plan: 'plus' };
  const { joinPlan } = await api(place, 'other', query, { input });
  assert.equal(joinPlan.__typename, 'MembershipChanged', joinPlan.message);
  await opened(place, 'member', 'other', async (page) => {
    const card = page.getByRole('region', { name: 'Memberships' }).locator('[data-plan="plus"]');
    await card.getByRole('heading', { name: 'Bazaar Plus' }).waitFor();
    await card.getByText('On trial until').waitFor();
    const { me } = await api(place, 'other', '{ me { plans { perks { title } } } }');
    const titles = me.plans[0].perks.map(({ title }) => title);
    assert.deepEqual(await card.locator('.ticks li').allTextContents(), titles);
    assert.deepEqual(await wrongs(page), []);
  });
});

pageTest('one field and one code: a newcomer is a member with a card at once', async (place) => {
  const inbox = async () => (await fetch(`${place.origin}/inbox`)).json();
  await inPage('/member', async (page) => {
    await page.getByLabel('E-mail address or telephone number').fill('new@example.com');
    await page.keyboard.press('Enter');
    await page.locator('#code-sent').filter({ hasText: 'six digits to new@example.com' }).waitFor();
    const [[to, language, code]] = await inbox();
    assert.deepEqual([to, language], ['new@example.com', 'en']);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'code');
    await page.keyboard.type(code === '000000' ? '000001' : '000000');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: /\w/ }).waitFor();
    assert.deepEqual(await wrongs(page), []);
    await page.getByLabel('Code').fill(code);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Hello', exact: true }).waitFor();
    const qr = page.getByRole('img', { name: /QR code/ });
    assert.ok(await qr.evaluate(({ complete, naturalWidth }) => complete && naturalWidth > 0));
    assert.match(await page.locator('.number').textContent(), /^\d+$/);
    await page.getByText('No points yet').waitFor();
    assert.deepEqual(await wrongs(page), []);
  }, { expectedError: NOBODY, secrets: ['new@example.com'] });
});

pageTest('a place at a meetup is taken, shown with its code, and given up', async (place) => {
  const create = 'mutation($input: CreateMeetupInput!) { createMeetup(input: $input) { __typename ... on Error { message } } }';
  const from = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString();
  const input = {
    partner: 'outdoors', code: 'browser', title: 'A walk around the lake', startsAt: from(5), endsAt: from(90), capacity: 3,
    place: { name: 'At the boathouse', latitude: 39.7, longitude: -105, radius: 200 }, tags: ['lake'],
  };
  const { createMeetup } = await api(place, 'manager', create, { input });
  assert.equal(createMeetup.__typename, 'MeetupSaved', createMeetup.message);
  const query = '{ meetups { edges { node { placesLeft myRegistration { cancelledAt } } } } }';
  const seen = async () => (await api(place, 'member', query)).meetups.edges[0].node;
  await opened(place, 'member', 'member', async (page) => {
    const card = page.getByRole('region', { name: 'Meetups' }).locator('[data-meetup="browser"]');
    await card.getByText('3 places left').waitFor();
    await card.getByRole('button', { name: 'Take a place' }).focus();
    await page.keyboard.press('Enter');
    await card.getByText('You have a place.').waitFor();
    assert.deepEqual(await seen(), { placesLeft: 2, myRegistration: { cancelledAt: null } });
    assert.match(await page.evaluate(() => document.activeElement.textContent), /Give up/);
    await card.getByRole('button', { name: 'Show my code' }).click();
    assert.match(await page.getByRole('dialog').locator('.code').textContent(), /^[\w.-]{20,}$/);
    assert.deepEqual(await wrongs(page), []);
    await page.keyboard.press('Escape');
    await card.getByRole('button', { name: 'Give up my place' }).click();
    await card.getByRole('button', { name: 'Take a place' }).waitFor();
    assert.equal((await seen()).placesLeft, 3);
  });
});

pageTest('who is signed in stays so by another site’s link, which brings no cookie', async (place) => {
  const brought = (page) => page.evaluate(() => JSON.parse(document.getElementById('page-config').textContent).cookie);
  await opened(place, 'member', 'member', async (page) => {
    await page.reload();
    assert.equal(await brought(page), true);
    await page.goto('about:blank');
    await page.setContent(`<a href="${place.origin}/member">your points</a>`);
    await page.getByRole('link').click();
    await page.getByRole('heading', { name: 'Hello, Ada Karaca' }).waitFor();
    assert.equal(await brought(page), false);
  });
});

pageTest('the programme’s page shows what GraphQL answers, for each currency and span', async (place) => {
  const asked = [];
  await opened(place, 'programme', 'finance', async (page) => {
    page.on('request', (request) => request.url().endsWith('/graphql') && asked.push(request));
    const { programmeStatistics: found } = await api(place, 'finance', `{ programmeStatistics {
      periods { active members joined }
      currencies { currency { code name } periods { issued redeemed outstanding } partners { partner { name } issued redeemed } }
      ladders { ladder { name } periods { tiers { members } } } cohorts { members active } } }`);
    const last = found.periods.at(-1);
    const tile = async (id) => page.locator(`#tile-${id} strong`).textContent();
    assert.equal(await tile('members'), english(last.members));
    assert.equal(await tile('active'), english(last.active));
    assert.ok(found.currencies.length > 2);
    await page.getByLabel('Currency').focus();
    for (const { currency, periods, partners } of found.currencies) {
      await page.getByLabel('Currency').selectOption(currency.code);
      await page.waitForFunction((name) => document.querySelector('#tile-outstanding').textContent.includes(name), currency.name);
      assert.equal(await tile('outstanding'), english(periods.at(-1).outstanding));
      const flow = page.getByRole('figure').filter({ hasText: `Issue and burn, ${currency.name}` });
      const cells = await flow.locator('tbody tr').first().locator('td').allTextContents();
      assert.deepEqual(cells.slice(0, 2), [periods.at(-1).issued, periods.at(-1).redeemed].map(english));
      assert.equal(await flow.locator('tbody tr').count(), 12);
      const byPartner = page.getByRole('figure').filter({ hasText: 'Issued and redeemed by partner' });
      assert.deepEqual(await byPartner.locator('tbody th').allTextContents(), partners.map(({ partner }) => partner?.name ?? 'Programme'));
    }
    assert.equal(asked.length, 0, 'another currency is drawn of what was answered before');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'currency');
    await page.getByLabel('Currency').selectOption('BASKET');

    const drawing = page.getByRole('img', { name: 'Issue and burn, Basket points' });
    const { periods } = found.currencies.find(({ currency }) => currency.code === 'BASKET');
    assert.equal(await drawing.locator('rect.series-0').count(), periods.filter(({ issued }) => issued).length);
    assert.equal(await page.getByRole('img').count(), await page.locator('.picture svg').count());
    const cohorts = found.cohorts.filter(({ members }) => members);
    assert.equal(await page.locator('.heat tbody tr').count(), cohorts.length);
    const shares = cohorts.reduce((sum, { active }) => sum + active.length, 0);
    assert.equal(await page.locator('.heat td[class]').count(), shares);
    await page.evaluate(() => document.activeElement.blur());
    await screenshot(page, 'programme');

    await page.getByLabel('Months shown').selectOption('6');
    await page.waitForFunction(() => document.querySelectorAll('.picture tbody')[0].rows.length === 6);
    assert.equal(asked.length, 1);
  }, { secrets: [place.told.finance], height: 1320 });
});

pageTest('who may not read the books is told which role does', async (place) => {
  await opened(place, 'programme', 'support', async (page) => {
    await page.getByRole('alert').filter({ hasText: 'Ask an owner of the programme for the role' }).waitFor();
    assert.equal(await page.locator('svg').count(), 0);
  });
  await inPage('/programme', async (page) => {
    const way = page.getByRole('link', { name: 'Sign in with your organisation' });
    assert.equal(await way.getAttribute('href'), '/session/login?to=programme');
    for (const who of ['member', 'partner']) {
      await pasted(page, place.told[who]);
      await page.getByText('This token is good, but no admin’s').waitFor();
    }
  }, { expectedError: /40[13] \((Unauthorized|Forbidden)\)/ });
});

pageTest('who was asked how it was answers on the page, once', async (place) => {
  const ASKED = '{ me { surveyInvitations { edges { node { code answer { score comment } } } } } }';
  const answers = async () => (await api(place, 'other', ASKED)).me.surveyInvitations.edges.map(({ node }) => node);
  assert.deepEqual(await answers(), [{ code: 'stay', answer: null }]);
  await opened(place, 'member', 'other', async (page) => {
    const section = page.locator('#surveys');
    assert.deepEqual(await wrongs(page), []);
    await section.getByRole('button', { name: 'Send' }).click(); // the browser asks for a score
    assert.deepEqual(await answers(), [{ code: 'stay', answer: null }]);
    await section.getByRole('radio', { name: '9', exact: true }).focus();
    await page.keyboard.press('Space');
    await section.getByLabel('Would you like to say more?').fill('The view.');
    await section.getByRole('button', { name: 'Send' }).click();
    await section.getByText('Thank you.').waitFor();
    assert.deepEqual(await answers(), [{ code: 'stay', answer: { score: 9, comment: 'The view.' } }]);
    await page.locator('#language').selectOption('tr');
    await page.getByRole('heading', { name: 'Verileriniz' }).waitFor();
    assert.equal(await section.count(), 0);
    await page.reload();
    await page.getByRole('heading', { name: 'Verileriniz' }).waitFor();
    assert.equal(await section.count(), 0);
  });
});

pageTest('a member takes along all that is known of them, and leaves', async (place) => {
  await opened(place, 'member', 'leaver', async (page) => {
    const { me } = await api(place, 'leaver', '{ me { id name } }');
    const coming = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download my data' }).click();
    const download = await coming;
    assert.match(download.suggestedFilename(), /^laurels-\d{4}-\d\d-\d\d\.jsonl$/);
    const lines = readFileSync(await download.path(), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(lines[0].kind, 'about');
    assert.ok(lines.length > 3 && JSON.stringify(lines).includes(me.name));

    const erase = page.getByRole('button', { name: 'Delete my membership', exact: true });
    const confirm = page.getByRole('button', { name: 'Delete my membership now' });
    await erase.click();
    assert.ok(await confirm.isDisabled());
    assert.deepEqual(await wrongs(page), []);
    await page.keyboard.press('Escape');
    assert.ok(await erase.evaluate((each) => each === document.activeElement));
    assert.deepEqual(await api(place, 'leaver', '{ me { id name } }'), { me });

    await erase.click();
    await page.getByLabel('Yes, delete it').check();
    await confirm.click();
    await page.getByRole('heading', { name: 'You are no longer a member.' }).waitFor();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    assert.deepEqual(await api(place, 'leaver', '{ me { id } }'), { me: null });
  }, { expectedError: NOBODY });
});

for (const [name, who, width, scheme] of [
  ['member', 'member', 1200, 'light'], ['member', 'member', 320, 'dark'],
  ['programme', 'finance', 1200, 'dark'], ['programme', 'finance', 320, 'light'],
]) {
  pageTest(`nothing is wrong with /${name} at ${width} pixels, ${scheme}`, async (place) => {
    await opened(place, name, who, async (page) => {
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `the page is ${wide} wide at ${width}`);
      for (const details of await page.locator('details').all()) await details.evaluate((each) => { each.open = true; });
      await page.waitForTimeout(100);
      assert.deepEqual(await wrongs(page), []);
      if (name === 'member' && width === 1200) {
        await page.evaluate(() => { for (const each of document.querySelectorAll('details')) each.open = false; scrollTo(0, 0); });
        await screenshot(page, 'member');
        await page.locator('.reward').getByRole('button').first().click();
        assert.deepEqual(await wrongs(page), []);
        await page.keyboard.press('Escape');
        // The control: a label less, and a grey on grey.
        await page.evaluate(() => {
          document.querySelector('label .unseen').remove();
          document.querySelector('h1').style.color = '#ccc';
        });
        assert.deepEqual((await wrongs(page)).map((each) => each.split(':')[0]).sort(), ['color-contrast', 'select-name']);
      }
    }, { width, scheme, height: name === 'member' ? 1320 : 900 });
  });
}

pageTest('nothing in them can make HTML of a text', async (place) => {
  const breach = opened(place, 'member', 'member', async (page) => {
    const thrown = await page.evaluate(() => {
      try {
        document.body.innerHTML = '<b>x</b>';
        return '';
      } catch ({ name }) {
        return name;
      }
    });
    assert.equal(thrown, 'TypeError');
  });
  await assert.rejects(breach, /TrustedHTML/);
});

test('each text is there in each language, and takes the same names', async () => {
  const of = async (code) => Object.assign({}, ...await Promise.all(['', 'member-', 'programme-'].map(
    async (page) => (await import(`../../app/static/texts-${page}${code}.js`)).default)));
  const [en, tr] = await Promise.all(['en', 'tr'].map(of));
  assert.deepEqual(Object.keys(tr).sort(), Object.keys(en).sort());
  const names = (text) => [...new Set(JSON.stringify(text).match(/\{\w+\}/g) ?? [])].sort();
  const plural = (text) => typeof text === 'object' && !names(text.one).length;
  for (const [key, text] of Object.entries(en)) {
    if (!plural(text)) assert.deepEqual(names(tr[key]), names(text), key);
  }
});
