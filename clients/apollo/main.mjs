// npm start: prints a member's wallet and follows it until Ctrl+C.
// LAURELS_TOKEN is a member's token, LAURELS_URL where the server is.
import { connect, LEDGER_CHANGED, WALLET } from './wallet.mjs';

const { client } = connect(process.env.LAURELS_URL ?? 'http://127.0.0.1:8000/graphql', process.env.LAURELS_TOKEN);
const { data } = await client.query({ query: WALLET, variables: { first: 3 } });
console.log(data.me.name);
for (const { currency, balance, entries } of data.me.ledgers) {
  console.log(`${currency.symbol ?? currency.code} ${balance.active}`);
  for (const { node } of entries.edges) console.log(`   ${node.at} ${node.amount}: ${node.explanation?.text}`);
}
client.subscribe({ query: LEDGER_CHANGED }).subscribe(({ data, error }) => console.log(error ?? data.ledgerChanged));
