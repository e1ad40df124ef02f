// Sends operations to the server: HTTP for queries and mutations, graphql-ws for subscriptions.
// Whatever goes wrong comes back as a GraphQL error that says what to do next.
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { createClient } from 'graphql-ws';

export const NO_TOKEN = 'Paste a token: make one with `laurels token --admin`';
const REFUSED =
  'The server refused this token: it may be mistyped, expired or revoked. Make another with `laurels token --admin`';
const SILENT = 'The server did not answer. Is `laurels serve` running?';

const AUTHENTICATION_CODES = new Set(['UNAUTHENTICATED', 'UNAUTHORIZED']);

/**
 * A fetcher for one token, and the function that closes its socket.
 * `onRefused` hears, after each answer, whether the server refused the caller.
 */
export function connect({ url, subscriptionUrl }, token, onRefused) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const wsClient = subscriptionUrl
    ? createClient({ url: socketUrl(subscriptionUrl), connectionParams: headers, retryAttempts: 0 })
    : undefined;
  const fetcher = createGraphiQLFetcher({
    url,
    wsClient,
    enableIncrementalDelivery: false,
    fetch: async (target, init) => {
      const { status, body } = await post(target, {
        ...init,
        headers: { ...init.headers, ...headers },
      });
      const refused = isRefusal(status, body);
      onRefused(refused);
      const advice = refused ? (token ? REFUSED : NO_TOKEN) : null;
      return Response.json(advice ? withAdvice(body, advice) : body);
    },
  });
  return { fetcher, close: () => wsClient?.dispose() };
}

async function post(target, init) {
  let response;
  try {
    response = await fetch(target, init);
  } catch {
    return { status: 0, body: { errors: [{ message: SILENT }] } };
  }
  const { status, statusText } = response;
  try {
    return { status, body: await response.json() };
  } catch {
    const message = `The server answered ${status} ${statusText} and no JSON`.replace(/ {2,}/, ' ');
    return { status, body: { errors: [{ message }] } };
  }
}

function isRefusal(status, body) {
  return (
    status === 401 ||
    (body.errors ?? []).some(({ extensions }) => AUTHENTICATION_CODES.has(extensions?.code))
  );
}

const withAdvice = (body, message) => ({ ...body, errors: [{ message }, ...(body.errors ?? [])] });

function socketUrl(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}
