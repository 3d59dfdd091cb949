// What one client has written every client reads: all compressions of all writers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { note } from './card.mjs';
import { client as find, names } from './clients.mjs';
import { drive } from './driver.mjs';
import { numbered, texts } from './records.mjs';
import { fresh, serveKafka } from './server.mjs';

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const ROW = { n: 0, feature: 'reads what others wrote' };
const FRAMED = { n: 0.5, feature: 'framed snappy' };
const clients = names.map(find).filter(({ missing }) => !missing);
const written = new Map(); // topic -> { writer, codec, framed }
const drivers = new Map();
const server = serveKafka({
  setup: async () => {
    await Promise.all(clients.map(writeAll));
  },
  finish: () => Promise.all([...drivers.values()].map((driver) => driver.kill())),
});

const sent = (writer, codec) => numbered(5, `${writer} ${codec} `.repeat(10));

async function writeAll(client) {
  drivers.set(client.name, await drive(client, server));
  for (const codec of CODECS.filter((one) => !client.lacks[one])) {
    const topic = fresh('matrix');
    const records = sent(client.name, codec);
    const more = codec === 'none' ? {} : { compression: codec };
    await drivers.get(client.name).produce(topic, records, more);
    written.set(topic, { writer: client.name, codec, framed: codec === 'snappy' && client.framesSnappy });
  }
}

for (const client of clients)
  test(`${client.name} reads what every client has written with every compression`, async () => {
    const driver = drivers.get(client.name);
    const wanted = [...written].filter(([, { codec, framed }]) => !client.lacks[framed ? 'framed snappy' : codec]);
    const topics = wanted.map(([topic]) => topic);
    try {
      const got = await driver.read(topics, 'beginning', 5 * topics.length);
      for (const [topic, { writer, codec }] of wanted) {
        const here = got.filter((record) => record.topic === topic);
        assert.deepEqual(texts(here), texts(sent(writer, codec)), `${writer}, ${codec}`);
      }
      note(client, driver.version, ROW, 'works');
      const why = client.lacks[FRAMED.feature];
      note(client, driver.version, FRAMED, why ? 'lacks' : 'works', why);
    } catch (error) {
      note(client, driver.version, ROW, 'fails', error.message.split('\n')[0]);
      throw error;
    }
  });
