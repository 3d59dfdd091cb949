// Bad input gets a 4xx that says what was wrong and where, and nothing is stored.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertProblem, event, serve } from './server.mjs';

const JSON_TYPE = { 'content-type': 'application/json' };
let end;
const server = serve({
  setup: async () => {
    end = await server.end();
  },
  finish: async () =>
    assert.equal(await server.end(), end, 'a refused request has stored something'),
});

const post = (body, headers = JSON_TYPE, path = '/v1/streams/order-1') =>
  server.request('POST', path, { body, headers });

test('malformed JSON is refused with its place', async () => {
  const answer = await post('{"event_type":"a",\n "data": {"x": tru}}');
  assertProblem(assert, answer, 400, 'bad-request');
  assert.match(answer.json.detail, /line 2/);
  for (const body of [
    '',
    ' ',
    '{',
    '[{"event_type":"a"},]',
    '{"event_type":"a"}}',
    'null',
    '5',
    '"x"',
    '{"event_type":"a","data":NaN}',
    "{'event_type':'a'}",
    '{"event_type":"\\ud800"}',
    `${'['.repeat(10_000)}`,
    `{"event_type":"a","data":${'['.repeat(200)}${']'.repeat(200)}}`,
  ]) {
    assertProblem(assert, await post(body), 400, 'bad-request');
  }
});

test('bytes that are no UTF-8 are refused', async () => {
  const body = Buffer.concat([
    Buffer.from('{"event_type":"a","data":"'),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('"}'),
  ]);
  assertProblem(assert, await post(body), 400, 'bad-request');
});

test('a missing or wrong field is named with its event', async () => {
  for (const [events, mentions] of [
    [{ data: 1 }, /event_type/],
    [{ event_type: '' }, /event_type/],
    [{ event_type: 5 }, /event_type/],
    [[event(), { data: 1 }], /\[?1\]?.*event_type/],
    [{ event_type: 'a', evnt_id: 'x' }, /evnt_id/],
    [{ event_type: 'a', timestamp: 'yesterday' }, /timestamp/],
    [{ event_type: 'a', metadata: 5 }, /metadata/],
    [{ event_type: 'a', tags: 'x' }, /tags/],
    [{ event_type: 'a', data_base64: '***' }, /data_base64/],
  ]) {
    const answer = await server.append('order-1', events);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, mentions);
  }
});

test('a missing content type says which header to add', async () => {
  const answer = await post('{"event_type":"a"}', {});
  assertProblem(assert, answer, 415, 'unsupported-media-type');
  assert.match(answer.json.detail, /Content-Type: application\/json/);
  for (const type of [
    'text/plain',
    'application/xml',
    'application/x-www-form-urlencoded',
    'garbage',
  ]) {
    const other = await post('{"event_type":"a"}', { 'content-type': type });
    assertProblem(assert, other, 415, 'unsupported-media-type');
  }
});

test('an event over a limit is refused', async () => {
  const id = await server.append('order-1', event('a', 1, { event_id: 'x'.repeat(600) }));
  assertProblem(assert, id, 413, 'too-large');
  assert.match(id.json.detail, /event_id.*512/);
  const answer = await post(`{"event_type":"a","data":"${'x'.repeat(17 * 1024 * 1024)}"}`);
  assertProblem(assert, answer, 413, 'too-large');
});

test('a body over the limit is refused before it is sent', async () => {
  const socket = server.connect();
  socket.write(
    'POST /v1/streams/order-1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' +
      'Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n',
  );
  const text = await socket.until();
  assert.match(text, /^HTTP\/1\.1 413 /);
  assert.doesNotMatch(text, /100 Continue/);
  socket.destroy();
});

test('a bad version is refused', async () => {
  for (const [headers, mentions] of [
    [{ 'if-match': '"x"' }, /If-Match/],
    [{ 'if-match': '-1' }, /If-None-Match: \*/],
    [{ 'if-match': '1.5' }, /If-Match/],
    [{ 'if-match': 'W/"1"' }, /If-Match/],
    [{ 'if-match': '"1", "2"' }, /If-Match/],
    [{ 'if-none-match': '"1"' }, /If-None-Match/],
    [{ 'if-match': '*', 'if-none-match': '*' }, /contradict/],
  ]) {
    const answer = await server.append('order-1', event(), headers);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, mentions);
  }
});

