// POST /v1/streams/{stream}: events, conditions, idempotence.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertProblem, event, fresh, serve } from './server.mjs';

const server = serve();
const NEW = { 'if-none-match': '*' };
const EXISTS = { 'if-match': '*' };
const at = (version) => ({ 'if-match': `"${version}"` });

test('one event is appended and its place is told', async () => {
  const stream = fresh();
  const answer = await server.append(stream, event('order.created', { total: 5 }), NEW);
  assert.equal(answer.status, 201);
  assert.deepEqual(Object.keys(answer.json), ['stream', 'first_version', 'version', 'position']);
  assert.equal(answer.json.stream, stream);
  assert.equal(answer.json.first_version, 0);
  assert.equal(answer.json.version, 0);
  assert.equal(answer.headers.etag, '"0"');
  assert.equal(answer.headers['mainstem-position'], String(answer.json.position));
  assert.equal(answer.headers['content-type'], 'application/json');
});

test('an array is one append with contiguous versions', async () => {
  const stream = fresh();
  await server.append(stream, event());
  const { json } = await server.append(stream, [event('a'), event('b'), event('c')]);
  assert.equal(json.first_version, 1);
  assert.equal(json.version, 3);
  const read = await server.get(`/v1/streams/${stream}`);
  assert.deepEqual(
    read.json.map((one) => one.event_type),
    ['test.made', 'a', 'b', 'c'],
  );
  assert.equal(read.json[3].position - read.json[1].position, 2);
});

test('every field of the envelope comes back', async () => {
  const stream = fresh();
  const sent = {
    event_id: 'e-1',
    event_type: 'order.created',
    event_version: '1.2',
    timestamp: '2024-02-29T12:00:00.250Z',
    source: 'shop/checkout',
    correlation_id: 'c-1',
    causation_id: 'p-1',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tags: ['vip', 'eu'],
    metadata: { user: 'ä', n: 1 },
    data: { items: [1, 'zwei', null, true] },
  };
  await server.append(stream, sent);
  const [read] = (await server.get(`/v1/streams/${stream}`)).json;
  for (const [name, value] of Object.entries(sent)) assert.deepEqual(read[name], value, name);
  assert.equal(read.stream, stream);
  assert.equal(read.topic, 'order');
  assert.equal(read.version, 0);
  assert.equal(typeof read.position, 'number');
  assert.ok(Date.parse(read.recorded_at) > Date.parse('2025-01-01'));
});

test('data stays byte for byte what it was', async () => {
  const stream = fresh();
  const data = '{"price":1.10,"id":12345678901234567890,"text":"\\u00e4\\/", "b":1e400}';
  const body = `{"event_type":"t","data":${data}}`;
  await server.request('POST', `/v1/streams/${stream}`, {
    body,
    headers: { 'content-type': 'application/json' },
  });
  const { text } = await server.get(`/v1/streams/${stream}`);
  assert.ok(text.includes(data), text);
});

test('data that is no JSON travels as base64', async () => {
  const stream = fresh();
  const bytes = Buffer.from([0, 1, 254, 255]).toString('base64');
  const sent = { event_type: 'image.taken', content_type: 'image/png', data_base64: bytes };
  assert.equal((await server.append(stream, sent)).status, 201);
  const [read] = (await server.get(`/v1/streams/${stream}`)).json;
  assert.equal(read.content_type, 'image/png');
  assert.equal(read.data_base64, bytes);
});

test('lines of JSON are one append', async () => {
  const stream = fresh();
  const answer = await server.request('POST', `/v1/streams/${stream}`, {
    body: '{"event_type":"a"}\n\n{"event_type":"b"}\r\n{"event_type":"c"}',
    headers: { 'content-type': 'application/x-ndjson' },
  });
  assert.equal(answer.status, 201);
  assert.equal(answer.json.version, 2);
});

