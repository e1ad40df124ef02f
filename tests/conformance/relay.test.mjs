// clients/relay before Relay's own compiler, the strictest reader of its conventions, and against the real application.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { printed, root, served, told } from './served.mjs';

const at = await served('relay');
const client = join(root, 'clients', 'relay');
const compiler = join(client, 'node_modules', '.bin', 'relay-compiler');
const schema = readFileSync(join(root, 'schema', 'schema.graphql'), 'utf8');

/** The compiler's exit code and words about the example, by another schema. */
function compiled(sdl) {
  const folder = mkdtempSync(join(tmpdir(), 'laurels-relay-'));
  try {
    cpSync(join(client, 'src'), join(folder, 'src'), { recursive: true });
    writeFileSync(join(folder, 'schema.graphql'), sdl);
    const config = { src: './src', schema: './schema.graphql', language: 'javascript' };
    writeFileSync(join(folder, 'relay.config.json'), JSON.stringify(config));
    const { status, stdout, stderr } = spawnSync(compiler, ['relay.config.json'], { cwd: folder, encoding: 'utf8' });
    return { status, words: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the compiler takes a connection, two fragments to ask for again, a mutation, a subscription', () => {
  rmSync(join(client, 'src', '__generated__'), { recursive: true, force: true });
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: client, stdio: ['ignore', 'ignore', 'inherit'] });
  assert.deepEqual(readdirSync(join(client, 'src', '__generated__')).sort(), [
    'walletEntries.graphql.js',
    'walletEntriesPageQuery.graphql.js',
    'walletLedgerChangedSubscription.graphql.js',
    'walletMember.graphql.js',
    'walletMemberAgainQuery.graphql.js',
    'walletQuery.graphql.js',
    'walletRedeemMutation.graphql.js',
  ]);
});

for (const [from, to, complaint] of [
  ['  cursor: String!', '  place: String!', /@connection used on invalid field 'entries'/],
  ['  hasNextPage: Boolean!', '  more: Boolean!', /hasNextPage/],
  ['type Ledger implements Node {', 'type Ledger {', /@refetchable/],
])
  test(`the compiler refuses "${to.trim()}"`, () => {
    assert.ok(schema.includes(from));
    const { status, words } = compiled(schema.replaceAll(from, to));
    assert.notEqual(status, 0);
    assert.match(words, complaint);
  });

test('the compiler takes the schema as it is from there, too', () => {
  assert.equal(compiled(schema).status, 0);
});

test('the example runs', async (t) => {
  const { again, connect, ENTRIES, follow, MEMBER, open, read, redeem } = await import('../../clients/relay/build/wallet.js');
  const environment = connect(at.url, at.members.relay);
  const me = await open(environment);
  const ledgers = () => read(environment, MEMBER, me).ledgers;
  const stamps = () => ledgers().find((ledger) => ledger.currency.code === 'STAMP');
  const entries = () => read(environment, ENTRIES, stamps());

  await t.test('fragments are read from the store', () => {
    assert.equal(read(environment, MEMBER, me).name, 'Relay');
    assert.deepEqual([stamps().balance.active, entries().entries.edges.length], [12, 5]);
  });

  await t.test('the next pages join the first, without a gap or a repetition', async () => {
    const lengths = [5];
    while (entries().entries.pageInfo.hasNextPage) {
      const { id, entries: { pageInfo } } = entries();
      await again(environment, ENTRIES, { id, first: 5, after: pageInfo.endCursor });
      lengths.push(entries().entries.edges.length);
    }
    assert.deepEqual(lengths, [5, 10, 15, 20, 22]);
    assert.equal(new Set(entries().entries.edges.map((edge) => edge.node.id)).size, 22);
  });

  await t.test('a mutation brings the store up to date', async () => {
    const input = { partner: 'cafe', reward: 'free-drink', key: 'relay-second' };
    assert.equal((await redeem(environment, input)).redemption.status, 'COMPLETED');
    assert.deepEqual([stamps().balance.active, stamps().balance.reserved], [3, 0]);
    assert.equal((await redeem(environment, input)).replayed, true);
  });

  await t.test('a refusal is data', async () => {
    const refusal = await redeem(environment, { partner: 'cafe', reward: 'free-drink', key: 'relay-third' });
    assert.deepEqual([refusal.__typename, refusal.code, refusal.path], ['NotEligibleError', 'NOT_ELIGIBLE', ['reward']]);
    assert.equal(stamps().balance.active, 3);
  });

  await t.test('a fragment is asked for again, with another argument', async () => {
    const { node } = await again(environment, MEMBER, { id: me.__id, currency: 'STAR' });
    const { ledgers } = read(environment, MEMBER, node);
    assert.deepEqual(ledgers.map((ledger) => ledger.currency.code), ['STAR']);
  });

  await t.test('a subscription brings the store up to date', async () => {
    const changes = await told(
      (next, fail) => {
        const following = follow(environment, { currency: 'STAMP' }, () => next(stamps().balance.active), fail);
        after(() => following.dispose());
      },
      () => at.buy('relay', 'relay-followed'),
    );
    assert.deepEqual(changes, [3, 4]);
  });
});

test('the example prints the wallet, and then what it follows', async () => {
  await printed(/^Relay\n(.*\n)*★ \d+\n(.*\n)*.*[bB]alance/, 'relay', at.members.relay, at, ['node', 'build/main.js']);
});
