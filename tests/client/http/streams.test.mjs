// Deleting, metadata, snapshots; topics and lists.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertProblem, event, fresh, serve } from './server.mjs';

const server = serve();
const numbers = (answer) => answer.json.map((one) => one.version);

test('a delete takes a condition', async () => {
  const stream = fresh();
  await server.append(stream, [event(), event()]);
  const path = `/v1/streams/${stream}`;
  const stale = await server.request('DELETE', path, { headers: { 'if-match': '"0"' } });
  assertProblem(assert, stale, 412, 'wrong-expected-version');
  const done = await server.request('DELETE', path, { headers: { 'if-match': '"1"' } });
  assert.equal(done.status, 200);
  assert.equal(done.json.stream, stream);
  assert.equal(done.headers['mainstem-position'], String(done.json.position));
  assert.equal((await server.get(path)).status, 404);
});

test('a delete is repeated with its version, and not without', async () => {
  const stream = fresh();
  await server.append(stream, [event(), event()]);
  const remove = (headers) => server.request('DELETE', `/v1/streams/${stream}`, { headers });
  for (let i = 0; i < 2; i++) {
    const done = await remove({ 'if-match': '"1"' });
    assert.equal(done.status, 200, done.text);
    assert.equal(done.json.stream, stream);
  }
  assertProblem(assert, await remove({ 'if-match': '"0"' }), 404, 'stream-deleted');
  assertProblem(assert, await remove({ 'if-match': '*' }), 404, 'stream-deleted');
  assertProblem(assert, await remove({}), 404, 'stream-deleted');
  const reopened = await server.append(stream, event(), { 'if-none-match': '*' });
  assert.equal(reopened.json.version, 2);
  assertProblem(assert, await remove({ 'if-match': '"1"' }), 412, 'wrong-expected-version');
});

test('a delete keeps the metadata that is put at the same time', async () => {
  const stream = fresh();
  await server.append(stream, event());
  const path = `/v1/streams/${stream}`;
  const pairs = Array.from({ length: 40 }, (_, n) => [
    server.request('PUT', `${path}/metadata`, { json: { n } }),
    server.request('DELETE', path, { headers: { 'if-match': '"0"' } }),
  ]);
  for (const answer of await Promise.all(pairs.flat()))
    assert.equal(answer.status, 200, answer.text);
  const history = (await server.get(`/v1/streams/${encodeURIComponent(`$$${stream}`)}`)).json;
  assert.equal(history.length, 80);
  history.forEach(({ data }, i) => {
    if (data.$tb !== undefined && i > 0) assert.equal(data.n, history[i - 1].data.n);
  });
  assert.equal(history.filter(({ data }) => data.$tb !== undefined).length, 40);
});

test('a tombstone is for ever', async () => {
  const stream = fresh();
  await server.append(stream, event());
  const path = `/v1/streams/${stream}`;
  assert.equal((await server.request('DELETE', `${path}?tombstone=true`)).status, 200);
  assertProblem(assert, await server.append(stream, event()), 410, 'stream-tombstoned');
  assertProblem(assert, await server.get(path), 410, 'stream-tombstoned');
});

test('metadata comes back as it was, with its own versions', async () => {
  const stream = fresh();
  const path = `/v1/streams/${stream}/metadata`;
  assertProblem(assert, await server.get(path), 404, 'not-found');
  const first = await server.request('PUT', path, {
    json: { owner: 'ann', $maxCount: 3 },
    headers: { 'if-none-match': '*' },
  });
  assert.equal(first.status, 200, first.text);
  assert.equal(first.headers.etag, '"0"');
  const read = await server.get(path);
  assert.deepEqual(read.json, { owner: 'ann', $maxCount: 3 });
  assert.equal(read.headers.etag, '"0"');
  const stale = await server.request('PUT', path, {
    json: {},
    headers: { 'if-none-match': '*' },
  });
  assert.equal(stale.status, 412);
  const second = await server.request('PUT', path, { json: {}, headers: { 'if-match': '"0"' } });
  assert.equal(second.headers.etag, '"1"');
});

test('readers honour $maxCount and $tb at once', async () => {
  const stream = fresh();
  await server.append(
    stream,
    Array.from({ length: 6 }, () => event()),
  );
  const put = (json) => server.request('PUT', `/v1/streams/${stream}/metadata`, { json });
  await put({ $maxCount: 2 });
  assert.deepEqual(numbers(await server.get(`/v1/streams/${stream}`)), [4, 5]);
  await put({ $tb: 3 });
  assert.deepEqual(numbers(await server.get(`/v1/streams/${stream}`)), [3, 4, 5]);
  await put({});
  assert.equal((await put({ $maxCount: 'two' })).status, 400);
  assert.equal((await put({ $tb: -1 })).status, 400);
});

