// Read models over HTTP: asked at once after an append, live, kept in step with appends, and by
// people who mean no good. Each file is deployed for SQLite and, under another name, for PostgreSQL, from
// the same events; each question goes to both, and the answers must be the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from './postgres.mjs';
import { assertProblem, event, serve, Server } from './server.mjs';

const postgres = await startPostgres();
const server = serve({
  server: new Server(postgres ? ['--projections-postgres', postgres] : []),
});
const both = (name) => (postgres ? [name, twinOf(name)] : [name]);
const twinOf = (path) => path.replace(/^[a-z]+/, (name) => `${name}_pg`);

const projection = (name, topic, more = '') => `-- projection: ${name}
-- from: ${topic}
${more}
create table ${name} (key text primary key, n bigint not null, note text);
-- on: added
insert into ${name} values (:key, cast(:data ->> 'n' as bigint), :data ->> 'note')
  on conflict (key) do update set n = ${name}.n + excluded.n, note = excluded.note;
-- query: all
select key, n from ${name} order by key;
-- query: one(key text)
select key, n, note from ${name} where key = :key;
-- query: typed(a bigint = 1, b integer = 2, c double = 1.5, d boolean = true, e json = '{}')
select :a as a, :b as b, :c as c, :d as d, :e as e;
-- query: endless
with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) as n from r;
`;

const deploy = (name, text) =>
  server.request('PUT', `/v1/projections/${name}`, {
    body: text,
    headers: { 'content-type': 'application/sql' },
  });

const forPostgres = (name, text) =>
  text.replace(`-- projection: ${name}\n`, `-- projection: ${twinOf(name)}\n-- target: postgres\n`);

async function deployed(name, topic, more) {
  const text = projection(name, topic, more);
  await deployedOne(name, text);
  if (postgres) await deployedOne(twinOf(name), forPostgres(name, text));
}

async function deployedOne(name, text) {
  const answer = await deploy(name, text);
  assert.equal(answer.status, 201, answer.text);
  for (;;) {
    const { json } = await server.get(`/v1/projections/${name}`);
    if (json.versions.some((v) => v.role === 'current' && v.version === answer.json.version)) return;
    await sleep(5);
  }
}

async function post(name, verb) {
  const answers = both(name).map((one) => server.request('POST', `/v1/projections/${one}/${verb}`));
  for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200, answer.text);
}

// The twin is asked when it is as far as the answer was: somebody may have waited for that one only.
async function askTwin(path, headers, answer) {
  const reached = answer.headers['mainstem-position'];
  const waits = /[?&](min_|as_of=|known_at=)/.test(path) || reached === undefined;
  const more = waits ? '' : `${path.includes('?') ? '&' : '?'}min_position=${reached}`;
  const twin = await server.get(`/v1/queries/${twinOf(path)}${more}`, headers);
  assert.equal(twin.status, answer.status, `${path}: ${twin.text}`);
  if (answer.status === 200) assert.equal(twin.text, answer.text, path);
  else assert.equal(twin.json.type, answer.json.type);
}

async function ask(path, headers) {
  const answer = await server.get(`/v1/queries/${path}`, headers);
  if (postgres) await askTwin(path, headers, answer);
  return answer;
}
const add = (stream, n, note) => server.append(stream, event('added', { n, note }));

test('who appends and asks with its position sees it, 200 at a time', async () => {
  await deployed('seen', 'seen');
  await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const { json } = await add(`seen-${i}`, i);
      const answer = await ask(`seen/one?key=${i}&min_position=${json.position}`);
      assert.deepEqual(answer.json, [{ key: String(i), n: i, note: null }]);
      assert.ok(Number(answer.headers['mainstem-position']) >= json.position);
      const again = await ask(`seen/one?key=${i}&min_version=seen-${i}:${json.version}`);
      assert.deepEqual(again.json, answer.json);
      const header = { 'mainstem-min-position': String(json.position) };
      assert.equal((await server.get('/v1/queries/seen/all', header)).status, 200);
    }),
  );
});

test('what is not there in time is 504 with the position that was reached', async () => {
  const end = await server.end();
  const answer = await ask(`seen/all?min_position=${end + 1000}&timeout=50ms`);
  assertProblem(assert, answer, 504, 'timeout');
  assert.ok(answer.json.position < end + 1000);
});

