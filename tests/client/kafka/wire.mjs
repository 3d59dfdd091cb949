// Kafka's protocol by hand, for what no client would send. Old, inflexible versions where there are
// some: each field is what it looks like. What is flexible begins with "compact".

import net from 'node:net';

export const APIS = {
  Produce: 0,
  Fetch: 1,
  ListOffsets: 2,
  Metadata: 3,
  OffsetCommit: 8,
  OffsetFetch: 9,
  FindCoordinator: 10,
  JoinGroup: 11,
  Heartbeat: 12,
  LeaveGroup: 13,
  SyncGroup: 14,
  ApiVersions: 18,
  CreateTopics: 19,
  DeleteTopics: 20,
  DeleteRecords: 21,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
  DescribeConfigs: 32,
  AlterConfigs: 33,
  CreatePartitions: 37,
  ConsumerGroupHeartbeat: 68,
};

export const int8 = (n) => Buffer.from([n & 0xff]);
export function int16(n) {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(n);
  return bytes;
}
export function int32(n) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(n);
  return bytes;
}
export function int64(n) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(n));
  return bytes;
}
export const string = (text) =>
  text === null ? int16(-1) : Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)]);
export const array = (items) => Buffer.concat([int32(items.length), ...items]);
export const blob = (bytes) => (bytes === null ? int32(-1) : Buffer.concat([int32(bytes.length), bytes]));
const join = (...parts) => Buffer.concat(parts);

function uvarint(n) {
  const bytes = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return Buffer.from([...bytes, n]);
}
export const NO_TAGS = Buffer.from([0]);
export const compactString = (text) =>
  text === null ? uvarint(0) : join(uvarint(Buffer.byteLength(text) + 1), Buffer.from(text));
export const compactArray = (items) => (items === null ? uvarint(0) : join(uvarint(items.length + 1), ...items));

// ---- record batches ----

const CRC_TABLE = Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});

