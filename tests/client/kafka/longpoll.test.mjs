// Long polls by the hundred: who is woken, by how much, and in which order those who wait in vain give
// up. How late they are is measured by bench/bench_longpoll.c, not asserted here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './driver.mjs';
import { fresh, serveKafka } from './server.mjs';
import * as wire from './wire.mjs';

const { Connection, batch, fetch } = wire;
const PARTITIONS = 100;
const WAITERS = 600;
const FOR_EVER_MS = 600_000;
const server = serveKafka();

async function topic(partitions) {
  const name = fresh('polled').replace('-', '');
  const json = { partitions, streams: false };
  assert.equal((await server.request('PUT', `/v1/topics/${name}`, { json })).status, 201);
  return name;
}

const waiting = () => server.metric('mainstem_kafka_waiting_requests');
const wakes = () => server.metric('mainstem_kafka_fetch_wakes_total');

// A fetch that waits, on a connection of its own; `answer` is what came, once it came.
class Waiter {
  constructor(name, partition, options) {
    Object.assign(this, { partition, wait: options.wait, connection: new Connection(server.kafkaPort) });
    this.sent = performance.now();
    this.connection.send(fetch(name, 0, { partition, ...options }));
    this.done = this.connection.answer(FOR_EVER_MS).then((answer) => {
      this.took = performance.now() - this.sent;
      this.answer = answer && wire.fetched(answer.body);
    });
  }

  end() {
    this.connection.destroy();
  }
}

// Waiters and a writer, gone when the test ends.
function party(t, name) {
  const waiters = [];
  const writer = new Connection(server.kafkaPort);
  t.after(() => {
    for (const waiter of waiters) waiter.end();
    writer.destroy();
  });
  const write = async (partition, value = 'x') => {
    const { error } = await writer.produce(name, batch([{ value }]), partition);
    assert.equal(error, 0);
  };
  const wait = (partition, options) => {
    const waiter = new Waiter(name, partition, options);
    waiters.push(waiter);
    return waiter;
  };
  return { waiters, wait, write };
}

const answered = (waiters) => waiters.filter(({ answer }) => answer);

test(`of ${WAITERS} waiting fetches exactly those wake whose partitions have grown`, async (t) => {
  const name = await topic(PARTITIONS);
  const { waiters, wait, write } = party(t, name);
  const before = await waiting();
  const woken = await wakes();
  for (let n = 0; n < WAITERS; n += 1) wait(n % PARTITIONS, { wait: FOR_EVER_MS });
  await until('all of them wait', async () => (await waiting()) === before + WAITERS);
  const grown = [3, 17, 18, 50, 77, 98, 99];
  for (const partition of grown) await write(partition, `${partition}`);
  const concerned = waiters.filter(({ partition }) => grown.includes(partition));
  await Promise.all(concerned.map(({ done }) => done));
  for (const { answer, partition } of concerned) {
    assert.equal(answer.error, 0);
    assert.deepEqual(wire.recordsOf(answer.records).map(({ value }) => value), [`${partition}`]);
  }
  // Nobody else has an answer, nor has even been asked to look.
  assert.equal(answered(waiters).length, concerned.length);
  assert.equal(await waiting(), before + WAITERS - concerned.length);
  assert.equal(await wakes(), woken + concerned.length);
});

test('a fetch sleeps on until there are as many bytes as it wants', async (t) => {
  const name = await topic(2);
  const { waiters, wait, write } = party(t, name);
  const before = await waiting();
  const woken = await wakes();
  const enough = batch([{ value: 'x' }]).length * 3;
  for (let n = 0; n < 100; n += 1) wait(0, { wait: FOR_EVER_MS, bytes: enough });
  for (let n = 0; n < 100; n += 1) wait(1, { wait: FOR_EVER_MS, bytes: 1 });
  const [some, others] = [waiters.slice(0, 100), waiters.slice(100)];
  await until('all of them wait', async () => (await waiting()) === before + 200);
  for (let n = 1; n < 3; n += 1) {
    await write(0);
    await until('they have looked', async () => (await wakes()) === woken + 100 * n);
    assert.equal(answered(waiters).length, 0);
  }
  await write(0);
  await Promise.all(some.map(({ done }) => done));
  for (const { answer } of some) assert.equal(answer.records.length, enough);
  assert.equal(answered(others).length, 0);
  assert.equal(await waiting(), before + 100);
});

test('those who wait in vain give up in the order of their deadlines, and none before its own', async (t) => {
  const name = await topic(2);
  const { wait, write } = party(t, name);
  const order = [];
  const steps = [7, 2, 9, 0, 4, 1, 8, 3, 6, 5];
  const waits = steps.map((step) => 300 + step * 150);
  const givingUp = waits.map((ms) => {
    const waiter = wait(0, { wait: ms });
    waiter.done.then(() => order.push(waiter));
    return waiter;
  });
  const patient = Array.from({ length: 500 }, () => wait(0, { wait: FOR_EVER_MS }));
  let writes = 0;
  while (order.length < waits.length) {
    await write(1); // the server has something else to do
    writes += 1;
  }
  assert.deepEqual(order.map((waiter) => waiter.wait), [...waits].sort((a, b) => a - b));
  for (const waiter of givingUp) {
    assert.ok(waiter.took >= waiter.wait, `${waiter.took} ms of ${waiter.wait}`);
    assert.equal(waiter.answer.error, 0);
    assert.equal(waiter.answer.records?.length ?? 0, 0);
  }
  assert.equal(answered(patient).length, 0);
  const late = givingUp.map((waiter) => waiter.took - waiter.wait).sort((a, b) => a - b);
  const [middle, most] = [late[5].toFixed(1), late[9].toFixed(1)];
  t.diagnostic(`${writes} writes meanwhile; late by ${middle} ms in the middle, ${most} at most`);
});