test('conditions hold or are refused with what was found', async (t) => {
  const live = fresh();
  const gone = fresh();
  const none = fresh();
  await server.append(live, [event(), event()]);
  await server.append(gone, event());
  await server.request('DELETE', `/v1/streams/${gone}`);
  const rows = [
    // stream, headers, status, expected, actual, state
    [live, at(0), 412, 0, 1, 'live'],
    [live, at(2), 412, 2, 1, 'live'],
    [live, NEW, 412, 'none', 1, 'live'],
    [none, at(0), 412, 0, null, 'none'],
    [none, EXISTS, 412, 'exists', null, 'none'],
    [gone, EXISTS, 412, 'exists', null, 'deleted'],
    [live, at(1), 201],
    [live, EXISTS, 201],
    [live, {}, 201],
    [none, NEW, 201],
    [gone, NEW, 201],
  ];
  for (const [stream, headers, status, expected, actual, state] of rows) {
    const name = `${JSON.stringify(headers)} on ${stream} is ${status}`;
    await t.test(name, async () => {
      const answer = await server.append(stream, event('row'), headers);
      assert.equal(answer.status, status, answer.text);
      if (status !== 412) return;
      assertProblem(assert, answer, 412, 'wrong-expected-version');
      assert.equal(answer.json.expected, expected);
      assert.equal(answer.json.stream, stream);
      assert.equal(answer.json.actual_state, state);
      if (state !== 'deleted') assert.equal(answer.json.actual, actual);
    });
  }
});

test('a deleted stream goes on with the next version', async () => {
  const stream = fresh();
  await server.append(stream, [event(), event()]);
  await server.request('DELETE', `/v1/streams/${stream}`);
  const { json } = await server.append(stream, event(), NEW);
  assert.equal(json.first_version, 2);
});

test('an empty array only checks its condition', async () => {
  const stream = fresh();
  await server.append(stream, event());
  const before = await server.end();
  const good = await server.append(stream, [], at(0));
  assert.equal(good.status, 200);
  assert.equal(good.json.version, 0);
  assert.equal((await server.append(stream, [], at(5))).status, 412);
  assert.equal(await server.end(), before);
});

test('of racing appends under one condition exactly one wins', async () => {
  const stream = fresh();
  await server.append(stream, event());
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, i) => server.append(stream, event('race', { i }), at(0))),
  );
  assert.equal(answers.filter((one) => one.status === 201).length, 1);
  assert.equal(answers.filter((one) => one.status === 412).length, 29);
  assert.equal((await server.get(`/v1/streams/${stream}`)).json.length, 2);
});

test('the same events again are the first answer again', async () => {
  for (const headers of [{}, NEW]) {
    const stream = fresh();
    const events = [
      event('a', 1, { event_id: `${stream}/a` }),
      event('b', 2, { event_id: `${stream}/b` }),
    ];
    const first = await server.append(stream, events, headers);
    const again = await server.append(stream, events, headers);
    assert.equal(first.status, 201);
    assert.equal(again.status, 200);
    assert.deepEqual(again.json, { ...first.json, repeated: true });
    assert.equal(again.headers.etag, first.headers.etag);
    assert.equal((await server.get(`/v1/streams/${stream}`)).json.length, 2);
  }
});

test('an idempotency key makes a resend a repeat', async () => {
  for (const events of [event(), [event('a'), event('b')]]) {
    const stream = fresh();
    const headers = { 'idempotency-key': `"key-${stream}"` };
    const first = await server.append(stream, events, headers);
    const again = await server.append(stream, events, headers);
    assert.equal(first.status, 201);
    assert.equal(again.status, 200);
    assert.equal(again.json.version, first.json.version);
  }
  const refused = await server.append(fresh(), event(), { 'idempotency-key': 'a b' });
  assertProblem(assert, refused, 400, 'bad-request');
});

test('an event id used for something else is a conflict', async () => {
  const stream = fresh();
  await server.append(stream, event('a', 1, { event_id: `${stream}/x` }));
  const answer = await server.append(stream, event('a', 2, { event_id: `${stream}/x` }));
  assertProblem(assert, answer, 409, 'event-id-conflict');
  const twice = await server.append(fresh(), [
    event('a', 1, { event_id: 'same' }),
    event('b', 2, { event_id: 'same' }),
  ]);
  assert.ok(twice.status === 400 || twice.status === 409, twice.text);
});

