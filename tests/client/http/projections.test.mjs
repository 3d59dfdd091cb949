// Read models: projection files are deployed, asked, asked as of the past, rebuilt. What hostile files
// and questions can't do. Files that both databases understand are deployed for PostgreSQL as well, under
// another name, from the same events, and whatever is asked or done goes to both; the answers must be the
// same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from './postgres.mjs';
import { assertProblem, event, serve, Server } from './server.mjs';

const postgres = await startPostgres();
const server = serve({
  server: new Server(postgres ? ['--projections-postgres', postgres] : []),
});
const twins = new Set(); // what is on PostgreSQL too
const twinOf = (name) => `${name}_pg`;
const WAIT_MS = 60_000;

// ---- helpers ----

const put = (name, sql, on = server) =>
  on.request('PUT', `/v1/projections/${name}`, {
    body: sql,
    headers: { 'content-type': 'application/sql' },
  });
async function post(name, verb, json = {}, on = server) {
  const answer = await on.request('POST', `/v1/projections/${name}/${verb}`, { json });
  if (on === server && twins.has(name)) {
    const twin = await on.request('POST', `/v1/projections/${twinOf(name)}/${verb}`, { json });
    assert.equal(twin.status, answer.status, twin.text);
  }
  return answer;
}

async function until(look, what) {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`it did not happen: ${what}`);
    await sleep(5);
  }
}

// Until this version answers.
function tookOver(name, version, on = server) {
  return until(async () => {
    const { json } = await on.get(`/v1/projections/${name}`);
    const found = json.versions.find((one) => one.version === version);
    assert.ok(found, `version ${version} of ${name} is gone`);
    assert.notEqual(found.state, 'stopped', found.error);
    return found.role === 'current' && found;
  }, `version ${version} of ${name} answers`);
}

async function deploy(name, sql, on = server) {
  const answer = await put(name, sql, on);
  assert.equal(answer.status, 201, answer.text);
  await tookOver(name, answer.json.version, on);
  return answer.json.version;
}

// For both databases.
async function deployBoth(name, sql) {
  const version = await deploy(name, sql);
  if (postgres) {
    const head = `-- projection: ${twinOf(name)}\n-- target: postgres\n`;
    assert.equal(await deploy(twinOf(name), sql.replace(`-- projection: ${name}\n`, head)), version);
    twins.add(name);
  }
  return version;
}

async function removeBoth(name) {
  for (const one of twins.delete(name) ? [name, twinOf(name)] : [name]) {
    assert.equal((await server.request('DELETE', `/v1/projections/${one}`)).status, 204);
  }
}

const search = (parameters) => new URLSearchParams(parameters).toString();
async function ask(name, query, parameters = {}, headers = {}, on = server) {
  const answer = await on.get(`/v1/queries/${name}/${query}?${search(parameters)}`, headers);
  if (on === server && twins.has(name)) await askTwin(name, query, parameters, headers, answer);
  return answer;
}

// It is asked when it is as far as the answer was: somebody may have waited for that one only.
async function askTwin(name, query, parameters, headers, answer) {
  const reached = answer.headers['mainstem-position'];
  const past = parameters.as_of !== undefined || parameters.known_at !== undefined;
  const more = past || reached === undefined ? parameters : { ...parameters, min_position: reached };
  const twin = await server.get(`/v1/queries/${twinOf(name)}/${query}?${search(more)}`, headers);
  assert.equal(twin.status, answer.status, twin.text);
  if (answer.status === 200) assert.equal(twin.text, answer.text);
  else assert.equal(twin.json.type, answer.json.type);
}

