// What the page finds in an answer to draw, and what it keeps and searches: pure modules, no browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidates, firstKnown, searchOf } from '../../app/graphiql/src/find.js';
import { fromStorage, toFile, withFile, withOperation, withoutOperation } from '../../app/graphiql/src/saved.js';
import { picturesOf, words } from '../../app/graphiql/src/shapes.js';
import { stripped, withoutVariables } from '../../app/graphiql/src/storage.js';

const at = (day) => Date.parse(`${day}T00:00:00Z`);
const nodes = (...list) => ({ edges: list.map((node) => ({ node })) });

test('a ledger’s balance becomes bars, and what expires a line in time', () => {
  const data = { anything: [{ member: { name: 'Ada', ledgers: [{
    currency: { code: 'STAR' },
    balance: { active: 12, pending: '3', reserved: 0 },
    expiring: [{ amount: 5, at: '2027-02-01T00:00:00Z' }, { amount: 2, at: '2027-01-01T00:00:00Z' }, { amount: 1, at: '2027-02-01T00:00:00Z' }],
    activating: [{ amount: 3, at: null }],
  }] } }] };
  assert.deepEqual(picturesOf(data), [
    { kind: 'bars', title: 'Ada · STAR · Balance', unit: 'STAR', series: ['points'], rows: [
      { label: 'Active', values: [12] }, { label: 'Pending', values: [3] }, { label: 'Reserved', values: [0] },
    ] },
    { kind: 'timeline', title: 'Ada · STAR · Expires', unit: 'STAR', points: [
      { at: at('2027-01-01'), amount: 2 }, { at: at('2027-02-01'), amount: 6 },
    ] },
  ]);
});

test('entries run from the oldest on, by what each does to the balance', () => {
  const data = { ledger: { currency: { code: 'X' }, entries: nodes(
    { at: '2026-03-02T00:00:00Z', change: -4, amount: 4, kind: 'REDEMPTION' },
    { at: '2026-03-01T00:00:00Z', change: 10, amount: 10, kind: 'ACCRUAL', partner: { name: 'Café' } },
  ) } };
  assert.deepEqual(picturesOf(data), [{
    kind: 'running', title: 'X · Entries', unit: 'X',
    points: [
      { at: at('2026-03-01'), change: 10, label: 'Accrual, Café' },
      { at: at('2026-03-02'), change: -4, label: 'Redemption' },
    ],
    days: [{ day: '2026-03-01', in: 10, out: 0 }, { day: '2026-03-02', in: 0, out: 4 }],
  }]);
});

test('without `change`, an entry’s accounts or its kind say which way it goes', () => {
  const changes = (...list) => picturesOf({ entries: list.map((each) => ({ at: '2026-03-01', amount: 5, ...each })) })[0]
    ?.points.map(({ change }) => change).sort();
  assert.deepEqual(changes({ source: 'ISSUED', target: 'PENDING' }, { source: 'PENDING', target: 'ACTIVE' }), [0, 5]);
  assert.deepEqual(changes({ kind: 'EXPIRY' }, { kind: 'ACCRUAL' }), [-5, 5]);
  assert.equal(changes({ kind: 'SOMETHING' }), undefined); // nobody knows which way: no picture
});

test('lots are what they brought and what is left, and until when', () => {
  const data = { lots: nodes(
    { earnedAt: '2026-01-02T08:00:00Z', amount: 10, remaining: 4, expiresAt: '2027-01-02T00:00:00Z' },
    { earnedAt: '2026-01-01T08:00:00Z', amount: 7, remaining: 0, expiresAt: '2027-01-01T00:00:00Z' },
    { earnedAt: '2026-01-02T09:00:00Z', amount: 1, remaining: 1, expiresAt: null },
  ) };
  const [lots, ends] = picturesOf(data);
  assert.deepEqual(lots.series, ['brought', 'left']);
  assert.deepEqual(lots.rows, [{ label: '2026-01-01', values: [7, 0] }, { label: '2026-01-02', values: [11, 5] }]);
  assert.deepEqual(ends.points, [{ at: at('2027-01-02'), amount: 4 }]);
});