test('names may hold slashes, spaces and any script', async () => {
  for (const stream of [
    'order-a/b',
    'order-ä ö 漢字',
    'cart',
    'my orders-1',
    'order-50%',
    'a-b-c',
  ]) {
    const answer = await server.append(stream, event('named'));
    assert.equal(answer.status, 201, answer.text);
    const read = await server.get(`/v1/streams/${encodeURIComponent(stream)}`);
    assert.equal(read.json.at(-1).event_type, 'named');
    assert.equal(read.json.at(-1).stream, answer.json.stream);
    assert.equal(answer.json.stream, stream.replace('%', '%25'));
  }
});

test('a stream can be named by topic and key', async () => {
  const answer = await server.request('POST', '/v1/topics/byid/keys/a%2Fb', {
    json: event('keyed'),
  });
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.json.stream, 'byid-a/b');
  const read = await server.get('/v1/topics/byid/keys/a%2Fb');
  assert.equal(read.json[0].event_type, 'keyed');
  assert.equal(
    (await server.get(`/v1/streams/${encodeURIComponent('byid-a/b')}`)).json.length,
    1,
  );
  const percent = await server.request('POST', '/v1/topics/byid/keys/50%25', {
    json: event('keyed'),
  });
  assert.equal(percent.status, 201);
  assert.equal((await server.get('/v1/topics/byid/keys/50%25')).json.length, 1);
});

test('a topic with a dash in its name has streams too', async () => {
  const path = '/v1/topics/my-topic/keys/a-1';
  const name = 'my%2Dtopic-a-1';
  const byName = `/v1/streams/${encodeURIComponent(name)}`;
  const answer = await server.request('POST', path, { json: event('dashed') });
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.json.stream, name);
  const again = await server.append(name, event('dashed'), { 'if-match': '"0"' });
  assert.equal(again.status, 201, again.text);
  const read = await server.get(path);
  assert.deepEqual(read.json.map((e) => [e.stream, e.topic, e.version]), [
    [name, 'my-topic', 0],
    [name, 'my-topic', 1],
  ]);
  assert.deepEqual((await server.get(byName)).json, read.json);
  for (const query of ['topic=my-topic', `stream_prefix=${encodeURIComponent('my%2Dtopic-')}`])
    assert.deepEqual((await server.get(`/v1/events?${query}`)).json, read.json);
  const list = await server.get('/v1/streams?topic=my-topic');
  assert.equal(list.json.streams[0].stream, name);
  const metadata = await server.request('PUT', `${byName}/metadata`, { json: { $tb: 1 } });
  assert.ok(metadata.status < 300, metadata.text);
  assert.equal((await server.get(path)).json[0].version, 1);
  const other = await server.get(`/v1/streams/${encodeURIComponent('my%2dtopic-a-1')}/metadata`);
  assert.deepEqual(other.json, { $tb: 1 });
  const snapshot = await server.request('PUT', `${byName}/snapshot?version=1`, { json: event('s') });
  assert.ok(snapshot.status < 300, snapshot.text);
  assert.equal((await server.get(`${byName}/snapshot`)).json.version, 1);
  assert.equal((await server.request('DELETE', path)).status < 300, true);
  assert.equal((await server.get(byName)).status, 404);
  assert.equal((await server.get('/v1/streams/my-topic-a-1')).status, 404);
});