async function rows(name, query, parameters = {}, on = server) {
  const answer = await ask(name, query, parameters, {}, on);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

async function append(stream, type, data, more = {}, on = server) {
  const answer = await on.append(stream, event(type, data, more));
  assert.equal(answer.status, 201, answer.text);
  return answer.json;
}

// A projection of the topic of the same name: each of its streams once, with what was added up.
const sums = (name, more = '') => `-- projection: ${name}
-- from: ${name}
create table sums (id text primary key, total bigint not null, last text not null);
-- on: added
insert into sums (id, total, last)
  values (:key, cast(:data ->> 'n' as bigint), :event_id)
  on conflict (id) do update set total = sums.total + excluded.total, last = excluded.last;
-- on: removed
delete from sums where id = :key;
-- query: all
select * from sums order by id;
-- query: one(id text)
select * from sums where id = :id;
${more}`;

// ---- deploying ----

test('a file is deployed once, and answers', async () => {
  const first = await append('plain-1', 'added', { n: 5 });
  assert.equal(await deployBoth('plain', sums('plain')), 1);
  const again = await put('plain', sums('plain').replaceAll('\n', '  \r\n'));
  assert.equal(again.status, 200);
  assert.deepEqual(again.json, { projection: 'plain', version: 1, unchanged: true });
  const answer = await ask('plain', 'one', { id: '1' });
  assert.equal(answer.json[0].total, 5);
  assert.equal(answer.headers['mainstem-projection'], 'plain@1');
  assert.ok(Number(answer.headers['mainstem-position']) >= first.position);
});

test('a changed file takes over, and the old one can answer again', async () => {
  await append('swap-1', 'added', { n: 2 });
  await deployBoth('swap', sums('swap'));
  const changed = sums('swap').replace('sums.total + excluded.total', 'sums.total - excluded.total');
  assert.equal(await deployBoth('swap', changed), 2);
  const { position } = await append('swap-1', 'added', { n: 3 });
  assert.equal((await rows('swap', 'all', { min_position: position }))[0].total, -1);
  assert.equal((await post('swap', 'switch')).status, 200);
  assert.equal((await rows('swap', 'all', { min_position: position }))[0].total, 5);
  assert.equal((await post('swap', 'switch', { version: 2 })).status, 200);
  assert.equal((await rows('swap', 'all', { min_position: position }))[0].total, -1);
  assertProblem(assert, await post('swap', 'switch', { version: 9 }), 404, 'not-found');
});

const HEAD = '-- projection: wrong\n-- from: t\ncreate table t (a text);\n';
const ON = '-- on: x\ninsert into t (a) values (:key);\n';
const wrongFiles = [
  ['a directive that is none', '-- projection: wrong\n-- form: t\n', '2:1: '],
  ['no source', '-- projection: wrong\ncreate table t (a text);\n', '\\d+:\\d+: '],
  ['a field that is none', `${HEAD}-- on: x\ninsert into t (a) values (:kee);\n`, '5:27: '],
  ['a column that is none', `${HEAD}${ON}-- query: q\nselect b from t;\n`, '7:8: no such column'],
  ['a table that is none', `${HEAD}-- on: x\nupdate u set a = 1;\n`, '5:\\d+: no such table'],
  ['no SQL', `${HEAD}${ON}-- query: q\nselect from where;\n`, '7:\\d+: '],
  ['an undeclared parameter', `${HEAD}${ON}-- query: q\nselect :a;\n`, '7:8: '],
  ['a transaction', `${HEAD}-- on: x\ncommit;\n`, '5:1: '],
  ['two statements', `${HEAD}${ON}-- query: q\nselect 1; select 2;\n`, '7:11: '],
];
for (const [what, sql, place] of wrongFiles) {
  test(`a file with a mistake is refused whole: ${what}`, async () => {
    const answer = await put('wrong', sql);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, new RegExp(`^wrong\\.sql:${place}`));
    assert.equal((await server.get('/v1/projections/wrong')).status, 404);
  });
}

test('a wrong file leaves the version that answers alone', async () => {
  await append('kept-1', 'added', { n: 1 });
  await deployBoth('kept', sums('kept'));
  const answer = await put('kept', sums('kept', '-- query: more\nselect nothing_like_it from sums;\n'));
  assertProblem(assert, answer, 400, 'bad-request');
  const { json } = await server.get('/v1/projections/kept');
  assert.deepEqual(
    json.versions.map((one) => [one.version, one.role]),
    [[1, 'current']],
  );
  assert.equal((await rows('kept', 'all')).length, 1);
  const other = await put('kept', sums('plain'));
  assertProblem(assert, other, 400, 'bad-request');
});

// ---- read your writes ----