test('tiers say how far to the next and to keep; what nobody knows has no bar', () => {
  const tier = (rest) => ({ ladder: { name: 'Ranks' }, current: { name: 'Silver' }, ...rest });
  const [{ rows }] = picturesOf({ tiers: [
    tier({ value: 60, toNext: { missing: 40, tier: { name: 'Gold' } }, toKeep: { missing: 0, until: '2027-01-01T00:00:00Z' } }),
    tier({ toNext: { missing: 40, tier: { name: 'Gold', threshold: 200 } } }),
    tier({ toNext: { missing: 40, tier: {} }, toKeep: null }),
  ] });
  assert.deepEqual(rows, [
    { label: 'Ranks: Silver', value: 60, of: 100, note: '40 missing to Gold' },
    { label: 'Ranks: Silver, to keep', value: 60, of: 60, note: 'kept until 2027-01-01' },
    { label: 'Ranks: Silver', value: 160, of: 200, note: '40 missing to Gold' },
    { label: 'Ranks: Silver', value: null, of: null, note: '40 missing to the next' },
  ]);
});

test('a challenge says how far it has come', () => {
  const [{ kind, rows }] = picturesOf({ progress: [{ title: 'Five teas', current: '3', target: '5', missing: '2', until: null }] });
  assert.deepEqual([kind, rows], ['progress', [{ label: 'Five teas', value: 3, of: 5, note: '2 missing' }]]);
});

test('the trial balance is its accounts, and what became of what each partner issued', () => {
  const found = picturesOf({ trialBalance: { currencies: [{
    currency: { code: 'LEAF' }, sum: 0,
    accounts: [{ account: 'ACTIVE', points: 9 }, { account: 'CLAWED_BACK', points: -9 }],
    partners: [{ partner: { name: 'Grocer' }, issued: 9, redeemed: 0, outstanding: 9 }, { partner: null, issued: 0, redeemed: 0, given: 0 }],
  }] } });
  assert.deepEqual(found.map(({ title }) => title), ['LEAF · Accounts', 'LEAF · Issued by Grocer', 'LEAF · Issued by the programme']);
  assert.deepEqual(found[0].rows, [{ label: 'Active', values: [9] }, { label: 'Clawed back', values: [-9] }]);
});

test('a what-if compares now and then, and counts who changes tier', () => {
  const found = picturesOf({ node: { draft: 'more', partner: { name: 'Grocer' }, report: {
    currencies: [{ currency: { code: 'LEAF' }, booked: 1, now: 10, then: 12 }],
    rules: [{ code: 'r', now: 10, then: 0 }],
    winners: [{ member: { name: 'Ada' }, currency: { code: 'LEAF' }, now: 1, then: 2 }],
    tiers: [{ ladder: 'ranks', now: { name: 'silver' }, then: { name: 'gold' }, members: 3 }],
  } } });
  assert.deepEqual(found.map(({ title, series, rows }) => [title, series, rows]), [
    ['more · Currencies', ['now', 'then'], [{ label: 'LEAF', values: [10, 12] }]],
    ['more · Rules', ['now', 'then'], [{ label: 'r', values: [10, 0] }]],
    ['more · Winners', ['now', 'then'], [{ label: 'Ada · LEAF', values: [1, 2] }]],
    ['more · Tiers change', ['members'], [{ label: 'ranks silver → gold', values: [3] }]],
  ]);
});

test('a shadow compares what is with what would be, and a table by month has all its figures', () => {
  assert.deepEqual(picturesOf({ points: [{ currency: 'LEAF', live: 3, shadow: 4 }] })[0].rows, [{ label: 'LEAF', values: [3, 4] }]);
  const [months] = picturesOf({ months: [{ month: '2026-01', earned: 3, expired: '1', note: 'x' }, { month: '2026-02', earned: 4, expired: 0, note: 'y' }] });
  assert.deepEqual([months.series, months.rows], [['Earned', 'Expired'], [{ label: '2026-01', values: [3, 1] }, { label: '2026-02', values: [4, 0] }]]);
});

test('what makes no picture makes none, and nothing that an answer may hold is a fault', () => {
  const nothing = [null, undefined, 7, 'x', [], {}, { a: null }, { edges: [null] }, { entries: { edges: [{ node: null }] } },
    { balance: null }, { balance: 7 }, { tiers: [] }, { expiring: [] }, { expiring: [{ amount: 'x', at: 1 }] },
    { entries: [{ at: 'yesterday', change: 1 }] }, { rewards: nodes({ title: 'Tote', left: 5 }) }, { partners: [{ issued: 1, given: 1 }] },
    { accounts: [{ account: 'A', points: 1 }, null] }];
  for (const each of nothing) assert.deepEqual(picturesOf(each), [], JSON.stringify(each));
  assert.equal(picturesOf(Array.from({ length: 100 }, () => ({ balance: { active: 1 } }))).length, 60);
  assert.equal(words('clawedBack'), words('CLAWED_BACK'));
});