test('every answer tells the canonical name, whatever the path or body spells', async () => {
  const path = (name) => `/v1/streams/${encodeURIComponent(name)}`;
  const spelt = 'spelt-%31%2d100%';
  const name = 'spelt-1-100%25';
  const one = await server.append(spelt, [event('a'), event('a')], { 'if-none-match': '*' });
  assert.equal(one.status, 201, one.text);
  assert.equal(one.json.stream, name);
  const read = await server.get(path(spelt));
  assert.equal(read.json[0].stream, name);
  assert.deepEqual((await server.get(path(name))).json, read.json);

  const refused = await server.append(spelt, event('a'), { 'if-match': '"7"' });
  assertProblem(assert, refused, 412, 'wrong-expected-version');
  assert.equal(refused.json.stream, name);
  assert.ok(refused.json.detail.includes(`'${name}'`), refused.json.detail);
  const multi = await server.request('POST', '/v1/append', {
    json: {
      appends: [
        { stream: spelt, events: [event('b')] },
        { stream: 'speltcart', events: [event('b')] },
      ],
    },
  });
  assert.equal(multi.status, 201, multi.text);
  assert.deepEqual(
    multi.json.results.map((one) => one.stream),
    [name, 'speltcart'],
  );
  const multiRefused = await server.request('POST', '/v1/append', {
    json: { appends: [{ stream: spelt, expect: 9, events: [event('b')] }] },
  });
  assertProblem(assert, multiRefused, 412, 'wrong-expected-version');
  assert.equal(multiRefused.json.stream, name);
  const twice = await server.request('POST', '/v1/append', {
    json: { appends: [{ stream: spelt }, { stream: name }] },
  });
  assertProblem(assert, twice, 400, 'bad-request');
  assert.match(twice.json.detail, /'spelt-1-100%25' appears twice/);

  for (const part of ['metadata', 'snapshot']) {
    const none = await server.get(`${path(spelt)}/${part}`);
    assert.equal(none.status, 404);
    assert.ok(none.json.detail.includes(`'${name}'`), none.json.detail);
  }
  const metadata = await server.request('PUT', `${path(spelt)}/metadata`, { json: { a: 1 } });
  assert.equal(metadata.json.stream, name);
  assert.deepEqual((await server.get(path(`$$${spelt}`))).json[0].data, { a: 1 });
  const snapshot = await server.request('PUT', `${path(spelt)}/snapshot?version=1`, {
    json: event('s'),
  });
  assert.equal(snapshot.json.stream, name);
  assert.equal((await server.get(`${path(spelt)}/snapshot`)).json.stream, name);
  assert.equal((await server.request('DELETE', path(spelt))).json.stream, name);
  const gone = await server.get(path(spelt));
  assert.equal(gone.status, 404);
  assert.ok(gone.json.detail.includes(`"${name}"`), gone.json.detail);
  assert.equal((await server.get(path('$streams-speltcart'))).json[0].stream, 'speltcart');
  const bad = await server.append('a%-\n', event('a'));
  assertProblem(assert, bad, 400, 'bad-request');
});

test('a name of 512 bytes is as good as any, also when its key is escaped', async () => {
  const key = 'é'.repeat(253);
  for (const path of [
    `/v1/streams/${encodeURIComponent(`long-${key}x`)}`,
    `/v1/topics/long/keys/${encodeURIComponent(`${key}y`)}`,
    `/v1/topics/long/keys/${'%01'.repeat(507)}`,
  ]) {
    const appended = await server.request('POST', path, { json: event('a') });
    assert.equal(appended.status, 201, appended.text);
    assert.equal((await server.get(path)).json[0].stream, appended.json.stream);
    const again = await server.request('POST', '/v1/append', {
      json: { appends: [{ stream: appended.json.stream, expect: 0, events: [event('b')] }] },
    });
    assert.equal(again.status, 201, again.text);
    const metadata = await server.request('PUT', `${path}/metadata`, { json: { a: 1 } });
    assert.equal(metadata.status, 200, metadata.text);
    assert.deepEqual((await server.get(`${path}/metadata`)).json, { a: 1 });
    const snapshot = await server.request('PUT', `${path}/snapshot?version=1`, {
      json: event('s'),
    });
    assert.equal(snapshot.status, 200, snapshot.text);
    assert.equal((await server.get(`${path}/snapshot`)).json.stream, appended.json.stream);
  }
});

