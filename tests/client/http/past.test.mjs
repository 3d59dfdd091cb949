// Honest about the past: what a read model needs and the scavenger has removed is refused by topic and
// positions, unless that is allowed, and then it is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertProblem, event, serve, Server } from './server.mjs';

const server = serve({ server: new Server(['--log-segment-bytes', '1MiB']) });
const WAIT_MS = 60_000;
const SQL = { 'content-type': 'application/sql' };

async function until(look, what) {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`it did not happen: ${what}`);
    await sleep(5);
  }
}

async function append(stream, type, data) {
  const answer = await server.append(stream, event(type, data));
  assert.equal(answer.status, 201, answer.text);
  return answer.json.position;
}

// How often each stream of the topic of the same name was added to.
const counts = (name, step = 1) => `-- projection: ${name}
-- from: ${name}
create table counts (id text primary key, n bigint not null);
-- on: added
insert into counts values (:key, ${step}) on conflict (id) do update set n = counts.n + ${step};
-- query: all
select * from counts order by id;
`;
const put = (name, sql, more = '') =>
  server.request('PUT', `/v1/projections/${name}${more}`, { body: sql, headers: SQL });
const post = (name, verb) => server.request('POST', `/v1/projections/${name}/${verb}`, { json: {} });
const show = async (name) => (await server.get(`/v1/projections/${name}`)).json.versions[0];
const ask = (name, more = '') => server.get(`/v1/queries/${name}/all${more}`);

const answers = (name, version) =>
  until(async () => {
    const one = await show(name);
    return one.role === 'current' && one.version === version && one.position === one.end && one;
  }, `version ${version} of ${name} answers`);

// Events before `version` of the stream go; they are in a sealed segment by then.
async function lose(stream, version) {
  const cut = await server.request('PUT', `/v1/streams/${stream}/metadata`, {
    json: { $tb: version },
  });
  assert.ok(cut.status < 300, cut.text);
  for (let n = 0; n < 20; n++) await append('filler-1', 'filled', { text: 'x'.repeat(100_000) });
  const scavenged = async () => {
    const started = await server.request('POST', '/v1/admin/scavenge', { json: { all: true } });
    assert.equal(started.status, 202, started.text);
    const over = async () => {
      const { json } = await server.get('/v1/admin/scavenge');
      return !json.running && json.last;
    };
    return (await until(over, 'the scavenge ends')).events_removed > 0;
  };
  await until(scavenged, 'the segment is sealed, and the events go');
}

const said = (topic, first, last) =>
  new RegExp(`events of topic '${topic}' at positions ${first} to ${last} were scavenged`);

test('deploying over scavenged events is refused, or told', async () => {
  const first = await append('gone-1', 'added', {});
  const last = await append('gone-1', 'added', {});
  await append('gone-1', 'added', {});
  await lose('gone-1', 2);
  const refused = await put('gone', counts('gone'));
  assertProblem(assert, refused, 409, 'incomplete-past');
  assert.match(refused.json.detail, said('gone', first, last));
  assert.equal((await server.get('/v1/projections/gone')).status, 404);
  assertProblem(assert, await put('gone', counts('gone'), '?allow_incomplete=no'), 400, 'bad-request');
  const allowed = await put('gone', counts('gone'), '?allow_incomplete=true');
  assert.equal(allowed.status, 201, allowed.text);
  const version = await answers('gone', 1);
  assert.deepEqual(version.incomplete, {
    topic: 'gone',
    first_position: first,
    last_position: last,
  });
  assert.equal(version.allow_incomplete, true);
  assert.equal(version.first_needed, first);
  assert.equal(version.scavenged_ahead, null);
  assert.deepEqual((await ask('gone')).json, [{ id: '1', n: 1 }]);
  const metrics = (await server.get('/metrics')).text;
  assert.match(metrics, /^mainstem_projection_incomplete\{projection="gone",[^}]*\} 1$/m);
});

test('a rebuild and the past are refused where events are gone', async () => {
  assert.equal((await put('kept', counts('kept'))).status, 201);
  const before = await append('kept-2', 'added', {});
  const first = await append('kept-1', 'added', {});
  const last = await append('kept-1', 'added', {});
  await answers('kept', 1);
  assert.deepEqual((await show('kept')).incomplete, null);
  await lose('kept-1', 2);
  await answers('kept', 1);
  const whole = [
    { id: '1', n: 2 },
    { id: '2', n: 1 },
  ];
  assert.deepEqual((await ask('kept')).json, whole); // its tables have what is gone
  for (const refused of [
    await post('kept', 'rebuild'),
    await ask('kept', `?as_of=${last}`),
    await ask('kept', '?as_of=2999-01-01T00:00:00Z'),
    await ask('kept', '?known_at=2999-01-01T00:00:00Z'),
    await put('kept', counts('kept', 2)),
  ]) {
    assertProblem(assert, refused, 409, 'incomplete-past');
    assert.match(refused.json.detail, said('kept', first, last));
  }
  assert.deepEqual((await ask('kept', `?as_of=${before}`)).json, [{ id: '2', n: 1 }]);
  const less = await ask('kept', `?as_of=${last}&allow_incomplete=true`);
  assert.deepEqual(less.json, [{ id: '2', n: 1 }]);
  assertProblem(assert, await ask('kept', '?allow_incomplete=1'), 400, 'bad-request');
  const rebuilt = await post('kept', 'rebuild?allow_incomplete=true');
  assert.equal(rebuilt.status, 200, rebuilt.text);
  await answers('kept', 2);
  assert.deepEqual((await ask('kept')).json, [{ id: '2', n: 1 }]);
});

test('one that the scavenger has passed is told, and stops, until it may go on', async () => {
  assert.equal((await put('slow', counts('slow'))).status, 201);
  await append('slow-1', 'added', {});
  await answers('slow', 1);
  assert.equal((await post('slow', 'pause')).status, 200);
  await append('slow-1', 'added', {});
  const last = await append('slow-1', 'added', {});
  await append('slow-1', 'added', {});
  await lose('slow-1', 3);
  const passed = await until(async () => {
    const { scavenged_ahead: ahead } = await show('slow');
    return ahead;
  }, 'the loss is noticed');
  assert.equal(passed.topic, 'slow');
  assert.equal(passed.last_position, last);
  const ready = await server.get('/readyz');
  assert.equal(ready.status, 200);
  assert.match(ready.text, /projection 'slow' version 1 needs what is gone: events of topic 'slow'/);
  const metrics = (await server.get('/metrics')).text;
  assert.match(metrics, /^mainstem_projection_scavenged_ahead\{projection="slow",[^}]*\} 1$/m);
  assert.equal((await post('slow', 'resume')).status, 200);
  const stopped = await until(async () => {
    const one = await show('slow');
    return one.state === 'incomplete' && one;
  }, 'it stops');
  assert.match(stopped.error, /topic 'slow'/);
  assert.deepEqual((await ask('slow')).json, [{ id: '1', n: 1 }]); // as far as it got
  assert.equal((await post('slow', 'resume?allow_incomplete=true')).status, 200);
  const version = await answers('slow', 1);
  assert.equal(version.incomplete.topic, 'slow');
  assert.deepEqual((await ask('slow')).json, [{ id: '1', n: 2 }]);
  await until(async () => (await show('slow')).scavenged_ahead === null, 'nothing is ahead');
});