test('a reserved name can not be written, and the answer tells the rule', async () => {
  const system = /names beginning with '\$' are reserved for the system/;
  const metadata = /names beginning with '\$\$' hold the metadata of streams/;
  const kafka = /the topic name '__consumer_offsets', alone or before a '-', is reserved for Kafka/;
  for (const [name, rule] of [
    ['$streams-1', system],
    ['$topics-order', system],
    ['$saga-x', system],
    ['$$order-1', metadata],
    ['__consumer_offsets', kafka],
    ['__consumer_offsets-1', kafka],
    ['_schemas-1', /the topic name '_schemas', alone or before a '-', is reserved for Kafka/],
  ]) {
    const path = `/v1/streams/${encodeURIComponent(name)}`;
    for (const answer of [
      await server.append(name, event()),
      await server.request('POST', '/v1/append', {
        json: { appends: [{ stream: name, events: [event()] }] },
      }),
      await server.request('DELETE', path),
      await server.request('PUT', `${path}/metadata`, { json: {} }),
      await server.request('PUT', `${path}/snapshot?version=0`, { json: event() }),
    ]) {
      assertProblem(assert, answer, 403, 'reserved-name');
      assert.match(answer.json.detail, rule);
      assert.ok(answer.json.detail.includes(`stream '${name}'`), answer.json.detail);
    }
  }
  for (const [topic, rule] of [
    ['$streams', system],
    ['$mine', system],
    ['__consumer_offsets', kafka],
    ['__consumer_offsets-1', kafka],
  ])
    for (const method of ['PUT', 'DELETE']) {
      const answer = await server.request(method, `/v1/topics/${topic}`);
      assertProblem(assert, answer, 403, 'reserved-name');
      assert.match(answer.json.detail, rule);
    }
});

test('a name may have 512 bytes, and not one more, wherever a stream is named', async () => {
  const limit = /513 bytes, the limit is 512/;
  const long = `x-${'é'.repeat(255)}y`; // 513 bytes
  const key = encodeURIComponent(long.slice(2));
  const path = `/v1/streams/${encodeURIComponent(long)}`;
  for (const stem of [path, `/v1/topics/x/keys/${key}`, `/v1/topics/x/keys/${'%01'.repeat(511)}`])
    for (const [method, rest, options] of [
      ['POST', '', { json: event() }],
      ['GET', '', {}],
      ['DELETE', '', {}],
      ['PUT', '/metadata', { json: {} }],
      ['GET', '/metadata', {}],
      ['PUT', '/snapshot?version=0', { json: event() }],
      ['GET', '/snapshot', {}],
    ]) {
      const answer = await server.request(method, stem + rest, options);
      assertProblem(assert, answer, 400, 'bad-request');
      assert.match(answer.json.detail, limit, `${method} ${rest}`);
      const fits = await server.request('GET', stem.replace(/y$|%01$/, '') + rest.split('?')[0]);
      assert.equal(fits.status, 404, fits.text);
    }
  for (const name of [long, `$$${long}`]) {
    const read = await server.get(`/v1/streams/${encodeURIComponent(name)}`);
    assertProblem(assert, read, 400, 'bad-request');
    assert.match(read.json.detail, limit);
  }
  const multi = await server.request('POST', '/v1/append', {
    json: { appends: [{ stream: 'x-1' }, { stream: long, events: [event()] }] },
  });
  assertProblem(assert, multi, 400, 'bad-request');
  assert.match(multi.json.detail, limit);
});

test('bad names are refused', async () => {
  const printable = /printable UTF-8, without control characters/;
  const escape = /% is not followed by two hex digits/;
  for (const [path, says] of [
    ['/v1/streams/a%0Ab', printable],
    [`/v1/streams/${'x'.repeat(600)}`, /600 bytes, the limit is 512/],
    ['/v1/streams/%ff%fe', printable],
    ['/v1/streams/a%00b', printable],
    ['/v1/streams/a%zz', escape],
    ['/v1/topics/order/keys/a%0', escape],
    ['/v1/topics/order%00/keys/1', /no legal topic name/],
  ])
    for (const answer of [
      await post('{"event_type":"a"}', JSON_TYPE, path),
      await server.get(path),
    ]) {
      assertProblem(assert, answer, 400, 'bad-request');
      assert.match(answer.json.detail, says);
    }
});

