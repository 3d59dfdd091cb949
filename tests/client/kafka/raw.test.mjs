// What no client sends, on a bare socket: an error of the protocol or a closed connection, nothing
// stored, and a server that goes on.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fresh, serveKafka } from './server.mjs';
import * as wire from './wire.mjs';

const { Connection, array, batch, blob, fetch, fetchBody, frame, int16, int32, int64, produce } = wire;
const { produceBody, string } = wire;

const server = serveKafka();
const one = [{ value: 'x' }];
const nothing = Buffer.alloc(0);
const join = (...parts) => Buffer.concat(parts);

async function connected(run) {
  const connection = new Connection(server.kafkaPort);
  try {
    return await run(connection);
  } finally {
    connection.destroy();
  }
}

async function topic(partitions = 1) {
  const name = fresh('raw');
  const json = { partitions, streams: false };
  assert.equal((await server.request('PUT', `/v1/topics/${name}`, { json })).status, 201);
  return name;
}

// Nothing was stored, and a new connection is served.
async function unharmed(end) {
  assert.equal(await server.end(), end);
  await connected(async (connection) => {
    assert.equal((await connection.apiVersions()).error, 0);
  });
}

describe('bytes that are no request', () => {
  const cases = {
    'a frame of 2 GiB': int32(0x7fffffff),
    'a frame of size -1': int32(-1),
    'a frame of size 3': join(int32(3), Buffer.from([0, 18, 0])),
    'a frame of size 0': int32(0),
    'HTTP': Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    'TLS': Buffer.from('16030100c8010000c40303', 'hex'),
    'an unknown API': frame(777, 0, nothing),
    'a negative API': frame(-1, 0, nothing),
    'an unknown version of Produce': frame('Produce', 99, nothing),
    'a negative version of Fetch': frame('Fetch', -1, nothing),
    'a client id that is longer than its frame': join(int32(12), int16(18), int16(0), int32(1), int16(9999), int16(0)),
    'a client id of negative length': join(int32(10), int16(18), int16(0), int32(1), int16(-2)),
    'two thousand million topics': frame('Produce', 3, join(string(null), int16(-1), int32(1000), int32(0x7fffffff))),
    'a negative number of topics': frame('Produce', 3, join(string(null), int16(-1), int32(1000), int32(-7))),
    'a million partitions in no bytes': frame('Fetch', 4, join(
      int32(-1), int32(0), int32(1), int32(1000), Buffer.from([0]), int32(1), string('t'), int32(1_000_000))),
    'records that are longer than their frame': frame('Produce', 3, join(
      string(null), int16(-1), int32(1000), int32(1), string('t'), int32(1), int32(0), int32(100_000))),
    'a request that ends too early': frame('Metadata', 1, int16(0)),
    'bytes behind a request': frame('Fetch', 4, join(fetchBody('t', 0, { wait: 0 }), int64(7))),
  };
  for (const [what, bytes] of Object.entries(cases))
    test(`${what} closes the connection or gets an error, and nothing else happens`, async () => {
      const end = await server.end();
      await connected(async (connection) => {
        connection.send(bytes);
        if (bytes.length < 13 && bytes.readInt32BE() > bytes.length) connection.end();
        const answer = await connection.answer();
        if (answer) assert.ok(answer.body.left >= 2, 'an answer has at least an error');
      });
      await unharmed(end);
    });

  test('a frame that is cut off is no request', async () => {
    const name = await topic();
    const whole = produce(name, batch(one));
    const end = await server.end();
    for (const length of [1, 3, 4, 5, 12, 20, whole.length - 1])
      await connected(async (connection) => {
        connection.send(whole.subarray(0, length));
        connection.end();
        assert.equal(await connection.answer(), undefined);
      });
    await unharmed(end);
  });

  test('a frame that comes byte by byte is a request', async () => {
    const name = await topic();
    await connected(async (connection) => {
      for (const byte of produce(name, batch(one))) connection.send(Buffer.from([byte]));
      const answer = await connection.answer();
      assert.equal(answer.body.left > 0, true);
      assert.equal((await connection.fetch(name, 0)).high, 1);
    });
  });
});