test('what was just appended is in the answer, 200 times at once', async () => {
  await deployBoth('ryw', sums('ryw'));
  await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const added = await append(`ryw-${n}`, 'added', { n });
      const by = [
        { min_position: added.position },
        { min_version: `ryw-${n}:0` },
        { max_staleness: '0s' },
        {},
      ][n % 4];
      const headers = n % 4 === 3 ? { 'mainstem-min-position': String(added.position) } : {};
      const answer = await ask('ryw', 'one', { id: String(n), timeout: '60s', ...by }, headers);
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.json.length, 1, `${n} is not seen with ${JSON.stringify(by)}`);
      assert.equal(answer.json[0].total, n);
      assert.ok(Number(answer.headers['mainstem-position']) >= added.position);
    }),
  );
  assert.equal((await rows('ryw', 'all')).length, 200);
});

test('what does not come is told with the position that was reached', async () => {
  await deployBoth('never', sums('never'));
  const end = await server.end();
  const answer = await ask('never', 'all', { min_position: end + 1000, timeout: '20ms' });
  assertProblem(assert, answer, 504, 'timeout');
  assert.ok(answer.json.position >= end - 1 && answer.json.position < end + 1000);
  const none = await ask('never', 'all', { min_version: 'never-1:7' });
  assertProblem(assert, none, 404, 'not-found');
});

// ---- parameters ----

const echo = `-- projection: echo
-- from: echo
create table seen (id text primary key);
-- on: *
insert into seen (id) values (:key) on conflict do nothing;
-- query: back(t text, b bigint = 1, i integer = 2, d double = 0.5, y boolean = true, j json = '{}')
select :t as t, :b as b, :i as i, :d as d, cast(:y as integer) as y, :j ->> 'a' as j, count(*) as n from seen;
-- query: seen
select id from seen order by id;
`;
const hostile = [
  "'; drop table seen; --",
  "' or '1'='1",
  "'; delete from seen; select '",
  '"; drop table seen; --',
  "1; attach database '/tmp/x' as y",
  "1 union select sql from sqlite_master",
  "load_extension('x')",
  ":t",
  "?1",
  "$$; drop table seen; $$",
  "/* */ 1",
  "\\'; drop table seen",
  "1)",
  "0x10",
  "1e3",
  " 1",
  "١",
  "9223372036854775808",
  "NaN",
  "TRUE",
  '{"a": 1',
  "",
];

test('nothing that is given for a parameter becomes SQL', async () => {
  await append('echo-1', 'any', {});
  await deployBoth('echo', echo);
  assert.equal((await rows('echo', 'back', { t: 'x' }))[0].n, 1);
  for (const text of hostile) {
    const [row] = await rows('echo', 'back', { t: text, j: JSON.stringify({ a: text }) });
    assert.deepEqual([row.t, row.j, row.n], [text, text, 1]);
    for (const name of ['b', 'i', 'y']) {
      const answer = await ask('echo', 'back', { t: 'x', [name]: text });
      assertProblem(assert, answer, 400, 'bad-request');
      assert.match(answer.json.detail, new RegExp(`^parameter '${name}': expected`));
    }
    for (const name of ['d', 'j']) {
      if (name === 'd' && text === '1e3') continue; // a number
      if (name === 'j' && ['1e3', ' 1'].includes(text)) continue; // JSON
      if (name === 'j' && text === '9223372036854775808') continue;
      if (name === 'd' && text === '9223372036854775808') continue;
      if (name === 'd' && text === ' 1') continue; // JSON allows white space around it
      const answer = await ask('echo', 'back', { t: 'x', [name]: text });
      assertProblem(assert, answer, 400, 'bad-request');
    }
    for (const name of [
      'min_position',
      'min_version',
      'as_of',
      'known_at',
      'timeout',
      'max_staleness',
      'page_rows',
      'page_skip',
    ]) {
      const answer = await ask('echo', 'back', { t: 'x', [name]: text });
      assertProblem(assert, answer, 400, 'bad-request');
      assert.match(answer.json.detail, new RegExp(`^parameter '${name}': expected`));
    }
    const path = encodeURIComponent(text);
    if (text !== '') {
      for (const where of [`${path}/back`, `echo/${path}`]) {
        assert.equal((await server.get(`/v1/queries/${where}?t=x`)).status, 404, where);
      }
      assert.equal((await put(path, echo)).status, 400);
    }
    const named = await ask('echo', 'back', { t: 'x', [text]: '1' });
    assertProblem(assert, named, 400, 'bad-request');
  }
  assert.deepEqual(await rows('echo', 'seen'), [{ id: '1' }]);
});

