// A rebalance storm: members of one group by hand, that join, leave, vanish, fall asleep and wake as
// ghosts, and what may never happen meanwhile. The classes of storm_members.mjs speak the two
// protocols; this is what they share.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import * as wire from './wire.mjs';

const { Connection, array, frame, int32, int64, int8, string } = wire;
const PARTITION_BYTES = 1 << 16;
const FETCH_WAIT_MS = 40;

// The same for the same seed.
export function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

// What is known of the group from outside. Throws when a promise is broken.
export class Ledger {
  constructor(partitions) {
    this.owner = Array(partitions).fill(null); // who owns a partition by its own account
    this.committed = Array(partitions).fill(-1); // the largest offset that was ever answered
    this.seen = Array.from({ length: partitions }, () => []); // how often each record was read
    this.generation = 0;
    this.generations = new Map(); // generation -> { partition: member }
    this.rebalances = 0;
    this.refused = 0;
    this.broken = null;
  }

  // A promise that is broken in some member's loop ends the storm.
  guard(promise) {
    return promise.catch((error) => {
      this.broken ??= error;
    });
  }

  check() {
    if (this.broken) throw this.broken;
  }

  // An answer that names a generation, to a question asked when `before` was the newest.
  heard(generation, before) {
    assert.ok(generation >= before, `generation ${generation} after ${before}`);
    this.generation = Math.max(this.generation, generation);
  }

  // Of classic groups: one owner per partition and generation.
  assigned(generation, member, partitions) {
    const owners = this.generations.get(generation) ?? {};
    this.generations.set(generation, owners);
    for (const partition of partitions) {
      const other = owners[partition] ?? member;
      assert.equal(other, member, `partition ${partition} has two owners in generation ${generation}`);
      owners[partition] = member;
    }
    this.rebalances += 1;
  }

  take(member, partition, exclusive) {
    const other = this.owner[partition];
    if (exclusive) assert.ok(!other || other === member, `partition ${partition} has two owners`);
    this.owner[partition] = member;
  }

  drop(member, partition) {
    if (this.owner[partition] === member) this.owner[partition] = null;
  }

  // What is committed, as answered to a question that was asked when it was `before`.
  told(partition, offset, before) {
    assert.ok(offset >= before, `the offset of partition ${partition} went back from ${before} to ${offset}`);
    this.committed[partition] = Math.max(this.committed[partition], offset);
  }

  read(partition, { offset, value }) {
    assert.equal(value, `${partition}/${offset}`);
    this.seen[partition][offset] = (this.seen[partition][offset] ?? 0) + 1;
  }
}

function fetchAll(topic, positions) {
  const partitions = [...positions].map(([partition, at]) =>
    Buffer.concat([int32(partition), int64(at), int32(PARTITION_BYTES)]),
  );
  const topics = array([Buffer.concat([string(topic), array(partitions)])]);
  return frame(
    'Fetch',
    4,
    Buffer.concat([int32(-1), int32(FETCH_WAIT_MS), int32(1), int32(1 << 20), int8(0), topics]),
  );
}

function readFetched(reader) {
  reader.int32();
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
  }))[0].partitions;
}

const offsetFetch = (group, topic, partitions) =>
  frame(
    'OffsetFetch',
    1,
    Buffer.concat([
      string(group),
      array([Buffer.concat([string(topic), array(partitions.map(int32))])]),
    ]),
  );

// Asks for committed offsets and checks that none has gone back: {partition: offset}.
export async function committed(connection, storm, partitions) {
  const before = partitions.map((partition) => storm.ledger.committed[partition]);
  const reader = await connection.ask(offsetFetch(storm.group, storm.topic, partitions));
  const [answer] = reader.array(() => ({
    topic: reader.string(),
    partitions: reader.array(() => ({
      partition: reader.int32(),
      offset: reader.int64(),
      metadata: reader.string(),
      error: reader.int16(),
    })),
  }));
  const found = new Map();
  answer.partitions.forEach(({ partition, offset, error }, n) => {
    assert.equal(error, 0);
    storm.ledger.told(partition, offset, before[n]);
    found.set(partition, offset);
  });
  return found;
}

