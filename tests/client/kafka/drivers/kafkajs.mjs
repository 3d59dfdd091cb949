// The driver of kafkajs. It reads through groups only, so `open` uses a group that nobody knows.

import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { Inbox, decode, encode, serveOps } from './ops.mjs';

const require = createRequire(import.meta.url);
const kafkajs = require('kafkajs');
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs;

// What kafkajs leaves to its users: the codecs.
async function codecs() {
  CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');
  const { lz4Compress, lz4Decompress } = await import('@platformatic/wasm-utils');
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async (encoder) => lz4Compress(encoder.buffer),
    decompress: async (buffer) => lz4Decompress(buffer),
  });
  const zstd = require('@bokuweb/zstd-wasm');
  await zstd.init();
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
    decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
  });
}

const types = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 };
const inbox = new Inbox();
const producers = new Map();
let kafka, admin, consumer;
let assigned = [];
let ends = {};

async function administrator() {
  if (!admin) {
    admin = kafka.admin();
    await admin.connect();
  }
  return admin;
}

async function producer(options) {
  const key = JSON.stringify(options);
  if (!producers.has(key)) {
    const made = kafka.producer({
      allowAutoTopicCreation: true,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      ...options,
    });
    await made.connect();
    producers.set(key, made);
  }
  return producers.get(key);
}

// The headers of one record; kafkajs shows repeated names as a list.
function toHeaders(pairs) {
  return Object.fromEntries(pairs.map(([name, value]) => [name, decode(value)]));
}

function toMessage(record) {
  return {
    key: decode(record.key),
    value: decode(record.value),
    headers: toHeaders(record.headers),
    partition: record.partition,
    timestamp: record.timestamp === undefined ? undefined : String(record.timestamp),
  };
}

function received({ topic, partition, message }) {
  const offset = Number(message.offset);
  ends[`${topic}/${partition}`] = { topic, partition, offset: String(offset + 1) };
  inbox.add({
    topic,
    partition,
    offset,
    key: encode(message.key),
    value: encode(message.value),
    headers: Object.entries(message.headers ?? {}).map(([name, value]) => [name, encode(value)]),
    timestamp: Number(message.timestamp),
  });
}

async function start({ group, topics, strategy, session_ms, committed = true }) {
  const assigners = { roundrobin: kafkajs.PartitionAssigners.roundRobin };
  ends = {};
  inbox.clear();
  consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: session_ms ?? 10_000,
    heartbeatInterval: 300,
    maxWaitTimeInMs: 200 /* it waits for its last fetch when it ends */,
    maxBytesPerPartition: 4 << 20,
    readUncommitted: !committed,
    partitionAssigners: [assigners[strategy] ?? kafkajs.PartitionAssigners.roundRobin],
  });
  const { GROUP_JOIN, REBALANCING } = consumer.events;
  consumer.on(REBALANCING, () => {
    assigned = [];
  });
  const joined = new Promise((resolve) => {
    consumer.on(GROUP_JOIN, ({ payload }) => {
      assigned = Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
        partitions.map((partition) => `${topic}/${partition}`),
      );
      resolve();
    });
  });
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({ autoCommit: false, eachMessage: async (message) => received(message) });
  return joined;
}

// Where to begin in each partition of a topic; nothing: at the beginning.
async function begins(topic, from) {
  const client = await administrator();
  if (from === 'end') {
    return (await client.fetchTopicOffsets(topic)).map((one) => ({ ...one, offset: one.high }));
  }
  if (from.time !== undefined) return client.fetchTopicOffsetsByTimestamp(topic, from.time);
  return [{ partition: 0, offset: String(from.offset) }];
}

async function transaction(id) {
  const client = await producer({ transactionalId: id, idempotent: true, maxInFlightRequests: 1 });
  return client.transaction();
}