describe('record batches that are wrong', () => {
  const good = batch(one);
  const cases = {
    'a checksum that does not fit': [batch(one, { crc: 1 }), [2]],
    'a length beyond the bytes': [batch(one, { length: 10_000 }), [2, 87]],
    'a length that is too small': [batch(one, { length: 10 }), [2, 87]],
    'fewer records than are counted': [batch(one, { count: 5, lastOffsetDelta: 4 }), [2, 87]],
    'more records than are counted': [batch([...one, ...one], { count: 1, lastOffsetDelta: 0 }), [2, 87]],
    'no record': [batch([], { lastOffsetDelta: -1 }), [2, 87]],
    'a negative count': [batch(one, { count: -1 }), [2, 87]],
    'a last offset that does not fit': [batch(one, { lastOffsetDelta: 7 }), [2, 87]],
    'an unknown compression': [batch(one, { attributes: 7 }), [76, 2, 87]],
    'a compression that it does not have': [batch(one, { attributes: 4 }), [2, 87]],
    'a control batch': [batch(one, { attributes: 0x20 }), [2, 87]],
    'an old format': [batch(one, { magic: 1 }), [2, 43, 87, 35]],
    'two batches': [join(good, good), [2, 87]],
    'half a batch': [good.subarray(0, 40), [2, 87]],
    'no bytes': [nothing, [2, 87, 42]],
  };
  for (const [what, [records, errors]] of Object.entries(cases))
    test(`${what} is refused`, async () => {
      const name = await topic();
      const end = await server.end();
      await connected(async (connection) => {
        const { error, offset } = await connection.produce(name, records);
        assert.ok(errors.includes(error), `error ${error}, wanted one of ${errors}`);
        assert.equal(offset, -1);
        assert.equal((await connection.fetch(name, 0, { wait: 0 })).high, 0);
      });
      await unharmed(end);
    });

  test('of two partitions the good one is stored and the bad one refused', async () => {
    const name = await topic(2);
    const partitions = [
      { partition: 0, records: batch(one, { crc: 1 }) },
      { partition: 1, records: batch(one) },
    ];
    await connected(async (connection) => {
      const body = await connection.ask(frame('Produce', 3, produceBody([{ topic: name, partitions }])));
      const [answer] = body.array(() => ({
        topic: body.string(),
        partitions: body.array(() => ({
          partition: body.int32(),
          error: body.int16(),
          offset: body.int64(),
          appended: body.int64(),
        })),
      }));
      const errors = Object.fromEntries(answer.partitions.map(({ partition, error }) => [partition, error]));
      assert.deepEqual(errors, { 0: 2, 1: 0 });
    });
  });
});

