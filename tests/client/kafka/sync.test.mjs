// Projections of mode sync: what a producer has been told is there is in the tables, at once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { client as find } from './clients.mjs';
import { drive, until } from './driver.mjs';
import { record } from './records.mjs';
import { fresh, serveKafka } from './server.mjs';
import { Connection, batch, frame, produceBody, produced } from './wire.mjs';

const client = find('rdkafka');
const skip = client.missing ?? false;
let driver;
const server = serveKafka({
  setup: async () => {
    driver = client.missing ? undefined : await drive(client, server);
  },
  finish: () => driver?.kill(),
});

// Applying an event takes far longer than asking for it.
const file = (name, topic) => `-- projection: ${name}
-- from: ${topic}
-- mode: sync
create table seen (offset_ bigint primary key, n bigint not null);
-- on: *
insert into seen (offset_, n) values (:position, cast(:data ->> 'n' as bigint) +
  (with recursive c (i) as (values (0) union all select i + 1 from c where i < 100000) select 0 * count(*) from c));
-- query: sums
select count(*) as records, coalesce(sum(n), 0) as total from seen;
`;

const verb = (name, what) => server.request('POST', `/v1/projections/${name}/${what}`);

async function topicOf(topic) {
  const json = { partitions: 1, streams: false };
  assert.equal((await server.request('PUT', `/v1/topics/${topic}`, { json })).status, 201);
  return topic;
}

// A projection of a topic of its own, which answers.
async function deployed(topic) {
  await topicOf(topic);
  const headers = { 'content-type': 'application/sql' };
  const put = await server.request('PUT', `/v1/projections/${topic}`, { headers, body: file(topic, topic) });
  assert.equal(put.status, 201, put.text);
  await until('it answers', async () => {
    const { versions } = (await server.get(`/v1/projections/${topic}`)).json;
    return versions.some(({ role }) => role === 'current');
  });
  return topic;
}

const encoded = (text) => Buffer.from(text).toString('base64');
const transact = (topic, numbers, outcome) =>
  driver.call('transact', {
    producer: topic,
    topic,
    records: numbers.map((n) => ({ key: encoded('k'), value: encoded(`{"n":${n}}`), headers: [] })),
    outcome,
  });

const one = batch([{ key: 'k', value: '{"n":1}' }]);
const produce = (topic, acks, timeout) =>
  frame('Produce', 3, produceBody([{ topic, partitions: [{ partition: 0, records: one }] }], acks, timeout));

const name = (prefix) => fresh(prefix).replace(/\W/g, '');

async function sums(projection, more = '') {
  const answer = await server.get(`/v1/queries/${projection}/sums${more}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json[0];
}

async function pending(projection) {
  const { text } = await server.get('/metrics');
  const found = text.match(
    new RegExp(`^mainstem_projection_sync_pending_total\\{projection="${projection}",.*role="current"\\} (\\d+)$`, 'm'),
  );
  return Number(found[1]);
}

test('a record whose delivery was reported is in the tables', { skip }, async () => {
  const projection = await deployed(name('told'));
  for (let n = 1; n <= 20; n += 1) {
    await driver.produce(projection, [record(`{"n":${n}}`, 'k')], { idempotent: n % 2 === 0 });
    assert.deepEqual(await sums(projection), { records: n, total: (n * (n + 1)) / 2 });
  }
  assert.equal(await pending(projection), 0);
});

test('a transaction that was committed is in the tables', { skip }, async () => {
  const projection = await deployed(name('txn'));
  for (let n = 1; n <= 10; n += 1) {
    await transact(projection, [1, 2], 'commit');
    assert.deepEqual(await sums(projection), { records: 2 * n, total: 3 * n });
    await transact(projection, [50], 'abort');
  }
  assert.deepEqual(await sums(projection), { records: 20, total: 30 });
});

test('a projection that does not apply holds its producers up for a time, and fails nobody', { skip }, async () => {
  const projection = await deployed(name('paused'));
  await driver.produce(projection, [record('{"n":1}', 'k')]);
  assert.equal((await verb(projection, 'pause')).status, 200);
  await driver.produce(projection, [record('{"n":2}', 'k')]); // rejects when it is not delivered
  assert.deepEqual(await sums(projection), { records: 1, total: 1 });
  assert.equal(await pending(projection), 1);
  await transact(projection, [3], 'commit');
  assert.equal(await pending(projection), 2);
  await transact(projection, [4], 'abort'); // makes nothing visible
  assert.equal(await pending(projection), 2);
  assert.equal((await verb(projection, 'resume')).status, 200);
  const end = await server.end();
  assert.deepEqual(await sums(projection, `?min_position=${end - 1}`), { records: 3, total: 6 });
});

test('whoever writes to other topics, and other connections, go on meanwhile', async () => {
  const projection = await deployed(name('held'));
  const other = await topicOf(name('other'));
  assert.equal((await verb(projection, 'pause')).status, 200);
  const held = new Connection(server.kafkaPort);
  const free = new Connection(server.kafkaPort);
  const order = [];
  held.send(produce(projection), produce(other));
  const waits = held.answer().then(() => order.push('held'));
  for (let n = 0; n < 20; n += 1) assert.equal(produced(await free.ask(produce(other))).error, 0);
  const appended = await server.append(`${name('third')}-1`, { event_type: 'x', data: {} });
  assert.equal(appended.status, 201);
  assert.equal(appended.headers['mainstem-projection-pending'], undefined);
  order.push('the others');
  await waits;
  order.push((await held.answer()).body.string ? 'behind it' : '');
  // The answers of one connection keep their order.
  assert.deepEqual(order, ['the others', 'held', 'behind it']);
  assert.equal(await pending(projection), 1);
  held.destroy();
  free.destroy();
});

test('a request is not held up beyond its own time', async () => {
  const projection = await deployed(name('hasty'));
  assert.equal((await verb(projection, 'pause')).status, 200);
  const hasty = new Connection(server.kafkaPort);
  const patient = new Connection(server.kafkaPort);
  const order = [];
  patient.send(produce(projection));
  const waits = patient.answer().then(({ body }) => order.push(`patient ${produced(body).error}`));
  for (const timeout of [0, 1, 20])
    assert.equal(produced(await hasty.ask(produce(projection, -1, timeout))).error, 0);
  hasty.send(produce(projection, 0)); // is told nothing, and waits for nothing
  assert.equal(produced(await hasty.ask(produce(projection, 1, 1))).error, 0);
  order.push('hasty');
  await waits;
  assert.deepEqual(order, ['hasty', 'patient 0']);
  assert.equal(await pending(projection), 5);
  hasty.destroy();
  patient.destroy();
});

test('a connection that goes while it is held up takes nothing with it', async () => {
  const projection = await deployed(name('gone'));
  assert.equal((await verb(projection, 'pause')).status, 200);
  const connections = Array.from({ length: 8 }, () => new Connection(server.kafkaPort));
  const before = await server.end();
  for (const connection of connections) connection.send(produce(projection));
  await until('all of it is in the log', async () => (await server.end()) === before + connections.length);
  for (const connection of connections) connection.destroy();
  assert.equal((await verb(projection, 'resume')).status, 200);
  const { records } = await sums(projection, `?min_position=${before + connections.length - 1}`);
  assert.equal(records, connections.length);
  await until('nobody waits', async () => (await server.metric('mainstem_kafka_waiting_requests')) === 0);
});
