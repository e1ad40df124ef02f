// clients/apollo against the real application: what a front end does with Apollo Client every day.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parse } from 'graphql';
import { connect, LEDGER_CHANGED, REDEEM, WALLET } from '../../clients/apollo/wallet.mjs';
import { printed, recorded, served, told } from './served.mjs';

const at = await served('apollo');
const { client, close } = connect(at.url, at.members.apollo);
after(close);

const page = { currency: 'STAMP', first: 5 };
const redeem = (key) => ({ input: { partner: 'cafe', reward: 'free-drink', key } });
const stamps = () => client.readQuery({ query: WALLET, variables: page }).me.ledgers[0];

test('what is asked is kept under the ids of the objects', async () => {
  const { data } = await client.query({ query: WALLET, variables: page });
  const [ledger] = data.me.ledgers;
  assert.deepEqual([data.me.name, ledger.balance.active, ledger.entries.edges.length], ['Apollo', 12, 5]);
  const cached = client.cache.extract();
  for (const object of [data.me, ledger, ledger.currency, ledger.entries.edges[0].node])
    assert.ok(cached[client.cache.identify(object)], `${object.__typename} is not in the cache by its id`);
});

test('the next pages join the first, without a gap or a repetition', async () => {
  const watched = client.watchQuery({ query: WALLET, variables: page });
  const following = watched.subscribe(() => {});
  const lengths = [];
  for (;;) {
    const { edges, pageInfo } = stamps().entries;
    lengths.push(edges.length);
    if (!pageInfo.hasNextPage) break;
    await watched.fetchMore({ variables: { after: pageInfo.endCursor } });
  }
  following.unsubscribe();
  assert.deepEqual(lengths, [5, 10, 15, 20, 22]);
  assert.equal(new Set(stamps().entries.edges.map((edge) => edge.node.id)).size, 22);
});

test('a mutation brings the balance up to date: by the id of the ledger, and not without it', async () => {
  const withoutId = parse(`mutation Blind($input: RedeemRewardInput!) { redeemReward(input: $input) {
    ... on RewardRedeemed { replayed redemption { ledger { balance { active reserved } } } } } }`);
  const blind = await client.mutate({ mutation: withoutId, variables: redeem('apollo-second') });
  assert.equal(blind.data.redeemReward.redemption.ledger.balance.active, 3);
  assert.equal(stamps().balance.active, 12);

  const { data } = await client.mutate({ mutation: REDEEM, variables: redeem('apollo-second') });
  const { replayed, redemption } = data.redeemReward;
  assert.deepEqual([replayed, redemption.status], [true, 'COMPLETED']);
  assert.deepEqual([stamps().balance.active, stamps().balance.reserved], [3, 0]);
});

test('a refusal is data: a member of the union, matched by the interface', async () => {
  const { data } = await client.mutate({ mutation: REDEEM, variables: redeem('apollo-third') });
  const { __typename, code, path } = data.redeemReward;
  assert.deepEqual([__typename, code, path], ['NotEligibleError', 'NOT_ELIGIBLE', ['reward']]);
  assert.equal(stamps().balance.active, 3);
});

test('what is wrong rejects, with the errors of GraphQL and their code', async () => {
  await assert.rejects(client.query({ query: parse('query Wrong { me { nonsense } }') }), (error) => {
    assert.equal(error.name, 'CombinedGraphQLErrors');
    assert.equal(error.errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
    return true;
  });
});

test('a token that opens nothing rejects', async () => {
  const stranger = connect(at.url, 'forged');
  after(stranger.close);
  await assert.rejects(stranger.client.query({ query: WALLET, variables: page }), { statusCode: 401 });
});

test('a document is sent once; then its hash is enough', async () => {
  const query = parse('query NeverAskedBefore { me { id enrolledAt } }');
  const ask = () => client.query({ query, fetchPolicy: 'network-only' });
  const hasText = (sent) => sent.map((body) => 'query' in body);
  assert.deepEqual(hasText(await recorded(ask)), [false, true]);
  assert.deepEqual(hasText(await recorded(ask)), [false]);
});

test('a subscription brings the cache up to date', async () => {
  const changes = await told(
    (next, fail) => {
      const following = client.subscribe({ query: LEDGER_CHANGED, variables: { currency: 'STAMP' } }).subscribe({
        next: ({ data, error }) => (error ? fail(error) : next(data.ledgerChanged.balance.active)),
        error: fail,
      });
      after(() => following.unsubscribe());
    },
    () => at.buy('apollo', 'apollo-followed'),
  );
  assert.deepEqual(changes, [3, 4]);
  assert.equal(stamps().balance.active, 4);
});

test('the example prints the wallet, and then what it follows', async () => {
  await printed(/^Apollo\n(.*\n)*★ \d+\n(.*\n)*.*[bB]alance/, 'apollo', at.members.apollo, at, ['node', 'main.mjs']);
});