test('a key may have any bytes, and its name is printable', async () => {
  for (const [key, name] of [
    ['a%00b', 'bytes-a%00b'],
    ['%00%00%00%2A', 'bytes-%00%00%00*'],
    ['%FF%FE', 'bytes-%FF%FE'],
    ['%0A', 'bytes-%0A'],
  ]) {
    const path = `/v1/topics/bytes/keys/${key}`;
    const appended = await server.request('POST', path, { json: event('a') });
    assert.equal(appended.status, 201, appended.text);
    assert.equal(appended.json.stream, name);
    const read = await server.get(path);
    assert.equal(read.json.length, 1);
    assert.equal(read.json[0].stream, name);
    assert.deepEqual((await server.get(`/v1/streams/${encodeURIComponent(name)}`)).json, read.json);
    const metadata = await server.request('PUT', `${path}/metadata`, { json: { key } });
    assert.equal(metadata.json.stream, name);
    assert.deepEqual((await server.get(`${path}/metadata`)).json, { key });
    assert.equal((await server.request('DELETE', path)).status, 200);
    assertProblem(assert, await server.get(path), 404, 'stream-deleted');
  }
  const list = await server.get('/v1/streams?topic=bytes');
  assert.equal(list.json.streams.length, 0);
});

test('what is no topic has no keys', async () => {
  const answer = await server.request('POST', '/v1/topics/a%20b/keys/1', { json: event('x') });
  assert.equal(answer.status, 400, answer.text);
});

test('a refused append makes no topic', async () => {
  const refused = [
    [412, event('x'), { 'if-match': '"5"' }],
    [412, event('x'), { 'if-match': '*' }],
    [400, { event_type: '' }, {}],
  ];
  for (const [status, body, headers] of refused) {
    const answer = await server.append('nevermade-1', body, headers);
    assert.equal(answer.status, status, answer.text);
  }
  assert.equal((await server.get('/v1/topics/nevermade')).status, 404);
});

test('a large event is stored and read back whole', async () => {
  const stream = fresh();
  const data = 'x'.repeat(12 * 1024 * 1024);
  assert.equal((await server.append(stream, event('large', data))).status, 201);
  assert.equal((await server.get(`/v1/streams/${stream}`)).json[0].data, data);
});

test('a client request id is given back', async () => {
  const answer = await server.append(fresh(), event(), { 'x-request-id': 'abc.DEF-1:2' });
  assert.equal(answer.headers['x-request-id'], 'abc.DEF-1:2');
});

test('the same id with another type is no repeat', async () => {
  const one = event('order.paid', { n: 1 }, { event_id: `id-${Math.random()}` });
  const stream = fresh();
  assert.equal((await server.append(stream, one)).status, 201);
  for (const other of [{ event_type: 'order.refunded' }, { content_type: 'text/plain', data: 'x' }]) {
    const answer = await server.append(stream, { ...one, ...other });
    assertProblem(assert, answer, 409, 'event-id-conflict');
  }
  const headers = { 'idempotency-key': `key-${Math.random()}` };
  const keyed = (type) => server.append(stream, event(type, { n: 2 }), headers);
  assert.equal((await keyed('order.paid')).status, 201);
  assert.equal((await keyed('order.paid')).json.repeated, true);
  assertProblem(assert, await keyed('order.refunded'), 409, 'event-id-conflict');
});

test('one idempotency key is for one number of events', async () => {
  for (const [first, then] of [
    [1, 3],
    [3, 1],
    [3, 2],
    [2, 3],
  ]) {
    const stream = fresh();
    const headers = { 'idempotency-key': `key-${stream}` };
    const send = (count) =>
      server.append(
        stream,
        Array.from({ length: count }, () => event('same')),
        headers,
      );
    const answer = await send(first);
    assert.equal(answer.status, 201);
    assertProblem(assert, await send(then), 409, 'event-id-conflict');
    assert.deepEqual((await send(first)).json, { ...answer.json, repeated: true });
    await server.append(stream, event('other'));
    assert.equal((await send(first)).json.repeated, true);
    assert.equal((await server.get(`/v1/streams/${stream}`)).json.length, first + 1);
  }
});

test('a body may say that it is UTF-8 and not encoded', async () => {
  const headers = {
    'content-type': 'application/json; charset=UTF-8',
    'content-encoding': 'identity',
  };
  const taken = await server.request('POST', `/v1/streams/${fresh()}`, {
    headers,
    body: JSON.stringify(event()),
  });
  assert.equal(taken.status, 201);
});