function crc32c(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function varint(n) {
  let rest = BigInt.asUintN(64, (BigInt(n) << 1n) ^ (BigInt(n) >> 63n));
  const bytes = [];
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}

function record({ key = null, value = '' }, delta) {
  const field = (text) =>
    text === null ? varint(-1) : join(varint(Buffer.byteLength(text)), Buffer.from(text));
  const body = join(int8(0), varint(0), varint(delta), field(key), field(value), varint(0));
  return join(varint(body.length), body);
}

// A record batch; each of `wrong` replaces a field after the checksum was made, or before it.
export function batch(records, wrong = {}) {
  const encoded = records.map(record);
  const now = wrong.timestamp ?? 1_700_000_000_000;
  const covered = join(
    int16(wrong.attributes ?? 0),
    int32(wrong.lastOffsetDelta ?? records.length - 1),
    int64(now),
    int64(now),
    int64(wrong.producerId ?? -1),
    int16(wrong.producerEpoch ?? -1),
    int32(wrong.baseSequence ?? -1),
    int32(wrong.count ?? records.length),
    ...encoded,
  );
  const crc = int32((wrong.crc ?? crc32c(covered)) | 0);
  const rest = join(int32(-1), int8(wrong.magic ?? 2), crc, covered);
  return join(int64(0), int32(wrong.length ?? rest.length), rest);
}

// ---- requests ----

let correlation = 0;

export function frame(api, version, body, client = 'by hand') {
  correlation += 1;
  const key = typeof api === 'string' ? APIS[api] : api;
  const request = join(int16(key), int16(version), int32(correlation), string(client), body);
  return join(int32(request.length), request);
}

// The same with the header of flexible versions.
export const compactFrame = (api, version, body) => frame(api, version, join(NO_TAGS, body, NO_TAGS));

export const produceBody = (topics, acks = -1, timeout = 10_000) =>
  join(
    string(null),
    int16(acks),
    int32(timeout),
    array(
      topics.map(({ topic, partitions }) =>
        join(
          string(topic),
          array(partitions.map(({ partition, records }) => join(int32(partition), blob(records)))),
        ),
      ),
    ),
  );

export const produce = (topic, records, partition = 0) =>
  frame('Produce', 3, produceBody([{ topic, partitions: [{ partition, records }] }]));

export const fetchBody = (topic, offset, { partition = 0, wait = 500, bytes = 1, max = 1 << 20 } = {}) =>
  join(
    int32(-1),
    int32(wait),
    int32(bytes),
    int32(max),
    int8(0),
    array([join(string(topic), array([join(int32(partition), int64(offset), int32(max))]))]),
  );

export const fetch = (topic, offset, options) => frame('Fetch', 4, fetchBody(topic, offset, options));

// ---- answers ----

export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  int16() {
    this.at += 2;
    return this.bytes.readInt16BE(this.at - 2);
  }

  int32() {
    this.at += 4;
    return this.bytes.readInt32BE(this.at - 4);
  }

  int64() {
    this.at += 8;
    return Number(this.bytes.readBigInt64BE(this.at - 8));
  }

  string() {
    return this.sized(this.int16());
  }

  blob() {
    const length = this.int32();
    if (length < 0) return null;
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  uuid() {
    this.at += 16;
    return this.bytes.toString('hex', this.at - 16, this.at);
  }

  uvarint() {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at];
      this.at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  varint() {
    const raw = this.uvarint();
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
  }

  sized(length) {
    if (length < 0) return null;
    this.at += length;
    return this.bytes.toString('utf8', this.at - length, this.at);
  }

  compactString() {
    return this.sized(this.uvarint() - 1);
  }

  compactArray(item) {
    return Array.from({ length: Math.max(this.uvarint() - 1, 0) }, () => item(this));
  }

  // Tagged fields: none is looked at.
  tags() {
    for (let count = this.uvarint(); count > 0; count -= 1) {
      this.uvarint();
      this.at += this.uvarint();
    }
  }

  array(item) {
    return Array.from({ length: Math.max(this.int32(), 0) }, () => item(this));
  }

  get left() {
    return this.bytes.length - this.at;
  }
}

// The records of batches that are not compressed: [{offset, key, value}].
export function recordsOf(bytes) {
  const records = [];
  const reader = new Reader(bytes ?? Buffer.alloc(0));
  while (reader.left > 61) {
    const base = reader.int64();
    const end = reader.int32() + reader.at;
    reader.at += 45;
    for (let count = reader.int32(); count > 0; count -= 1) {
      const next = reader.varint() + reader.at;
      reader.at += 1;
      reader.varint();
      const offset = base + reader.varint();
      const key = reader.sized(reader.varint());
      records.push({ offset, key, value: reader.sized(reader.varint()) });
      reader.at = next;
    }
    reader.at = end;
  }
  return records;
}

export const produced = (reader) =>
  reader.array(() => ({
    topic: reader.string(),
    partitions: reader.array(() => ({
      partition: reader.int32(),
      error: reader.int16(),
      offset: reader.int64(),
      appended: reader.int64(),
    })),
  }))[0].partitions[0];

export const fetched = (reader) => {
  reader.int32(); // throttled
  return reader.array(() => ({
    topic: reader.string(),
    partitions: reader.array(() => ({
      partition: reader.int32(),
      error: reader.int16(),
      high: reader.int64(),
      stable: reader.int64(),
      aborted: reader.array(() => [reader.int64(), reader.int64()]),
      records: reader.blob(),
    })),
  }))[0].partitions[0];
};

const versions = (reader) => ({
  error: reader.int16(),
  apis: reader.array(() => ({ key: reader.int16(), min: reader.int16(), max: reader.int16() })),
});

// A connection that takes frames apart. An answer is { correlation, body: Reader }.
export class Connection {
  #answers = [];
  #received = Buffer.alloc(0);
  #wake = () => {};

  constructor(port) {
    this.ended = false;
    this.socket = net.connect(port, '127.0.0.1');
    this.socket.setNoDelay(true);
    this.socket.on('data', (piece) => this.#take(piece));
    this.socket.on('error', () => this.#over());
    this.socket.on('close', () => this.#over());
  }

  #over() {
    this.ended = true;
    this.#wake();
  }

  #take(piece) {
    this.#received = join(this.#received, piece);
    while (this.#received.length >= 4) {
      const size = this.#received.readInt32BE();
      if (this.#received.length < 4 + size) return;
      const body = new Reader(this.#received.subarray(4, 4 + size));
      this.#answers.push({ correlation: body.int32(), body });
      this.#received = this.#received.subarray(4 + size);
      this.#wake();
    }
  }

  send(...frames) {
    this.socket.write(join(...frames));
  }

  end() {
    this.socket.end();
  }

  destroy() {
    this.socket.destroy();
  }

  // The next answer; nothing when the server has closed the connection.
  async answer(ms = 10_000) {
    if (this.#answers.length === 0 && !this.ended)
      await new Promise((resolve, reject) => {
        const late = () => reject(new Error(`no answer and no end in ${ms} ms`));
        const timer = setTimeout(late, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    return this.#answers.shift();
  }

  async ask(request) {
    this.send(request);
    const answer = await this.answer();
    if (!answer) throw new Error('the connection was closed');
    return answer.body;
  }

  produce = async (...args) => produced(await this.ask(produce(...args)));
  fetch = async (...args) => fetched(await this.ask(fetch(...args)));

  async apiVersions(version = 0) {
    return versions(await this.ask(frame('ApiVersions', version, Buffer.alloc(0))));
  }
}

// The keys of the APIs that a server offers.
export async function apiVersions(port) {
  const connection = new Connection(port);
  const { apis } = await connection.apiVersions();
  connection.destroy();
  return new Set(apis.map(({ key }) => key));
}