test('a synchronous projection is there when the append is answered, or named', async () => {
  await deployed('insync', 'insync', '-- mode: sync');
  for (let i = 0; i < 50; i++) {
    const answer = await add(`insync-${i}`, i);
    assert.equal(answer.headers['mainstem-projection-pending'], undefined);
    assert.deepEqual((await ask(`insync/one?key=${i}`)).json, [{ key: String(i), n: i, note: null }]);
  }
  await post('insync', 'pause');
  const late = await add('insync-late', 1);
  assert.equal(late.status, 201);
  assert.match(late.headers['mainstem-projection-pending'], /^insync@\d+(, insync_pg@\d+)?$/);
  assert.equal(late.headers['mainstem-position'], String(late.json.position));
  await post('insync', 'resume');
  const { json } = await ask(`insync/one?key=late&min_position=${late.json.position}`);
  assert.equal(json.length, 1);
});

test('every way of appending waits for synchronous projections, and only for those that read it', async () => {
  await deployed('everyway', 'everyway', '-- mode: sync');
  await post('everyway', 'pause');
  const one = event('added', { n: 1 });
  const key = { 'idempotency-key': 'everyway' };
  const cloud = { specversion: '1.0', id: 'everyway-c', source: '/t', type: 'added', data: { n: 1 } };
  const appends = {
    stream: () => server.append('everyway-1', one),
    key: () => server.request('POST', '/v1/topics/everyway/keys/2', { json: one }),
    several: () =>
      server.request('POST', '/v1/append', {
        json: { appends: [{ stream: 'elsewhere-1', events: [one] }, { stream: 'everyway-3', events: [one] }] },
      }),
    cloudevents: () =>
      server.request('POST', '/v1/streams/everyway-4', {
        headers: { 'content-type': 'application/cloudevents-batch+json' },
        body: JSON.stringify([cloud]),
      }),
    first: () => server.append('everyway-5', one, key),
  };
  const answers = await Promise.all(Object.values(appends).map((append) => append()));
  answers.push(await appends.first()); // the repeat of it
  for (const [i, { status, headers, text }] of answers.entries()) {
    assert.equal(status, i === answers.length - 1 ? 200 : 201, text);
    assert.match(headers['mainstem-projection-pending'] ?? '', /^everyway@\d+(, everyway_pg@\d+)?$/, `append ${i}`);
  }
  const nothing = await server.append('everyway-1', []);
  const other = await server.append('elsewhere-1', one);
  for (const { headers } of [nothing, other]) assert.equal(headers['mainstem-projection-pending'], undefined);
  await post('everyway', 'resume');
});

test('a live query sends its rows, and again when they have changed', async () => {
  await deployed('alive', 'alive');
  const sockets = both('alive').map((name) => {
    const socket = server.connect();
    socket.write(
      `GET /v1/queries/${name}/all HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n`,
    );
    return socket;
  });
  const until = (text) => Promise.all(sockets.map((socket) => socket.until(text)));
  await until('data: []');
  await add('alive-a', 1);
  await until('data: [{"key":"a","n":1}]');
  await server.append('other-a', event('added', { n: 5 })); // nothing changes
  await add('alive-b', 2);
  for (const text of await until('"n":2}]')) {
    assert.equal(text.split('"n":1}]').length - 1, 1); // the first state was sent once
  }
  for (const socket of sockets) socket.destroy();
});

test('the past answers as it was', async () => {
  await deployed('past', 'past');
  const first = (await add('past-a', 1)).json.position;
  const second = (await add('past-a', 10)).json.position;
  const n = async (query) => (await ask(`past/one?key=a&${query}`)).json[0]?.n;
  assert.equal(await n(`min_position=${second}`), 11);
  assert.equal(await n(`as_of=${first}`), 1);
  assert.equal(await n(`as_of=${second}`), 11);
  assert.equal(await n('as_of=2001-01-01T00:00:00Z'), undefined);
  assert.equal(await n('known_at=2001-01-01T00:00:00Z'), undefined);
  assert.equal(await n(`known_at=${new Date().toISOString()}`), 11);
});

test('pages hold each row once', async () => {
  await deployed('paged', 'paged');
  let last;
  for (let i = 0; i < 25; i++) last = (await add(`paged-${String(i).padStart(2, '0')}`, i)).json;
  const seen = [];
  let path = `/v1/queries/paged/all?page_rows=7&min_position=${last.position}`;
  while (path) {
    const answer = await server.get(path);
    seen.push(...answer.json.map((row) => row.n));
    path = /<([^>]*)>; rel="next"/.exec(answer.headers.link ?? '')?.[1];
  }
  assert.deepEqual(seen, Array.from({ length: 25 }, (_, i) => i));
  const lines = (await ask('paged/all', { accept: 'application/x-ndjson' })).text;
  assert.equal(lines.trim().split('\n').length, 25);
});

