// The workload's steps of idempotent and transactional producers.

import assert from 'node:assert/strict';
import { fresh } from './server.mjs';
import { numbered, record, texts } from './records.mjs';

const IDEMPOTENT = ['InitProducerId'];
const TRANSACTIONAL = [...IDEMPOTENT, 'AddPartitionsToTxn', 'AddOffsetsToTxn', 'EndTxn', 'TxnOffsetCommit'];

export function transactionSteps(step) {
  step(
    'idempotent producer',
    'an idempotent producer writes each record once and in order',
    async ({ driver }) => {
      const topic = fresh('once');
      await driver.produce(topic, numbered(500), { idempotent: true });
      const got = await driver.read(topic, 'beginning', 500);
      assert.deepEqual(texts(got), texts(numbered(500)));
      assert.equal((await driver.call('offsets', { topic, partition: 0 })).latest, 500);
    },
    { needs: IDEMPOTENT },
  );
  step(
    'transactions',
    'what was aborted is not read by those who read only what is committed',
    async ({ driver }) => {
      const topic = fresh('txn');
      const id = fresh('id');
      const run = (value, outcome) => {
        const { key, ...rest } = record(value);
        const records = [{ ...rest, key, value: Buffer.from(value).toString('base64'), headers: [] }];
        return driver.call('transact', { producer: id, topic, outcome, records });
      };
      await run('kept', 'commit');
      await run('dropped', 'abort');
      await run('last', 'commit');
      assert.deepEqual(texts(await driver.read(topic, 'beginning', 2)), ['kept', 'last']);
    },
    { needs: TRANSACTIONAL },
  );
  step(
    'consume-transform-produce',
    'records are read, changed and written on, each exactly once',
    async ({ driver }) => {
      const from = fresh('in');
      const to = fresh('out');
      const group = fresh('group');
      const id = fresh('id');
      await driver.produce(from, numbered(5));
      assert.equal(await driver.call('transfer', { producer: id, group, from, to, count: 5 }), 5);
      await driver.produce(from, [record('six')]);
      assert.equal(await driver.call('transfer', { producer: id, group, from, to, count: 1 }), 1);
      const got = await driver.read(to, 'beginning', 6);
      assert.deepEqual(texts(got), [...texts(numbered(5)), 'six'].map((text) => text.toUpperCase()));
    },
    { needs: TRANSACTIONAL },
  );
}
