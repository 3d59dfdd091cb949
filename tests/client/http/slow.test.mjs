// Hundreds of subscribers that read nothing: they must cost others nothing but their share of memory.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Server, event, fresh } from './server.mjs';

const BUDGET = 8 * 1024 * 1024;
const SUBSCRIBERS = 300;

const server = new Server([
  ...['--http-inflight-bytes-max', '8MiB', '--http-body-bytes-max', '1MiB'],
  ...['--http-connections-max', '1000'],
]);
const stuck = [];

function subscribe(path) {
  const socket = net.connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
  return socket;
}

async function eventually(what, check) {
  for (let i = 0; i < 600; i++) {
    if (await check()) return;
    await sleep(50);
  }
  assert.fail(`still not so after 30 s: ${what}`);
}

async function assertWithinBudget() {
  const held = await server.metric('mainstem_http_inflight_bytes');
  const bodies = await server.metric('mainstem_http_body_bytes');
  const answers = await server.metric('mainstem_http_answer_bytes');
  assert.ok(held <= BUDGET, `${held} bytes are held`);
  assert.ok(answers <= BUDGET / 2, `${answers} bytes of answers are held`);
  assert.ok(bodies <= BUDGET);
}

// Head and body in two packets, as many clients send them.
async function appendInTwo(stream, data) {
  const body = JSON.stringify(event('large', { data }));
  const socket = server.connect();
  socket.setNoDelay(true);
  socket.write(
    `POST /v1/streams/${stream} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`,
  );
  await sleep(5);
  socket.write(body);
  const answer = await socket.until(undefined, 60_000);
  assert.match(answer, /^HTTP\/1\.1 201 /);
}

before(async () => {
  await server.start();
  const events = Array.from({ length: 10 }, () => event('large', { data: 'x'.repeat(50_000) }));
  for (let i = 0; i < 16; i++) assert.equal((await server.append('big-1', events)).status, 201);
  for (let i = 0; i < SUBSCRIBERS; i++) {
    const socket = subscribe('/v1/events');
    socket.pause();
    stuck.push(socket);
  }
  await eventually('the subscribers are there and some wait for memory', async () => {
    await assertWithinBudget();
    return (
      (await server.metric('mainstem_http_event_streams')) === SUBSCRIBERS &&
      (await server.metric('mainstem_http_event_streams_waiting')) > 0
    );
  });
});

after(() => server.remove());

test('appends go on and memory stays within its limit', async () => {
  for (let i = 0; i < 40; i++) {
    await appendInTwo('big-1', 'y'.repeat(i % 2 ? 50_000 : 300_000));
    await assertWithinBudget();
  }
});

test('reads go on', async () => {
  const page = await server.get('/v1/streams/big-1?limit=3');
  assert.equal(page.status, 200);
  assert.ok(page.json.length >= 1 && page.json.length <= 3); // a page may be smaller now
  assert.equal((await server.get('/healthz')).status, 200);
  await assertWithinBudget();
});

test('a subscriber that reads gets its events', async () => {
  const stream = fresh('small');
  const socket = subscribe(`/v1/streams/${stream}`);
  let text = '';
  socket.setEncoding('utf8').on('data', (piece) => {
    text += piece;
  });
  for (let i = 0; i < 20; i++) await server.append(stream, event('small', { i }));
  await eventually('all events have come', () => text.includes('id: 19\ndata: '));
  socket.destroy();
});

test('what they held is free once they have left', async () => {
  for (const socket of stuck) socket.destroy();
  await eventually('nothing is held any more', async () => {
    const streams = await server.metric('mainstem_http_event_streams');
    const waiting = await server.metric('mainstem_http_event_streams_waiting');
    const held = await server.metric('mainstem_http_inflight_bytes');
    return streams === 0 && waiting === 0 && held === 0;
  });
});
