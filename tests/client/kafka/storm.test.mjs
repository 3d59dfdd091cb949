// Rebalance storms of both protocols: sixty members over 24 partitions that join, leave, vanish, fall
// asleep and wake as ghosts in rounds, while records are written and another group goes on with its
// work. STORM_SEED plays one again, STORM_ROUNDS makes it longer.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until } from './driver.mjs';
import { fresh, serveKafka } from './server.mjs';
import { Ledger, committed, dice } from './storm.mjs';
import { ClassicMember, ConsumerMember } from './storm_members.mjs';
import { Connection, batch } from './wire.mjs';

const MEMBERS = 60;
const PARTITIONS = 24;
const ROUNDS = Number(process.env.STORM_ROUNDS ?? 6);
const PROGRESS_MS = 30_000;
const server = serveKafka({
  args: ['--groups-consumer-session-timeout', '2s'],
});

class Storm {
  constructor(MemberOf, seed, assignor) {
    Object.assign(this, { MemberOf, assignor, roll: dice(seed), partitions: PARTITIONS });
    this.ledger = new Ledger(PARTITIONS);
    this.members = [];
    this.written = Array(PARTITIONS).fill(0);
    this.topic = fresh('storm');
    this.group = fresh('stormy');
  }

  async begin() {
    this.port = server.kafkaPort;
    const json = { partitions: PARTITIONS, streams: false };
    const { status } = await server.request('PUT', `/v1/topics/${this.topic}`, { json });
    assert.equal(status, 201);
    this.writer = new Connection(this.port);
    this.observer = new Connection(this.port);
  }

  end() {
    this.writer.destroy();
    this.observer.destroy();
    for (const member of this.members) member.connection.destroy();
  }

  topicId = () => Buffer.from(this.id, 'hex');
  learnTopicId(id) {
    assert.equal(this.id ??= id, id);
  }

  join(count) {
    for (let n = 0; n < count; n += 1) this.members.push(new this.MemberOf(this).start());
  }

  any() {
    return this.members.splice(this.roll(this.members.length), 1)[0];
  }

  async write(partition = this.roll(PARTITIONS)) {
    const from = this.written[partition];
    const records = Array.from({ length: 1 + this.roll(5) }, (_, n) => ({ value: `${partition}/${from + n}` }));
    const { error, offset } = await this.writer.produce(this.topic, batch(records), partition);
    assert.deepEqual([error, offset], [0, from]);
    this.written[partition] += records.length;
  }

  // An offset is committed for every partition.
  async fill() {
    for (const partition of this.all()) await this.write(partition);
    await this.allRead();
  }

  all = () => Array.from({ length: PARTITIONS }, (_, n) => n);

  // One owner for each partition, all of them with members that are there.
  isSettled() {
    this.ledger.check();
    const { owner } = this.ledger;
    return owner.every((member) => this.members.includes(member) && !member.asleep);
  }

  settled = () => until('one owner for each partition', () => this.isSettled(), PROGRESS_MS);

  async allRead() {
    await until(
      'everything is read and committed',
      async () => {
        this.ledger.check();
        const found = await committed(this.observer, this, this.all());
        return this.written.every((end, partition) => end === 0 || found.get(partition) === end);
      },
      PROGRESS_MS,
    );
    this.written.forEach((end, partition) => {
      for (let offset = 0; offset < end; offset += 1)
        assert.ok(this.ledger.seen[partition][offset] >= 1, `${partition}/${offset} was not read`);
    });
  }

  async round() {
    const { ledger } = this;
    const { rebalances } = ledger;
    const goodbyes = [];
    for (let n = this.roll(6); n > 0; n -= 1) goodbyes.push(this.any().leave());
    for (let n = this.roll(3); n > 0; n -= 1) goodbyes.push(this.any().vanish());
    this.letSleep();
    for (let n = this.roll(5); n > 0; n -= 1) await this.write();
    this.join(MEMBERS - this.members.length);
    const sleepers = this.members.filter((member) => member.asleep);
    if (sleepers.length > 3) sleepers[this.roll(sleepers.length)].asleep.wake();
    await until(
      'partitions are shared out anew',
      () => ledger.check() ?? (goodbyes.length === 0 || ledger.rebalances > rebalances),
      PROGRESS_MS,
    );
    await committed(this.observer, this, this.all());
    await Promise.all(goodbyes);
  }

