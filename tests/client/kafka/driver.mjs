// Drivers: one process for each use of a client. A driver makes one unmodified client do what it is
// told on its standard input, so that all clients, whatever their language, play one workload, and
// so that a consumer can be killed like a machine that loses its power.
//
// One line of JSON each way: {"id": 1, "op": "take", …}, answered by {"id": 1, "ok": …} or
// {"id": 1, "error": "what the client said"}. Keys, values and values of headers are base64 or null.
//
//   hello      brokers                           -> client's own version
//   produce    topic, compression, idempotent, records: [{key, value, headers, partition, timestamp}]
//   open       topics, from: "beginning" | "end" | {offset} | {time}, committed: true reads only
//              what is committed                 a reader of all partitions, without a group
//   join       group, topics, instance, strategy, session_ms      a member; reads from its commits;
//              protocol: "consumer" and assignor instead of the last two: KIP-848
//   take       count, ms                         -> records: [{topic, partition, offset, …}], as
//              soon as there are `count`, at the latest after `ms`
//   assignment                                   -> ["topic/partition", …] of a member
//   commit                                       what was taken is done
//   shut                                         ends the reader or member; a member leaves
//   offsets    topic, partition                  -> {earliest, latest}
//   at_time    topic, partition, time            -> offset, or null
//   metadata   topic (or none: all)              -> {brokers: [{host, port}], topics: {name: partitions}}
//   transact   producer, topic, records, outcome: "commit" | "abort"
//   transfer   producer, group, from, to, count  reads, upper-cases, writes, commits, in one transaction
//   and create_topic, delete_topic, create_partitions, describe_configs, alter_configs,
//   delete_records, list_groups, describe_group, delete_group, group_offsets, describe_cluster:
//   see workload_admin.mjs

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const ANSWER_MS = 20_000;

const encode = (bytes) => (bytes == null ? null : Buffer.from(bytes).toString('base64'));
const decode = (text) => (text == null ? null : Buffer.from(text, 'base64'));

function packed(record) {
  return {
    ...record,
    key: encode(record.key),
    value: encode(record.value),
    headers: Object.entries(record.headers ?? {}).map(([name, value]) => [name, encode(value)]),
  };
}

function unpacked(record) {
  return {
    ...record,
    key: decode(record.key),
    value: decode(record.value),
    headers: Object.fromEntries(record.headers.map(([name, value]) => [name, decode(value)])),
  };
}

export class Driver {
  #calls = new Map();
  #last = 0;
  #said = '';

  constructor(client) {
    this.client = client;
    const [command, ...args] = client.command;
    this.child = spawn(command, args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdin.on('error', () => {});
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#said = (this.#said + text).slice(-4000);
    });
    this.ended = once(this.child, 'exit');
    this.child.on('exit', () => this.#fail('ended'));
    createInterface(this.child.stdout).on('line', (line) => this.#answered(line));
  }

  #answered(line) {
    if (!line.startsWith('{')) return; // clients that chat
    const answer = JSON.parse(line);
    const call = this.#calls.get(answer.id);
    this.#calls.delete(answer.id);
    if (answer.error === undefined) call?.resolve(answer.ok);
    else call?.reject(new Error(`${this.client.name}: ${answer.error}`));
  }

  #fail(why) {
    for (const { reject, op } of this.#calls.values())
      reject(new Error(`${this.client.name}: ${op}: ${why}\n${this.#said}`));
    this.#calls.clear();
  }

  call(op, args = {}, ms = ANSWER_MS) {
    if (this.child.exitCode !== null || this.child.signalCode !== null)
      return Promise.reject(new Error(`${this.client.name}: ${op}: its driver has ended`));
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(new Error(`${this.client.name}: ${op}: no answer in ${ms} ms\n${this.#said}`));
      }, ms);
      this.#calls.set(id, {
        op,
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.child.stdin.write(`${JSON.stringify({ id, op, ...args })}\n`);
    });
  }

  produce(topic, records, more = {}) {
    return this.call('produce', { topic, records: records.map(packed), ...more });
  }

  // As many records as asked for, or fewer when they don't come in time.
  async take(count, ms = 8000) {
    const records = await this.call('take', { count, ms }, ms + ANSWER_MS);
    return records.map(unpacked);
  }

  async read(topics, from, count, more = {}) {
    await this.call('open', { topics: [topics].flat(), from, ...more });
    const records = await this.take(count);
    await this.call('shut');
    return records;
  }

  #signal() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    try {
      process.kill(-this.child.pid, 'SIGKILL'); // its process group: kcat is a child of its driver
    } catch {
      // It has ended already.
    }
  }

  // Without a word to the server.
  async kill() {
    this.#signal();
    await this.ended;
  }

  async end() {
    this.child.stdin.end();
    const timer = setTimeout(() => this.#signal(), 3000);
    await this.ended;
    clearTimeout(timer);
  }
}

// Starts a driver and gives it the address; the test `t` ends it.
export async function drive(client, server, t) {
  const driver = new Driver(client);
  t?.after(() => driver.kill());
  driver.version = await driver.call('hello', { brokers: server.brokers });
  return driver;
}

// Waits for a condition, not for a time.
export async function until(what, condition, ms = 20_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not in ${ms} ms: ${what}`);
    await sleep(50);
  }
}