describe('places that are not there', () => {
  test('an unknown topic or partition is error 3', async () => {
    const name = await topic();
    await connected(async (connection) => {
      assert.equal((await connection.produce('not-there', batch(one))).error, 3);
      assert.equal((await connection.produce(name, batch(one), 9)).error, 3);
      assert.equal((await connection.produce(name, batch(one), -1)).error, 3);
      assert.equal((await connection.fetch('not-there', 0)).error, 3);
      assert.equal((await connection.fetch(name, 0, { partition: 5 })).error, 3);
    });
    assert.equal((await server.get('/v1/topics/not-there')).status, 404);
  });

  test('an offset out of range is error 1', async () => {
    const name = await topic();
    await connected(async (connection) => {
      assert.equal((await connection.produce(name, batch(one))).error, 0);
      for (const offset of [2, -5, Number.MAX_SAFE_INTEGER])
        assert.equal((await connection.fetch(name, offset)).error, 1, `offset ${offset}`);
      assert.equal((await connection.fetch(name, 1, { wait: 0 })).error, 0);
    });
  });

  for (const name of ['__consumer_offsets', '$topics', '$streams'])
    test(`${name} can't be written: error 29`, async () => {
      const end = await server.end();
      await connected(async (connection) => {
        assert.equal((await connection.produce(name, batch(one))).error, 29);
      });
      await unharmed(end);
    });

  test('a commit in a generation of a group that is not there is error 22, since version 9 error 69', () =>
    connected(async (connection) => {
      const places = array([join(string('t'), array([join(int32(0), int64(1), string(''))]))]);
      const old = await connection.ask(
        frame('OffsetCommit', 2, join(string('not-there'), int32(3), string('me'), int64(-1), places)),
      );
      old.array(() => [old.string(), old.array(() => assert.deepEqual([old.int32(), old.int16()], [0, 22]))]);
      const { NO_TAGS, compactArray, compactFrame, compactString } = wire;
      const place = join(int32(0), int64(1), int32(-1), compactString(''), NO_TAGS);
      const topics = compactArray([join(compactString('t'), compactArray([place]), NO_TAGS)]);
      const who = join(compactString('not-there'), int32(3), compactString('me'), compactString(null));
      const body = await connection.ask(compactFrame('OffsetCommit', 9, join(who, topics)));
      body.tags();
      body.int32();
      body.compactArray(() => {
        body.compactString();
        body.compactArray(() => {
          assert.deepEqual([body.int32(), body.int16()], [0, 69]);
          body.tags();
        });
        body.tags();
      });
    }));

  test('a name that is no topic name is error 17, and is not created', async () => {
    const end = await server.end();
    await connected(async (connection) => {
      const body = await connection.ask(frame('Metadata', 1, array([string('no spaces/please')])));
      body.array(() => [body.int32(), body.string(), body.int32(), body.string()]);
      body.int32();
      assert.equal(body.int16(), 1, 'topics');
    }).catch(() => {});
    await connected(async (connection) => {
      const { error } = await connection.produce('no spaces/please', batch(one));
      assert.ok([3, 17].includes(error), `error ${error}`);
    });
    await unharmed(end);
  });
});

describe('versions', () => {
  for (const version of [0, 1, 2])
    test(`ApiVersions v${version} lists what there is`, () =>
      connected(async (connection) => {
        const { error, apis } = await connection.apiVersions(version);
        assert.equal(error, 0);
        const min = Object.fromEntries(apis.map((api) => [api.key, api.min]));
        const max = Object.fromEntries(apis.map((api) => [api.key, api.max]));
        // Old librdkafka looks for single versions, @platformatic/kafka only knows new ones.
        const single = { 0: [0, 7], 1: [4, 12], 2: [1, 5], 3: [0, 9], 18: [0, 3] };
        for (const [key, [low, high]] of Object.entries(single)) {
          assert.ok(min[key] <= low, `API ${key} from ${min[key]}`);
          assert.ok(max[key] >= high, `API ${key} to ${max[key]}`);
        }
        assert.equal(max[24], 3, 'later versions of AddPartitionsToTxn are for brokers among themselves');
        for (const never of [4, 5, 6, 7, 71, 72]) assert.equal(min[never], undefined, `API ${never}`);
      }));

  for (const version of [3, 4])
    test(`ApiVersions v${version} is flexible with the old header`, () =>
      connected(async (connection) => {
        const name = (text) => join(Buffer.from([text.length + 1]), Buffer.from(text));
        const head = join(Buffer.from([0]), name('by-hand'), name('1.0'), Buffer.from([0]));
        const body = await connection.ask(frame('ApiVersions', version, head));
        assert.equal(body.int16(), 0);
        assert.ok(body.bytes[body.at] > 10, 'a compact array');
      }));

  test('an unknown version of ApiVersions is answered in version 0 with error 35 and the list', () =>
    connected(async (connection) => {
      const { error, apis } = await connection.apiVersions(99);
      assert.equal(error, 35);
      const own = apis.find(({ key }) => key === 18);
      assert.ok(own && own.min === 0 && own.max >= 3);
      assert.equal((await connection.apiVersions(0)).error, 0, 'the connection goes on');
    }));

  test("kafka-python's blind probe, ApiVersions and Metadata in version 0 at once, is answered in order", () =>
    connected(async (connection) => {
      const first = frame('ApiVersions', 0, nothing);
      const second = frame('Metadata', 0, array([]));
      connection.send(first, second);
      const answers = [await connection.answer(), await connection.answer()];
      assert.deepEqual(
        answers.map(({ correlation }) => correlation),
        [first.readInt32BE(8), second.readInt32BE(8)],
      );
      const { body } = answers[1];
      const [broker] = body.array(() => [body.int32(), body.string(), body.int32()]);
      assert.deepEqual(broker.slice(1), ['127.0.0.1', server.kafkaPort]);
    }));
});

