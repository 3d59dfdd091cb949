// The driver of kcat, which is a command: each operation runs it once, and readers and members are
// a kcat that goes on until it is told to end.

import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Inbox, decode, encode, serveOps } from './ops.mjs';

const FORMAT = '%t %p %o %T %K %S %h\\n%k%s\\n';
const WAIT_MS = 20_000;
const inbox = new Inbox();
let brokers;
let running = [];
let assigned = new Set();

const settings = (pairs) => Object.entries(pairs).flatMap(([name, value]) => ['-X', `${name}=${value}`]);

function kcat(args, input = '') {
  return new Promise((resolve, reject) => {
    const options = { timeout: WAIT_MS, maxBuffer: 64 << 20 };
    const child = execFile('kcat', ['-b', brokers, ...args], options, (error, stdout, stderr) => {
      if (error) reject(new Error(`kcat ${args.join(' ')}: ${stderr}`));
      else resolve(stdout);
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

// Records without headers and line breaks go as lines, others one by one as the content of a file.
const isLine = ({ key, value, headers, partition }) =>
  key !== null && value && headers.length === 0 && partition === undefined && decode(value).length < 1000;

async function produceOne(topic, common, { key, value, headers, partition }) {
  const directory = mkdtempSync(join(tmpdir(), 'kcat-'));
  try {
    const file = join(directory, 'value');
    const args = ['-P', '-t', topic, ...common];
    if (key !== null && value) args.push('-k', decode(key).toString());
    if (partition !== undefined) args.push('-p', String(partition));
    for (const [name, bytes] of headers)
      args.push('-H', bytes === null ? name : `${name}=${decode(bytes)}`);
    if (!value) {
      // As a line; with -Z what is empty is null.
      if (value === null) args.push('-Z');
      await kcat([...args, '-K', '\t'], `${decode(key)}\t\n`);
      return;
    }
    writeFileSync(file, decode(value));
    await kcat([...args, file]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

// The next record of what kcat has printed, and where it ends; nothing when it isn't whole.
function parse(bytes, at) {
  const line = bytes.indexOf(10, at);
  if (line < 0) return undefined;
  const [topic, partition, offset, timestamp, keyLength, length, ...rest] = bytes
    .toString('utf8', at, line)
    .split(' ');
  const valueAt = line + 1 + Math.max(Number(keyLength), 0);
  const end = valueAt + Math.max(Number(length), 0);
  if (end + 1 > bytes.length) return undefined;
  const part = (size, from, to) => (Number(size) < 0 ? null : encode(bytes.subarray(from, to)));
  const headers = rest.join(' ').split(',').filter(Boolean).map((pair) => {
    const [name, ...value] = pair.split('=');
    return [name, value.join('=') === 'NULL' ? null : encode(Buffer.from(value.join('=')))];
  });
  const record = {
    topic,
    partition: Number(partition),
    offset: Number(offset),
    timestamp: Number(timestamp),
    key: part(keyLength, line + 1, valueAt),
    value: part(length, valueAt, end),
    headers,
  };
  return { record, end: end + 1 };
}

function run(args) {
  const child = spawn('kcat', ['-b', brokers, '-u', '-f', FORMAT, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let bytes = Buffer.alloc(0);
  child.stdout.on('data', (piece) => {
    bytes = Buffer.concat([bytes, piece]);
    let at = 0;
    for (let found = parse(bytes, at); found; found = parse(bytes, at)) {
      inbox.add(found.record);
      at = found.end;
    }
    bytes = bytes.subarray(at);
  });
  let said = '';
  createInterface(child.stderr).on('line', (line) => {
    said = `${said}${line}\n`.slice(-4000);
    const [, what, list] = /rebalanced.*?(assign|revok)\w*.*?: (.*)$/.exec(line) ?? ['', '', ''];
    for (const [, topic, partition] of list.matchAll(/(\S+) \[(\d+)\]/g)) {
      if (what === 'assign') assigned.add(`${topic}/${partition}`);
      else assigned.delete(`${topic}/${partition}`);
    }
  });
  running.push({ child, ended: once(child, 'exit'), said: () => said });
}

async function query(topic, partition, time) {
  const said = await kcat(['-Q', '-t', `${topic}:${partition}:${time}`]);
  return Number(/offset (-?\d+)/.exec(said)[1]);
}

async function describe(topic) {
  return JSON.parse(await kcat(['-L', '-J', ...(topic ? ['-t', topic] : [])]));
}

serveOps({
  hello(args) {
    brokers = args.brokers;
    return new Promise((resolve) => {
      execFile('kcat', ['-V'], (_, stdout) => {
        const [, version, library] = /Version (\S+) .*librdkafka (\S+)/.exec(stdout);
        resolve(`${version} (librdkafka ${library})`);
      });
    });
  },
  async produce({ topic, records, compression = 'none', idempotent = false }) {
    const common = settings({ 'message.max.bytes': 4 << 20, 'enable.idempotence': idempotent });
    if (compression !== 'none') common.push('-z', compression);
    if (!records.every(isLine)) {
      for (const record of records) await produceOne(topic, common, record);
      return;
    }
    const lines = records.map(({ key, value }) => `${decode(key)}\t${decode(value)}\n`);
    await kcat(['-P', '-t', topic, '-K', '\t', ...common], lines.join(''));
  },
  open({ topics, from }) {
    inbox.clear();
    const at = from.time === undefined ? (from.offset ?? from) : `s@${from.time}`;
    const options = settings({ 'fetch.message.max.bytes': 4 << 20 });
    if (topics.length > 1 && from === 'beginning') {
      // Without a group it reads one topic only.
      options.push(...settings({ 'auto.offset.reset': 'earliest' }));
      run([...options, '-G', `reader-${randomUUID()}`, ...topics]);
      return;
    }
    for (const topic of topics) run(['-C', '-t', topic, '-o', String(at), ...options]);
  },
  join({ group, topics, instance, strategy = 'roundrobin', session_ms = 10_000 }) {
    inbox.clear();
    assigned = new Set();
    const options = {
      'auto.offset.reset': 'earliest',
      'session.timeout.ms': session_ms,
      'heartbeat.interval.ms': 300,
      'partition.assignment.strategy': strategy,
    };
    if (instance) options['group.instance.id'] = instance;
    run([...settings(options), '-G', group, ...topics]);
  },
  async take({ count, ms }) {
    const records = await inbox.take(count, ms);
    const dead = running.find(({ child }) => child.exitCode > 0);
    if (records.length === 0 && dead) throw new Error(`kcat ended: ${dead.said()}`);
    return records;
  },
  assignment: () => [...assigned],
  commit() {}, // it commits by itself when it leaves
  async shut() {
    for (const { child, ended } of running) {
      child.kill('SIGINT');
      await ended;
    }
    running = [];
  },
  offsets: async ({ topic, partition }) => ({
    earliest: await query(topic, partition, -2),
    latest: await query(topic, partition, -1),
  }),
  at_time: ({ topic, partition, time }) => query(topic, partition, time),
  async metadata({ topic }) {
    const found = await describe(topic);
    return {
      brokers: found.brokers.map(({ name }) => {
        const [host, port] = name.split(':');
        return { host, port: Number(port) };
      }),
      topics: Object.fromEntries(found.topics.map((one) => [one.topic, one.partitions.length])),
    };
  },
  async describe_cluster() {
    const found = await describe();
    return { brokers: found.brokers.length, controller: found.controllerid };
  },
});
