// Where the application is: as the runner says in LAURELS_SERVED, or one of the suite's own, stopped after it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';

export const root = join(import.meta.dirname, '..', '..');

let server;
after(() => server?.stdin.end());

/** The addresses and tokens that serve.py prints, with a member whom no other suite touches by each name. */
export async function served(...members) {
  const at = JSON.parse(process.env.LAURELS_SERVED ?? (await started(members)));
  return { ...at, buy: (member, externalId) => buy(at, member, externalId) };
}

async function started(members) {
  const python = process.env.PYTHON ?? join(root, '.venv', 'bin', 'python');
  server = spawn(python, ['-m', 'tests.conformance.serve', ...members], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: server.stdout })) if (line.startsWith('{')) return line;
  throw new Error('the application did not start: see above');
}

/** A coffee, which is one stamp; the café's till sends it. */
async function buy(at, member, externalId) {
  const query = `mutation Buy($input: RecordPurchasesInput!) { recordPurchases(input: $input) {
    results { __typename } } }`;
  const purchase = {
    externalId,
    member: { card: at.cards[member] },
    occurredAt: new Date().toISOString(),
    currency: 'EUR',
    lines: [{ productType: 'coffee', amount: '4.50' }],
  };
  const answer = await fetch(at.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${at.partners.cafe}` },
    body: JSON.stringify({ query, variables: { input: { partner: 'cafe', purchases: [purchase] } } }),
  });
  const { data } = await answer.json();
  assert.deepEqual(data.recordPurchases.results, [{ __typename: 'PurchaseRecorded' }]);
}

/** The bodies of the requests that `act` sends. */
export async function recorded(act) {
  const real = globalThis.fetch;
  const bodies = [];
  globalThis.fetch = (url, init) => {
    bodies.push(JSON.parse(init.body));
    return real(url, init);
  };
  try {
    await act();
  } finally {
    globalThis.fetch = real;
  }
  return bodies;
}

const PATIENCE = 20_000;

/** What a stream tells: after its first value the first of `acts` is done, and so on, until one more is told. */
export function told(start, ...acts) {
  const values = [];
  return new Promise((resolve, reject) => {
    const fail = (error) => {
      clearTimeout(late);
      reject(error);
    };
    const late = setTimeout(() => reject(new Error(`told in time: ${JSON.stringify(values)}`)), PATIENCE);
    start((value) => {
      values.push(value);
      const act = acts[values.length - 1];
      if (act) return act().catch(fail);
      clearTimeout(late);
      resolve(values);
    }, fail);
  });
}

/** Run an example as its README says, until it has printed this; what it printed. */
export async function printed(pattern, folder, token, at, [program, ...args]) {
  const child = spawn(program, args, {
    cwd: join(root, 'clients', folder),
    env: { ...process.env, LAURELS_URL: at.url, LAURELS_TOKEN: token },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const late = setTimeout(() => child.kill(), PATIENCE);
  let text = '';
  for await (const piece of child.stdout) {
    text += piece;
    if (pattern.test(text)) break;
  }
  clearTimeout(late);
  child.kill();
  assert.match(text, pattern);
}