test('an unknown, a missing and a doubled parameter are refused by name', async () => {
  for (const [query, pattern] of [
    ['t=x&tt=1', /unknown parameter 'tt'/],
    ['b=1', /parameter 't' \(text\) of query 'back' is missing/],
    ['t=x&t=y', /parameter 't' is given twice/],
    ['t=x&t=x', /parameter 't' is given twice/],
    ['t=x&timeout=1s&timeout=1s', /parameter 'timeout' is given twice/],
    ['t=x%zz', /percent escape/],
    ['t=x%00', /percent escape/],
    ['t=x&b=2147483648&i=2147483648', /parameter 'i': expected an integer of 32 bits/],
  ]) {
    const answer = await server.get(`/v1/queries/echo/back?${query}`);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, pattern);
  }
  const largest = await rows('echo', 'back', { t: '', b: '-9223372036854775808' });
  assert.equal(largest[0].t, '');
});

// ---- what files can't do ----

const forbidden = [
  'with a as (select 1) insert into t select 1',
  'with a as (select 1) delete from t',
  'with a as (select 1) update t set a = 1',
  "attach database '/tmp/x.db' as x",
  "select load_extension('/tmp/x')",
  "select readfile('/etc/passwd')",
  "select writefile('/tmp/x', 'y')",
  "select * from pragma_database_list",
  'select * from mainstem_checkpoint, dbstat',
  'pragma query_only = off',
  'vacuum',
];
for (const sql of forbidden) {
  test(`a query can't: ${sql}`, async () => {
    const answer = await put('wrong', `${HEAD}${ON}-- query: q\n${sql};\n`);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, /^wrong\.sql:\d+:\d+: /);
    assert.equal((await server.get('/v1/projections/wrong')).status, 404);
  });
}

const forbiddenInHandlers = [
  "attach database '/tmp/x.db' as x",
  'pragma journal_mode = off',
  'update mainstem_checkpoint set position = 0',
  'delete from mainstem_parked',
  'drop table mainstem_checkpoint',
  "insert into t (a) select load_extension('x')",
  "insert into t (a) select writefile('/tmp/x', 'y')",
  'begin',
  'vacuum',
  "vacuum into '/tmp/x.db'",
];
for (const sql of forbiddenInHandlers) {
  test(`a section can't: ${sql}`, async () => {
    const answer = await put('wrong', `${HEAD}-- on: x\n${sql};\n`);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, /^wrong\.sql:\d+:\d+: /);
    assert.equal((await server.get('/v1/projections/wrong')).status, 404);
  });
}

test("a query can't run for ever, nor take all memory, nor write", async () => {
  const sql = `-- projection: greedy
-- from: greedy
create table t (a text);
-- on: x
insert into t (a) values (:key);
-- query: forever
with recursive r (n) as (select 1 union all select n + 1 from r) select count(*) from r;
-- query: rows
with recursive r (n) as (select 1 union all select n + 1 from r) select n from r;
-- query: wide
select hex(zeroblob(1000000000)) as w;
-- query: fat
with recursive r (n) as (select 1 union all select n + 1 from r where n < 1000)
  select hex(zeroblob(1000000)) as w from r;
-- query: fine
select 1 as one;
`;
  await deploy('greedy', sql);
  const forever = ask('greedy', 'forever');
  const page = await ask('greedy', 'rows', { page_rows: 3, page_skip: 5 });
  assert.deepEqual(page.json, [{ n: 6 }, { n: 7 }, { n: 8 }]); // others go on meanwhile
  const wide = await ask('greedy', 'wide');
  assert.ok([400, 413].includes(wide.status), wide.text);
  assertProblem(assert, await ask('greedy', 'fat'), 413, 'too-large');
  assertProblem(assert, await forever, 504, 'timeout');
  assert.deepEqual(await rows('greedy', 'fine'), [{ one: 1 }]);
});

