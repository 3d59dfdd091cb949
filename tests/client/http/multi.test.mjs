// POST /v1/append: several streams at once, query conditions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertProblem, event, fresh, serve } from './server.mjs';

const server = serve();
const append = (body, headers) => server.request('POST', '/v1/append', { json: body, headers });
const length = async (stream) => {
  const answer = await server.get(`/v1/streams/${stream}`);
  return answer.status === 404 ? 0 : answer.json.length;
};

test('all streams get their events in one append', async () => {
  const [order, stock] = [fresh(), fresh('stock')];
  await server.append(stock, event());
  const answer = await append({
    appends: [
      { stream: order, expect: 'none', events: [event('created'), event('paid')] },
      { stream: stock, expect: 0, events: [event('reserved')] },
    ],
  });
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.json.repeated, false);
  assert.deepEqual(answer.json.results, [
    { stream: order, first_version: 0, version: 1 },
    { stream: stock, first_version: 1, version: 1 },
  ]);
  const last = (await server.get(`/v1/streams/${stock}`)).json.at(-1);
  assert.equal(last.position, answer.json.position);
});

test('one condition that fails stores nothing at all', async () => {
  const [order, stock] = [fresh(), fresh('stock')];
  const before = await server.end();
  const answer = await append({
    appends: [
      { stream: order, expect: 'none', events: [event()] },
      { stream: stock, expect: 'exists', events: [event()] },
    ],
  });
  assertProblem(assert, answer, 412, 'wrong-expected-version');
  assert.equal(answer.json.stream, stock);
  assert.equal(answer.json.append, 1);
  assert.equal(answer.json.expected, 'exists');
  assert.equal(await length(order), 0);
  assert.ok((await server.end()) - before <= 2, 'at most the new topics were noted');
});

test('an append without events is only a check', async () => {
  const [order, other] = [fresh(), fresh()];
  await server.append(other, event());
  const good = await append({
    appends: [
      { stream: order, events: [event()] },
      { stream: other, expect: 0 },
    ],
  });
  assert.equal(good.status, 201, good.text);
  assert.deepEqual(good.json.results[1], { stream: other, version: 0 });
  const none = await append({ appends: [{ stream: fresh(), expect: 'none' }, { stream: other }] });
  assert.equal(none.status, 200, none.text);
  assert.equal(none.json.results[0].version, null);
  assert.equal('first_version' in none.json.results[0], false);
  assert.deepEqual(none.json.results[1], { stream: other, version: 0 });
  const empty = await server.append(fresh(), []);
  assert.equal(empty.status, 200, empty.text);
  assert.equal(empty.json.version, null);
  assert.equal('first_version' in empty.json, false);
  const { schemas } = (await server.get('/openapi.json')).json.components;
  assert.equal(schemas.AppendedMulti.properties.results.items.$ref.split('/').at(-1), 'AppendedPart');
  for (const schema of [schemas.Appended, schemas.AppendedPart]) {
    assert.deepEqual(schema.properties.version.type, ['integer', 'null']);
    assert.ok(!schema.required.includes('first_version'));
  }
  const bad = await append({
    appends: [
      { stream: order, events: [event()] },
      { stream: other, expect: 4 },
    ],
  });
  assert.equal(bad.status, 412);
  assert.equal(await length(order), 1);
});

test('a query condition guards against events seen too late', async () => {
  const course = `course:${fresh('c')}`;
  const subscribe = (student, after) =>
    append({
      appends: [
        {
          stream: fresh('subscription'),
          events: [event('subscribed', { student }, { tags: [course] })],
        },
      ],
      query_conditions: [{ types: ['subscribed'], tags: [course], after }],
    });
  const first = await subscribe('ann', null);
  assert.equal(first.status, 201, first.text);
  const stale = await subscribe('bob', null);
  assertProblem(assert, stale, 412, 'query-condition-failed');
  assert.equal(stale.json.query_condition, 0);
  assert.equal(stale.json.matching_position, first.json.position);
  assert.equal((await subscribe('bob', first.json.position)).status, 201);
});

test('of racing appends under one query condition exactly one wins', async () => {
  const tag = `t:${fresh('c')}`;
  const answers = await Promise.all(
    Array.from({ length: 20 }, () =>
      append({
        appends: [{ stream: fresh('racer'), events: [event('raced', 1, { tags: [tag] })] }],
        query_conditions: [{ tags: [tag], after: null }],
      }),
    ),
  );
  assert.equal(answers.filter((one) => one.status === 201).length, 1);
  assert.equal(answers.filter((one) => one.status === 412).length, 19);
});

test('the same request again is the first answer again', async () => {
  const [order, stock] = [fresh(), fresh('stock')];
  const body = {
    appends: [
      { stream: order, expect: 'none', events: [event('a')] },
      { stream: stock, events: [event('b'), event('c')] },
    ],
  };
  const headers = { 'idempotency-key': `multi-${order}` };
  const first = await append(body, headers);
  const again = await append(body, headers);
  assert.equal(first.status, 201);
  assert.equal(again.status, 200, again.text);
  assert.deepEqual(again.json, { ...first.json, repeated: true });
  const [one, two] = body.appends;
  for (const appends of [
    [one],
    [one, { ...two, events: two.events.slice(0, 1) }],
    [one, { ...two, events: [...two.events, event('d')] }],
  ])
    assertProblem(assert, await append({ appends }, headers), 409, 'event-id-conflict');
  assert.equal(await length(stock), 2);
});

test('what is wrong is named with its place', async () => {
  await server.append('a-0', event()); // the topic is there
  const before = await server.end();
  const rows = [
    [{}, /appends/],
    [{ appends: [] }, /appends/],
    [{ appends: [{ events: [event()] }] }, /appends: \[0\]: .*stream/],
    [{ appends: [{ stream: 'a-1', expect: 'maybe', events: [] }] }, /expect/],
    [{ appends: [{ stream: 'a-1', events: [{ data: 1 }] }] }, /events: \[0\].*event_type/],
    [{ appends: [{ stream: 'a-1', events: [event()], extra: 1 }] }, /"extra"/],
    [{ appends: [{ stream: 'a-1', events: [event()] }], conditions: [] }, /"conditions"/],
    [
      { appends: [{ stream: 'a-1', events: [event()] }], query_conditions: [{}] },
      /query_conditions: \[0\]/,
    ],
    [
      {
        appends: [
          { stream: 'a-1', events: [event()] },
          { stream: 'a-1', events: [event()] },
        ],
      },
      /a-1/,
    ],
  ];
  for (const [body, mentions] of rows) {
    const answer = await append(body);
    assertProblem(assert, answer, 400, 'bad-request');
    assert.match(answer.json.detail, mentions);
  }
  const reserved = await append({ appends: [{ stream: '$saga-1', events: [event()] }] });
  assertProblem(assert, reserved, 403, 'reserved-name');
  assert.equal(await server.end(), before);
});

test('a large append is answered with the names of its streams', async () => {
  const streams = Array.from({ length: 20 }, () => fresh('large'));
  const events = [event('stored', { text: 'x'.repeat(30_000) })];
  for (let round = 0; round < 5; round += 1) {
    const { json, status, text } = await append({ appends: streams.map((stream) => ({ stream, events })) });
    assert.equal(status, 201, text);
    assert.deepEqual(json.results.map(({ stream }) => stream), streams);
  }
});
