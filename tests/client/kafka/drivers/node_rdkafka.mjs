// The driver of node-rdkafka: librdkafka in Node.

import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { Inbox, decode, encode, serveOps } from './ops.mjs';

const require = createRequire(import.meta.url);
const rdkafka = require('node-rdkafka');

const OFFSETS = { beginning: -2, end: -1 };
const WAIT_MS = 10_000;
const inbox = new Inbox();
const producers = new Map();
let common, admin, consumer;
let taken = {};

// Calls a method that takes a callback last.
const call = (object, method, ...args) =>
  new Promise((resolve, reject) => {
    object[method](...args, (error, value) => (error ? reject(error) : resolve(value)));
  });

function ready(client) {
  return new Promise((resolve, reject) => {
    client.connect({ timeout: WAIT_MS }, (error) => (error ? reject(error) : resolve(client)));
  });
}

function administrator() {
  admin ??= rdkafka.AdminClient.create(common);
  return admin;
}

async function producer(options = {}) {
  const key = JSON.stringify(options);
  if (!producers.has(key)) {
    const made = new rdkafka.Producer({
      ...common,
      'message.max.bytes': 4 << 20,
      'linger.ms': 2,
      dr_cb: true,
      ...options,
    });
    made.on('event.error', () => {});
    await ready(made);
    made.setPollInterval(5);
    if (options['transactional.id']) await call(made, 'initTransactions', WAIT_MS);
    producers.set(key, made);
  }
  return producers.get(key);
}

async function send(client, topic, records) {
  let left = records.length;
  const failures = [];
  const delivered = new Promise((resolve) => {
    client.removeAllListeners('delivery-report');
    client.on('delivery-report', (error) => {
      if (error) failures.push(error);
      left -= 1;
      if (left === 0) resolve();
    });
  });
  for (const { key, value, headers, partition, timestamp } of records) {
    const pairs = headers.map(([name, bytes]) => ({ [name]: decode(bytes) }));
    client.produce(topic, partition ?? null, decode(value), decode(key), timestamp, null, pairs);
  }
  await delivered;
  if (failures.length > 0) throw failures[0];
}

function received({ topic, partition, offset, key, value, headers, timestamp }) {
  taken[`${topic}/${partition}`] = { topic, partition, offset: offset + 1 };
  const pairs = (headers ?? []).map((one) => {
    const [name, bytes] = Object.entries(one)[0];
    return [name, encode(bytes)];
  });
  const bytes = (field) => encode(typeof field === 'string' ? Buffer.from(field) : field);
  inbox.add({ topic, partition, offset, key: bytes(key), value: bytes(value), headers: pairs, timestamp });
}

async function start(options) {
  taken = {};
  inbox.clear();
  const made = new rdkafka.KafkaConsumer(
    {
      ...common,
      'enable.auto.commit': false,
      'fetch.message.max.bytes': 4 << 20,
      'heartbeat.interval.ms': 300,
      ...options,
    },
    { 'auto.offset.reset': 'earliest' },
  );
  made.setDefaultConsumeTimeout(50);
  made.on('event.error', () => {});
  made.on('data', received);
  return ready(made);
}

async function topicMetadata(topic, client) {
  const { topics, brokers } = await call(client, 'getMetadata', { topic, timeout: WAIT_MS });
  return { brokers, topics: topics.filter((one) => !topic || one.name === topic) };
}

// The same clients answer all questions: a producer knows metadata and offsets too.
const questions = () => producer();

