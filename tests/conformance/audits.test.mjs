// GraphQL over HTTP as its specification has it: the 61 audits of graphql-http, all passed, none with a warning.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, test } from 'node:test';
import { buildSchema } from 'graphql';
import { auditServer } from 'graphql-http';
import { createHandler } from 'graphql-http/lib/use/http';
import { served } from './served.mjs';

const AUDITS = 61;
const laurels = await served();

/** What isn't passed, as "id status: why"; and how many audits there were. */
async function audited(url, headers = {}) {
  const results = await auditServer({
    url,
    fetchFn: (target, init) => fetch(target, { ...init, headers: { ...init?.headers, ...headers } }),
  });
  const unmet = results.filter((result) => result.status !== 'ok');
  return { count: results.length, unmet: unmet.map((r) => `${r.id} ${r.status}: ${r.name}: ${r.reason}`) };
}

/** graphql-http's own server, spoilt by `spoil(response)`. */
async function reference(spoil) {
  const handler = createHandler({ schema: buildSchema('type Query { hello: String }') });
  const server = createServer((request, response) => {
    spoil(response);
    handler(request, response);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  after(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

test('Laurels passes every audit', async () => {
  assert.deepEqual(await audited(laurels.url, { authorization: `Bearer ${laurels.admin}` }), { count: AUDITS, unmet: [] });
});

test('so it does for a stranger, but for the four that read the schema', async () => {
  const { count, unmet } = await audited(laurels.url);
  assert.equal(count, AUDITS);
  assert.deepEqual(unmet.map((line) => line.split(' ')[0]), ['2EA1', '28B9', 'D6D5', '6A70']);
});

test('the audits pass who is known to be right', async () => {
  const url = await reference(() => {});
  assert.deepEqual(await audited(url), { count: AUDITS, unmet: [] });
});

test('the audits see who answers 200 to what was never run', async () => {
  const url = await reference((response) => {
    const writeHead = response.writeHead.bind(response);
    response.writeHead = (status, ...rest) => writeHead(status === 400 ? 200 : status, ...rest);
  });
  const { count, unmet } = await audited(url);
  assert.equal(count, AUDITS);
  assert.ok(unmet.some((line) => line.startsWith('556A ')), unmet.join('\n'));
});
