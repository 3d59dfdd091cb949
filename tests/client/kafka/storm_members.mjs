// Members of a storm (storm.mjs) in the two protocols of groups.

import assert from 'node:assert/strict';
import { Member } from './storm.mjs';
import * as wire from './wire.mjs';

const { NO_TAGS, array, blob, compactArray, compactFrame, compactString, frame, int16, int32, int64, int8, string } =
  wire;
const join = (...parts) => Buffer.concat(parts);
const REBALANCE_MS = 1000;

const ILLEGAL_GENERATION = 22;
const UNKNOWN_MEMBER = 25;
const REBALANCING = 27;
const MEMBER_ID_REQUIRED = 79;
const FENCED_EPOCH = 110;
const STALE_EPOCH = 113;

// ---- the classic protocol: a leader among the members shares the partitions out ----

const subscription = (topic) => join(int16(0), array([string(topic)]), int32(-1));
const assignment = (topic, partitions) =>
  join(int16(0), array([join(string(topic), array(partitions.map(int32)))]), int32(-1));

export class ClassicMember extends Member {
  constructor(storm) {
    super(storm);
    this.reset();
  }

  reset() {
    this.id = '';
    this.generation = -1;
  }

  async turn() {
    if (this.asleep) {
      await this.sleep();
      return;
    }
    if (this.leaving) {
      await this.goodbye();
      return;
    }
    if (this.generation < 0) {
      await this.joinGroup();
      return;
    }
    const error = (await this.work()) || (await this.heartbeat());
    if (error !== 0) this.lose(error);
  }

  lose(error) {
    assert.ok([ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING].includes(error), `error ${error}`);
    this.dropAll();
    this.generation = -1;
    if (error === UNKNOWN_MEMBER) this.id = '';
  }

  async joinGroup() {
    const before = this.ledger.generation;
    const { group, topic } = this.storm;
    const protocols = array([join(string('range'), blob(subscription(topic)))]);
    const body = await this.ask(
      frame(
        'JoinGroup',
        4,
        join(string(group), int32(6000), int32(REBALANCE_MS), string(this.id), string('consumer'), protocols),
      ),
    );
    body.int32();
    const error = body.int16();
    const generation = body.int32();
    body.string();
    const leader = body.string();
    this.id = body.string();
    const members = body.array(() => [body.string(), body.blob()][0]);
    if (error === MEMBER_ID_REQUIRED) return; // again, with the id
    if (error !== 0) {
      this.lose(error);
      return;
    }
    this.ledger.heard(generation, before);
    await this.syncGroup(generation, leader === this.id ? this.share(members) : []);
  }

  share(members) {
    assert.ok(members.includes(this.id), 'the leader is one of the members');
    const { partitions, topic } = this.storm;
    const shares = members.map(() => []);
    for (let partition = 0; partition < partitions; partition += 1)
      shares[partition % members.length].push(partition);
    return members.map((id, n) => join(string(id), blob(assignment(topic, shares[n]))));
  }

  async syncGroup(generation, shares) {
    const body = await this.ask(
      frame('SyncGroup', 1, join(string(this.storm.group), int32(generation), string(this.id), array(shares))),
    );
    body.int32();
    const error = body.int16();
    const mine = body.blob();
    if (error !== 0) {
      this.lose(error);
      return;
    }
    const reader = new wire.Reader(mine);
    reader.int16();
    const owned = reader.array(() => [reader.string(), reader.array(() => reader.int32())][1]).flat();
    this.ledger.assigned(generation, this.id, owned);
    this.generation = generation;
    await this.takePartitions(owned, false);
  }

  async heartbeat() {
    const body = await this.ask(
      frame('Heartbeat', 1, join(string(this.storm.group), int32(this.generation), string(this.id))),
    );
    body.int32();
    return body.int16();
  }

  async sendCommit(offsets) {
    const partitions = [...offsets].map(([partition, offset]) =>
      join(int32(partition), int64(offset), string('')),
    );
    const topics = array([join(string(this.storm.topic), array(partitions))]);
    const body = await this.ask(
      frame(
        'OffsetCommit',
        2,
        join(string(this.storm.group), int32(this.generation), string(this.id), int64(-1), topics),
      ),
    );
    const [{ errors }] = body.array(() => ({
      topic: body.string(),
      errors: body.array(() => [body.int32(), body.int16()][1]),
    }));
    return errors.find((error) => error !== 0) ?? 0;
  }

