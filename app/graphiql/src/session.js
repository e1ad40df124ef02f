// Who is signed in. The server keeps that in a cookie which no script can read: a token passes through
// here once, on its way to be traded for one. Nothing of it stays.
export const CSRF = { 'x-laurels-csrf': '1' };

const SILENT = 'The server did not answer. Is `laurels serve` running?';

/** Thrown with words for the person at the page. */
export class SessionProblem extends Error {}

/** A session as the page shows it, or null where nobody is signed in. Throws SessionProblem. */
export async function readSession(url) {
  return known(await ask(url, 'GET'), 'GET');
}

/** Trades a token for a session. Throws SessionProblem where the server takes no such token. */
export async function openSession(url, token) {
  const answer = await ask(url, 'POST', { token });
  if (answer.status === 401)
    throw new SessionProblem(
      'The server refused this token: it may be mistyped, expired or revoked. ' +
        'Make another with `laurels token --admin`',
    );
  return known(answer, 'POST');
}

/** Ends the session. Throws SessionProblem where it may live on. */
export async function endSession(url) {
  const { status } = await ask(url, 'DELETE');
  if (status !== 401 && (status < 200 || status > 299))
    throw new SessionProblem(`The server answered ${status}: you may be signed in still`);
}

async function ask(url, method, body) {
  const headers = body ? { ...CSRF, 'content-type': 'application/json' } : CSRF;
  try {
    return await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new SessionProblem(SILENT);
  }
}

async function known(response, method) {
  if (response.status === 401 && method === 'GET') return null;
  const body = await response.json().catch(() => null);
  if (!response.ok && body?.errors?.[0]?.message) throw new SessionProblem(body.errors[0].message);
  if (!response.ok || typeof body?.role !== 'string')
    throw new SessionProblem(`The server answered ${response.status} where it should tell who you are`);
  const ends = Date.parse(body.expiresAt ?? '');
  return {
    role: body.role,
    subject: body.subject ?? '',
    roles: body.roles ?? [],
    ends: Number.isNaN(ends) ? null : ends,
  };
}
