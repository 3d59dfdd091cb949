// Health, information, metrics, the OpenAPI document.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { event, fresh, serve } from './server.mjs';

const server = serve();

test('health and readiness are told', async () => {
  for (const path of ['/healthz', '/readyz']) {
    const answer = await server.get(path);
    assert.equal(answer.status, 200);
    assert.equal(answer.json.failed, false);
    assert.equal(answer.json.refusing_appends, false);
  }
});

test('information names the version, the store and the limits', async () => {
  const { json } = await server.get('/v1/info');
  assert.equal(json.name, 'mainstem');
  assert.equal(typeof json.version, 'string');
  assert.match(json.store.uuid, /^[0-9a-f-]{36}$/);
  assert.equal(json.store.durability, 'commit');
  assert.equal(json.limits.event_bytes, 16 * 1024 * 1024);
});

test('metrics are valid Prometheus text and count what happened', async () => {
  await server.append(fresh(), event());
  await server.get('/v1/nothing');
  const { text, headers } = await server.get('/metrics');
  assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
  const families = new Map();
  for (const line of text.trimEnd().split('\n')) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (type) {
      assert.ok(!families.has(type[1]), `${type[1]} is described twice`);
      families.set(type[1], type[2]);
    } else if (!line.startsWith('# HELP ')) {
      const sample = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$/.exec(line);
      assert.ok(sample, line);
      assert.ok(Number.isFinite(Number(sample[3].replace('+Inf', '1'))), line);
      const name = sample[1].replace(/_(bucket|sum|count)$/, '');
      assert.ok(families.has(sample[1]) || families.get(name) === 'histogram', line);
    }
  }
  assert.match(text, /mainstem_http_requests_total\{route="appendToStream",status="2xx"\} [1-9]/);
  assert.match(text, /mainstem_http_requests_total\{route="none",status="4xx"\} [1-9]/);
  assert.match(
    text,
    /mainstem_http_request_duration_seconds_bucket\{route="appendToStream",le="\+Inf"\} [1-9]/,
  );
  for (const name of [
    'mainstem_http_connections',
    'mainstem_http_event_streams',
    'process_resident_memory_bytes',
  ]) {
    assert.ok(families.has(name), name);
  }
});

test('the OpenAPI document describes what there is', async () => {
  const { json } = await server.get('/openapi.json');
  assert.equal(json.openapi, '3.1.0');
  const wanted = {
    '/v1/streams/{stream}': ['get', 'post', 'delete'],
    '/v1/streams/{stream}/metadata': ['get', 'put'],
    '/v1/streams/{stream}/snapshot': ['get', 'put'],
    '/v1/events': ['get'],
    '/v1/append': ['post'],
    '/v1/topics/{topic}': ['get', 'put', 'delete'],
    '/v1/topics/{topic}/partitions': ['get'],
    '/v1/topics': ['get'],
    '/v1/groups': ['get'],
    '/v1/groups/{group}': ['get', 'delete'],
    '/v1/groups/{group}/offsets': ['put'],
    '/v1/streams': ['get'],
    '/v1/topics/{topic}/keys/{key}': ['get', 'post', 'delete'],
    '/v1/topics/{topic}/keys/{key}/metadata': ['get', 'put'],
    '/v1/topics/{topic}/keys/{key}/snapshot': ['get', 'put'],
    '/healthz': ['get'],
    '/readyz': ['get'],
    '/metrics': ['get'],
    '/v1/info': ['get'],
    '/openapi.json': ['get'],
  };
  for (const [path, methods] of Object.entries(wanted)) {
    assert.ok(json.paths[path], path);
    assert.deepEqual(Object.keys(json.paths[path]).sort(), [...methods].sort(), path);
  }
  const ids = Object.values(json.paths).flatMap((item) =>
    Object.values(item).map((one) => one.operationId),
  );
  assert.equal(new Set(ids).size, ids.length);
  const refer = JSON.stringify(json).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g);
  for (const [, name] of refer) assert.ok(json.components.schemas[name], name);
});

test('every GET of the document answers and takes no unknown parameter', async () => {
  const { json } = await server.get('/openapi.json');
  for (const [path, item] of Object.entries(json.paths)) {
    if (!item.get) continue;
    const real = path
      .replace('{stream}', 'nobody-1')
      .replace('{topic}', 'nobody')
      .replace('{group}', 'nobody')
      .replace('{key}', '1');
    const needed = path === '/v1/streams' ? '?topic=nobody' : '';
    const answer = await server.get(real + needed);
    assert.ok([200, 404].includes(answer.status), `${path}: ${answer.status}`);
    assert.ok(item.get.responses[answer.status], `${path}: ${answer.status} is described`);
    // What a query takes its file says: queries.test.mjs.
    if (path.startsWith('/v1/queries/')) continue;
    assert.equal((await server.get(`${real}?surprise=1`)).status, 400, path);
  }
});

test('a preflight without configured origins allows nothing', async () => {
  const answer = await server.request('OPTIONS', '/v1/streams/a', {
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
  });
  assert.equal(answer.headers['access-control-allow-origin'], undefined);
  const plain = await server.request('OPTIONS', '/v1/streams/a');
  assert.equal(plain.status, 204);
  assert.equal(plain.headers.allow, 'GET, HEAD, POST, DELETE, OPTIONS');
});
