// The workload's steps of consumer groups. Each member is a process of its own, so that it can be
// killed like one.

import assert from 'node:assert/strict';
import { drive, until } from './driver.mjs';
import { KafkaServer, fresh } from './server.mjs';
import { numbered, record, texts } from './records.mjs';

const SESSION_MS = 6000;

// A topic whose partitions are shared, and members that come and go.
class Group {
  constructor(use, t, options = {}) {
    Object.assign(this, { use, t, options, name: fresh('group') });
  }

  async prepare(partitions) {
    this.partitions = partitions;
    this.topic = await this.use.topic('shared', partitions);
    return this;
  }

  async member(more = {}) {
    const driver = await this.use.lend(this.t);
    await driver.call('join', { group: this.name, topics: [this.topic], ...this.options, ...more });
    return driver;
  }

  // Waits until the members own all partitions, each of them at least one and none of them twice.
  settled(members, ms) {
    const what = `${members.length} members that share ${this.partitions} partitions`;
    return until(
      what,
      async () => {
        const shares = await Promise.all(members.map((one) => one.call('assignment')));
        const owned = new Set(shares.flat());
        const apart = shares.flat().length === owned.size;
        return apart && owned.size === this.partitions && shares.every((one) => one.length > 0) && shares;
      },
      ms,
    );
  }

  async write(values) {
    const writer = await this.use.other();
    await writer.produce(
      this.topic,
      values.map((value, n) => record(value, value, { partition: n % this.partitions })),
    );
  }
}

// What members have got, waiting until all of `values` are there.
async function received(members, values) {
  const got = [];
  await until(`${values.length} records`, async () => {
    for (const member of members) got.push(...(await member.take(values.length, 100)));
    return values.every((value) => texts(got).includes(value));
  });
  return got;
}

const values = (what, count) => Array.from({ length: count }, (_, n) => `${what} ${n}`);

async function shareAndHandOver(use, t, options) {
  const group = await new Group(use, t, options).prepare(6);
  const one = await group.member();
  const two = await group.member();
  await group.settled([one, two]);
  const first = values('first', 12);
  await group.write(first);
  await received([one, two], first);
  await Promise.all([one, two].map((member) => member.call('commit')));
  const three = await group.member();
  await group.settled([one, two, three]);
  await one.call('shut');
  await group.settled([two, three]);
  const second = values('second', 12);
  await group.write(second);
  await received([two, three], second);
}

// A member that stops for longer than its session: the others get what it had; when it goes on it is
// one of them again. Sessions of KIP-848 are the server's, which is one of its own here.
async function fallBehind(use, t, options) {
  const server = new KafkaServer(['--groups-consumer-session-timeout', '2s']);
  t.after(() => server.remove());
  await server.start();
  const topic = fresh('stopped');
  const members = [await drive(use.client, server, t), await drive(use.client, server, t)];
  const json = { partitions: 4, streams: false };
  assert.equal((await server.request('PUT', `/v1/topics/${topic}`, { json })).status, 201);
  const group = new Group(use, t, options);
  Object.assign(group, { topic, partitions: 4 });
  for (const member of members) await member.call('join', { group: group.name, topics: [topic], ...options });
  await group.settled(members);
  const [stopped, other] = members;
  process.kill(stopped.child.pid, 'SIGSTOP'); // SIGKILL ends it all the same
  await group.settled([other]);
  const first = values('meanwhile', 8);
  const writer = await drive(use.client, server, t);
  const written = (list) =>
    writer.produce(topic, list.map((value, n) => record(value, value, { partition: n % 4 })));
  await written(first);
  await received([other], first);
  await other.call('commit');
  process.kill(stopped.child.pid, 'SIGCONT');
  await group.settled(members);
  const second = values('together', 8);
  await written(second);
  await received(members, second);
}

