// The clients: how their drivers are started, whether they are here, and what they don't do.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { binary } from '../http/server.mjs';

const require = createRequire(import.meta.url);
const here = dirname(fileURLToPath(import.meta.url));
const drivers = join(here, 'drivers');
const runs = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

// Debian's packages are for Debian's Python, which need not be the first on the path.
function python(module) {
  const script = join(drivers, `python_${module === 'kafka' ? 'kafka' : 'confluent'}.py`);
  const found = ['python3', '/usr/bin/python3'].find((one) => runs(one, '-c', `import ${module}.admin`));
  return found && [found, '-B', script];
}

// `file` is what there must be of a package.
function node(module, script, file) {
  try {
    const found = file ? require.resolve(file) : fileURLToPath(import.meta.resolve(module));
    return existsSync(found) && [process.execPath, join(drivers, script)];
  } catch {
    return false;
  }
}

function program() {
  const path = join(dirname(binary), 'tests/client/kafka/drivers/rdkafka');
  return existsSync(path) && [path];
}

const NO_ADMIN = 'no such call';
const lacksAll = (features, why) => Object.fromEntries(features.map((feature) => [feature, why]));
const TRANSACTIONS = ['transactions', 'consume-transform-produce'];
const CONSUMER_PROTOCOL = ['groups', 'assignors', 'static membership', 'resume', 'fencing'].map(
  (feature) => `KIP-848 ${feature}`,
);
const GROUP_ADMIN = ['list groups', 'describe group', 'delete group', 'list group offsets'];
const TOPIC_ADMIN = [
  'create topic',
  'delete topic',
  'create partitions',
  'describe configs',
  'alter configs',
  'delete records',
];
const zstdInNode = process.versions.node.split('.')[0] >= 22;

// The librdkafka that tests/client/build-librdkafka has built, or why it has not.
const built = join(here, '../../../build/librdkafka');
const newProgram = () => existsSync(join(built, 'driver')) && [join(built, 'driver')];
const whyNoNewProgram = () =>
  existsSync(join(built, 'missing'))
    ? readFileSync(join(built, 'missing'), 'utf8').trim()
    : 'the newer librdkafka is not built: tests/client/build-librdkafka does it';

const table = {
  'rdkafka-new': {
    find: newProgram,
    missing: whyNoNewProgram(),
    knowsConsumerProtocol: true,
    lacks: {},
  },
  rdkafka: { find: program, missing: 'librdkafka was not there when the build was set up', lacks: {} },
  kcat: {
    find: () => runs('kcat', '-V') && [process.execPath, join(drivers, 'kcat.mjs')],
    missing: 'kcat is not installed',
    lacks: {
      ...lacksAll([...TRANSACTIONS, ...TOPIC_ADMIN, ...GROUP_ADMIN], NO_ADMIN),
      ...lacksAll(['resume after SIGTERM', 'resume after SIGKILL'], 'commits only when it leaves'),
    },
  },
  'confluent-kafka': {
    find: () => python('confluent_kafka'),
    missing: 'python3-confluent-kafka is not installed',
    lacks: {
      ...lacksAll(['delete records', 'delete group'], NO_ADMIN),
    },
  },
  'node-rdkafka': {
    find: () => node('node-rdkafka', 'node_rdkafka.mjs', 'node-rdkafka/build/Release/node-librdkafka.node'),
    missing: 'node-rdkafka could not be built: it wants a C++ compiler, librdkafka and headers of Node',
    lacks: {
      'empty values': 'it writes a null for an empty value; it reads empty ones',
      ...lacksAll(['describe configs', 'alter configs', 'delete records'], NO_ADMIN),
      ...lacksAll(['list groups', 'describe group', 'delete group', 'describe cluster'], NO_ADMIN),
    },
  },
  'kafka-python': {
    find: () => python('kafka'),
    missing: 'python3-kafka is not installed',
    framesSnappy: true,
    lacks: {
      'static membership': 'not in this version',
      'cooperative-sticky': 'not in this version',
      'idempotent producer': 'not in this version',
      'delete records': NO_ADMIN,
      ...lacksAll(TRANSACTIONS, 'not in this version'),
    },
  },
  kafkajs: {
    find: () => node('kafkajs', 'kafkajs.mjs'),
    missing: 'kafkajs is not installed',
    lacks: { 'static membership': 'not supported', 'cooperative-sticky': 'not supported' },
  },
  '@platformatic/kafka': {
    find: () => node('@platformatic/kafka', 'platformatic.mjs'),
    missing: '@platformatic/kafka is not installed',
    lacks: {
      'cooperative-sticky': 'not supported',
      'framed snappy': 'reads no snappy that is framed as Java and kafka-python do it',
      ...(zstdInNode ? {} : { zstd: 'needs Node 22' }),
    },
  },
};

export const names = Object.keys(table);

// A client, or one with `missing`: the line to skip with.
export function client(name) {
  const { find, missing, ...more } = table[name];
  const command = find();
  const lacks = more.knowsConsumerProtocol ? {} : lacksAll(CONSUMER_PROTOCOL, 'knows no KIP-848, or it is not tried');
  return { name, command, ...more, lacks: { ...lacks, ...more.lacks }, missing: command ? undefined : missing };
}
