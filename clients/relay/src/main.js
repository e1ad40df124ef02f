// npm start: prints a member's wallet and follows it until Ctrl+C.
// LAURELS_TOKEN is a member's token, LAURELS_URL where the server is.
import { connect, ENTRIES, follow, MEMBER, open, read } from './wallet';

const environment = connect(process.env.LAURELS_URL ?? 'http://127.0.0.1:8000/graphql', process.env.LAURELS_TOKEN);

open(environment).then((me) => {
  const { name, ledgers } = read(environment, MEMBER, me);
  console.log(name);
  for (const ledger of ledgers) {
    console.log(`${ledger.currency.symbol ?? ledger.currency.code} ${ledger.balance.active}`);
    const { entries } = read(environment, ENTRIES, ledger);
    for (const { node } of entries.edges) console.log(`   ${node.at} ${node.amount}: ${node.explanation?.text}`);
  }
  follow(environment, {}, ({ ledgerChanged }) => console.log(ledgerChanged), console.error);
}, console.error);
