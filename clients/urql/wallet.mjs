// A member's wallet with urql and its normalised cache: pages that grow, mutations, persisted queries, events.
import { readFileSync } from 'node:fs';
import { Client, fetchExchange, gql, subscriptionExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import { persistedExchange } from '@urql/exchange-persisted';
import { buildSchema, introspectionFromSchema, isObjectType } from 'graphql';
import { createClient as createEvents } from 'graphql-sse';

// From the published schema, so that the cache knows what stands behind `... on Error`, and what has no id of its own.
const schema = buildSchema(readFileSync(new URL('../../schema/schema.graphql', import.meta.url), 'utf8'));
const embedded = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && !type.getFields().id);

export function connect(url, token) {
  const headers = { authorization: `Bearer ${token}` };
  const events = createEvents({ url, headers });
  return new Client({
    url,
    fetchOptions: { headers },
    preferGetMethod: false,
    exchanges: [
      cacheExchange({
        schema: introspectionFromSchema(schema),
        keys: Object.fromEntries(embedded.map((type) => [type.name, () => null])),
        resolvers: { Ledger: { entries: relayPagination() } },
      }),
      persistedExchange({ preferGetForPersistedQueries: false, enableForMutation: true }),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => ({ unsubscribe: events.subscribe(request, sink) }),
        }),
      }),
    ],
  });
}

export const WALLET = gql`
  query Wallet($currency: String, $first: Int!, $after: String) {
    me {
      id
      name
      ledgers(currency: $currency) {
        id
        currency { id code symbol }
        balance { active reserved }
        entries(first: $first, after: $after) {
          edges { cursor node { id at kind amount explanation { text } } }
          pageInfo { endCursor hasNextPage }
        }
      }
    }
  }
`;

export const REDEEM = gql`
  mutation Redeem($input: RedeemRewardInput!) {
    redeemReward(input: $input) {
      __typename
      ... on RewardRedeemed {
        replayed
        redemption { id status codes ledger { id balance { active reserved } } }
      }
      ... on Error { code message path }
    }
  }
`;

/** Tells the whole ledger, so the cache is up to date by itself. */
export const LEDGER_CHANGED = gql`
  subscription LedgerChanged($currency: String) {
    ledgerChanged(currency: $currency) { id balance { active reserved } }
  }
`;