const attacks = [
  "' or '1'='1",
  "'; drop table seen; --",
  '"; attach database \'/tmp/x\' as x; --',
  "x' union select name, sql, '' from sqlite_schema --",
  ':key',
  '?1',
  '$1',
  '\\',
  "%' --",
];

test('parameters are bound, never spliced', async () => {
  for (const attack of attacks) {
    const answer = await ask(`seen/one?key=${encodeURIComponent(attack)}`);
    assert.deepEqual(answer.json, [], attack);
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      const bad = await ask(`seen/typed?${name}=${encodeURIComponent(attack)}`);
      assertProblem(assert, bad, 400, 'bad-request');
      assert.match(bad.json.detail, new RegExp(`parameter '${name}'`));
    }
    for (const name of ['min_position', 'min_version', 'as_of', 'timeout', 'page_rows']) {
      const bad = await ask(`seen/all?${name}=${encodeURIComponent(attack)}`);
      assertProblem(assert, bad, 400, 'bad-request');
    }
    const stored = await add('seen-attack', 1, attack);
    const back = await ask(`seen/one?key=attack&min_position=${stored.json.position}`);
    assert.equal(back.json[0].note, attack);
  }
  assert.equal((await ask('seen/all')).json.length, 201);
});

test('unknown, missing and double parameters are named', async () => {
  const wrong = [
    ['seen/one', /parameter 'key' \(text\) of query 'one' is missing/],
    ['seen/one?kee=1', /unknown parameter 'kee'; query 'one' declares: key/],
    ['seen/one?key=1&key=2', /parameter 'key' is given twice/],
    ['seen/typed?b=3000000000', /parameter 'b': expected an integer of 32 bits/],
    ['seen/all?max_staleness=x', /parameter 'max_staleness'/],
  ];
  for (const [path, detail] of wrong) {
    const answer = await ask(path);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, detail);
  }
  assertProblem(assert, await ask('seen/none'), 404, 'not-found');
  assertProblem(assert, await ask('none/all'), 404, 'not-found');
});

test('files that would do more than a projection may are refused whole', async () => {
  const wrong = [
    ["select load_extension('x')", /not allowed/],
    ['delete from seen', /begin(s)? with|select/],
    ['select * from pragma_database_list', /^bad/],
  ];
  for (const [sql, detail] of wrong) {
    const text = projection('bad', 'bad').replace('select key, n from bad order by key', sql);
    const answer = await deploy('bad', text);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, /^bad\.sql:\d+:\d+: /);
    assert.match(answer.json.detail, detail);
  }
  const schema = [
    "attach database '/tmp/x' as x",
    'pragma journal_mode = off',
    'create table mainstem_x (a text)',
    'update mainstem_checkpoint set position = 0',
    'begin',
  ];
  for (const sql of schema) {
    const text = projection('worse', 'worse').replace('create table', `${sql};\ncreate table`);
    const answer = await deploy('worse', text);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, /^worse\.sql:\d+:\d+: /, sql);
  }
  assertProblem(assert, await server.get('/v1/projections/worse'), 404, 'not-found');
});

test('a query without an end is ended', { timeout: 60_000 }, async () => {
  const answer = await ask('seen/endless?timeout=300ms');
  assertProblem(assert, answer, 504, 'timeout');
});

test('a rebuild under load gives what a build from scratch gives', async () => {
  await deployed('grown', 'grown');
  const load = Array.from({ length: 8 }, async (_, writer) => {
    for (let i = 0; i < 60; i++) await add(`grown-${(writer * 7 + i) % 30}`, i);
  });
  await sleep(20);
  await post('grown', 'rebuild');
  await Promise.all(load);
  const end = (await server.end()) - 1;
  const rows = async (name) => (await ask(`${name}/all?min_position=${end}`)).json;
  for (const name of both('grown')) {
    const state = async () => (await server.get(`/v1/projections/${name}`)).json.versions[0];
    while ((await state()).version < 2) await sleep(5);
  }
  const again = await rows('grown');
  await deployed('scratch', 'grown');
  assert.deepEqual(await rows('scratch'), again);
  assert.equal(again.length, 30);
});

test('a restart keeps them, with their tables', async () => {
  const before = (await ask('grown/all')).json;
  await server.stop();
  await server.start();
  assert.deepEqual((await ask('grown/all')).json, before);
  const { json } = await server.get('/v1/projections/grown');
  assert.equal(json.versions[0].role, 'current');
});