// The steps of KIP-848: as those of the classic protocol, but that the server shares out.
function consumerSteps(step) {
  const protocol = 'consumer';
  step('KIP-848 groups', 'members of a consumer group share partitions; one joins, one leaves', (use, t) =>
    shareAndHandOver(use, t, { protocol }),
  );
  step('KIP-848 assignors', 'the assignor that members ask for shares the partitions out', async (use, t) => {
    await shareAndHandOver(use, t, { protocol, assignor: 'range' });
    const group = await new Group(use, t, { protocol, assignor: 'range' }).prepare(4);
    const shares = await group.settled([await group.member(), await group.member()]);
    // Each has neighbours.
    const numbers = shares.map((share) => share.map((place) => Number(place.split('/')[1])).sort().join());
    assert.deepEqual(numbers.sort(), ['0,1', '2,3']);
  });
  step('KIP-848 static membership', 'a static member of a consumer group gets its partitions back', (use, t) =>
    comeBack(use, t, { protocol }),
  );
  const resumes = 'a consumer group goes on behind what was committed, after a kill of the server too';
  step('KIP-848 resume', resumes, async (use, t) => {
    await commitAndResume(use, t, { protocol });
    await resumeAfter(use, t, 'SIGKILL', { protocol });
  });
  step('KIP-848 fencing', 'a member that was silent for too long is fenced, and joins again', (use, t) =>
    fallBehind(use, t, { protocol }),
  );
}

async function comeBack(use, t, options) {
  const group = await new Group(use, t, { session_ms: 3 * SESSION_MS, ...options }).prepare(4);
  const one = await group.member({ instance: 'one' });
  const two = await group.member({ instance: 'two' });
  const [, before] = await group.settled([one, two]);
  // KIP-848 lets nobody take a living member's place: it has to say that it goes.
  if (options.protocol) await two.call('shut');
  else await two.kill();
  const again = await group.member({ instance: 'two' });
  const [, after] = await group.settled([one, again], 2 * SESSION_MS);
  assert.deepEqual(after.sort(), before.sort());
}

async function commitAndResume(use, t, options) {
  const group = await new Group(use, t, options).prepare(2);
  await group.write(values('old', 6));
  const one = await group.member();
  await received([one], values('old', 6));
  await one.call('commit');
  await one.call('shut');
  await group.write(values('new', 4));
  const two = await group.member();
  const got = await received([two], values('new', 4));
  assert.deepEqual(texts(got).sort(), values('new', 4));
}

async function resumeAfter(use, t, signal, options = { session_ms: SESSION_MS }) {
  const server = new KafkaServer();
  t.after(() => server.remove());
  await server.start();
  const driver = await drive(use.client, server, t);
  const topic = fresh('kept');
  const group = fresh('group');
  await driver.produce(topic, numbered(10));
  await driver.call('join', { group, topics: [topic], ...options });
  assert.equal((await driver.take(10)).length, 10);
  await driver.call('commit');
  await server.restart(signal);
  // The same consumer goes on, and what it committed is not read again.
  await driver.produce(topic, numbered(3, 'new'));
  assert.deepEqual(texts(await driver.take(3, 15_000)), texts(numbered(3, 'new')));
  await driver.call('commit');
  await driver.call('shut');
  await driver.produce(topic, [record('last')]);
  await driver.call('join', { group, topics: [topic], ...options });
  assert.deepEqual(texts(await driver.take(1)), ['last']);
}

export function groupSteps(step) {
  step('session timeout', 'the partitions of a member that died go to the others', async (use, t) => {
    const group = await new Group(use, t, { session_ms: SESSION_MS }).prepare(4);
    const one = await group.member();
    const two = await group.member();
    await group.settled([one, two]);
    await two.kill();
    await group.settled([one], 3 * SESSION_MS);
    const sent = values('after', 8);
    await group.write(sent);
    await received([one], sent);
  });
  step('consumer groups', 'members share partitions; one joins, one leaves', (use, t) =>
    shareAndHandOver(use, t, {}),
  );
  step('cooperative-sticky', 'members share partitions cooperatively', (use, t) =>
    shareAndHandOver(use, t, { strategy: 'cooperative-sticky' }),
  );
  step('static membership', 'a static member that comes back gets its partitions back', (use, t) =>
    comeBack(use, t, {}),
  );
  step('commit and resume', 'a consumer that starts again goes on behind what was committed', (use, t) =>
    commitAndResume(use, t, {}),
  );
  for (const signal of ['SIGTERM', 'SIGKILL'])
    step(
      `resume after ${signal}`,
      `a consumer goes on after the server got ${signal} and was started again`,
      (use, t) => resumeAfter(use, t, signal),
    );
  consumerSteps(step);
}