// ---- answers ----

test('pages, by their links, give each row once', async () => {
  const COUNT = 250;
  const events = Array.from({ length: COUNT }, (_, n) => event('added', { n }));
  const parts = events.map((one, n) => ({ stream: `pages-${n}`, events: [one] }));
  const appended = await server.request('POST', '/v1/append', { json: { appends: parts } });
  assert.equal(appended.status, 201, appended.text);
  await deployBoth('pages', sums('pages', "-- query: some(a text)\nselect id, :a as a from sums;\n"));
  for (const size of [1, 37, 125, 250, 251]) {
    const seen = [];
    let pages = 0;
    let path = `/v1/queries/pages/some?a=${encodeURIComponent('x&y=<é>')}&page_rows=${size}`;
    while (path) {
      const answer = await server.get(path);
      assert.equal(answer.status, 200, answer.text);
      for (const row of answer.json) {
        assert.equal(row.a, 'x&y=<é>');
        seen.push(row.id);
      }
      pages += 1;
      path = /<([^>]+)>; rel="next"/.exec(answer.headers.link ?? '')?.[1];
    }
    assert.equal(pages, Math.ceil(COUNT / size));
    assert.equal(seen.length, COUNT);
    assert.equal(new Set(seen).size, COUNT);
  }
});

test('rows come as lines for who accepts that', async () => {
  const all = await rows('pages', 'all', { page_rows: 10 });
  const answer = await ask('pages', 'all', { page_rows: 10 }, { accept: 'application/x-ndjson' });
  assert.match(answer.headers['content-type'], /^application\/x-ndjson/);
  assert.match(answer.headers.link, /page_skip=10/);
  const lines = answer.text.split('\n');
  assert.equal(lines.pop(), '');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    all,
  );
  const none = await ask('pages', 'one', { id: 'x' }, { accept: 'application/x-ndjson' });
  assert.equal(none.text, '');
  const xml = await ask('pages', 'all', {}, { accept: 'application/xml' });
  assert.equal(xml.status, 406);
});

// ---- the past ----

test('a query is asked as of the past', async () => {
  const time = (hour) => `2026-03-02T${String(hour).padStart(2, '0')}:00:00Z`;
  await deployBoth('past', sums('past'));
  const first = await append('past-1', 'added', { n: 1 }, { timestamp: time(9) });
  const second = await append('past-1', 'added', { n: 10 }, { timestamp: time(12) });
  // Not before the clock has moved on: what is recorded from here on is later.
  const noted = new Date(Date.now() + 1).toISOString();
  await until(() => new Date().toISOString() > noted, 'the clock goes on');
  const late = await append('past-1', 'added', { n: 100 }, { timestamp: time(10) }); // told late
  const total = async (parameters) => (await rows('past', 'all', parameters))[0]?.total;
  assert.equal(await total({ min_position: late.position }), 111);
  assert.equal(await total({ as_of: first.position - 1 }), undefined);
  assert.equal(await total({ as_of: first.position }), 1);
  assert.equal(await total({ as_of: second.position }), 11);
  assert.equal(await total({ as_of: late.position }), 111);
  assert.equal(await total({ as_of: time(9) }), 1);
  assert.equal(await total({ as_of: time(11) }), 101); // today we know
  assert.equal(await total({ known_at: noted }), 11); // what it would have answered
  assert.equal(await total({ known_at: time(23) }), undefined);
  const answer = await ask('past', 'all', { as_of: second.position });
  assert.equal(answer.headers['mainstem-position'], String(second.position));
  // A late event of the past is in the next answer of the same question.
  const later = await append('past-1', 'added', { n: 1000 }, { timestamp: time(10) });
  assert.equal(await total({ as_of: time(11), min_position: later.position }), 1101);
  assert.equal(await total({ as_of: second.position }), 11);
  // A position that the log has not reached yet is the past only later.
  const ahead = later.position + 3;
  assert.equal(await total({ as_of: ahead }), 1111);
  await append('past-1', 'added', { n: 10_000 });
  assert.equal(await total({ as_of: ahead }), 11_111);
});