// What members of both protocols do. `live` is false from the moment they can't say any more that
// they own what they owned.
export class Member {
  constructor(storm) {
    this.storm = storm;
    this.ledger = storm.ledger;
    this.positions = new Map(); // of the partitions it owns
    this.ended = false;
    this.asleep = null;
  }

  start() {
    this.connection = new Connection(this.storm.port);
    this.running = this.ledger.guard(this.run());
    return this;
  }

  async ask(request) {
    this.connection.send(request);
    const answer = await this.connection.answer(60_000);
    if (!answer) throw new Gone();
    return answer.body;
  }

  async run() {
    try {
      while (!this.ended) await this.turn();
    } catch (error) {
      if (!(error instanceof Gone) || !this.ended) throw error;
    } finally {
      this.dropAll();
      this.connection.destroy();
    }
  }

  dropAll() {
    for (const partition of this.positions.keys()) this.ledger.drop(this, partition);
    this.positions.clear();
  }

  // One look for records, and a commit of what came: the error of that.
  async work() {
    if (this.positions.size === 0) {
      await sleep(FETCH_WAIT_MS); // as if it had looked
      return 0;
    }
    const moved = new Map();
    for (const { partition, error, records } of readFetched(
      await this.ask(fetchAll(this.storm.topic, this.positions)),
    )) {
      assert.equal(error, 0);
      if (!this.positions.has(partition)) continue;
      for (const record of wire.recordsOf(records)) {
        if (record.offset < this.positions.get(partition)) continue;
        this.ledger.read(partition, record);
        this.positions.set(partition, record.offset + 1);
        moved.set(partition, record.offset + 1);
      }
    }
    return moved.size > 0 ? this.commit(moved) : 0;
  }

  // Whoever may commit has seen all that was committed before.
  async commit(offsets) {
    const before = new Map([...offsets.keys()].map((partition) => [partition, this.ledger.committed[partition]]));
    const error = await this.sendCommit(offsets);
    if (error === 0)
      for (const [partition, offset] of offsets) this.ledger.told(partition, offset, before.get(partition));
    else this.ledger.refused += 1;
    return error;
  }

  // It begins where the group has got to.
  async takePartitions(partitions, exclusive) {
    for (const partition of partitions) this.ledger.take(this, partition, exclusive);
    if (partitions.length === 0) return;
    const found = await committed({ ask: (request) => this.ask(request) }, this.storm, partitions);
    for (const [partition, offset] of found) this.positions.set(partition, Math.max(offset, 0));
  }

  // Doesn't answer, then speaks up as a ghost: what it commits then is what it had before.
  async sleep() {
    const { waking, begun } = this.asleep;
    const ghost = new Map(this.positions);
    begun(ghost.size);
    for (const partition of ghost.keys()) this.ledger.drop(this, partition); // others may get it
    await waking;
    this.asleep = null;
    if (!this.ended && ghost.size > 0) {
      const error = await this.commit(ghost);
      assert.ok(error !== 0 || !this.storm.isOverForGhosts, 'a ghost has committed');
    }
    this.dropAll();
    this.reset();
  }

  // When it sleeps: how many partitions it owned then.
  fallAsleep() {
    const asleep = {};
    asleep.waking = new Promise((resolve) => {
      asleep.wake = resolve;
    });
    this.asleep = asleep;
    return new Promise((resolve) => {
      asleep.begun = resolve;
    });
  }

  // Without a word: the server finds out by itself.
  async vanish() {
    this.ended = true;
    this.dropAll();
    this.asleep?.wake();
    this.connection.destroy();
    await this.running;
  }

  async leave() {
    this.leaving = true;
    this.asleep?.wake();
    await this.running;
  }
}

export class Gone extends Error {
  constructor() {
    super('the connection was closed');
  }
}
