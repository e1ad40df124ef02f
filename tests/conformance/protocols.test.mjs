// Subscriptions by the reference clients of the two protocols: graphql-ws over a socket, graphql-sse over HTTP.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, test } from 'node:test';
import { createClient as createEvents } from 'graphql-sse';
import { createClient as createSockets } from 'graphql-ws';
import WebSocket from 'ws';
import { served, told } from './served.mjs';

const at = await served('sockets', 'events');
const query = 'subscription Stamps { ledgerChanged(currency: "STAMP") { balance { active } } }';
const active = ({ data, errors }) => errors ?? data.ledgerChanged.balance.active;

const socket = (token, url = at.url.replace('http', 'ws')) => {
  const authorization = `Bearer ${token}`;
  const client = createSockets({ url, webSocketImpl: WebSocket, connectionParams: { authorization }, retryAttempts: 0 });
  after(() => client.dispose());
  return client;
};

const events = (token, url = at.url) => {
  const client = createEvents({ url, headers: { authorization: `Bearer ${token}` }, retryAttempts: 0 });
  after(() => client.dispose());
  return client;
};

/** What everybody does with either of them, for a member of its own. */
async function everyday(t, member, client) {
  /** Follow until the acts are done; `next` sees every result. */
  const follow = (text, ...acts) =>
    told((next, fail) => {
      const stop = client.subscribe({ query: text }, { next: (result) => next(active(result)), error: fail, complete() {} });
      after(stop);
    }, ...acts);

  /** The errors: a message of their own over a socket, a result over a stream. */
  const refusal = (text) =>
    new Promise((resolve) => {
      client.subscribe({ query: text }, { next: ({ errors }) => resolve(errors), error: resolve, complete() {} });
    });

  await t.test('tells what is, and then what changed', async () => {
    assert.deepEqual(await follow(query, () => at.buy(member, `${member}-followed-1`)), [12, 13]);
  });

  await t.test('tells several followers at once', async () => {
    let others = 2;
    const buy = () => (--others ? Promise.resolve() : at.buy(member, `${member}-followed-2`));
    const both = [follow(query, buy), follow(query.replace('Stamps', 'Again'), buy)];
    assert.deepEqual(await Promise.all(both), [[13, 14], [13, 14]]);
  });

  await t.test('answers what is wrong with its errors alone, while others go on', async () => {
    const going = follow(query, async () => {
      const [error] = await refusal('subscription Wrong { nonsense }');
      assert.equal(error.extensions.code, 'GRAPHQL_VALIDATION_FAILED');
      await at.buy(member, `${member}-followed-3`);
    });
    assert.deepEqual(await going, [14, 15]);
  });

  await t.test('ends when the client says so', async () => {
    const results = client.iterate({ query });
    assert.equal(active((await results.next()).value), 15);
    assert.deepEqual(await results.return(), { done: true, value: undefined });
  });
}

test('graphql-ws', (t) => everyday(t, 'sockets', socket(at.members.sockets)));
test('graphql-sse', (t) => everyday(t, 'events', events(at.members.events)));

test('a forged token opens no socket', async () => {
  const refused = new Promise((resolve) => socket('forged').subscribe({ query }, { next() {}, error: resolve, complete() {} }));
  assert.equal((await refused).code, 4403);
});

test('a forged token opens no stream', async () => {
  const refused = new Promise((resolve) => events('forged').subscribe({ query }, { next() {}, error: resolve, complete() {} }));
  assert.equal((await refused).response.status, 401);
});

test('the protocol that was before is not spoken', async () => {
  const old = new WebSocket(at.url.replace('http', 'ws'), 'graphql-ws');
  const refused = new Promise((resolve) => {
    old.on('close', resolve);
    old.on('error', () => resolve('refused'));
  });
  assert.ok([4406, 'refused'].includes(await refused));
});

test('who takes JSON first is answered in JSON, though it could read a stream', async () => {
  const answer = await fetch(at.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed',
      authorization: `Bearer ${at.members.events}`,
    },
    body: JSON.stringify({ query: '{ me { name } }' }),
  });
  assert.match(answer.headers.get('content-type'), /^application\/graphql-response\+json/);
  assert.deepEqual((await answer.json()).data, { me: { name: 'Events' } });
});

test('the checks see who tells nothing', async () => {
  const mute = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end('event: complete\ndata:\n\n');
  });
  await new Promise((done) => mute.listen(0, '127.0.0.1', done));
  after(() => mute.close());
  const results = events('any', `http://127.0.0.1:${mute.address().port}`).iterate({ query });
  assert.deepEqual(await results.next(), { done: true, value: undefined });
});
