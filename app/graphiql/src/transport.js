// Sends operations to the server: HTTP for queries and mutations, graphql-ws for subscriptions, both by
// the session's cookie. Whatever goes wrong comes back as a GraphQL error that says what to do next.
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { createClient } from 'graphql-ws';
import { CSRF } from './session.js';

const ENDED = 'Your session has ended: sign in again, then run this once more';
const SILENT = 'The server did not answer. Is `laurels serve` running?';

/** A fetcher; `onEnded` hears when the server doesn't know the caller any more. */
export function connect({ url, subscriptionUrl }, onEnded) {
  const wsClient = subscriptionUrl
    ? createClient({ url: socketUrl(subscriptionUrl), retryAttempts: 0, on: watched(onEnded) })
    : undefined;
  return createGraphiQLFetcher({
    url,
    wsClient,
    enableIncrementalDelivery: false,
    headers: CSRF,
    fetch: async (target, init) => {
      const { status, body } = await post(target, init);
      if (!isRefusal(status, body)) return Response.json(body);
      onEnded();
      return Response.json({ ...body, errors: [{ message: ENDED }, ...(body.errors ?? [])] });
    },
  });
}

/** What a socket may say of a session that has ended: at its opening, or while it is followed. */
function watched(onEnded) {
  return {
    closed: ({ code }) => [4401, 4403].includes(code) && onEnded(),
    message: ({ type, payload }) => type === 'error' && isRefusal(0, { errors: payload }) && onEnded(),
  };
}

/** One operation on the page's own behalf; its data. Throws with the server's words. */
export async function query({ url }, text, variables, onEnded) {
  const { status, body } = await post(url, {
    method: 'POST',
    headers: { ...CSRF, 'content-type': 'application/json' },
    body: JSON.stringify({ query: text, variables }),
  });
  if (isRefusal(status, body)) onEnded();
  if (!body.data) throw new Error(body.errors?.[0]?.message ?? SILENT);
  return body.data;
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
    (body.errors ?? []).some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED')
  );
}

function socketUrl(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}