// ---- life ----

test('a restart keeps versions, tables and what is paused', async () => {
  const own = new Server();
  try {
    await own.start();
    const added = await append('life-1', 'added', { n: 4 }, {}, own);
    await deploy('life', sums('life'), own);
    await deploy('life', sums('life').replace('-- query: all', '-- query: every'), own);
    await deploy('still', sums('still'), own);
    assert.equal((await post('still', 'pause', {}, own)).status, 200);
    assert.equal(await own.stop(), 0);
    await own.start();
    assert.equal((await rows('life', 'every', { min_position: added.position }, own))[0].total, 4);
    const next = await append('life-1', 'added', { n: 4 }, {}, own);
    assert.equal((await rows('life', 'every', { min_position: next.position }, own))[0].total, 8);
    const { json } = await own.get('/v1/projections');
    assert.deepEqual(
      json.projections.map((one) => [
        one.projection,
        one.paused,
        one.versions.map((version) => [version.version, version.role]),
      ]),
      [
        ['life', false, [[2, 'current'], [1, 'previous']]],
        ['still', true, [[1, 'current']]],
      ],
    );
    await own.stop('SIGKILL');
    await own.start();
    assert.equal((await rows('life', 'every', { min_position: next.position }, own))[0].total, 8);
    assert.equal((await post('life', 'switch', {}, own)).status, 200);
    assert.equal((await rows('life', 'all', { min_position: next.position }, own))[0].total, 8);
  } finally {
    await own.remove();
  }
});

test('a rebuild under load gives the rows of a rebuild from scratch', async () => {
  await deployBoth('load', sums('load'));
  let done = false;
  let last = 0;
  let appended = 0;
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let n = 0; !done || n < 50; n += 1) {
      const type = n % 10 === 9 ? 'removed' : 'added';
      const answer = await append(`load-${(n * 7 + client) % 40}`, type, { n });
      last = Math.max(last, answer.position);
      appended += 1;
    }
  });
  for (let version = 2; version <= 4; version += 1) {
    assert.equal((await post('load', 'rebuild')).status, 200);
    await tookOver('load', version);
    if (postgres) await tookOver(twinOf('load'), version);
  }
  done = true;
  await Promise.all(clients);
  const live = await ask('load', 'all', { min_position: last, timeout: '60s' });
  assert.equal(live.headers['mainstem-projection'], 'load@4');
  await removeBoth('load');
  assert.equal((await ask('load', 'all')).status, 404);
  await deployBoth('load', sums('load'));
  const scratch = await rows('load', 'all', { min_position: last, timeout: '60s' });
  assert.deepEqual(live.json, scratch);
  assert.deepEqual(live.json, await folded('load', appended));
});

