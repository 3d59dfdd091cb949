// A server of its own for each test file: a fresh data directory, a free port, stopped by its pid.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const binary = process.env.MAINSTEM ?? join(root, 'build/mainstem');
const START_MS = 30_000;

export class Server {
  constructor(args = []) {
    this.args = args;
    this.directory = mkdtempSync(join(tmpdir(), 'mainstem-http-'));
    this.agent = new http.Agent({ keepAlive: true });
  }

  async start() {
    const ready = join(this.directory, 'ready');
    rmSync(ready, { force: true });
    const child = spawn(
      binary,
      [
        'serve',
        '--data',
        join(this.directory, 'data'),
        '--http',
        '127.0.0.1:0',
        '--ready-file',
        ready,
        ...this.args,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.log = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      this.log = (this.log + text).slice(-20_000);
    });
    this.exit = once(child, 'exit');
    this.child = child;
    const deadline = Date.now() + START_MS;
    for (
      let text = '';
      !text.includes('}');
      text = existsSync(ready) ? readFileSync(ready, 'utf8') : ''
    ) {
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the server did not start:\n${this.log}`);
      }
      await sleep(20);
    }
    const address = JSON.parse(readFileSync(ready, 'utf8')).http;
    this.port = Number(address.split(':').at(-1));
    this.url = `http://${address}`;
    return this;
  }

  async stop(signal = 'SIGTERM') {
    this.agent.destroy();
    this.agent = new http.Agent({ keepAlive: true });
    if (this.child.exitCode === null && this.child.signalCode === null) {
      process.kill(this.child.pid, signal);
    }
    const [code] = await this.exit;
    return code;
  }

  async remove() {
    await this.stop('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  // One request on a kept connection. Answers { status, headers, text, json }.
  request(method, path, { headers = {}, body, json } = {}) {
    if (json !== undefined) {
      headers = { 'content-type': 'application/json', ...headers };
      body = JSON.stringify(json);
    }
    if (body !== undefined) headers = { 'content-length': Buffer.byteLength(body), ...headers };
    return new Promise((resolvePromise, reject) => {
      const request = http.request(
        { host: '127.0.0.1', port: this.port, method, path, headers, agent: this.agent },
        (response) => {
          const pieces = [];
          response.on('data', (piece) => pieces.push(piece));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(pieces).toString('utf8');
            const isJson =
              /json\b/.test(response.headers['content-type'] ?? '') &&
              !/ndjson/.test(response.headers['content-type']);
            resolvePromise({
              status: response.statusCode,
              headers: response.headers,
              text,
              json: isJson && text ? JSON.parse(text) : undefined,
            });
          });
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  get(path, headers) {
    return this.request('GET', path, { headers });
  }

  append(stream, events, headers) {
    return this.request('POST', `/v1/streams/${encodeURIComponent(stream)}`, {
      json: events,
      headers,
    });
  }

  // The first position not yet used: what was refused must not move it.
  async end() {
    return (await this.get('/v1/info')).json.store.end;
  }

  // One sample of /metrics (without labels).
  async metric(name) {
    const { text } = await this.get('/metrics');
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    return Number(line?.split(' ')[1]);
  }

  // A bare socket; `until(text)` resolves with all that came once `text` is in it, or at the end.
  connect() {
    const socket = net.connect(this.port, '127.0.0.1');
    let received = '';
    let ended = false;
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      received += text;
    });
    socket.on('end', () => {
      ended = true;
    });
    socket.on('error', () => {
      ended = true;
    });
    socket.received = () => received;
    socket.until = async (text, ms = 10_000) => {
      const deadline = Date.now() + ms;
      while (!(text !== undefined && received.includes(text)) && !ended) {
        if (Date.now() > deadline) throw new Error(`no ${JSON.stringify(text)} in ${received}`);
        await sleep(5);
      }
      return received;
    };
    return socket;
  }
}

// A server for all tests of a file; `setup` runs once it is there, `finish` before it goes.
export function serve({ setup, finish } = {}) {
  const server = new Server();
  before(async () => {
    await server.start();
    await setup?.();
  });
  after(async () => {
    try {
      await finish?.();
    } finally {
      await server.remove();
    }
  });
  return server;
}

let counter = 0;
// A stream name that no other test uses.
export function fresh(topic = 'order') {
  counter += 1;
  return `${topic}-${counter}`;
}

export function event(type = 'test.made', data = { n: 1 }, more = {}) {
  return { event_type: type, data, ...more };
}

export function assertProblem(assert, answer, status, type) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers['content-type'], /^application\/problem\+json/);
  assert.equal(answer.json.status, status);
  assert.equal(answer.json.type, `urn:mainstem:problem:${type}`);
  assert.equal(typeof answer.json.title, 'string');
  assert.equal(typeof answer.json.detail, 'string');
  assert.equal(answer.json.instance, `urn:mainstem:request:${answer.headers['x-request-id']}`);
}