test('operations are kept by name; a file of something else is refused whole', () => {
  const list = withOperation(withOperation([], ' b ', '{ b }'), 'a', '{ a }');
  assert.deepEqual(list, [{ name: 'a', query: '{ a }' }, { name: 'b', query: '{ b }' }]);
  assert.deepEqual(withOperation(list, 'a', '{ c }')[0], { name: 'a', query: '{ c }' });
  assert.deepEqual(withoutOperation(list, 'a'), [{ name: 'b', query: '{ b }' }]);
  assert.deepEqual(withFile([], toFile(list)), list);
  assert.deepEqual(fromStorage('{"x"'), []);
  assert.throws(() => withOperation(list, '  ', '{ a }'), /name/);
  assert.throws(() => withOperation(list, 'x', ' '), /no operation/);
  assert.throws(() => withFile(list, 'x'), /not JSON/);
  assert.throws(() => withFile(list, '{"laurels":"operations","version":2,"operations":[]}'), /no saved/);
  assert.throws(() => withFile(list, '{"laurels":"operations","version":1,"operations":[{"name":"c"}]}'), /no text/);
  const held = { name: 'c', query: '{ c }', variables: '{"email":"ada@example.com"}' };
  assert.ok(!toFile(withFile([], JSON.stringify({ laurels: 'operations', version: 1, operations: [held] }))).includes('ada@'));
});

test('variables, headers and answers are never written; ready ones come back', () => {
  const map = new Map();
  const inner = { getItem: (k) => map.get(k) ?? null, setItem: (k, v) => map.set(k, v), removeItem: (k) => map.delete(k),
    key: (n) => [...map.keys()][n], get length() { return map.size; } };
  const storage = withoutVariables(inner, (name) => (name === 'Ready' ? '{"card":"1"}' : undefined));
  const tab = { id: '1', title: 'x', query: 'query Ready { a }', variables: '{"email":"ada@example.com"}', headers: 'secret', response: 'ada', operationName: 'Ready' };
  storage.setItem('graphiql:tabState', JSON.stringify({ activeTabIndex: 0, tabs: [tab, { ...tab, operationName: 'Own' }] }));
  storage.setItem('graphiql:queries', JSON.stringify({ queries: [tab] }));
  for (const key of ['query', 'variables', 'headers']) storage.setItem(`graphiql:${key}`, 'secret ada@example.com');
  storage.setItem('graphiql:theme', 'dark');
  assert.ok(!/ada|secret/.test(JSON.stringify([...map])));
  assert.match(map.get('graphiql:queries'), /query Ready/);
  assert.deepEqual(JSON.parse(storage.getItem('graphiql:tabState')).tabs.map((t) => t.variables), ['{"card":"1"}', null]);
  assert.equal(storage.getItem('graphiql:theme'), 'dark');
  map.set('another', 'kept');
  storage.clear();
  assert.deepEqual([...map.keys()], ['another']);
  map.set('graphiql:tabState', '{"tabs"');
  assert.equal(storage.getItem('graphiql:tabState'), null);
  assert.equal(stripped('0.5'), '0.5');
});

test('one text is tried as all that it may be, in one query', () => {
  const kinds = (text, partners) => candidates(text, partners).map(({ by, partner }) => [Object.keys(by)[0], partner].filter(Boolean).join(' '));
  assert.deepEqual(kinds('ada@example.com', ['grocer']), ['email']);
  assert.deepEqual(kinds('9012', ['grocer', 'cafe']), ['card', 'reference grocer', 'reference cafe']);
  assert.deepEqual(kinds('+49 (30) 901-820'), ['card', 'phone']);
  assert.deepEqual(kinds(btoa('Member:1024')), ['id', 'card']);
  assert.deepEqual(kinds('  '), []);
  const found = candidates('9012', ['grocer']);
  assert.deepEqual(searchOf(found), {
    query: 'query Search($b0: MemberBy!, $p0: String, $b1: MemberBy!, $p1: String) {\n  c0: member(by: $b0, partner: $p0) { id }\n  c1: member(by: $b1, partner: $p1) { id }\n}',
    variables: { b0: { card: '9012' }, p0: null, b1: { reference: '9012' }, p1: 'grocer' },
  });
  assert.equal(firstKnown(found, { c0: null, c1: { id: 'x' } }), found[1]);
  assert.equal(firstKnown(found, { c0: null, c1: null }), undefined);
});