describe('the order of answers', () => {
  test('many requests at once are answered in their order', async () => {
    const name = await topic();
    await connected(async (connection) => {
      const frames = Array.from({ length: 200 }, (_, n) =>
        n % 2 === 0 ? produce(name, batch([{ value: `${n}` }])) : frame('ApiVersions', 0, nothing),
      );
      connection.send(...frames);
      for (const sent of frames)
        assert.equal((await connection.answer()).correlation, sent.readInt32BE(8));
      assert.equal((await connection.fetch(name, 0)).high, 100);
    });
  });

  test('a produce that wants no answer gets none', async () => {
    const name = await topic();
    await connected(async (connection) => {
      const topics = [{ topic: name, partitions: [{ partition: 0, records: batch(one) }] }];
      const silent = frame('Produce', 3, produceBody(topics, 0));
      const probe = frame('ApiVersions', 0, nothing);
      connection.send(silent, probe);
      assert.equal((await connection.answer()).correlation, probe.readInt32BE(8));
    });
  });
});

describe('long polls', () => {
  const elapsed = async (run) => {
    const began = performance.now();
    await run();
    return performance.now() - began;
  };

  test('a fetch with nothing to read waits as long as it may, and no less', async (t) => {
    const name = await topic();
    const times = [];
    await connected(async (connection) => {
      for (let n = 0; n < 3; n += 1) {
        const took = await elapsed(async () => {
          const { error, records } = await connection.fetch(name, 0, { wait: 500 });
          assert.equal(error, 0);
          assert.equal(records?.length ?? 0, 0);
        });
        times.push(took);
        assert.ok(took >= 499, `${took} ms`);
        assert.ok(took < 5000, `${took} ms`);
      }
    });
    t.diagnostic(`with max_wait 500 ms: ${times.map((ms) => ms.toFixed(1)).join(', ')} ms`);
  });

  test('a fetch wakes when a record comes', async (t) => {
    const name = await topic();
    const times = [];
    await connected((reader) =>
      connected(async (writer) => {
        for (let n = 0; n < 20; n += 1) {
          reader.send(fetch(name, n, { wait: 10_000 }));
          assert.equal((await writer.apiVersions()).error, 0);
          const waiting = reader.answer();
          const began = performance.now();
          await writer.produce(name, batch([{ value: `${n}` }]));
          const acknowledged = performance.now();
          assert.ok(await waiting);
          times.push([performance.now() - began, acknowledged - began]);
        }
      }),
    );
    const median = (at) => times.map((pair) => pair[at]).sort((a, b) => a - b)[10].toFixed(1);
    t.diagnostic(`from sending a record to its reader ${median(0)} ms, to its writer ${median(1)} ms`);
  });

  test('a fetch that wants more bytes than there are waits for them', async () => {
    const name = await topic();
    await connected((reader) =>
      connected(async (writer) => {
        await writer.produce(name, batch(one));
        reader.send(fetch(name, 0, { wait: 10_000, bytes: 120 }));
        await writer.produce(name, batch(one));
        const { body } = await reader.answer();
        assert.ok(body.left > 120);
      }),
    );
  });

  test('a waiting fetch does not hold up its server', async () => {
    const name = await topic();
    const waiting = Array.from({ length: 50 }, () => new Connection(server.kafkaPort));
    for (const connection of waiting) connection.send(fetch(name, 0, { wait: 10_000 }));
    await connected(async (connection) => {
      assert.equal((await connection.apiVersions()).error, 0);
      await connection.produce(name, batch(one));
    });
    for (const connection of waiting) {
      assert.ok(await connection.answer());
      connection.destroy();
    }
  });
});
