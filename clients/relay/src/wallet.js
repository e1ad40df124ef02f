// A member's wallet with Relay, without React: a connection whose pages grow, fragments that can be asked for
// again, a mutation and a subscription that bring the store up to date.
import { createClient } from 'graphql-sse';
import {
  commitMutation, createOperationDescriptor, Environment, fetchQuery, getRefetchMetadata, getRequest,
  getSingularSelector, graphql, Network, Observable, RecordSource, requestSubscription, Store,
} from 'relay-runtime';

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

const WALLET = graphql`
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

const REDEEM = graphql`
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
const LEDGER_CHANGED = graphql`
  subscription walletLedgerChangedSubscription($currency: String) {
    ledgerChanged(currency: $currency) { balance { active reserved } }
  }
`;

/** What a fragment says of an object, as the store has it now. */
export const read = (environment, fragment, ref) => environment.lookup(getSingularSelector(fragment, ref)).data;

/** Ask for the wallet, and keep it. */
export async function open(environment) {
  environment.retain(createOperationDescriptor(getRequest(WALLET), {}));
  const { me } = await fetchQuery(environment, WALLET, {}).toPromise();
  return me;
}

/** Ask for a fragment of an object again: another page, or the same with other arguments. */
export const again = (environment, fragment, variables) =>
  fetchQuery(environment, getRefetchMetadata(fragment, 'again').refetchableRequest, variables).toPromise();

/** Take a reward; a key makes it safe to send again. */
export const redeem = (environment, input) =>
  new Promise((resolve, reject) => {
    commitMutation(environment, {
      mutation: REDEEM,
      variables: { input },
      onCompleted: ({ redeemReward }, errors) => (errors ? reject(errors) : resolve(redeemReward)),
      onError: reject,
    });
  });

/** Follow the ledgers; returns what ends it. */
export const follow = (environment, variables, onNext, onError) =>
  requestSubscription(environment, { subscription: LEDGER_CHANGED, variables, onNext, onError });
