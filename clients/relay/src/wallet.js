// A member's wallet with Relay, without React: fragments that can be asked for again, a connection, a mutation, events.
import { createClient } from 'graphql-sse';
import { Environment, graphql, Network, Observable, RecordSource, Store } from 'relay-runtime';

export function connect(url, token) {
  const headers = { authorization: `Bearer ${token}` };
  const events = createClient({ url, headers });
  const ask = async ({ text: query }, variables) => {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', accept: 'application/graphql-response+json' },
      body: JSON.stringify({ query, variables }),
    });
    return answer.json();
  };
  const follow = ({ text: query, name: operationName }, variables) =>
    Observable.create((sink) => events.subscribe({ query, operationName, variables }, sink));
  return new Environment({ network: Network.create(ask, follow), store: new Store(new RecordSource()) });
}

export const WALLET = graphql`
  query walletQuery {
    me { ...walletMember }
  }
`;

export const MEMBER = graphql`
  fragment walletMember on Member
  @argumentDefinitions(currency: { type: "String" })
  @refetchable(queryName: "walletMemberAgainQuery") {
    name
    ledgers(currency: $currency) {
      currency { code symbol }
      balance { active reserved }
      ...walletEntries
    }
  }
`;

export const ENTRIES = graphql`
  fragment walletEntries on Ledger
  @argumentDefinitions(first: { type: "Int", defaultValue: 5 }, after: { type: "String" })
  @refetchable(queryName: "walletEntriesPageQuery") {
    id
    entries(first: $first, after: $after) @connection(key: "wallet_entries") {
      edges { node { id at kind amount explanation { text } } }
      pageInfo { endCursor hasNextPage }
    }
  }
`;

export const REDEEM = graphql`
  mutation walletRedeemMutation($input: RedeemRewardInput!) {
    redeemReward(input: $input) {
      __typename
      ... on RewardRedeemed {
        replayed
        redemption { status codes ledger { balance { active reserved } } }
      }
      ... on Error { code message path }
    }
  }
`;

/** Tells the whole ledger, so the store is up to date by itself. */
export const LEDGER_CHANGED = graphql`
  subscription walletLedgerChangedSubscription($currency: String) {
    ledgerChanged(currency: $currency) { balance { active reserved } }
  }
`;