test('metadata is refused when it is too large, and never in the way of a delete', async () => {
  const stream = fresh();
  const path = `/v1/streams/${stream}`;
  await server.append(stream, event());
  const put = (size) =>
    server.request('PUT', `${path}/metadata`, { json: { x: 'x'.repeat(size - 8) } });
  const refused = await put(1048577);
  assertProblem(assert, refused, 413, 'too-large');
  assert.match(refused.json.detail, /1048577 bytes, the limit is 1048576/);
  assert.equal((await put(1048576)).status, 200);
  const done = await server.request('DELETE', path);
  assert.equal(done.status, 200, done.text);
  assertProblem(assert, await server.get(path), 404, 'stream-deleted');
  assert.equal((await server.get(`${path}/metadata`)).json.x.length, 1048568);
});

test('the newest snapshot is found', async () => {
  const stream = fresh();
  await server.append(
    stream,
    Array.from({ length: 5 }, () => event()),
  );
  const path = `/v1/streams/${stream}/snapshot`;
  assertProblem(assert, await server.get(path), 404, 'not-found');
  for (const [version, total] of [
    [2, 20],
    [4, 40],
  ]) {
    const put = await server.request('PUT', `${path}?version=${version}`, {
      json: event('order.snapshot', { total }),
    });
    assert.equal(put.status, 200, put.text);
    assert.equal(put.json.version, version);
  }
  const read = await server.get(path);
  assert.equal(read.status, 200);
  assert.equal(read.json.version, 4);
  assert.equal(read.headers.etag, '"4"');
  assert.equal(read.json.snapshot.event_type, 'order.snapshot');
  assert.deepEqual(read.json.snapshot.data, { total: 40 });
  assert.deepEqual(numbers(await server.get(`/v1/streams/${stream}`)), [0, 1, 2, 3, 4]);
});

test('a snapshot needs its version and is one event', async () => {
  const stream = fresh();
  await server.append(stream, [event(), event()]);
  const path = `/v1/streams/${stream}/snapshot`;
  const put = (query, json) => server.request('PUT', path + query, { json });
  assertProblem(assert, await put('', event()), 400, 'bad-request');
  assertProblem(assert, await put('?version=-1', event()), 400, 'bad-request');
  assertProblem(assert, await put('?version=1', [event(), event()]), 400, 'bad-request');
  assertProblem(assert, await put('?version=1', { data: 1 }), 400, 'bad-request');
});

test('a snapshot ahead of its stream, or of none, is refused', async () => {
  const stream = fresh();
  const put = (version) =>
    server.request('PUT', `/v1/streams/${stream}/snapshot?version=${version}`, { json: event() });
  assertProblem(assert, await put(0), 404, 'not-found');
  await server.append(stream, [event(), event(), event()]);
  const answer = await put(99);
  assertProblem(assert, answer, 412, 'wrong-expected-version');
  assert.equal(answer.json.stream, stream);
  assert.equal(answer.json.expected, 99);
  assert.equal(answer.json.actual, 2);
  assertProblem(assert, await server.get(`/v1/streams/${stream}/snapshot`), 404, 'not-found');
  assert.equal((await put(2)).status, 200);
  await server.request('DELETE', `/v1/streams/${stream}`);
  assertProblem(assert, await put(2), 404, 'stream-deleted');
});

test('metadata and snapshots of a stream named by topic and key', async () => {
  const path = '/v1/topics/own-topic/keys/a%2Fb-1';
  const name = 'own%2Dtopic-a/b-1';
  const byName = `/v1/streams/${encodeURIComponent(name)}`;
  for (const part of ['metadata', 'snapshot'])
    assertProblem(assert, await server.get(`${path}/${part}`), 404, 'not-found');
  await server.request('POST', path, { json: [event(), event(), event()] });

  const metadata = await server.request('PUT', `${path}/metadata`, {
    json: { $maxCount: 2, owner: 'ann' },
    headers: { 'if-none-match': '*' },
  });
  assert.equal(metadata.status, 200, metadata.text);
  assert.equal(metadata.json.stream, name);
  assert.equal(metadata.headers.etag, '"0"');
  assert.deepEqual((await server.get(`${path}/metadata`)).json, { $maxCount: 2, owner: 'ann' });
  assert.deepEqual((await server.get(`${byName}/metadata`)).json, { $maxCount: 2, owner: 'ann' });
  assert.deepEqual(numbers(await server.get(path)), [1, 2]);
  const stale = await server.request('PUT', `${path}/metadata`, {
    json: {},
    headers: { 'if-match': '"7"' },
  });
  assertProblem(assert, stale, 412, 'wrong-expected-version');

  const put = (query) =>
    server.request('PUT', `${path}/snapshot${query}`, { json: event('order.snapshot', 7) });
  assertProblem(assert, await put(''), 400, 'bad-request');
  assertProblem(assert, await put('?version=9'), 412, 'wrong-expected-version');
  const kept = await put('?version=1');
  assert.equal(kept.status, 200, kept.text);
  assert.equal(kept.json.stream, name);
  const read = await server.get(`${path}/snapshot`);
  assert.equal(read.json.stream, name);
  assert.equal(read.json.version, 1);
  assert.equal(read.headers.etag, '"1"');
  assert.equal(read.json.snapshot.data, 7);
  assert.deepEqual((await server.get(`${byName}/snapshot`)).json, read.json);

  const none = await server.get('/v1/topics/a%20b/keys/1/metadata');
  assertProblem(assert, none, 400, 'bad-request');
  assert.equal((await server.get(`${path}/colour`)).status, 404);
});

