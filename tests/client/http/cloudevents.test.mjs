// CloudEvents in all three modes, with the cloudevents package as an independent writer and reader.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudEvent, HTTP } from 'cloudevents';
import { assertProblem, event, fresh, serve } from './server.mjs';

const server = serve();
const BATCH = 'application/cloudevents-batch+json';

function cloudEvent(more = {}) {
  return new CloudEvent({
    id: `id-${Math.random()}`,
    type: 'com.example.order.created',
    source: '/shop/checkout',
    time: '2024-05-06T07:08:09.123Z',
    datacontenttype: 'application/json',
    data: { total: 5, items: ['ä'] },
    ...more,
  });
}

async function send(stream, message) {
  return server.request('POST', `/v1/streams/${stream}`, {
    headers: message.headers,
    body: typeof message.body === 'string' ? message.body : JSON.stringify(message.body),
  });
}

async function readBatch(stream) {
  const answer = await server.get(`/v1/streams/${stream}`, { accept: BATCH });
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.headers['content-type'], /^application\/cloudevents-batch\+json/);
  return HTTP.toEvent({ headers: answer.headers, body: answer.text });
}

function assertSame(read, sent) {
  for (const name of ['specversion', 'id', 'type', 'source', 'time', 'datacontenttype']) {
    assert.equal(read[name], sent[name], name);
  }
  assert.deepEqual(read.data, sent.data);
}

for (const mode of ['structured', 'binary']) {
  test(`an event sent in ${mode} mode is read back by the package`, async () => {
    const stream = fresh();
    const sent = cloudEvent({ correlationid: 'c-1', causationid: 'p-1', eventversion: '2' });
    const answer = await send(stream, HTTP[mode](sent));
    assert.equal(answer.status, 201, answer.text);
    const [read] = await readBatch(stream);
    assertSame(read, sent);
    assert.equal(read.correlationid, 'c-1');
    assert.equal(read.causationid, 'p-1');
    assert.equal(read.eventversion, '2');
    assert.equal(read.stream, stream);
    assert.equal(read.streamversion, '0');
    assert.ok(read.validate());
  });

  test(`plain readers see an event sent in ${mode} mode`, async () => {
    const stream = fresh();
    const sent = cloudEvent({ correlationid: 'c-2' });
    await send(stream, HTTP[mode](sent));
    const [plain] = (await server.get(`/v1/streams/${stream}`)).json;
    assert.equal(plain.event_id, sent.id);
    assert.equal(plain.event_type, sent.type);
    assert.equal(plain.source, sent.source);
    assert.equal(plain.timestamp, sent.time);
    assert.equal(plain.correlation_id, 'c-2');
    assert.deepEqual(plain.data, sent.data);
  });
}

test('a batch is one append', async () => {
  const stream = fresh();
  const sent = [cloudEvent(), cloudEvent({ type: 'com.example.order.paid' })];
  const answer = await send(stream, {
    headers: { 'content-type': BATCH },
    body: JSON.stringify(sent),
  });
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.json.version, 1);
  const read = await readBatch(stream);
  assert.equal(read.length, 2);
  read.forEach((one, i) => assertSame(one, sent[i]));
});

test('binary mode carries any bytes', async () => {
  const stream = fresh();
  const message = HTTP.binary(cloudEvent({ datacontenttype: 'text/plain', data: 'Grüße\nzwei' }));
  assert.equal((await send(stream, message)).status, 201);
  const [plain] = (await server.get(`/v1/streams/${stream}`)).json;
  assert.equal(plain.content_type, 'text/plain');
  assert.equal(Buffer.from(plain.data_base64, 'base64').toString(), 'Grüße\nzwei');
  const [read] = await readBatch(stream);
  assert.equal(Buffer.from(read.data_base64, 'base64').toString(), 'Grüße\nzwei');
});

test('unknown extensions are kept', async () => {
  const stream = fresh();
  await send(stream, HTTP.structured(cloudEvent({ partnerid: 'p/7' })));
  const [read] = await readBatch(stream);
  assert.equal(read.partnerid, 'p/7');
});

test('events appended plainly are valid CloudEvents', async () => {
  const stream = fresh();
  await server.append(stream, [
    event('order.created', { a: 1 }, { tags: ['x', 'y'], metadata: { m: 1 } }),
    event('order.noted', null),
    { event_type: 'order.empty' },
  ]);
  const read = await readBatch(stream);
  assert.equal(read.length, 3);
  for (const one of read) assert.ok(one.validate());
  assert.equal(read[0].tags, 'x,y');
  assert.deepEqual(JSON.parse(read[0].metadata), { m: 1 });
});

for (const mode of ['structured', 'batch', 'binary']) {
  test(`in ${mode} mode the subject is the key, or is refused`, async () => {
    const stream = fresh();
    const key = stream.slice(stream.indexOf('-') + 1);
    const post = (subject) => {
      const one = cloudEvent({ subject });
      return send(
        stream,
        mode === 'batch'
          ? { headers: { 'content-type': BATCH }, body: JSON.stringify([cloudEvent(), one]) }
          : HTTP[mode](one),
      );
    };
    const refused = await post('my/subject');
    assertProblem(assert, refused, 400, 'bad-request');
    assert.ok(refused.json.detail.includes("'my/subject'"), refused.json.detail);
    assert.ok(refused.json.detail.includes(`'${key}'`), refused.json.detail);
    assert.equal((await server.get(`/v1/streams/${stream}`)).status, 404);
    for (const subject of [key, stream, undefined]) {
      const answer = await post(subject);
      assert.equal(answer.status, 201, answer.text);
    }
    for (const one of await readBatch(stream)) assert.equal(one.subject, key);
  });
}

test('the subject of a stream without topic is its name', async () => {
  const stream = `cart ${Math.random()}`;
  const post = (subject) =>
    send(encodeURIComponent(stream), HTTP.structured(cloudEvent({ subject })));
  assert.equal((await post(stream)).status, 201);
  assert.equal((await post('cart')).status, 400);
});

test('sending the same CloudEvent again adds nothing', async () => {
  const stream = fresh();
  const message = HTTP.binary(cloudEvent());
  assert.equal((await send(stream, message)).status, 201);
  const again = await send(stream, message);
  assert.equal(again.status, 200, again.text);
  assert.equal(again.json.repeated, true);
});

test('what is no CloudEvent 1.0 is refused', async () => {
  const before = await server.end();
  const rows = [
    [{ 'content-type': 'application/cloudevents+json' }, '{"id":"1","type":"t","source":"s"}'],
    [
      { 'content-type': 'application/cloudevents+json' },
      '{"specversion":"0.3","id":"1","type":"t","source":"s"}',
    ],
    [
      { 'content-type': 'application/cloudevents+json' },
      '{"specversion":"1.0","id":"1","source":"s"}',
    ],
    [{ 'content-type': BATCH }, '[{"specversion":"1.0","id":"1","source":"s"}]'],
    [
      { 'content-type': 'application/json', 'ce-type': 't', 'ce-id': '1', 'ce-source': 's' },
      '{}',
    ],
    [
      {
        'content-type': 'application/json',
        'ce-specversion': '1.0',
        'ce-id': '1',
        'ce-source': 's',
      },
      '{}',
    ],
    [
      { 'content-type': 'application/json', 'ce-specversion': '1.0', 'ce-type': 't' },
      '{"broken":',
    ],
  ];
  for (const [headers, body] of rows) {
    const answer = await server.request('POST', `/v1/streams/${fresh()}`, { headers, body });
    assertProblem(assert, answer, 400, 'bad-request');
  }
  assert.equal(await server.end(), before);
});
