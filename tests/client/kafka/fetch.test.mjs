// Fetches over many partitions that have more than an answer takes.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fresh, serveKafka } from './server.mjs';
import { Connection, array, batch, frame, int8, int32, int64, produce, string } from './wire.mjs';

const PARTITIONS = 8;
const BYTES = 300_000;
const MIB = 1 << 20;

const server = serveKafka();
const large = batch([{ value: 'x'.repeat(BYTES) }]);
const join = (...parts) => Buffer.concat(parts);

async function topicOf(batches, connection) {
  const name = fresh('many');
  const json = { partitions: PARTITIONS, streams: false };
  assert.equal((await server.request('PUT', `/v1/topics/${name}`, { json })).status, 201);
  for (let n = 0; n < batches; n += 1)
    for (let partition = 0; partition < PARTITIONS; partition += 1)
      await connection.produce(name, large, partition);
  return name;
}

const fetchAll = (topic, order, offsets, { wait = 0, bytes = 1, max = 50 * MIB, each = MIB } = {}) => {
  const partitions = order.map((partition) => join(int32(partition), int64(offsets[partition]), int32(each)));
  const body = join(int32(-1), int32(wait), int32(bytes), int32(max), int8(0));
  return frame('Fetch', 4, join(body, array([join(string(topic), array(partitions))])));
};

// [{partition, bytes}] of those that had something.
async function fetched(connection, ...args) {
  const reader = await connection.ask(fetchAll(...args));
  reader.int32();
  const [{ partitions }] = reader.array(() => ({
    topic: reader.string(),
    partitions: reader.array(() => {
      const partition = reader.int32();
      assert.equal(reader.int16(), 0);
      reader.at += 16;
      reader.array(() => [reader.int64(), reader.int64()]);
      return { partition, bytes: reader.blob()?.length ?? 0 };
    }),
  }));
  return partitions.filter(({ bytes }) => bytes > 0);
}

async function connected(run) {
  const connection = new Connection(server.kafkaPort);
  try {
    return await run(connection);
  } finally {
    connection.destroy();
  }
}

const inOrder = Array.from({ length: PARTITIONS }, (_, partition) => partition);
const orders = {
  'always the same': () => inOrder,
  'the other way round': () => inOrder.toReversed(),
  'beginning one further each time': (n) => inOrder.map((partition) => (partition + n) % PARTITIONS),
  'beginning one back each time': (n) => inOrder.map((partition) => (partition + n * (PARTITIONS - 1)) % PARTITIONS),
};

describe('partitions that have much to read', () => {
  for (const [title, order] of Object.entries(orders))
    test(`each has its turn, asked for in an order that is ${title}`, () =>
      connected(async (connection) => {
        const name = await topicOf(3, connection);
        const offsets = inOrder.map(() => 0);
        // The first one never runs out, so whoever always begins with it reads nothing else.
        for (let n = 0; offsets.some((offset) => offset < 3); n += 1) {
          assert.ok(n < 3 * PARTITIONS, `after ${n} answers at ${offsets}`);
          for (const { partition, bytes } of await fetched(connection, name, order(n), offsets))
            offsets[partition] += Math.round(bytes / large.length);
          connection.send(produce(name, large, 0), produce(name, large, 0), produce(name, large, 0));
          for (let i = 0; i < 3; i += 1) await connection.answer();
        }
      }));

  test('an answer is not much larger than one of them, unless the client asks for more', () =>
    connected(async (connection) => {
      const name = await topicOf(4, connection);
      const offsets = inOrder.map(() => 0);
      const size = async (options) =>
        (await fetched(connection, name, inOrder, offsets, options)).reduce((sum, { bytes }) => sum + bytes, 0);
      const sizes = [await size(), await size({ each: 400_000 }), await size({ bytes: 6 * MIB, wait: 10_000 })];
      assert.ok(sizes[0] > BYTES && sizes[0] < 2 * MIB, `${sizes[0]} bytes`);
      assert.ok(sizes[1] > BYTES && sizes[1] < 2 * MIB, `${sizes[1]} bytes`);
      assert.ok(sizes[2] >= 6 * MIB, `${sizes[2]} bytes`);
      const one = await fetched(connection, name, [3], offsets, { each: 10 * MIB });
      assert.equal(one[0].bytes, 4 * large.length);
    }));
});