  async goodbye() {
    this.dropAll();
    if (this.id) await this.ask(frame('LeaveGroup', 1, join(string(this.storm.group), string(this.id))));
    this.ended = true;
  }
}

// ---- KIP-848: the server shares the partitions out ----

let members = 0;

export class ConsumerMember extends Member {
  constructor(storm) {
    super(storm);
    members += 1;
    this.id = `member-${members}`;
    this.reset();
  }

  reset() {
    this.epoch = 0;
    this.wanted = null;
  }

  async turn() {
    if (this.asleep) {
      await this.sleep();
      return;
    }
    if (this.leaving) {
      await this.goodbye();
      return;
    }
    if (this.epoch > 0) {
      const error = await this.work();
      if (error !== 0 && error !== STALE_EPOCH) {
        this.lose(error);
        return;
      }
    }
    await this.heartbeat();
  }

  lose(error) {
    assert.ok([UNKNOWN_MEMBER, FENCED_EPOCH].includes(error), `error ${error}`);
    this.dropAll();
    this.reset();
  }

  async beat(epoch) {
    const { topic, group, topicId } = this.storm;
    const owned = [...this.positions.keys()].map(int32);
    const list = owned.length === 0 ? [] : [join(topicId(), compactArray(owned), NO_TAGS)];
    const body = await this.ask(
      compactFrame(
        'ConsumerGroupHeartbeat',
        1,
        join(
          compactString(group),
          compactString(this.id),
          int32(epoch),
          compactString(null),
          compactString(null),
          int32(REBALANCE_MS),
          epoch === 0 ? compactArray([compactString(topic)]) : compactArray(null),
          compactString(null),
          epoch === 0 ? compactString(this.storm.assignor ?? null) : compactString(null),
          compactArray(epoch < 0 ? null : list),
        ),
      ),
    );
    body.tags(); // of the header
    body.int32();
    const error = body.int16();
    const message = body.compactString();
    body.compactString();
    const next = body.int32();
    body.int32();
    const assigned = body.bytes.readInt8(body.at++) < 0 ? null : this.readAssignment(body);
    return { error, message, epoch: next, assigned };
  }

  readAssignment(body) {
    return body.compactArray(() => {
      this.storm.learnTopicId(body.uuid());
      const partitions = body.compactArray(() => body.int32());
      body.tags();
      return partitions;
    }).flat();
  }

  async heartbeat() {
    const before = this.epoch;
    const { error, epoch, assigned } = await this.beat(this.epoch);
    if (error !== 0) {
      this.lose(error);
      return;
    }
    assert.ok(epoch >= before, `epoch ${epoch} after ${before}`);
    this.epoch = epoch;
    this.ledger.generation = Math.max(this.ledger.generation, epoch);
    if (!assigned) return;
    this.ledger.rebalances += 1;
    for (const partition of [...this.positions.keys()])
      if (!assigned.includes(partition)) {
        this.ledger.drop(this, partition);
        this.positions.delete(partition);
      }
    await this.takePartitions(assigned.filter((partition) => !this.positions.has(partition)), true);
  }

  async sendCommit(offsets) {
    const partitions = [...offsets].map(([partition, offset]) =>
      join(int32(partition), int64(offset), int32(-1), compactString(''), NO_TAGS),
    );
    const topics = compactArray([join(compactString(this.storm.topic), compactArray(partitions), NO_TAGS)]);
    const body = await this.ask(
      compactFrame(
        'OffsetCommit',
        9,
        join(
          compactString(this.storm.group),
          int32(this.epoch),
          compactString(this.id),
          compactString(null),
          topics,
        ),
      ),
    );
    body.tags();
    body.int32();
    const errors = body.compactArray(() => {
      body.compactString();
      const found = body.compactArray(() => {
        body.int32();
        const error = body.int16();
        body.tags();
        return error;
      });
      body.tags();
      return found;
    });
    return errors.flat().find((error) => error !== 0) ?? 0;
  }

  async goodbye() {
    this.dropAll();
    if (this.epoch > 0) await this.beat(-1);
    this.ended = true;
  }
}
