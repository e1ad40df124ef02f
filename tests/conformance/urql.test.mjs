// clients/urql against the real application: what a front end does with urql and its normalised cache every day.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parse } from 'graphql';
import { connect, LEDGER_CHANGED, REDEEM, WALLET } from '../../clients/urql/wallet.mjs';
import { printed, recorded, served, told } from './served.mjs';

const at = await served('urql');
const client = connect(at.url, at.members.urql);

const page = { currency: 'STAMP', first: 5 };
const redeem = (key) => ({ input: { partner: 'cafe', reward: 'free-drink', key } });
const stamps = () => client.readQuery(WALLET, page).data.me.ledgers[0];

test('what is asked is answered again without a request', async () => {
  const { data, error } = await client.query(WALLET, page);
  assert.equal(error, undefined);
  const [ledger] = data.me.ledgers;
  assert.deepEqual([data.me.name, ledger.balance.active, ledger.entries.edges.length], ['Urql', 12, 5]);
  const part = parse('query Part { me { id name ledgers(currency: "STAMP") { id balance { active } } } }');
  await client.query(part, {});
  const again = parse('query Again { me { id ledgers(currency: "STAMP") { id balance { active } } } }');
  assert.deepEqual(await recorded(() => client.query(again, {})), []);
});

test('the next pages join the first, without a gap or a repetition', async () => {
  const lengths = [];
  for (;;) {
    const { edges, pageInfo } = stamps().entries;
    lengths.push(edges.length);
    if (!pageInfo.hasNextPage) break;
    await client.query(WALLET, { ...page, after: pageInfo.endCursor });
  }
  assert.deepEqual(lengths, [5, 10, 15, 20, 22]);
  assert.equal(new Set(stamps().entries.edges.map((edge) => edge.node.id)).size, 22);
});

test('a mutation brings the balance up to date: by the id of the ledger, and not without it', async () => {
  const { data: blind } = await client.mutation(
    parse(`mutation Blind($input: RedeemRewardInput!) { redeemReward(input: $input) {
      ... on RewardRedeemed { redemption { id points } } } }`),
    redeem('urql-second'),
  );
  assert.equal(blind.redeemReward.redemption.points, 9);
  assert.equal(stamps().balance.active, 12);

  const { data } = await client.mutation(REDEEM, redeem('urql-second'));
  assert.deepEqual([data.redeemReward.replayed, data.redeemReward.redemption.status], [true, 'COMPLETED']);
  assert.deepEqual([stamps().balance.active, stamps().balance.reserved], [3, 0]);
});

test('a refusal is data: a member of the union, matched by the interface', async () => {
  const { data, error } = await client.mutation(REDEEM, redeem('urql-third'));
  assert.equal(error, undefined);
  const { __typename, code, path } = data.redeemReward;
  assert.deepEqual([__typename, code, path], ['NotEligibleError', 'NOT_ELIGIBLE', ['reward']]);
  assert.equal(stamps().balance.active, 3);
});

test('what is wrong has the errors of GraphQL, and their code', async () => {
  const { data, error } = await client.query(parse('query Wrong { me { nonsense } }'), {}, { requestPolicy: 'network-only' });
  assert.equal(data ?? null, null);
  assert.equal(error.graphQLErrors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
});

test('a token that opens nothing has an error', async () => {
  const { error } = await connect(at.url, 'forged').query(WALLET, page);
  assert.equal(error.response.status, 401);
});

test('a document is sent once; then its hash is enough', async () => {
  const query = parse('query NeverAskedBefore { me { id claimed } }');
  const ask = () => client.query(query, {}, { requestPolicy: 'network-only' });
  const hasText = (sent) => sent.map((body) => 'query' in body);
  assert.deepEqual(hasText(await recorded(ask)), [false, true]);
  assert.deepEqual(hasText(await recorded(ask)), [false]);
});

test('a subscription brings the cache up to date', async () => {
  const changes = await told(
    (next, fail) => {
      const { unsubscribe } = client
        .subscription(LEDGER_CHANGED, { currency: 'STAMP' })
        .subscribe(({ data, error }) => (error ? fail(error) : next(data.ledgerChanged.balance.active)));
      after(unsubscribe);
    },
    () => at.buy('urql', 'urql-followed'),
  );
  assert.deepEqual(changes, [3, 4]);
  assert.equal(stamps().balance.active, 4);
});

test('the example prints the wallet, and then what it follows', async () => {
  await printed(/^Urql\n(.*\n)*★ \d+\n(.*\n)*.*[bB]alance/, 'urql', at.members.urql, at, ['node', 'main.mjs']);
});