// The same from the events, without SQL.
async function folded(topic, count) {
  const totals = new Map();
  let read = 0;
  let path = `/v1/events?topic=${topic}&limit=1000`;
  while (path) {
    const answer = await server.get(path);
    for (const one of answer.json) {
      const id = one.stream.slice(topic.length + 1);
      const total = (totals.get(id)?.total ?? 0) + one.data.n;
      if (one.event_type === 'removed') totals.delete(id);
      else totals.set(id, { id, total, last: one.event_id });
      read += 1;
    }
    path = /<([^>]+)>; *rel="next"/.exec(answer.headers.link ?? '')?.[1];
  }
  assert.equal(read, count);
  return [...totals.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

// ---- events that can't be applied ----

const picky = (name, onError) => `-- projection: ${name}
-- from: ${name}
-- on-error: ${onError}
create table picky (n bigint primary key, id text);
-- on: added
insert into picky (n, id) values (:data ->> 'n', :key);
-- query: all
select n, id from picky order by n;
`;

test('an event that stops a projection is told, and skipped', async () => {
  await append('halt-1', 'added', { n: 1 });
  const bad = await append('halt-2', 'added', { n: 1 });
  const after = await append('halt-3', 'added', { n: 3 });
  assert.equal((await put('halt', picky('halt', 'stop'))).status, 201);
  const stopped = await until(async () => {
    const [version] = (await server.get('/v1/projections/halt')).json.versions;
    return version.state === 'stopped' && version;
  }, 'it stops');
  assert.equal(stopped.role, 'candidate');
  assert.equal(stopped.error_position, bad.position);
  assert.match(stopped.error, /^halt\.sql:6:\d+: UNIQUE constraint failed: picky\.n$/);
  assert.equal((await ask('halt', 'all')).status, 503);
  // The first version answers no queries yet, but tells what is wrong.
  const told = (await server.get('/v1/projections/halt/errors')).json;
  const { error, ...where } = told.stopped[0];
  assert.deepEqual(where, { version: 1, role: 'candidate', state: 'stopped', position: bad.position });
  assert.equal(error, stopped.error);
  assert.deepEqual(told.parked, []);
  assert.equal((await post('halt', 'skip', { position: after.position })).status, 404);
  const again = await post('halt', 'retry');
  assertProblem(assert, again, 409, 'event-not-applied');
  assert.match(again.json.detail, /UNIQUE constraint failed: picky\.n$/);
  const { version, applied, position } = again.json;
  assert.deepEqual({ version, applied, position }, { version: 1, applied: 0, position: bad.position });
  const skipped = await post('halt', 'skip', { position: bad.position });
  assert.equal(skipped.status, 200, skipped.text);
  assert.deepEqual(skipped.json.tried, { version: 1, applied: 1 });
  assert.equal((await post('halt', 'retry')).status, 404); // nothing has stopped any more
  assert.deepEqual((await server.get('/v1/projections/halt/errors')).json, { stopped: [], parked: [] });
  await tookOver('halt', 1);
  assert.deepEqual(
    (await rows('halt', 'all')).map((row) => row.id),
    ['1', '3'],
  );
});

test('where a file asks for it, a bad event parks its stream, and others go on', async () => {
  await append('park-1', 'added', { n: 1 });
  await deploy('park', picky('park', 'park'));
  const bad = await append('park-2', 'added', { n: 1 });
  const behind = await append('park-2', 'added', { n: 2 });
  const after = await append('park-3', 'added', { n: 3 });
  assert.deepEqual(
    (await rows('park', 'all', { min_position: after.position })).map((row) => row.id),
    ['1', '3'],
  );
  const { json } = await server.get('/v1/projections/park/errors');
  assert.deepEqual(
    json.parked.map((one) => [one.version, one.position, one.stream, one.error !== null]),
    [
      [1, bad.position, 'park-2', true],
      [1, behind.position, 'park-2', false],
    ],
  );
  const again = await post('park', 'retry', { stream: 'park-2' });
  assertProblem(assert, again, 409, 'event-not-applied');
  assert.equal(again.json.position, bad.position);
  assert.equal((await post('park', 'retry', { stream: 'park-3' })).status, 404);
  // A new version is stopped by the same event; what is parked is the current one's all the same.
  assert.equal((await put('park', `${picky('park', 'park')}-- another\n`)).status, 201);
  await until(async () => (await server.get('/v1/projections/park/errors')).json.stopped.length, 'it stops');
  const both = (await server.get('/v1/projections/park/errors')).json;
  assert.deepEqual([both.stopped[0].version, both.stopped[0].role], [2, 'candidate']);
  assert.deepEqual(both.parked.map((one) => one.version), [1, 1]);
  const { version, position } = (await post('park', 'retry', { stream: 'park-2' })).json;
  assert.deepEqual([version, position], [1, bad.position]);
  const elsewhere = (await post('park', 'retry')).json; // the version that has stopped
  assert.deepEqual([elsewhere.version, elsewhere.position], [2, bad.position]);
  const candidate = await post('park', 'skip', { position: bad.position }); // of the stopped one first
  assert.equal(candidate.status, 200, candidate.text);
  assert.equal(candidate.json.tried.version, 2);
  await server.request('DELETE', '/v1/projections/park');
  await deploy('park', picky('park', 'park').replace('insert into', 'insert or ignore into'));
  assert.deepEqual((await server.get('/v1/projections/park/errors')).json, { stopped: [], parked: [] });
  assert.deepEqual(
    (await rows('park', 'all')).map((row) => row.n),
    [1, 2, 3],
  );
});
