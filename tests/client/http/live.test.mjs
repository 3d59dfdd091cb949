// Server-sent events and long polls.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertProblem, event, fresh, serve, Server } from './server.mjs';

const server = serve();

// A reader of text/event-stream after the WHATWG rules: { id, type, data } and comments.
class EventStream {
  constructor(on, path, headers = {}) {
    this.events = [];
    this.comments = [];
    this.lastId = '';
    this.ended = false;
    this.rest = '';
    this.fields = { data: [] };
    this.request = http.get(on.url + path, {
      headers: { accept: 'text/event-stream', ...headers },
      agent: false,
    });
    this.request.on('error', () => {
      this.ended = true;
    });
    this.opened = new Promise((resolve) => {
      this.request.on('response', (response) => {
        this.response = response;
        response.setEncoding('utf8');
        response.on('data', (text) => this.take(text));
        response.on('end', () => {
          this.ended = true;
        });
        response.on('error', () => {
          this.ended = true;
        });
        resolve(response);
      });
    });
  }

  take(text) {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop();
    for (const line of lines) this.line(line);
  }

  line(line) {
    if (line === '') {
      if (this.fields.id !== undefined) this.lastId = this.fields.id;
      if (this.fields.data.length) {
        this.events.push({
          id: this.lastId,
          type: this.fields.event ?? 'message',
          data: this.fields.data.join('\n'),
        });
      }
      this.fields = { data: [] };
    } else if (line.startsWith(':')) {
      this.comments.push(line.slice(1).trim());
    } else {
      const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
      if (name === 'data') this.fields.data.push(value);
      else this.fields[name] = value;
    }
  }

  async until(condition, ms = 15_000) {
    const deadline = Date.now() + ms;
    while (!condition(this)) {
      if (Date.now() > deadline) {
        throw new Error(`waited in vain with ${this.events.length} events, ${this.comments}`);
      }
      await sleep(5);
    }
  }

  caughtUp() {
    return this.until((stream) => stream.comments.includes('caught up'));
  }
  count(n) {
    return this.until((stream) => stream.events.length >= n);
  }
  parsed() {
    return this.events.map((one) => JSON.parse(one.data));
  }
  close() {
    this.request.destroy();
  }
}

test('a subscription tells the past, says so, and goes live', async () => {
  const stream = fresh();
  await server.append(stream, [event('a'), event('b')]);
  const live = new EventStream(server, `/v1/streams/${stream}`);
  const response = await live.opened;
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers['content-type'], 'text/event-stream');
  assert.equal(response.headers['cache-control'], 'no-store');
  await live.caughtUp();
  assert.deepEqual(
    live.events.map((one) => [one.id, one.type]),
    [
      ['0', 'message'],
      ['1', 'message'],
    ],
  );
  await server.append(fresh(), event('elsewhere'));
  await server.append(stream, event('c', { text: 'zwei\nZeilen' }));
  await live.count(3);
  assert.equal(live.events[2].id, '2');
  assert.deepEqual(
    live.parsed().map((one) => one.event_type),
    ['a', 'b', 'c'],
  );
  assert.deepEqual(live.parsed()[2].data, { text: 'zwei\nZeilen' });
  live.close();
});

test('data with line breaks stays one event', async () => {
  const stream = fresh();
  await server.request('POST', `/v1/streams/${stream}`, {
    body: '{"event_type":"a","data":{\r\n  "x": [1,\n 2]\r}}',
    headers: { 'content-type': 'application/json' },
  });
  const live = new EventStream(server, `/v1/streams/${stream}`);
  await live.count(1);
  assert.deepEqual(live.parsed()[0].data, { x: [1, 2] });
  live.close();
});

test('Last-Event-ID goes on behind what was seen, without gap or repeat', async () => {
  const stream = fresh();
  const seen = [];
  let id;
  const writer = (async () => {
    for (let i = 0; i < 200; i++) await server.append(stream, event('n', { i }));
  })();
  while (seen.length < 200) {
    const live = new EventStream(
      server,
      `/v1/streams/${stream}`,
      id ? { 'last-event-id': id } : {},
    );
    const wanted = Math.min(200 - seen.length, 37);
    await live.count(wanted);
    live.close();
    for (const one of live.events.slice(0, wanted)) {
      seen.push(JSON.parse(one.data).data.i);
      id = one.id;
    }
  }
  await writer;
  assert.deepEqual(
    seen,
    Array.from({ length: 200 }, (_, i) => i),
  );
});

test('a stream that does not exist yet can be subscribed to', async () => {
  const stream = fresh('unborn');
  const live = new EventStream(server, `/v1/streams/${stream}`);
  await live.caughtUp();
  await server.append(stream, event('born'));
  await live.count(1);
  live.close();
});

test('all events are subscribed to by filter and position', async () => {
  const tag = `t-${fresh()}`;
  await server.append(fresh(), event('early', 1, { tags: [tag] }));
  const live = new EventStream(server, `/v1/events?tag=${tag}&type=early&type=late`);
  await live.caughtUp();
  for (let i = 0; i < 50; i++) await server.append(fresh(), event('noise'));
  const { json } = await server.append(fresh(), event('late', 2, { tags: [tag, 'x'] }));
  await live.count(2);
  assert.deepEqual(
    live.parsed().map((one) => one.event_type),
    ['early', 'late'],
  );
  assert.equal(live.events[1].id, String(json.position));
  live.close();
  const fromEnd = new EventStream(server, '/v1/events?from=end');
  await fromEnd.caughtUp();
  assert.equal(fromEnd.events.length, 0);
  await server.append(fresh(), event('new'));
  await fromEnd.count(1);
  fromEnd.close();
});

