// GET of streams and of all events.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertProblem, event, fresh, serve } from './server.mjs';

const DAY = 86_400_000;
const stream = fresh();

const server = serve({
  setup: async () => {
    await server.append('stock-1', event('moved', 1, { event_id: 'tree-1', tags: ['large'] }));
    for (let i = 0; i < 10; i++) {
      await server.append(
        stream,
        event(
          i % 2 ? 'odd' : 'even',
          { i },
          {
            timestamp: new Date(Date.UTC(2024, 0, 1) + i * DAY).toISOString(),
            tags: i < 3 ? ['small'] : ['large', `n${i}`],
            correlation_id: i >= 8 ? 'tree-1' : undefined,
          },
        ),
      );
    }
  },
});

const numbers = (answer) => answer.json.map((one) => one.data.i);
const read = (query = '', headers = {}) => server.get(`/v1/streams/${stream}${query}`, headers);

// The target of Link: rel="next".
function next(answer) {
  return /<([^>]*)>; rel="next"/.exec(answer.headers.link ?? '')?.[1];
}

test('a stream is read from its beginning', async () => {
  const answer = await read();
  assert.equal(answer.status, 200);
  assert.deepEqual(numbers(answer), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(answer.headers.etag, '"9"');
  assert.equal(answer.headers['mainstem-head'], '9');
  assert.equal(answer.headers['mainstem-next'], '10');
  assert.equal(next(answer), undefined);
});

test('from is inclusive in both directions', async () => {
  assert.deepEqual(numbers(await read('?from=7')), [7, 8, 9]);
  assert.deepEqual(numbers(await read('?from=2&direction=backward')), [2, 1, 0]);
  assert.deepEqual(numbers(await read('?direction=backward&limit=2')), [9, 8]);
  assert.deepEqual(numbers(await read('?from=end&direction=backward&limit=1')), [9]);
  assert.deepEqual(numbers(await read('?from=end')), []);
  assert.deepEqual(numbers(await read('?from=10')), []);
  assert.deepEqual(numbers(await read('?from=100')), []);
  assert.deepEqual(numbers(await read('?limit=0')), []);
});

test('next links walk through everything, both ways', async () => {
  for (const [query, expected] of [
    ['?limit=3', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ['?limit=3&direction=backward', [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
  ]) {
    const seen = [];
    for (let path = `/v1/streams/${stream}${query}`; path;) {
      const page = await server.get(path);
      assert.ok(page.json.length <= 3);
      seen.push(...numbers(page));
      path = next(page);
    }
    assert.deepEqual(seen, expected);
  }
});

test('as_of a time selects by timestamp', async () => {
  assert.deepEqual(numbers(await read('?as_of=2024-01-03T00:00:00Z')), [0, 1, 2]);
  assert.deepEqual(numbers(await read('?as_of=2024-01-02T23:59:59.999Z')), [0, 1]);
  assert.deepEqual(numbers(await read('?as_of=2023-01-01T00:00:00Z')), []);
});

test('as_of a position and known_at are a prefix of the log', async () => {
  const { json } = await read();
  assert.deepEqual(numbers(await read(`?as_of=${json[4].position}`)), [0, 1, 2, 3, 4]);
  const recorded = encodeURIComponent(json[4].recorded_at);
  assert.ok(numbers(await read(`?known_at=${recorded}`)).length <= 10);
  assert.deepEqual(numbers(await read('?known_at=2020-01-01T00:00:00Z')), []);
  assert.deepEqual(numbers(await read('?known_at=2099-01-01T00:00:00Z')).length, 10);
});

test('Accept chooses the spelling', async () => {
  const lines = await read('', { accept: 'application/x-ndjson' });
  assert.match(lines.headers['content-type'], /ndjson/);
  assert.deepEqual(
    lines.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).data.i),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  const batch = await read('', { accept: 'application/cloudevents-batch+json' });
  assert.equal(batch.json[0].specversion, '1.0');
  assert.equal((await read('', { accept: 'text/html, */*;q=0.8' })).status, 200);
  assertProblem(assert, await read('', { accept: 'text/html' }), 406, 'not-acceptable');
});

test('HEAD tells the same without a body', async () => {
  const answer = await server.request('HEAD', `/v1/streams/${stream}?limit=1`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.etag, '"9"');
  assert.ok(Number(answer.headers['content-length']) > 100);
  assert.equal(answer.text, '');
});

test('unknown, deleted and tombstoned streams are told apart', async () => {
  assertProblem(assert, await server.get('/v1/streams/nobody-1'), 404, 'not-found');
  const deleted = fresh();
  await server.append(deleted, event());
  await server.request('DELETE', `/v1/streams/${deleted}`);
  assertProblem(assert, await server.get(`/v1/streams/${deleted}`), 404, 'stream-deleted');
  const buried = fresh();
  await server.append(buried, event());
  await server.request('DELETE', `/v1/streams/${buried}?tombstone=true`);
  assertProblem(assert, await server.get(`/v1/streams/${buried}`), 410, 'stream-tombstoned');
});

test('all events come in order of their positions', async () => {
  const { json, headers } = await server.get('/v1/events?limit=10000');
  const positions = json.map((one) => one.position);
  assert.deepEqual(
    positions,
    [...positions].sort((a, b) => a - b),
  );
  assert.equal(new Set(positions).size, positions.length);
  assert.ok(json.every((one) => !one.topic.startsWith('$')));
  assert.equal(Number(headers['mainstem-next']), await server.end());
  const backward = await server.get('/v1/events?limit=10000&direction=backward');
  assert.deepEqual(
    backward.json.map((one) => one.position),
    positions.reverse(),
  );
});

test('filters select events, alone and together', async () => {
  const select = async (query) => (await server.get(`/v1/events?limit=1000&${query}`)).json;
  const mine = (events) => events.filter((one) => one.stream === stream).map((one) => one.data.i);
  assert.deepEqual(mine(await select('type=odd')), [1, 3, 5, 7, 9]);
  assert.equal(mine(await select('type=odd&type=even')).length, 10);
  assert.deepEqual(mine(await select('tag=small')), [0, 1, 2]);
  assert.deepEqual(mine(await select('tag=large&tag=n5')), [5]);
  assert.deepEqual(mine(await select('tag=large&tag=small')), []);
  assert.deepEqual(mine(await select('type=odd&tag=large')), [3, 5, 7, 9]);
  assert.ok((await select('topic=stock')).every((one) => one.topic === 'stock'));
  assert.equal((await select('topic=nobody')).length, 0);
  assert.ok((await select(`stream_prefix=${stream.slice(0, 4)}`)).length >= 10);
  assert.equal((await select('stream_prefix=stock-')).length, 1);
  assert.ok((await select('system=true')).length > (await select('')).length);
});

test('a correlation id answers the whole tree, its root included', async () => {
  const { json } = await server.get('/v1/events?correlation_id=tree-1');
  assert.deepEqual(
    json.map((one) => one.stream),
    ['stock-1', stream, stream],
  );
});

test('filtered pages are walked by their next links', async () => {
  const seen = [];
  for (let path = '/v1/events?type=odd&limit=2'; path;) {
    const page = await server.get(path);
    seen.push(...page.json.filter((one) => one.stream === stream).map((one) => one.data.i));
    path = next(page);
  }
  assert.deepEqual(seen, [1, 3, 5, 7, 9]);
});

test('a page ends by size and says where to go on', async () => {
  const large = fresh();
  const data = 'x'.repeat(300_000);
  for (let i = 0; i < 10; i++) await server.append(large, event('large', { i, data }));
  const seen = [];
  let pages = 0;
  for (let path = `/v1/streams/${large}?limit=100`; path; pages++) {
    const page = await server.get(path);
    assert.ok(page.text.length < 1.5 * 1024 * 1024);
    seen.push(...numbers(page));
    path = next(page);
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.ok(pages >= 3);
});

test('a page of no events links to none', async () => {
  const two = fresh();
  await server.append(two, [event(), event()]);
  for (const path of [`/v1/streams/${two}?limit=0`, '/v1/events?limit=0']) {
    const answer = await server.get(path);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.link, undefined);
    assert.equal(answer.headers['mainstem-next'], '0');
  }
  assert.match((await server.get(`/v1/streams/${two}?limit=1`)).headers.link, /rel="next"/);
});

test('what depends on Accept says so', async () => {
  for (const path of [`/v1/streams/${stream}`, '/v1/events', '/v1/streams/nobody-0']) {
    for (const accept of ['application/json', 'application/x-ndjson', 'text/html']) {
      assert.equal((await server.get(path, { accept })).headers.vary, 'Accept');
    }
  }
  assert.equal((await server.get('/v1/topics')).headers.vary, undefined);
});