test('a topic may be without streams, and get them while it is empty', async () => {
  const put = (json) => server.request('PUT', '/v1/topics/nostreams', { json });
  const made = await put({ streams: false });
  assert.equal(made.status, 201, made.text);
  assert.equal(made.json.streams, false);
  const switched = await put({ streams: true });
  assert.equal(switched.status, 200, switched.text);
  assert.equal(switched.json.streams, true);
});

test('a topic is made, changed, shown, listed and deleted', async () => {
  const put = (json) => server.request('PUT', '/v1/topics/invoice', { json });
  const made = await put({ partitions: 2, retention_ms: 86_400_000, require: ['source'] });
  assert.equal(made.status, 201, made.text);
  assert.equal(made.json.name, 'invoice');
  assert.equal(made.json.partitions, 2);
  assert.equal(made.json.retention_ms, 86_400_000);
  assert.equal(made.json.retention_bytes, null);
  assert.equal(made.json.retention_count, null);
  assert.deepEqual(made.json.require, ['source']);
  assert.match(made.json.id, /^[0-9a-f-]{36}$/);

  assertProblem(assert, await put({ compact: true }), 400, 'bad-request');
  const changed = await put({ compact: true, force: true, compression: 'zstd', retention_count: 7 });
  assert.equal(changed.status, 200, changed.text);
  assert.equal(changed.json.partitions, 2);
  assert.equal(changed.json.compact, true);
  assert.equal(changed.json.compression, 'zstd');
  assert.equal(changed.json.retention_count, 7);
  assert.equal(changed.json.id, made.json.id);
  assert.deepEqual((await server.get('/v1/topics/invoice')).json, changed.json);

  const list = await server.get('/v1/topics');
  assert.ok(list.json.topics.some((topic) => topic.name === 'invoice'));
  assert.ok(list.json.topics.every((topic) => !topic.system));
  const withSystem = await server.get('/v1/topics?system=true');
  assert.ok(withSystem.json.topics.some((topic) => topic.system));

  assert.equal((await server.request('DELETE', '/v1/topics/invoice')).status, 204);
  assertProblem(assert, await server.get('/v1/topics/invoice'), 404, 'not-found');
  assertProblem(assert, await server.request('DELETE', '/v1/topics/invoice'), 404, 'not-found');
});

test('a topic without settings gets the defaults', async () => {
  const answer = await server.request('PUT', '/v1/topics/plain');
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.json.partitions, 4);
  assert.equal(answer.json.streams, true);
});

test('a required field is asked for', async () => {
  await server.request('PUT', '/v1/topics/strict', {
    json: { require: ['source', 'correlation_id'] },
  });
  const missing = await server.append('strict-1', event());
  assert.equal(missing.status, 400, missing.text);
  assert.match(missing.json.detail, /source|correlation_id/);
  const good = await server.append(
    'strict-1',
    event('a', 1, { source: 's', correlation_id: 'c' }),
  );
  assert.equal(good.status, 201, good.text);
});

test('wrong settings are refused by name', async () => {
  const put = (name, json) => server.request('PUT', `/v1/topics/${name}`, { json });
  for (const [json, mentions] of [
    [{ partitions: 0 }, /partitions/],
    [{ partitions: 'four' }, /partitions/],
    [{ retention_ms: -5 }, /retention_ms/],
    [{ retention_count: 'few' }, /retention_count/],
    [{ compression: 'rar' }, /compression/],
    [{ require: ['colour'] }, /require/],
    [{ partitons: 4 }, /unknown field "partitons"/],
    [[], /object/],
  ]) {
    const answer = await put('wrong', json);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, mentions);
  }
  assert.equal((await server.get('/v1/topics/wrong')).status, 404);
  assert.ok([400, 403].includes((await put('$mine', {})).status));
  assert.equal((await put('a%20b', {})).status, 400);
});

test('the streams of a topic are listed page by page', async () => {
  const names = Array.from({ length: 7 }, (_, i) => `listed-${i}`);
  for (const name of names) await server.append(name, [event(), event()]);
  await server.append('listed-0', event());
  const seen = [];
  for (let path = '/v1/streams?topic=listed&limit=3'; path;) {
    const page = await server.get(path);
    assert.equal(page.status, 200, page.text);
    assert.ok(page.json.streams.length <= 3);
    seen.push(...page.json.streams);
    path = /<([^>]*)>; rel="next"/.exec(page.headers.link ?? '')?.[1];
    assert.equal(path === undefined, page.json.next === null);
  }
  assert.deepEqual(
    seen.map((one) => one.stream),
    names,
  );
  assert.equal(seen[0].version, 2);
  assert.equal(seen[1].version, 1);
  assertProblem(assert, await server.get('/v1/streams'), 400, 'bad-request');
  assertProblem(assert, await server.get('/v1/streams?topic=nobody'), 404, 'not-found');
});
