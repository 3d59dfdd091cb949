// One log, several protocols: what comes in over one is there over the others at once.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { assertProblem, event } from '../http/server.mjs';
import { client as find } from './clients.mjs';
import { drive, until } from './driver.mjs';
import { record } from './records.mjs';
import { fresh, serveKafka } from './server.mjs';
import { Connection, batch } from './wire.mjs';

// Any client will do; the first that is here.
const client = ['rdkafka', 'confluent-kafka', 'kafkajs'].map(find).find(({ missing }) => !missing);
const skip = client ? false : 'no Kafka client is installed';
let driver;
const server = serveKafka({
  setup: async () => {
    driver = client && (await drive(client, server));
  },
  finish: () => driver?.kill(),
});

// Server-sent events as they come.
function listen(path) {
  const events = [];
  const request = http.get(`${server.url}${path}`, { headers: { accept: 'text/event-stream' } });
  const opened = new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece;
        const parts = text.split('\n\n');
        text = parts.pop();
        for (const part of parts) {
          const data = part.split('\n').filter((line) => line.startsWith('data:'));
          if (data.length > 0) events.push(JSON.parse(data.map((line) => line.slice(5)).join('')));
        }
      });
      response.on('error', () => {});
      resolve(response);
    });
  });
  return { events, opened, end: () => request.destroy() };
}

test('an event appended over HTTP is a record with ce_ headers and the stream as its key', { skip }, async () => {
  const topic = fresh('order').replace('-', '');
  const written = event('order.placed', { total: 12 }, { event_id: 'e-1', source: '/shop' });
  const text = { event_type: 'order.noted', data: 'by hand', content_type: 'text/plain' };
  assert.equal((await server.append(`${topic}-123`, [written, text])).status, 201);
  const [got, noted] = await driver.read(topic, 'beginning', 2);
  assert.equal(got.key.toString(), '123');
  assert.deepEqual(JSON.parse(got.value), { total: 12 });
  const headers = Object.fromEntries(
    Object.entries(got.headers).map(([name, value]) => [name, value.toString()]),
  );
  assert.equal(headers.ce_id, 'e-1');
  assert.equal(headers.ce_type, 'order.placed');
  assert.equal(headers.ce_source, '/shop');
  assert.equal(headers.ce_specversion, '1.0');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(noted.headers['content-type'].toString(), 'text/plain');
  assert.equal(noted.value.toString(), 'by hand');
});

test('a record produced over Kafka is among all events and comes to subscribers', { skip }, async () => {
  const topic = fresh('metrics').replace('-', '');
  const all = listen('/v1/events');
  try {
    assert.equal((await all.opened).statusCode, 200);
    await driver.produce(topic, [record('{"load":0.5}', 'host1')]);
    const found = await until('the record over SSE', () => all.events.find((one) => one.event_type === topic));
    assert.deepEqual(found.data, { load: 0.5 });
    assert.equal(found.event_id, `${topic}/0/0`);
    const read = await server.get('/v1/events?limit=1000');
    const listed = read.json.find((one) => one.event_id === `${topic}/0/0`);
    assert.deepEqual(listed.data, { load: 0.5 });
  } finally {
    all.end();
  }
});

test('a stream of a topic without streams is a conflict that names the way out', { skip }, async () => {
  const topic = fresh('plain').replace('-', '');
  await driver.produce(topic, [record('x', '1')]);
  const answer = await server.get(`/v1/streams/${topic}-1`);
  assertProblem(assert, answer, 409, answer.json.type.split(':').at(-1));
  assert.match(answer.json.detail, new RegExp(`PUT /v1/topics/${topic}`));
});

test('a topic with streams makes streams of the records that are produced to it', { skip }, async () => {
  const topic = fresh('cart').replace('-', '');
  const json = { partitions: 2, streams: true };
  assert.equal((await server.request('PUT', `/v1/topics/${topic}`, { json })).status, 201);
  await driver.produce(topic, [record('{"n":1}', '7'), record('{"n":2}', '7'), record('{"n":3}', '8')]);
  const stream = await server.get(`/v1/streams/${topic}-7`);
  assert.equal(stream.status, 200, stream.text);
  assert.deepEqual(stream.json.map(({ version, data }) => [version, data]), [[0, { n: 1 }], [1, { n: 2 }]]);
  assert.equal((await server.append(`${topic}-7`, event('cart.closed'), { 'if-match': '"1"' })).status, 201);
  const got = await driver.read(topic, 'beginning', 4);
  assert.deepEqual(got.filter(({ key }) => key.toString() === '7').length, 3);
});

