// The driver of @platformatic/kafka.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Admin, Consumer, Producer } from '@platformatic/kafka';
import { Inbox, decode, encode, serveOps } from './ops.mjs';

// It doesn't export its package.json.
const packageFile = new URL('../package.json', import.meta.resolve('@platformatic/kafka'));
const { version } = JSON.parse(readFileSync(fileURLToPath(packageFile), 'utf8'));
const TOPIC = 2; // a resource that has configs
const SET = 0;
const inbox = new Inbox();
const producers = new Map();
let common, admin, consumer, stream;
let taken = {};

function administrator() {
  admin ??= new Admin(common);
  return admin;
}

function producer(options) {
  const key = JSON.stringify(options);
  if (!producers.has(key)) producers.set(key, new Producer({ ...common, ...options }));
  return producers.get(key);
}

const toMessage = (topic) => (record) => ({
  topic,
  key: decode(record.key) ?? undefined,
  value: decode(record.value) ?? undefined,
  headers: new Map(record.headers.map(([name, value]) => [Buffer.from(name), decode(value)])),
  partition: record.partition,
  timestamp: record.timestamp === undefined ? undefined : BigInt(record.timestamp),
});

function received({ topic, partition, offset, key, value, headers, timestamp }) {
  taken[`${topic}/${partition}`] = { topic, partition, offset: offset + 1n, leaderEpoch: 0 };
  inbox.add({
    topic,
    partition,
    offset: Number(offset),
    key: encode(key),
    value: encode(value),
    headers: [...headers].map(([name, bytes]) => [name.toString(), encode(bytes)]),
    timestamp: Number(timestamp),
  });
}

// Without `wait` the group is joined behind the caller's back.
async function start({ group, instance, session_ms = 10_000, wait = true, ...options }) {
  taken = {};
  inbox.clear();
  consumer = new Consumer({
    ...common,
    groupId: group,
    groupInstanceId: instance,
    sessionTimeout: session_ms,
    rebalanceTimeout: Math.max(session_ms, 10_000),
    heartbeatInterval: 300,
    maxWaitTime: 500,
    maxBytes: 16 << 20,
    autocommit: false,
  });
  consumer.on('error', () => {});
  const opened = consumer.consume({ autocommit: false, ...options }).then((made) => {
    stream = made;
    stream.on('error', () => {});
    stream.on('data', received);
  });
  if (wait) await opened;
  else opened.catch(() => {});
}

async function allOffsets(topic, timestamp) {
  const { topics } = await administrator().metadata({ topics: [topic], forceUpdate: true });
  const { partitionsCount } = topics.get(topic);
  const partitions = Array.from({ length: partitionsCount }, (_, partitionIndex) => ({
    partitionIndex,
    timestamp: BigInt(timestamp),
  }));
  const found = await administrator().listOffsets({ topics: [{ name: topic, partitions }] });
  return found[0].partitions
    .map(({ partitionIndex, offset }) => ({ topic, partition: partitionIndex, offset }))
    .sort((one, other) => one.partition - other.partition);
}

async function begins(topics, from) {
  if (from.offset !== undefined) {
    return topics.map((topic) => ({ topic, partition: 0, offset: BigInt(from.offset) }));
  }
  const lists = await Promise.all(topics.map((topic) => allOffsets(topic, from.time)));
  return lists.flat();
}

