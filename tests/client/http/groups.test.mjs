// Consumer groups as operators see them: a real Kafka consumer (kcat) reads, HTTP and the command
// tell how far it is, reset it and delete it.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { assertProblem, binary, event, Server } from './server.mjs';

const run = promisify(execFile);
const hasKcat = spawnSync('kcat', ['-V']).error === undefined;
const skip = hasKcat ? false : 'kcat is not installed';
const server = new Server([
  '--kafka',
  '127.0.0.1:0',
  '--groups-initial-rebalance-delay',
  '100ms',
]);
let kafka;

before(async () => {
  await server.start();
  kafka = JSON.parse(readFileSync(join(server.directory, 'ready'), 'utf8')).kafka;
});
after(() => server.remove());

// A topic of its own for each test, with `count` events.
let topics = 0;
async function makeTopic(partitions, count) {
  topics += 1;
  const topic = `t${topics}`;
  const made = await server.request('PUT', `/v1/topics/${topic}`, { json: { partitions } });
  assert.equal(made.status, 201);
  await addEvents(topic, count);
  return topic;
}

async function addEvents(topic, count) {
  for (let n = 0; n < count; n += 1) {
    const answer = await server.append(`${topic}-${n}`, event('test.made', { n }));
    assert.equal(answer.status, 201);
  }
}

// Reads to the end of the topic, commits and leaves. Answers how many records came.
async function consume(group, topic) {
  const { stdout } = await run(
    'kcat',
    ['-q', '-b', kafka, '-X', 'auto.offset.reset=earliest', '-f', '%o\\n', '-G', group, '-e', topic],
    { timeout: 60_000 },
  );
  return stdout.split('\n').filter((line) => line !== '').length;
}

// A consumer that stays, until stop().
function startConsumer(group, topic) {
  const child = spawn('kcat', ['-q', '-b', kafka, '-u', '-X', 'client.id=stayer', '-G', group, topic], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const exit = once(child, 'exit');
  return {
    async stop() {
      child.kill('SIGTERM');
      await exit;
    },
  };
}

async function groupIs(group, wanted) {
  let answer;
  for (let i = 0; i < 300; i += 1) {
    answer = await server.get(`/v1/groups/${group}`);
    if (answer.status === 200 && wanted(answer.json)) return answer.json;
    await sleep(100);
  }
  throw new Error(`the group did not become so: ${answer.text}`);
}

const put = (group, json) => server.request('PUT', `/v1/groups/${group}/offsets`, { json });
const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);

function mainstem(...args) {
  return spawnSync(binary, [...args, '--server', server.url], { encoding: 'utf8' });
}

test('the partitions of a topic tell how far they reach', async () => {
  const topic = await makeTopic(3, 10);
  const { json } = await server.get(`/v1/topics/${topic}/partitions`);
  assert.equal(json.topic, topic);
  assert.deepEqual(
    json.partitions.map((one) => one.partition),
    [0, 1, 2],
  );
  assert.equal(sum(json.partitions, 'end_offset'), 10);
  assert.equal(sum(json.partitions, 'events'), 10);
  for (const one of json.partitions) {
    assert.equal(one.start_offset, 0);
    if (one.events === 0) assert.equal(one.newest_timestamp, null);
    else assert.ok(Math.abs(Date.now() - Date.parse(one.newest_timestamp)) < 60_000);
  }
  assertProblem(assert, await server.get('/v1/topics/nobody/partitions'), 404, 'not-found');
});

test('a group that has read everything has no lag, then it has one', { skip }, async () => {
  const topic = await makeTopic(2, 8);
  assert.equal(await consume('reader', topic), 8);
  const read = await groupIs('reader', (group) => group.state === 'Empty');
  assert.equal(read.lag, 0);
  assert.equal(read.protocol_type, 'consumer');
  assert.deepEqual(read.members, []);
  assert.equal(sum(read.offsets, 'offset'), 8);
  for (const one of read.offsets) {
    assert.equal(one.topic, topic);
    assert.equal(one.end_offset, one.offset);
    assert.equal(one.lag_seconds, 0);
    assert.ok(Math.abs(Date.now() - Date.parse(one.committed_at)) < 60_000);
  }
  await addEvents(topic, 5);
  await sleep(1_100);
  const behind = (await server.get('/v1/groups/reader')).json;
  assert.equal(behind.lag, 5);
  assert.equal(sum(behind.offsets, 'lag'), 5);
  for (const one of behind.offsets.filter((row) => row.lag > 0)) {
    assert.ok(one.lag_seconds > 1 && one.lag_seconds < 60, `${one.lag_seconds}`);
  }
  const listed = (await server.get('/v1/groups')).json.groups;
  const mine = listed.find((group) => group.group === 'reader');
  assert.equal(mine.lag, 5);
  assert.equal(mine.members, 0);
  const { text } = await server.get('/metrics');
  const lags = [...text.matchAll(/^mainstem_group_lag_events\{group="reader",.*\} (\d+)$/gm)];
  assert.equal(
    lags.reduce((total, [, lag]) => total + Number(lag), 0),
    5,
  );
  assert.match(text, /^mainstem_group_lag_seconds\{group="reader",topic="t\d+",partition="\d"\} [1-9]/m);
});