test('unknown and wrong parameters are refused by name', async () => {
  for (const [path, mentions] of [
    ['/v1/streams/a?form=1', /"form".*known here: from, limit/],
    ['/v1/streams/a?from=x', /"from"/],
    ['/v1/streams/a?limit=100000', /"limit".*10000/],
    ['/v1/streams/a?limit=1&limit=2', /"limit".*twice/],
    ['/v1/streams/a?direction=up', /"direction"/],
    ['/v1/streams/a?as_of=noon', /"as_of".*position.*RFC 3339/],
    ['/v1/streams/a?wait=30', /"wait".*30s/],
    ['/v1/streams/a?wait=1h', /"wait"/],
    ['/v1/streams/a?wait=1s&direction=backward', /"wait"/],
    ['/v1/events?tag=', /"tag"/],
    ['/v1/info?x=1', /"x".*none/],
  ]) {
    const answer = await server.get(path);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, mentions);
  }
  const answer = await post('{"event_type":"a"}', JSON_TYPE, '/v1/streams/order-1?expect=1');
  assertProblem(assert, answer, 400, 'bad-request');
});

test('what is not there is 404, what is not known there is 405 with Allow', async () => {
  assertProblem(assert, await server.get('/v1/nothing'), 404, 'no-such-resource');
  assertProblem(assert, await server.get('/v1/streams/'), 404, 'no-such-resource');
  const put = await server.request('PUT', '/v1/streams/a', { json: {} });
  assertProblem(assert, put, 405, 'method-not-allowed');
  assert.equal(put.headers.allow, 'GET, HEAD, POST, DELETE');
  const patch = await server.request('PATCH', '/v1/append', { json: {} });
  assert.equal(patch.headers.allow, 'POST');
});

test('a body where none is taken is refused', async () => {
  const answer = await server.request('GET', '/v1/events', { json: {} });
  assertProblem(assert, answer, 400, 'bad-request');
});

test('an unknown host is refused', async () => {
  for (const host of ['evil.example', 'localhost.evil.example:8080', '10.0.0.1']) {
    assertProblem(assert, await server.get('/v1/info', { host }), 421, 'misdirected-request');
  }
  assert.equal((await server.get('/v1/info', { host: 'localhost:1234' })).status, 200);
});

test('pages of other origins can not write and get no CORS headers', async () => {
  const headers = { origin: 'https://evil.example' };
  assertProblem(assert, await server.append('order-1', event(), headers), 403, 'forbidden');
  const read = await server.get('/v1/info', headers);
  assert.equal(read.headers['access-control-allow-origin'], undefined);
});

test('a query string that is wrong at every byte crashes nothing', async () => {
  for (const tail of [
    '?',
    '?=',
    '?&',
    '?&&=',
    '?%',
    '?from',
    '?from=1&',
    '?=1',
    '?from==1',
    '?%66rom=1',
  ]) {
    const answer = await server.get(`/v1/events${tail}`);
    assert.ok([200, 400].includes(answer.status), `${tail} ${answer.status}`);
  }
});

test('no answer holds a stack trace or a path of the machine', async () => {
  for (const answer of [
    await post('{'),
    await server.get('/v1/streams/nobody'),
    await server.get('/x'),
  ]) {
    assert.doesNotMatch(answer.text, /\.c:\d|\/src\/|0x[0-9a-f]{6}/);
  }
});

test('a stream that was refused does not exist', async () => {
  assert.equal((await server.get('/v1/streams/order-1')).status, 404);
});

test('a body that is encoded, or in another charset, is 415', async () => {
  const body = JSON.stringify(event());
  for (const [path, type] of [
    ['/v1/streams/order-1', 'application/json'],
    ['/v1/streams/order-1', 'application/x-ndjson'],
    ['/v1/append', 'application/json'],
  ]) {
    for (const encoding of ['gzip', 'br', 'identity, gzip']) {
      const answer = await post(
        body,
        { 'content-type': type, 'content-encoding': encoding },
        path,
      );
      assertProblem(assert, answer, 415, 'unsupported-media-type');
      assert.match(answer.json.detail, /Content-Encoding/);
      assert.equal(answer.headers['accept-encoding'], 'identity');
    }
    const answer = await post(body, { 'content-type': `${type}; charset=iso-8859-1` }, path);
    assertProblem(assert, answer, 415, 'unsupported-media-type');
    assert.match(answer.json.detail, /charset.*utf-8/);
  }
});

test('a second content type is refused', async () => {
  const socket = server.connect();
  const body = JSON.stringify(event());
  socket.write(
    'POST /v1/streams/order-1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' +
      `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
  assert.match(await socket.until(), /^HTTP\/1\.1 400 [^]*Content-Type/);
});
