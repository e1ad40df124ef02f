// What the pages ask of the server: GraphQL, and who is signed in. The session is a cookie that no
// script can read; a header says whose it is, and that the request is of a page of this site.
export const config = JSON.parse(document.getElementById('page-config').textContent);

const HEADERS = {
  'content-type': 'application/json',
  accept: 'application/graphql-response+json, application/json',
  'x-laurels-csrf': config.as,
};

/** Thrown for whatever went wrong, with a code that the page has words for. */
export class Problem extends Error {
  constructor(code, message = code) {
    super(message);
    this.code = code;
  }
}

/** The data of an operation. Throws Problem. */
export async function ask(query, variables = {}) {
  const response = await sent(config.url, 'POST', { query, variables });
  const answer = await response.json().catch(() => null);
  const error = answer?.errors?.[0];
  if (error) throw new Problem(error.extensions?.code ?? 'UNKNOWN', error.message);
  if (!answer?.data) throw new Problem('UNKNOWN');
  return answer.data;
}

/** The outcome of a mutation that is of the type wanted. Throws whatever else it is, or Problem. */
export async function outcomeOf(query, wanted, variables) {
  const { outcome } = await ask(query, variables);
  if (outcome?.__typename !== wanted) throw outcome ?? new Problem('UNKNOWN');
  return outcome;
}

/** Trades a token for a session. Throws Problem. */
export async function signIn(token) {
  const response = await sent(config.session, 'POST', { token });
  if (response.ok) return;
  const error = (await response.json().catch(() => null))?.errors?.[0];
  throw new Problem(error?.extensions?.code ?? 'UNKNOWN', error?.message);
}

/** Who is signed in, or null. Throws Problem. */
export async function current() {
  const response = await sent(config.session, 'GET');
  return response.ok ? response.json() : null;
}

/** Ends the session. Throws Problem where it may live on. */
export async function signOut() {
  const { status } = await sent(config.session, 'DELETE');
  if (status !== 204 && status !== 401) throw new Problem('UNKNOWN');
}

async function sent(url, method, body) {
  try {
    return await fetch(url, { method, headers: HEADERS, body: body && JSON.stringify(body) });
  } catch {
    throw new Problem('OFFLINE');
  }
}

/** The token in the address's fragment (`#token=…`), which is removed at once; '' without one. */
export function takeToken() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (!fragment.has('token')) return '';
  history.replaceState(null, '', location.pathname + location.search);
  return cleaned(fragment.get('token'));
}

/** What a person pasted, as a token; '' when it can't be one. */
export function cleaned(pasted) {
  const token = pasted.trim().replace(/^(authorization:\s*)?bearer\s+/i, '');
  return /^[\x21-\x7e]+$/.test(token) ? token : '';
}
