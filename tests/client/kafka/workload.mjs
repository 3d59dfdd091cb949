// The workload that every client plays: what its users rely on, step by step. A step is a test case
// named for what it claims; card.mjs writes down what became of it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { claim, note } from './card.mjs';
import { client as find } from './clients.mjs';
import { drive, until } from './driver.mjs';
import { bytes, numbered, record, texts } from './records.mjs';
import { fresh, serveKafka } from './server.mjs';
import { adminSteps } from './workload_admin.mjs';
import { groupSteps } from './workload_groups.mjs';
import { transactionSteps } from './workload_transactions.mjs';
import { APIS, apiVersions } from './wire.mjs';

export const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
export const MANY = 10_000;
// Another client than `name` for what one writes and the other reads.
export function another(name) {
  const wanted = name.startsWith('rdkafka') ? ['kafkajs', 'kafka-python'] : ['rdkafka', 'confluent-kafka'];
  return wanted.map(find).find((client) => client.command);
}

function recordSteps(step) {
  for (const codec of CODECS) {
    step(codec, `what is written with compression ${codec} it and another client read`, async (use) => {
      const topic = fresh('codec');
      const sent = numbered(20, `a value that is long enough to be compressed, ${codec}`);
      await use.driver.produce(topic, sent, codec === 'none' ? {} : { compression: codec });
      const other = await use.other();
      for (const reader of [use.driver, other]) {
        const got = await reader.read(topic, 'beginning', sent.length);
        assert.deepEqual(texts(got), texts(sent));
        assert.deepEqual(got.map(({ key }) => key.toString()), sent.map(({ key }) => key.toString()));
        assert.deepEqual(got.map(({ offset }) => offset), sent.map((_, n) => n));
      }
    });
  }
  step('keys, headers, null', 'keys, null keys, null values and headers come back as they were', async (use) => {
    const topic = fresh('shape');
    const sent = [
      record('plain'),
      record('keyed', 'key'),
      record(null, 'tombstone'),
      record('headers', 'h', { headers: { one: bytes('1'), two: bytes('zwei ü') } }),
    ];
    await use.driver.produce(topic, sent);
    const got = await use.driver.read(topic, 'beginning', sent.length);
    assert.deepEqual(texts(got), texts(sent));
    assert.deepEqual(got.map(({ key }) => key?.toString() ?? null), [null, 'key', 'tombstone', 'h']);
    assert.deepEqual(got[3].headers, sent[3].headers);
    assert.deepEqual(got[0].headers, {});
  });
  step('empty values', 'an empty value is no null value', async (use) => {
    const topic = fresh('empty');
    await use.driver.produce(topic, [record('', 'empty'), record(null, 'null')]);
    const got = await use.driver.read(topic, 'beginning', 2);
    assert.deepEqual(texts(got), ['', null]);
  });
  step('1 MiB values', 'a value of 1 MiB comes back whole', async (use) => {
    const topic = fresh('large');
    // With its key and head it is larger than what a topic takes otherwise.
    const configs = { 'max.message.bytes': String(2 << 20) };
    await (await use.writer()).call('create_topic', { topic, partitions: 1, configs });
    const value = Buffer.from(Array.from({ length: 1 << 20 }, (_, n) => 97 + ((n * n) % 26)));
    await use.driver.produce(topic, [{ key: bytes('large'), value }, record('behind it')]);
    const got = await use.driver.read(topic, 'beginning', 2);
    assert.equal(got.length, 2);
    assert.ok(got[0].value.equals(value));
    assert.equal(got[1].value.toString(), 'behind it');
  }, { needs: ['CreateTopics'] });
  step('10,000 records', 'ten thousand records come back in order', async (use) => {
    const topic = fresh('many');
    await use.driver.produce(topic, numbered(MANY));
    const got = await use.driver.read(topic, 'beginning', MANY);
    assert.equal(got.length, MANY);
    got.forEach(({ offset, value }, n) => {
      assert.equal(offset, n);
      assert.equal(value.toString(), `value ${n}`);
    });
  });
}