test('a hundred subscribers all see every event in order', async () => {
  const topic = fresh('fan').replace('-', '');
  const subscribers = Array.from(
    { length: 100 },
    () => new EventStream(server, `/v1/events?topic=${topic}`),
  );
  await Promise.all(subscribers.map((one) => one.caughtUp()));
  await Promise.all(
    Array.from({ length: 40 }, (_, i) => server.append(`${topic}-${i % 5}`, event('n', { i }))),
  );
  await Promise.all(subscribers.map((one) => one.count(40)));
  const positions = subscribers[0].parsed().map((one) => one.position);
  assert.deepEqual(
    positions,
    [...positions].sort((a, b) => a - b),
  );
  for (const one of subscribers) {
    assert.deepEqual(
      one.parsed().map((each) => each.position),
      positions,
    );
    one.close();
  }
});

test('a tombstone ends a subscription', async () => {
  const stream = fresh();
  await server.append(stream, event());
  const live = new EventStream(server, `/v1/streams/${stream}`);
  await live.caughtUp();
  await server.request('DELETE', `/v1/streams/${stream}?tombstone=true`);
  await live.until((one) => one.ended);
  assert.equal(live.events.at(-1).type, 'end');
  const again = new EventStream(server, `/v1/streams/${stream}`);
  assert.equal((await again.opened).statusCode, 410);
  again.close();
});

test('what makes no sense for a subscription is refused', async () => {
  const accept = { accept: 'text/event-stream' };
  for (const query of ['limit=5', 'direction=backward', 'as_of=1', 'wait=1s']) {
    assertProblem(assert, await server.get(`/v1/events?${query}`, accept), 400, 'bad-request');
  }
  const answer = await server.get('/v1/events', { ...accept, 'last-event-id': 'x' });
  assertProblem(assert, answer, 400, 'bad-request');
});

test('an idle subscription has a heartbeat', async () => {
  const mine = await new Server(['--http-heartbeat', '300ms']).start();
  try {
    const live = new EventStream(mine, '/v1/events');
    await live.until((one) => one.comments.filter((text) => text === 'heartbeat').length >= 2);
    live.close();
  } finally {
    await mine.remove();
  }
});

test('a subscriber that does not read costs the server little and misses nothing', async () => {
  const stream = fresh('slow');
  const live = new EventStream(server, `/v1/streams/${stream}`);
  const response = await live.opened;
  response.pause();
  const data = 'x'.repeat(500_000);
  const count = 120;
  for (let i = 0; i < count; i++) await server.append(stream, event('large', { i, data }));
  await sleep(200);
  const held = await server.metric('mainstem_http_inflight_bytes');
  assert.ok(held < 4 * 1024 * 1024, `${held} bytes are held for it`);
  response.resume();
  await live.count(count);
  assert.deepEqual(
    live.parsed().map((one) => one.data.i),
    Array.from({ length: count }, (_, i) => i),
  );
  live.close();
});

test('a graceful stop ends subscriptions cleanly', async () => {
  const mine = await new Server().start();
  try {
    const live = new EventStream(mine, '/v1/events');
    await live.caughtUp();
    const waiting = fetch(`${mine.url}/v1/events?from=end&wait=60s`);
    await sleep(200);
    assert.equal(await mine.stop(), 0);
    await live.until((one) => one.ended);
    assert.equal(live.response.complete, true);
    assert.equal((await waiting).status, 200);
  } finally {
    await mine.remove();
  }
});

test('a long poll answers at once when there is something', async () => {
  const stream = fresh();
  await server.append(stream, event());
  const began = Date.now();
  const answer = await server.get(`/v1/streams/${stream}?wait=20s`);
  assert.equal(answer.json.length, 1);
  assert.ok(Date.now() - began < 5_000);
});

test('a long poll answers as soon as something comes', async () => {
  const stream = fresh();
  await server.append(stream, event());
  const waiting = server.get(`/v1/streams/${stream}?from=1&wait=20s`);
  await sleep(150);
  await server.append(fresh(), event());
  await server.append(stream, event('awaited'));
  const answer = await waiting;
  assert.equal(answer.status, 200);
  assert.deepEqual(
    answer.json.map((one) => one.event_type),
    ['awaited'],
  );
  assert.equal(answer.headers['mainstem-next'], '2');
});

test('a long poll waits for the first event of a stream and for a filter', async () => {
  const stream = fresh('unborn');
  const tag = `t-${stream}`;
  const first = server.get(`/v1/streams/${stream}?wait=20s`);
  const filtered = server.get(`/v1/events?from=end&tag=${tag}&wait=20s`);
  await sleep(150);
  await server.append(fresh(), event('noise'));
  await server.append(stream, event('born', 1, { tags: [tag] }));
  assert.equal((await first).json[0].event_type, 'born');
  assert.deepEqual(
    (await filtered).json.map((one) => one.stream),
    [stream],
  );
});

test('a long poll whose time is over is a plain read', async () => {
  const stream = fresh();
  await server.append(stream, event());
  const began = Date.now();
  const answer = await server.get(`/v1/streams/${stream}?from=1&wait=500ms`);
  assert.deepEqual(answer.json, []);
  assert.equal(answer.headers.etag, '"0"');
  assert.ok(Date.now() - began >= 400);
  const nobody = await server.get('/v1/streams/nobody-9?wait=200ms');
  assertProblem(assert, nobody, 404, 'not-found');
});