test('a topic of a Kafka client gets streams when it has records already', { skip }, async () => {
  const topic = fresh('late').replace('-', '');
  const data = (n) => `{"n":${n}}`;
  const seen = (answer) => answer.json.map(({ version, data: { n } }) => [version, n]);
  const first = [record(data(1), '7'), record(data(2), '8'), record(data(3), null), record(data(4), '7')];
  await driver.produce(topic, first);
  await driver.produce(topic, [record(data(5), '8'), record(data(6), '7')]);
  const before = await driver.read(topic, 'beginning', 6);
  const positions = async () => (await server.get(`/v1/events?topic=${topic}`)).json.map(({ position }) => position);
  const stood = await positions();
  assert.equal((await server.get(`/v1/streams/${topic}-7`)).status, 409);
  const json = { streams: true };
  const put = await server.request('PUT', `/v1/topics/${topic}`, { json });
  assert.equal(put.status, 200, put.text);
  assert.equal(put.json.streams, true);
  assert.deepEqual(seen(await server.get(`/v1/streams/${topic}-7`)), [[0, 1], [1, 4], [2, 6]]);
  assert.deepEqual(seen(await server.get(`/v1/streams/${topic}-8`)), [[0, 2], [1, 5]]);
  // It goes on over either protocol.
  await driver.produce(topic, [record(data(7), '8'), record(data(8), '7')]);
  assert.equal((await server.append(`${topic}-7`, event('x', { n: 9 }), { 'if-match': '"2"' })).status, 412);
  assert.equal((await server.append(`${topic}-7`, event('x', { n: 9 }), { 'if-match': '"3"' })).status, 201);
  assert.deepEqual(seen(await server.get(`/v1/streams/${topic}-7`)), [[0, 1], [1, 4], [2, 6], [3, 8], [4, 9]]);
  // Nothing has moved.
  const after = await driver.read(topic, 'beginning', 9);
  assert.deepEqual(after.slice(0, 6), before);
  assert.deepEqual((await positions()).slice(0, 6), stood);
  const off = await server.request('PUT', `/v1/topics/${topic}`, { json: { streams: false } });
  assert.equal(off.status, 501);
});

test('a Kafka client switches streams on by a config', { skip }, async () => {
  const topic = fresh('config').replace('-', '');
  await driver.produce(topic, [record('{"n":1}', '7'), record('{"n":2}', '8'), record('{"n":3}', '7')]);
  await driver.call('alter_configs', { topic, configs: { 'mainstem.streams': 'true' } });
  const { json } = await server.get(`/v1/streams/${topic}-7`);
  assert.deepEqual(json.map(({ version, data }) => [version, data.n]), [[0, 1], [1, 3]]);
});

test('a record whose key names no stream is told, and its topic stays as it is', { skip }, async () => {
  const topic = fresh('long').replace('-', '');
  await driver.produce(topic, [record('1', 'a'), record('2', 'k'.repeat(600))]);
  const answer = await server.request('PUT', `/v1/topics/${topic}`, { json: { streams: true } });
  assertProblem(assert, answer, 400, answer.json.type.split(':').at(-1));
  assert.match(answer.json.detail, /offset 1 of partition 0/);
  assert.equal((await server.get(`/v1/topics/${topic}`)).json.streams, false);
  await driver.produce(topic, [record('3', 'a')]);
  assert.equal((await server.get(`/v1/streams/${topic}-a`)).status, 409);
});

test('a topic made over HTTP has its partitions over Kafka', { skip }, async () => {
  const topic = fresh('wide').replace('-', '');
  const json = { partitions: 5, streams: false };
  assert.equal((await server.request('PUT', `/v1/topics/${topic}`, { json })).status, 201);
  const { topics } = await driver.call('metadata', { topic });
  assert.deepEqual(topics, { [topic]: 5 });
});

test('topics of the system are not listed', { skip }, async () => {
  const { topics } = await driver.call('metadata');
  assert.deepEqual(Object.keys(topics).filter((name) => /^[$_]/.test(name)), []);
});

test('an append that is acknowledged over HTTP is there for the next fetch', { skip }, async () => {
  const topic = fresh('sure').replace('-', '');
  const connection = new Connection(server.kafkaPort);
  for (let n = 0; n < 30; n += 1) {
    const appended = await server.append(`${topic}-1`, event());
    assert.equal(appended.status, 201);
  }
  const { json } = await server.get(`/v1/topics/${topic}`);
  let records = 0;
  for (let partition = 0; partition < json.partitions; partition += 1)
    records += (await connection.fetch(topic, 0, { partition, wait: 0 })).high;
  assert.equal(records, 30);
  connection.destroy();
});

test('a batch that is acknowledged over Kafka is there for the next read over HTTP', { skip }, async () => {
  const topic = fresh('soon').replace('-', '');
  const json = { partitions: 1, streams: true };
  assert.equal((await server.request('PUT', `/v1/topics/${topic}`, { json })).status, 201);
  const connection = new Connection(server.kafkaPort);
  for (let n = 0; n < 30; n += 1) {
    const { error, offset } = await connection.produce(topic, batch([{ key: '1', value: `${n}` }]));
    assert.deepEqual([error, offset], [0, n]);
    const stream = await server.get(`/v1/streams/${topic}-1`);
    assert.equal(stream.json.length, n + 1);
  }
  connection.destroy();
});