test('a group is reset by position, time and offset, and reads from there', { skip }, async () => {
  const topic = await makeTopic(2, 6);
  assert.equal(await consume('again', topic), 6);
  await groupIs('again', (group) => group.state === 'Empty');
  const middle = await server.end();
  const time = new Date().toISOString();
  await sleep(20);
  await addEvents(topic, 4);
  assert.equal(await consume('again', topic), 4);
  await groupIs('again', (group) => group.state === 'Empty');
  const dry = (await put('again', { to: 'earliest', dry_run: true })).json;
  assert.equal(dry.dry_run, true);
  assert.equal(sum(dry.offsets, 'moved'), -10);
  assert.equal((await server.get('/v1/groups/again')).json.lag, 0);
  for (const [body, events] of [
    [{ to: 'position', value: middle }, 4],
    [{ to: 'time', value: time }, 4],
    [{ to: 'offset', value: 0 }, 10],
    [{ to: 'earliest' }, 10],
    [{ to: 'latest' }, 0],
  ]) {
    const answer = await put('again', body);
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await server.get('/v1/groups/again')).json.lag, events, JSON.stringify(body));
    assert.equal(await consume('again', topic), events, JSON.stringify(body));
    await groupIs('again', (group) => group.state === 'Empty');
  }
});

test('a group with members is shown and left alone', { skip }, async () => {
  const topic = await makeTopic(2, 3);
  const consumer = startConsumer('busy', topic);
  try {
    const group = await groupIs('busy', (one) => one.state === 'Stable');
    assert.equal(group.members.length, 1);
    const [member] = group.members;
    assert.equal(member.client_id, 'stayer');
    assert.equal(member.host, '/127.0.0.1');
    assert.deepEqual(member.assigned, [{ topic, partitions: [0, 1] }]);
    assert.ok(group.generation > 0);
    assert.equal(typeof group.protocol, 'string');
    const reset = await put('busy', { to: 'earliest', topics: [topic] });
    assertProblem(assert, reset, 409, 'group-not-empty');
    assert.equal(reset.json.state, 'Stable');
    assert.equal(reset.json.members, 1);
    assertProblem(
      assert,
      await server.request('DELETE', '/v1/groups/busy'),
      409,
      'group-not-empty',
    );
    const refused = mainstem('group', 'delete', 'busy');
    assert.equal(refused.status, 3);
    assert.match(refused.stderr, /group 'busy' is Stable and has 1 member: stop them first/);
    assert.match((await server.get('/metrics')).text, /^mainstem_groups\{state="Stable"\} [1-9]/m);
  } finally {
    await consumer.stop();
  }
  await groupIs('busy', (one) => one.state === 'Empty');
  assert.equal((await server.request('DELETE', '/v1/groups/busy')).status, 204);
});

test('the command lists, shows, resets and deletes', async () => {
  const topic = await makeTopic(2, 6);
  const reset = mainstem('group', 'reset', 'cli', '--to', 'earliest', '--topic', topic, '--json');
  assert.equal(reset.status, 0, reset.stderr);
  assert.equal(JSON.parse(reset.stdout).offsets.length, 2);
  const list = mainstem('group', 'list');
  const rows = list.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(rows.find((row) => row.group === 'cli').lag, 6);
  const time = mainstem('group', 'reset', 'cli', '--to', '2000-01-01T00:00:00Z', '--dry-run');
  assert.equal(sum(JSON.parse(time.stdout).offsets, 'moved'), 0);
  assert.equal(mainstem('group', 'reset', 'cli', '--to', 'offset:1').status, 0);
  const shown = JSON.parse(mainstem('group', 'show', 'cli').stdout);
  assert.deepEqual(
    shown.offsets.map((one) => one.offset),
    [1, 1],
  );
  const partitions = JSON.parse(mainstem('topic', 'show', topic).stdout).offsets;
  assert.equal(sum(partitions, 'end_offset'), 6);
  assert.equal(mainstem('group', 'delete', 'cli').status, 0);
  const gone = mainstem('group', 'show', 'cli');
  assert.equal(gone.status, 4);
  assert.match(gone.stderr, /there is no group 'cli'/);
});

test('names of groups may have any characters', async () => {
  const topic = await makeTopic(1, 1);
  const name = 'a/b %ü?';
  const path = encodeURIComponent(name);
  assert.equal((await put(path, { to: 'latest', topics: [topic] })).status, 200);
  assert.equal((await server.get(`/v1/groups/${path}`)).json.group, name);
  assert.equal(mainstem('group', 'delete', name).status, 0);
  assertProblem(assert, await server.get(`/v1/groups/${path}`), 404, 'not-found');
});

test('what is wrong with a reset is told', async () => {
  const topic = await makeTopic(1, 1);
  assertProblem(assert, await put('nobody', { to: 'latest' }), 404, 'not-found');
  assertProblem(assert, await put('g', { to: 'somewhere' }), 400, 'bad-request');
  assertProblem(assert, await put('g', { to: 'latest', topics: ['nothing'] }), 404, 'not-found');
  assertProblem(assert, await put('g', { to: 'latest', partitions: { [topic]: [1] } }), 404, 'not-found');
  assertProblem(assert, await put('x'.repeat(1025), { to: 'latest', topics: [topic] }), 400, 'bad-request');
  assertProblem(assert, await server.get('/v1/groups/g'), 404, 'not-found');
});

test('groups survive a restart', async () => {
  const topic = await makeTopic(1, 3);
  await put('lasting', { to: 'offset', value: 1, topics: [topic] });
  await server.stop();
  await server.start();
  kafka = JSON.parse(readFileSync(join(server.directory, 'ready'), 'utf8')).kafka;
  const { json } = await server.get('/v1/groups/lasting');
  assert.equal(json.lag, 2);
  assert.equal(json.offsets[0].offset, 1);
});
