// Connections: keeping, pipelining, limits, the server's end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { event, fresh, serve, Server } from './server.mjs';

const server = serve();

function message(stream, body, more = '') {
  return (
    `POST /v1/streams/${stream} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`
  );
}

test('a connection is kept for the next request', async () => {
  const before = await server.metric('mainstem_http_connections_total');
  for (let i = 0; i < 20; i++) await server.append(fresh(), event());
  assert.equal(await server.metric('mainstem_http_connections_total'), before);
});

test('pipelined appends are answered in order', async () => {
  const stream = fresh();
  const socket = server.connect();
  const count = 300;
  let text = '';
  for (let i = 0; i < count; i++) {
    text += message(
      stream,
      `{"event_type":"t","data":${i}}`,
      i ? `If-Match: "${i - 1}"\r\n` : 'If-None-Match: *\r\n',
    );
  }
  socket.write(text);
  await socket.until(`"version":${count - 1},`);
  const versions = [...socket.received().matchAll(/"version":(\d+)/g)].map((match) =>
    Number(match[1]),
  );
  assert.deepEqual(
    versions,
    Array.from({ length: count }, (_, i) => i),
  );
  socket.destroy();
});

test('good and bad requests may be mixed in a pipeline', async () => {
  const stream = fresh();
  const socket = server.connect();
  socket.write(
    message(stream, '{"event_type":"a"}') +
      message(stream, '{"event_type":') +
      'GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n' +
      `GET /v1/streams/${stream} HTTP/1.1\r\nHost: localhost\r\n\r\n` +
      message(stream, '{"event_type":"b"}', 'Connection: close\r\n'),
  );
  const text = await socket.until();
  const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((match) => match[1]);
  assert.deepEqual(statuses, ['201', '400', '404', '200', '201']);
  assert.match(text.slice(text.lastIndexOf('HTTP/1.1')), /Connection: close/);
});

test('a request in many small pieces is understood', async () => {
  const socket = server.connect();
  socket.setNoDelay(true);
  for (const byte of message(fresh(), '{"event_type":"slow"}')) {
    socket.write(byte);
    if (byte === '\n') await sleep(1);
  }
  assert.match(await socket.until('"position"'), /^HTTP\/1\.1 201/);
  socket.destroy();
});

test('chunked bodies are taken', async () => {
  const stream = fresh();
  const answer = await fetch(`${server.url}/v1/streams/${stream}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    duplex: 'half',
    body: new ReadableStream({
      async start(controller) {
        for (const piece of ['{"event_', 'type":"chunk', 'ed"}']) {
          controller.enqueue(new TextEncoder().encode(piece));
          await sleep(5);
        }
        controller.close();
      },
    }),
  });
  assert.equal(answer.status, 201);
});

test('requests that could be read in two ways are refused', async () => {
  for (const head of [
    'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
    'Content-Length: 5\r\nContent-Length: 6\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'Transfer-Encoding: chunked, identity\r\n',
    'Content-Length: +5\r\n',
    'X-Folded: a\r\n b\r\n',
    'Bad Header: x\r\n',
  ]) {
    const socket = server.connect();
    socket.write(
      'POST /v1/streams/smuggle HTTP/1.1\r\nHost: localhost\r\n' +
        `Content-Type: application/json\r\n${head}\r\n` +
        '0\r\n\r\nGET /v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n',
    );
    const text = await socket.until();
    assert.match(text, /^HTTP\/1\.1 (400|501) /, head);
    assert.equal(text.match(/HTTP\/1\.1 /g).length, 1, 'nothing behind it is answered');
    socket.destroy();
  }
});

test('many clients at once all get their answers', async () => {
  const clients = 200;
  const stream = fresh();
  const answers = await Promise.all(
    Array.from({ length: clients }, async () => {
      const socket = server.connect();
      socket.write(message(stream, '{"event_type":"crowd"}', 'Connection: close\r\n'));
      return socket.until();
    }),
  );
  const versions = answers
    .map((text) => Number(/"version":(\d+)/.exec(text)[1]))
    .sort((a, b) => a - b);
  assert.deepEqual(
    versions,
    Array.from({ length: clients }, (_, i) => i),
  );
});

test('clients that vanish leave no connection behind', async () => {
  for (let i = 0; i < 50; i++) {
    const socket = server.connect();
    socket.write(message(fresh(), '{"event_type":"gone"}').repeat(5).slice(0, -3));
    await new Promise((resolve) => {
      socket.once('connect', resolve);
    });
    socket.destroy();
  }
  server.agent.destroy();
  for (let i = 0; i < 200 && (await server.metric('mainstem_http_connections')) > 1; i++)
    await sleep(20);
  assert.equal(await server.metric('mainstem_http_connections'), 1);
});

test('a kill -9 loses no acknowledged append, and a resend repeats it', async () => {
  const mine = await new Server().start();
  try {
    const acknowledged = [];
    for (let i = 0; i < 50; i++) {
      const events = event('t', { i }, { event_id: `kill-${i}` });
      const { status, json } = await mine.append('kill-1', events);
      assert.equal(status, 201);
      acknowledged.push(json);
    }
    await mine.stop('SIGKILL');
    await mine.start();
    const { json } = await mine.get('/v1/streams/kill-1?limit=1000');
    assert.deepEqual(
      json.map((one) => one.data.i),
      acknowledged.map((_, i) => i),
    );
    assert.deepEqual(
      json.map((one) => one.position),
      acknowledged.map((one) => one.position),
    );
    const again = await mine.append('kill-1', event('t', { i: 49 }, { event_id: 'kill-49' }));
    assert.equal(again.status, 200, again.text);
    assert.equal(again.json.position, acknowledged[49].position);
  } finally {
    await mine.remove();
  }
});

test('a graceful stop answers what was asked and exits with 0', async () => {
  const mine = await new Server().start();
  try {
    const socket = mine.connect();
    socket.write(message('stop-1', '{"event_type":"t"}').repeat(100));
    await socket.until('"version":');
    const began = Date.now();
    assert.equal(await mine.stop(), 0);
    assert.ok(Date.now() - began < 8_000);
    const text = await socket.until();
    const told = text.match(/"version":\d+/g).length;
    await mine.start();
    const stored = (await mine.get('/v1/streams/stop-1?limit=1000')).json.length;
    assert.ok(stored >= told);
  } finally {
    await mine.remove();
  }
});