serveOps({
  async hello({ brokers }) {
    await codecs();
    kafka = new Kafka({
      brokers: brokers.split(','),
      clientId: 'workload',
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 50, retries: 12, maxRetryTime: 1000 },
    });
    return require('kafkajs/package.json').version;
  },
  async produce({ topic, records, compression = 'none', idempotent = false }) {
    const client = await producer(idempotent ? { idempotent, maxInFlightRequests: 1 } : {});
    await client.send({
      topic,
      acks: -1,
      compression: types[compression],
      messages: records.map(toMessage),
    });
  },
  async open({ topics, from, committed }) {
    const starts = [];
    if (from !== 'beginning') {
      for (const topic of topics)
        for (const { partition, offset } of await begins(topic, from))
          starts.push({ topic, partition, offset });
    }
    const joined = start({ group: `reader-${randomUUID()}`, topics, committed });
    await new Promise((resolve) => {
      const { CONNECT } = consumer.events;
      consumer.on(CONNECT, resolve);
    });
    joined.catch(() => {});
    await joined;
    for (const place of starts) consumer.seek(place);
    inbox.clear();
  },
  async join(args) {
    start(args).catch(() => {});
  },
  take: ({ count, ms }) => inbox.take(count, ms),
  assignment: () => assigned,
  commit: () => consumer.commitOffsets(Object.values(ends)),
  async shut() {
    await consumer?.disconnect();
    consumer = undefined;
    assigned = [];
  },
  async offsets({ topic, partition }) {
    const all = await (await administrator()).fetchTopicOffsets(topic);
    const { low, high } = all.find((one) => one.partition === partition);
    return { earliest: Number(low), latest: Number(high) };
  },
  async at_time({ topic, partition, time }) {
    const all = await (await administrator()).fetchTopicOffsetsByTimestamp(topic, time);
    return Number(all.find((one) => one.partition === partition).offset);
  },
  async metadata({ topic }) {
    const client = await administrator();
    const { brokers } = await client.describeCluster();
    const { topics } = await client.fetchTopicMetadata(topic ? { topics: [topic] } : {});
    return {
      brokers: brokers.map(({ host, port }) => ({ host, port })),
      topics: Object.fromEntries(topics.map((one) => [one.name, one.partitions.length])),
    };
  },
  async transact({ producer: id, topic, records, outcome }) {
    const open = await transaction(id);
    await open.send({ topic, messages: records.map(toMessage) });
    await (outcome === 'commit' ? open.commit() : open.abort());
  },
  async transfer({ producer: id, group, from, to, count }) {
    await start({ group, topics: [from] });
    const records = await inbox.take(count, 8000);
    const open = await transaction(id);
    const upper = (text) => Buffer.from(decode(text).toString().toUpperCase());
    await open.send({ topic: to, messages: records.map(({ value }) => ({ value: upper(value) })) });
    const topics = [{ topic: from, partitions: Object.values(ends) }];
    await open.sendOffsets({ consumerGroupId: group, topics });
    await open.commit();
    await consumer.disconnect();
    return records.length;
  },
  async create_topic({ topic, partitions, configs = {} }) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
    await (await administrator()).createTopics({
      topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }],
    });
  },
  async delete_topic({ topic }) {
    await (await administrator()).deleteTopics({ topics: [topic] });
  },
  async create_partitions({ topic, total }) {
    await (await administrator()).createPartitions({
      topicPartitions: [{ topic, count: total }],
    });
  },
  async describe_configs({ topic }) {
    const { resources } = await (await administrator()).describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
    });
    return Object.fromEntries(
      resources[0].configEntries.map(({ configName, configValue }) => [configName, configValue]),
    );
  },
  async alter_configs({ topic, configs }) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
    await (await administrator()).alterConfigs({
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }],
    });
  },
  async delete_records({ topic, partition, before }) {
    const client = await administrator();
    await client.fetchTopicOffsets(topic); // it must have seen the topic, and doesn't look itself
    await client.deleteTopicRecords({
      topic,
      partitions: [{ partition, offset: String(before) }],
    });
  },
  async list_groups() {
    return (await (await administrator()).listGroups()).groups.map(({ groupId }) => groupId);
  },
  async describe_group({ group }) {
    const { groups } = await (await administrator()).describeGroups([group]);
    return { state: groups[0].state, members: groups[0].members.length };
  },
  async delete_group({ group }) {
    await (await administrator()).deleteGroups([group]);
  },
  async group_offsets({ group, topic }) {
    const found = await (await administrator()).fetchOffsets({ groupId: group, topics: [topic] });
    return Object.fromEntries(
      found[0].partitions.map(({ partition, offset }) => [partition, Number(offset)]),
    );
  },
  async describe_cluster() {
    const { brokers, controller, clusterId } = await (await administrator()).describeCluster();
    return { brokers: brokers.length, controller, cluster_id: clusterId };
  },
});