  // One that owns something, and will be a ghost.
  letSleep() {
    const owners = this.members.filter((member) => member.positions.size > 0 && !member.asleep);
    return owners.length > 0 ? owners[this.roll(owners.length)].fallAsleep() : 0;
  }

  // When others own what they had, so that none of them may commit any more.
  wakeAll() {
    this.isOverForGhosts = true;
    for (const member of this.members) member.asleep?.wake();
  }

  async everyoneLeaves() {
    await Promise.all(this.members.splice(0).map((member) => member.leave()));
    this.ledger.check();
  }
}

// A group that nothing happens to; its member counts what it got done.
class Calm {
  constructor() {
    this.storm = new Storm(ClassicMember, 1);
    this.done = 0;
    this.slowest = 0;
  }

  async begin() {
    await this.storm.begin();
    this.storm.join(1);
    await this.storm.settled();
    await this.storm.fill();
    [this.member] = this.storm.members;
    this.generation = this.member.generation;
    const { work } = this.member;
    this.member.work = async () => {
      const began = performance.now();
      await this.storm.write();
      const result = await work.call(this.member);
      this.done += 1;
      this.slowest = Math.max(this.slowest, performance.now() - began);
      return result;
    };
  }

  async finish() {
    await this.storm.allRead();
    assert.equal(this.member.generation, this.generation, 'it was never rebalanced');
    await this.storm.everyoneLeaves();
    this.storm.end();
  }
}

const memory = () => server.metric('mainstem_group_memory_bytes');
const oneMember = async () => (await server.metric('mainstem_group_members')) === 1;

// What the groups need when the calm one has its member, the other one none, and each partition of
// both has an offset.
async function restingMemory(storm) {
  storm.join(1);
  await storm.fill();
  await storm.everyoneLeaves();
  await until('no member is left', oneMember);
  return memory();
}

async function play(t, MemberOf, assignor) {
  const seed = Number(process.env.STORM_SEED ?? 1 + Math.floor(Math.random() * 1e9));
  const storm = new Storm(MemberOf, seed, assignor);
  const calm = new Calm();
  t.diagnostic(`STORM_SEED=${seed}`);
  await storm.begin();
  await calm.begin();
  t.after(() => {
    storm.end();
    calm.storm.end();
  });
  const resting = await restingMemory(storm);
  storm.join(MEMBERS);
  await storm.settled();
  for (let n = 0; n < ROUNDS; n += 1) {
    const before = calm.done;
    await storm.round();
    await until('the other group goes on', () => calm.storm.ledger.check() ?? calm.done > before);
  }
  await storm.settled();
  await until('one sleeps that owned something', async () => (await storm.letSleep()) > 0);
  storm.join(1);
  await storm.settled(); // without those who sleep
  storm.wakeAll();
  await storm.settled();
  await storm.allRead();
  await storm.everyoneLeaves();
  await until('the members that vanished are gone', oneMember);
  // What is left of the last ones goes as soon as the log has it.
  await until(`they need no more than ${resting} bytes, as before`, async () => (await memory()) <= resting);
  await calm.finish();
  assert.ok(storm.ledger.refused > 0, 'no ghost has tried');
  const { generation, rebalances, refused } = storm.ledger;
  t.diagnostic(
    `${ROUNDS} rounds, generation ${generation}, ${rebalances} assignments, ${refused} commits refused; ` +
      `the other group: ${calm.done} rounds of its own, the slowest ${calm.slowest.toFixed(0)} ms`,
  );
}

describe('a rebalance storm', () => {
  test('of the classic protocol breaks no promise', (t) => play(t, ClassicMember));
  for (const assignor of ['uniform', 'range'])
    test(`of KIP-848 with the assignor ${assignor} breaks no promise`, (t) => play(t, ConsumerMember, assignor));
});
