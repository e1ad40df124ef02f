// A member's wallet with Apollo Client: pages that grow, a cache that a mutation brings up to date, persisted queries.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { relayStylePagination } from '@apollo/client/utilities';
import { buildSchema, isAbstractType, OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

globalThis.WebSocket ??= WebSocket; // browsers have it, and node from 22

/** Which types stand behind each interface and union, so that `... on Error` fits: from the published schema. */
function possibleTypes() {
  const sdl = readFileSync(new URL('../../schema/schema.graphql', import.meta.url), 'utf8');
  const schema = buildSchema(sdl);
  const abstract = Object.values(schema.getTypeMap()).filter(isAbstractType);
  return Object.fromEntries(abstract.map((type) => [type.name, schema.getPossibleTypes(type).map((t) => t.name)]));
}

export function connect(url, token) {
  const authorization = `Bearer ${token}`;
  const http = new HttpLink({ uri: url, headers: { authorization } });
  const sha256 = (text) => createHash('sha256').update(text).digest('hex');
  const socket = createClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams: { authorization },
  });
  return {
    client: new ApolloClient({
      link: ApolloLink.split(
        ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
        new GraphQLWsLink(socket),
        new PersistedQueryLink({ sha256 }).concat(http),
      ),
      cache: new InMemoryCache({
        possibleTypes: possibleTypes(),
        typePolicies: {
          Ledger: { fields: { entries: relayStylePagination() } },
          Balance: { merge: true },
        },
      }),
    }),
    close: () => socket.dispose(),
  };
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
