// The workload's steps of administration.

import assert from 'node:assert/strict';
import { until } from './driver.mjs';
import { fresh } from './server.mjs';
import { numbered, texts } from './records.mjs';

function topicSteps(step) {
  step('create topic', 'a topic is created with partitions and settings', async ({ driver, server }) => {
    const topic = fresh('made');
    const configs = { 'retention.ms': '3600000', 'cleanup.policy': 'delete' };
    await driver.call('create_topic', { topic, partitions: 3, configs });
    const { json } = await server.get(`/v1/topics/${topic}`);
    assert.equal(json.partitions, 3);
    assert.equal(json.retention_ms, 3_600_000);
    assert.equal(json.streams, false);
  }, { needs: ['CreateTopics'] });
  step('delete topic', 'a topic is deleted and its records with it', async ({ driver, server }) => {
    const topic = fresh('gone');
    await driver.call('create_topic', { topic, partitions: 1 });
    await driver.call('delete_topic', { topic });
    await until('no topic', async () => (await server.get(`/v1/topics/${topic}`)).status === 404);
  }, { needs: ['DeleteTopics'] });
  step('create partitions', 'a topic gets more partitions', async ({ driver, server }) => {
    const topic = fresh('wider');
    await driver.call('create_topic', { topic, partitions: 1 });
    await driver.call('create_partitions', { topic, total: 4 });
    assert.equal((await server.get(`/v1/topics/${topic}`)).json.partitions, 4);
  }, { needs: ['CreatePartitions'] });
  step('describe configs', 'the settings of a topic are told', async (use) => {
    const topic = await use.topic('told', 1, { retention_ms: 7_200_000 });
    const configs = await use.driver.call('describe_configs', { topic });
    assert.equal(configs['retention.ms'], '7200000');
    assert.equal(configs['cleanup.policy'], 'delete');
  }, { needs: ['DescribeConfigs'] });
  step('alter configs', 'the settings of a topic are changed', async (use) => {
    const topic = await use.topic('altered', 1);
    await use.driver.call('alter_configs', { topic, configs: { 'retention.ms': '5400000' } });
    const { json } = await use.server.get(`/v1/topics/${topic}`);
    assert.equal(json.retention_ms, 5_400_000);
  }, { needs: ['AlterConfigs'] });
  step('delete records', 'records below an offset are deleted', async ({ driver }) => {
    const topic = fresh('cut');
    await driver.produce(topic, numbered(10));
    await driver.call('delete_records', { topic, partition: 0, before: 4 });
    assert.equal((await driver.call('offsets', { topic, partition: 0 })).earliest, 4);
    const got = await driver.read(topic, 'beginning', 6);
    assert.deepEqual(texts(got), texts(numbered(10).slice(4)));
  }, { needs: ['DeleteRecords'] });
}

// A group that has read a topic of five records, committed them and gone.
async function idleGroup(use) {
  const topic = fresh('read');
  const group = fresh('group');
  await use.driver.produce(topic, numbered(5));
  await use.driver.call('join', { group, topics: [topic] });
  assert.equal((await use.driver.take(5)).length, 5);
  await use.driver.call('commit');
  await use.driver.call('shut');
  return { topic, group };
}

export function adminSteps(step) {
  topicSteps(step);
  step('describe cluster', 'the cluster is this one server, which is its controller', async ({ driver }) => {
    const found = await driver.call('describe_cluster');
    assert.equal(found.brokers, 1);
    assert.ok(found.controller >= 0);
    assert.notEqual(found.cluster_id, '');
  });
  step('list groups', 'a group that has committed is listed', async (use) => {
    const { group } = await idleGroup(use);
    assert.ok((await use.driver.call('list_groups')).includes(group));
  });
  step('describe group', 'a group without members is described as empty', async (use) => {
    const { group } = await idleGroup(use);
    const { state, members } = await use.driver.call('describe_group', { group });
    assert.deepEqual([state.toLowerCase(), members], ['empty', 0]);
  });
  step('list group offsets', 'the offsets of a group are told', async (use) => {
    const { group, topic } = await idleGroup(use);
    assert.deepEqual(await use.driver.call('group_offsets', { group, topic }), { 0: 5 });
  });
  step('delete group', 'a deleted group has no offsets, so it begins anew', async (use) => {
    const { group, topic } = await idleGroup(use);
    await use.driver.call('delete_group', { group });
    await use.driver.call('join', { group, topics: [topic] });
    assert.equal((await use.driver.take(5)).length, 5);
    await use.driver.call('shut');
  });
}