serveOps({
  hello({ brokers }) {
    common = {
      clientId: 'workload',
      bootstrapBrokers: brokers.split(','),
      retries: 12,
      retryDelay: 200,
      metadataMaxAge: 1000,
    };
    return version;
  },
  async produce({ topic, records, compression = 'none', idempotent = false }) {
    const client = producer({ idempotent, autocreateTopics: true });
    await client.send({ messages: records.map(toMessage(topic)), compression, acks: -1 });
  },
  async open({ topics, from, committed = true }) {
    const isolationLevel = committed ? 1 : 0;
    const group = `reader-${randomUUID()}`;
    if (from === 'beginning') await start({ group, topics, mode: 'earliest', isolationLevel });
    else if (from === 'end') await start({ group, topics, mode: 'latest', isolationLevel });
    else {
      const offsets = await begins(topics, from);
      await start({ group, topics, mode: 'manual', offsets, isolationLevel });
    }
  },
  join: ({ group, topics, instance, session_ms }) =>
    start({
      group,
      topics,
      instance,
      session_ms,
      mode: 'committed',
      fallbackMode: 'earliest',
      wait: false,
    }),
  take: ({ count, ms }) => inbox.take(count, ms),
  assignment: () =>
    (consumer.assignments ?? []).flatMap(({ topic, partitions }) =>
      partitions.map((partition) => `${topic}/${partition}`),
    ),
  commit: () => consumer.commit({ offsets: Object.values(taken) }),
  async shut() {
    await stream?.close();
    await consumer?.close(true);
    stream = undefined;
    consumer = undefined;
  },
  async offsets({ topic, partition }) {
    const [low, high] = await Promise.all([allOffsets(topic, -2), allOffsets(topic, -1)]);
    return { earliest: Number(low[partition].offset), latest: Number(high[partition].offset) };
  },
  async at_time({ topic, partition, time }) {
    return Number((await allOffsets(topic, time))[partition].offset);
  },
  async metadata({ topic }) {
    const wanted = topic ? [topic] : await administrator().listTopics();
    const found = await administrator().metadata({
      topics: wanted,
      forceUpdate: true,
      autocreateTopics: true,
    });
    return {
      brokers: [...found.brokers.values()].map(({ host, port }) => ({ host, port })),
      topics: Object.fromEntries(
        [...found.topics].map(([name, { partitionsCount }]) => [name, partitionsCount]),
      ),
    };
  },
  async transact({ producer: id, topic, records, outcome }) {
    const client = producer({ transactionalId: id, idempotent: true, autocreateTopics: true });
    const open = await client.beginTransaction();
    await open.send({ messages: records.map(toMessage(topic)) });
    await (outcome === 'commit' ? open.commit() : open.abort());
  },
  async transfer({ producer: id, group, from, to, count }) {
    await start({ group, topics: [from], mode: 'committed', fallbackMode: 'earliest' });
    const last = {};
    stream.on('data', (message) => {
      last[message.partition] = message;
    });
    const records = await inbox.take(count, 8000);
    const client = producer({ transactionalId: id, idempotent: true, autocreateTopics: true });
    const open = await client.beginTransaction();
    await open.addConsumer(consumer);
    const upper = (text) => Buffer.from(decode(text).toString().toUpperCase());
    await open.send({ messages: records.map(({ value }) => ({ topic: to, value: upper(value) })) });
    for (const message of Object.values(last)) await open.addOffset(message);
    await open.commit();
    await stream.close();
    await consumer.close(true);
    return records.length;
  },
  create_topic: ({ topic, partitions, configs = {} }) =>
    administrator()
      .createTopics({
        topics: [topic],
        partitions,
        replicas: 1,
        configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
      })
      .then(() => null),
  delete_topic: ({ topic }) => administrator().deleteTopics({ topics: [topic] }),
  create_partitions: ({ topic, total }) =>
    administrator().createPartitions({ topics: [{ name: topic, count: total, assignments: null }] }),
  async describe_configs({ topic }) {
    const found = await administrator().describeConfigs({
      resources: [{ resourceType: TOPIC, resourceName: topic }],
    });
    return Object.fromEntries(found[0].configs.map(({ name, value }) => [name, value]));
  },
  alter_configs: ({ topic, configs }) =>
    administrator().incrementalAlterConfigs({
      resources: [
        {
          resourceType: TOPIC,
          resourceName: topic,
          configs: Object.entries(configs).map(([name, value]) => ({
            name,
            value,
            configOperation: SET,
          })),
        },
      ],
    }),
  delete_records: ({ topic, partition, before }) =>
    administrator()
      .deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset: BigInt(before) }] }] })
      .then(() => null),
  list_groups: async () => [...(await administrator().listGroups()).keys()],
  async describe_group({ group }) {
    const found = (await administrator().describeGroups({ groups: [group] })).get(group);
    return { state: found.state, members: found.members.size };
  },
  delete_group: ({ group }) => administrator().deleteGroups({ groups: [group] }),
  async group_offsets({ group, topic }) {
    const found = await administrator().listConsumerGroupOffsets({ groups: [group] });
    const { partitions } = found[0].topics.find(({ name }) => name === topic);
    return Object.fromEntries(
      partitions.map(({ partitionIndex, committedOffset }) => [partitionIndex, Number(committedOffset)]),
    );
  },
  async describe_cluster() {
    const found = await administrator().metadata({ topics: [], forceUpdate: true });
    return { brokers: found.brokers.size, controller: found.controllerId, cluster_id: found.id };
  },
});