function placeSteps(step) {
  step('metadata', 'metadata names this server and the topic with its partitions', async (use) => {
    const topic = await use.topic('meta', 3);
    const { brokers, topics } = await use.driver.call('metadata', { topic });
    assert.deepEqual(brokers, [{ host: '127.0.0.1', port: use.server.kafkaPort }]);
    assert.deepEqual(topics, { [topic]: 3 });
    const all = await use.driver.call('metadata');
    assert.equal(all.topics[topic], 3);
  });
  step('auto-create', 'a topic is made when it is first written to', async (use) => {
    const topic = fresh('auto');
    await use.driver.produce(topic, [record('first')]);
    assert.deepEqual(texts(await use.driver.read(topic, 'beginning', 1)), ['first']);
  });
  step('consume from an offset', 'reading begins where it is told: beginning, end, an offset', async (use) => {
    const topic = fresh('place');
    await use.driver.produce(topic, numbered(10));
    assert.equal((await use.driver.read(topic, 'beginning', 10)).length, 10);
    const tail = await use.driver.read(topic, { offset: 7 }, 3);
    assert.deepEqual(texts(tail), ['value 7', 'value 8', 'value 9']);
    await use.driver.call('open', { topics: [topic], from: 'end' });
    // The reader finds the end when it likes, so records come until it has one.
    const got = await until('a record behind the end', async () => {
      await use.driver.produce(topic, [record('late')]);
      const some = await use.driver.take(1, 300);
      return some.length > 0 && some;
    });
    await use.driver.call('shut');
    assert.deepEqual(texts(got), ['late']);
  });
  step('offsets', 'the first and the next offset of a partition are told', async (use) => {
    const topic = fresh('ends');
    await use.driver.produce(topic, numbered(5));
    const found = await use.driver.call('offsets', { topic, partition: 0 });
    assert.deepEqual(found, { earliest: 0, latest: 5 });
  });
  step('offsets for times', 'a time is found, and reading begins there', async (use) => {
    const topic = fresh('times');
    const base = Date.now() - 100_000;
    const sent = [0, 1, 2, 3].map((n) => record(`t${n}`, null, { timestamp: base + n * 1000 }));
    await (await use.writer()).produce(topic, sent);
    const at = (time) => use.driver.call('at_time', { topic, partition: 0, time });
    assert.equal(await at(base + 1000), 1);
    assert.equal(await at(base + 1001), 2);
    const got = await use.driver.read(topic, { time: base + 1500 }, 2);
    assert.deepEqual(texts(got), ['t2', 't3']);
  });
}

// What a step may use: the client's driver, another client's, the server.
class Use {
  constructor(server, client, offered) {
    Object.assign(this, { server, client, idle: [] });
  }

  // Another client, for what this one doesn't do itself.
  other() {
    this.helper ??= drive(another(this.client.name), this.server);
    return this.helper;
  }

  // One that sets timestamps and creates topics: kcat doesn't.
  writer() {
    return this.client.name === 'kcat' ? this.other() : this.driver;
  }

  async topic(prefix, partitions, settings = {}) {
    const topic = fresh(prefix);
    const answer = await this.server.request('PUT', `/v1/topics/${topic}`, {
      json: { partitions, streams: false, ...settings },
    });
    assert.equal(answer.status, 201, answer.text);
    return topic;
  }

  // A driver for one test case. Some clients take a second to start, so they are used again.
  async lend(t) {
    const driver = this.idle.pop() ?? (await drive(this.client, this.server));
    t.after(async () => {
      try {
        await driver.call('shut');
        this.idle.push(driver);
      } catch {
        await driver.kill(); // the test has killed it, or it fails
      }
    });
    return driver;
  }

  async end() {
    await Promise.all([this.driver, ...this.idle].map((driver) => driver?.kill()));
    await (await this.helper)?.kill();
  }
}

// All steps, as test cases of this file's one client.
export function play(name) {
  const client = find(name);
  if (client.missing) {
    test(`${name}: ${client.missing}`, { skip: client.missing }, () => {});
    note(client, undefined, { n: 0, feature: 'installed' }, 'missing', client.missing);
    return;
  }
  let use;
  let offered = new Set();
  const server = serveKafka({
    setup: async () => {
      offered = await apiVersions(server.kafkaPort);
      use.driver = await drive(client, server);
    },
    finish: () => use.end(),
  });
  use = new Use(server, client);
  const version = () => use.driver?.version;
  let steps = 0;
  const step = (feature, claimed, run, { needs = [] } = {}) => {
    steps += 1;
    const row = { n: steps, feature };
    const missing = () => {
      const lacking = needs.filter((api) => !offered.has(APIS[api]));
      return lacking.length > 0 && `the server does not offer ${lacking.join(', ')}`;
    };
    claim({ client, version, row, name: claimed, skip: missing }, (t) => run(use, t));
  };
  describe('records', () => {
    recordSteps(step);
    placeSteps(step);
  });
  describe('administration', () => adminSteps(step));
  describe('transactions', () => transactionSteps(step));
  // These wait for the server's and the clients' clocks, so they wait together.
  describe('groups', { concurrency: 2 }, () => groupSteps(step));
}
