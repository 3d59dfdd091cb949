// Streams are switched on for a topic that is large enough to take a while, beside its producers.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { until } from './driver.mjs';
import { fresh, serveKafka } from './server.mjs';
import { Connection, batch } from './wire.mjs';

const KEYS = 2000;
const BATCHES = 500; // which takes a second or more to give versions to
const BEING_CHANGED = 56; // KAFKA_STORAGE_ERROR: try again

const server = serveKafka();

const topicOf = async (topic) => (await server.get(`/v1/topics/${topic}`)).json;

// Each batch has one record of every key.
const batchOf = (n) =>
  batch(Array.from({ length: KEYS }, (_, key) => ({ key: `k${key}`, value: `{"n":${n}}` })));
const first = batchOf(0);

async function makeTopic(name, batches) {
  const topic = fresh(name).replace('-', '');
  const json = { partitions: 1, streams: false };
  assert.equal((await server.request('PUT', `/v1/topics/${topic}`, { json })).status, 201);
  const connection = new Connection(server.kafkaPort);
  for (let n = 0; n < batches; n += 1) assert.equal((await connection.produce(topic, first)).error, 0);
  connection.destroy();
  return topic;
}

const switchOn = (topic) => server.request('PUT', `/v1/topics/${topic}`, { json: { streams: true } });

// `batches` of the first one, then those that are numbered from 1 on.
async function assertVersions(topic, key, batches, more = 0) {
  const { json } = await server.get(`/v1/streams/${topic}-${key}?limit=1000`);
  const wanted = Array.from({ length: batches + more }, (_, n) => [n, Math.max(0, n - batches + 1)]);
  assert.deepEqual(json.map(({ version, data }) => [version, data.n]), wanted);
}

// The request on a connection of its own: { request, answer }.
function ask(topic, agent) {
  const body = JSON.stringify({ streams: true });
  const request = http.request(`${server.url}/v1/topics/${topic}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', 'content-length': body.length },
    agent,
  });
  const answer = new Promise((resolve) => {
    request.on('error', resolve);
    request.on('response', async (response) => {
      let text = '';
      for await (const piece of response) text += piece;
      resolve({ status: response.statusCode, json: JSON.parse(text) });
    });
  });
  request.end(body);
  return { request, answer };
}

// How far it is when no more records are read.
async function standsStill(topic) {
  let before = -1;
  let times = 0;
  await until('it stands still', async () => {
    const now = await server.metric('mainstem_adopted_records_total');
    times = now === before ? times + 1 : 0;
    before = now;
    return times === 3;
  });
  return (await topicOf(topic)).streams_prepared;
}

for (const [what, agent] of [
  ['', undefined],
  [' on a connection for one request', false],
]) {
  test(`a switch that is given up${what} and cut off goes on where it was`, async () => {
    const topic = await makeTopic('large', BATCHES);
    assert.equal((await topicOf(topic)).streams_prepared, null);
    const { request } = ask(topic, agent);
    await until('it has begun', async () => (await topicOf(topic)).streams_prepared);
    request.destroy();
    const last = await standsStill(topic);
    assert.ok(last && last.position < last.end, `${JSON.stringify(last)} when it was given up`);
    assert.equal((await topicOf(topic)).streams, false);
    await server.restart('SIGKILL');
    const { streams_prepared: kept } = await topicOf(topic);
    assert.ok(kept.position >= last.position, `${kept.position} and ${last.position} before`);
    assert.equal((await server.get(`/v1/streams/${topic}-k7`)).status, 409);
    const answer = await switchOn(topic);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.streams, true);
    assert.equal(answer.json.streams_prepared, null);
    const read = await server.metric('mainstem_adopted_records_total');
    assert.ok(read > 0 && read < KEYS * BATCHES, `${read} records were read again`);
    for (const key of ['k0', `k${KEYS - 1}`]) await assertVersions(topic, key, BATCHES);
  });
}

test('a server that is to stop gives a switch up and says so', async () => {
  const topic = await makeTopic('stop', BATCHES);
  const { answer } = ask(topic);
  await until('it has begun', async () => (await topicOf(topic)).streams_prepared);
  await server.restart('SIGTERM');
  const { status, json } = await answer;
  assert.equal(status, 503);
  assert.match(json.detail, /stopping/);
  const { streams, streams_prepared: kept } = await topicOf(topic);
  assert.equal(streams, false);
  assert.ok(kept.position > 0 && kept.position < kept.end);
  assert.equal((await switchOn(topic)).status, 200);
  await assertVersions(topic, 'k7', BATCHES);
});

test('producers and readers go on while two topics get their streams', async () => {
  const topics = [await makeTopic('one', BATCHES), await makeTopic('two', BATCHES / 2)];
  const connection = new Connection(server.kafkaPort);
  let answered = 0;
  const answers = topics.map(async (topic) => {
    const answer = await switchOn(topic);
    answered += 1;
    return answer;
  });
  let more = 0;
  let reads = 0;
  while (answered < topics.length && more < 400) {
    const { error } = await connection.produce(topics[0], batchOf(more + 1));
    assert.ok(error === 0 || error === BEING_CHANGED, `error ${error}`);
    if (error === 0) more += 1;
    assert.equal((await server.get('/v1/events?limit=1')).status, 200);
    reads += 1;
  }
  for (const { status, text } of await Promise.all(answers)) assert.equal(status, 200, text);
  assert.ok(more > 0 && reads > 2, `${more} batches and ${reads} reads beside it`);
  assert.equal((await connection.produce(topics[0], batchOf(more + 1))).error, 0);
  connection.destroy();
  for (const key of ['k0', 'k7', `k${KEYS - 1}`]) {
    await assertVersions(topics[0], key, BATCHES, more + 1);
    await assertVersions(topics[1], key, BATCHES / 2);
  }
});