serveOps({
  hello({ brokers }) {
    common = { 'metadata.broker.list': brokers, 'reconnect.backoff.max.ms': 300 };
    const { version } = require('node-rdkafka/package.json');
    return `${version.replace('v', '')} (librdkafka ${rdkafka.librdkafkaVersion})`;
  },
  async produce({ topic, records, compression = 'none', idempotent = false }) {
    const options = { 'compression.codec': compression };
    if (idempotent) options['enable.idempotence'] = true;
    const client = await producer(options);
    // One that lives asks for a new topic once a second only; here it asks at once.
    await topicMetadata(topic, client);
    await send(client, topic, records);
  },
  async open({ topics, from, committed = true }) {
    consumer = await start({
      'group.id': `reader-${randomUUID()}`,
      'isolation.level': committed ? 'read_committed' : 'read_uncommitted',
    });
    let places = [];
    for (const topic of topics) {
      const found = await topicMetadata(topic, consumer);
      for (const { id } of found.topics[0].partitions) {
        places.push({ topic, partition: id, offset: OFFSETS[from] ?? from.offset ?? from.time });
      }
    }
    if (from.time !== undefined) places = await call(consumer, 'offsetsForTimes', places, WAIT_MS);
    consumer.assign(places);
    consumer.consume();
  },
  async join({ group, topics, instance, strategy = 'roundrobin', session_ms = 10_000 }) {
    consumer = await start({
      'group.id': group,
      'session.timeout.ms': session_ms,
      'partition.assignment.strategy': strategy,
      ...(instance ? { 'group.instance.id': instance } : {}),
      rebalance_cb: true,
    });
    consumer.subscribe(topics);
    consumer.consume();
  },
  take: ({ count, ms }) => inbox.take(count, ms),
  assignment: () =>
    consumer.assignments().map(({ topic, partition }) => `${topic}/${partition}`),
  commit() {
    consumer.commitSync(Object.values(taken));
  },
  async shut() {
    if (consumer) await call(consumer, 'disconnect');
    consumer = undefined;
  },
  async offsets({ topic, partition }) {
    const client = await questions();
    const found = await call(client, 'queryWatermarkOffsets', topic, partition, WAIT_MS);
    return { earliest: found.lowOffset, latest: found.highOffset };
  },
  async at_time({ topic, partition, time }) {
    const asked = [{ topic, partition, offset: time }];
    const reader = await start({ 'group.id': 'asks' });
    const found = await call(reader, 'offsetsForTimes', asked, WAIT_MS);
    await call(reader, 'disconnect');
    return found[0].offset;
  },
  async metadata({ topic }) {
    const { brokers, topics } = await topicMetadata(topic, await questions());
    return {
      brokers: brokers.map(({ host, port }) => ({ host, port })),
      topics: Object.fromEntries(topics.map((one) => [one.name, one.partitions.length])),
    };
  },
  async transact({ producer: id, topic, records, outcome }) {
    const client = await producer({ 'transactional.id': id });
    await call(client, 'beginTransaction');
    await send(client, topic, records);
    await call(client, outcome === 'commit' ? 'commitTransaction' : 'abortTransaction', WAIT_MS);
  },
  async transfer({ producer: id, group, from, to, count }) {
    const reader = await start({ 'group.id': group, rebalance_cb: true });
    reader.subscribe([from]);
    reader.consume();
    const records = await inbox.take(count, 8000);
    const client = await producer({ 'transactional.id': id });
    await call(client, 'beginTransaction');
    const upper = (text) => encode(Buffer.from(decode(text).toString().toUpperCase()));
    const made = records.map(({ value }) => ({ key: null, value: upper(value), headers: [] }));
    await send(client, to, made);
    await call(client, 'sendOffsetsToTransaction', Object.values(taken), reader, WAIT_MS);
    await call(client, 'commitTransaction', WAIT_MS);
    await call(reader, 'disconnect');
    return records.length;
  },
  async create_topic({ topic, partitions, configs = {} }) {
    const wanted = { topic, num_partitions: partitions, replication_factor: 1, config: configs };
    await call(administrator(), 'createTopic', wanted, WAIT_MS);
  },
  async delete_topic({ topic }) {
    await call(administrator(), 'deleteTopic', topic, WAIT_MS);
  },
  async create_partitions({ topic, total }) {
    await call(administrator(), 'createPartitions', topic, total, WAIT_MS);
  },
  async group_offsets({ group, topic }) {
    const reader = await start({ 'group.id': group });
    const { topics } = await topicMetadata(topic, reader);
    const asked = topics[0].partitions.map(({ id }) => ({ topic, partition: id }));
    const found = await call(reader, 'committed', asked, WAIT_MS);
    await call(reader, 'disconnect');
    return Object.fromEntries(found.map(({ partition, offset }) => [partition, offset ?? -1]));
  },
});
