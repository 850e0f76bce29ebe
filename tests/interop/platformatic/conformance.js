// @platformatic/kafka against a cluster: conformance.js BOOTSTRAP PREFIX; prints one line for each check.
'use strict';

const { Admin, Consumer, Producer } = require('@platformatic/kafka');
const { Skip, expect, expectEqual, runChecks, until } = require('../report/report.js');

const [bootstrap, prefix] = process.argv.slice(2);
const PATIENCE_MS = 60000;
const FIRST_TIME = 1600000000000n;
const DYNAMIC_TOPIC = 1; // sources of a config's value
const DEFAULT = 5;
const TOPIC = 2; // a kind of resource
const base = { clientId: prefix, bootstrapBrokers: bootstrap.split(','), retries: 8, retryDelay: 250 };
const admin = new Admin(base);

const nameOf = (word) => `${prefix}-${word}`;

async function topic(word, { partitions = 1, replicas = 3, configs = {} } = {}) {
  const entries = Object.entries(configs).map(([name, value]) => ({ name, value }));
  await admin.createTopics({ topics: [nameOf(word)], partitions, replicas, configs: entries });
  return nameOf(word);
}

async function produce(name, messages, settings = {}) {
  const producer = new Producer({ ...base, acks: -1 });
  try {
    return await producer.send({
      acks: -1, messages: messages.map((m) => ({ topic: name, partition: 0, ...m })), ...settings,
    });
  } finally {
    await producer.close();
  }
}

// A consumer that reads a topic; what came so far is in messages.
async function reader(group, name, options = {}) {
  const consumer = new Consumer({
    ...base, groupId: group, sessionTimeout: 10000, heartbeatInterval: 1000, rebalanceTimeout: 20000,
    maxWaitTime: 200, autocommit: false,
  });
  const stream = await consumer.consume({
    topics: [name], autocommit: false, sessionTimeout: 10000, heartbeatInterval: 1000, rebalanceTimeout: 20000,
    maxWaitTime: 200, ...options,
  });
  const state = { consumer, stream, messages: [], error: null };
  stream.on('data', (message) => state.messages.push(message));
  stream.on('error', (error) => { state.error = error; });
  state.share = () => (consumer.assignments || [])
    .filter((a) => a.topic === name).reduce((count, a) => count + a.partitions.length, 0);
  state.close = () => consumer.close(true);
  return state;
}

async function take(state, count) {
  await until(() => {
    if (state.error) throw state.error;
    return state.messages.length >= count;
  }, () => `${count} records; ${state.messages.length} came`);
  return state.messages.slice(0, count);
}

let readers = 0;
async function read(name, count, offset, options = {}) {
  const where = offset === undefined ? { mode: 'earliest' }
    : { mode: 'manual', offsets: [{ topic: name, partition: 0, offset: BigInt(offset) }] };
  const state = await reader(nameOf(`reader-${readers++}`), name, { ...where, ...options });
  try {
    return await take(state, count);
  } finally {
    await state.close();
  }
}

// Every id and code that the error and its causes carry.
function idsOf(error, found = []) {
  if (!error) return found;
  found.push(error.apiId, error.apiCode);
  for (const inner of error.errors || []) idsOf(inner, found);
  return idsOf(error.cause, found);
}

async function expectError(id, action) {
  try {
    await action();
  } catch (error) {
    expect(idsOf(error).includes(id), `error ${idsOf(error).filter(Boolean)} (${error.message}), not ${id}`);
    return;
  }
  throw new Error(`no error where ${id} was due`);
}

const text = (buffer) => (buffer === null || buffer === undefined ? null : buffer.toString());
const numbers = (count) => Array.from({ length: count }, (_, i) => ({ value: Buffer.from(String(i)) }));

async function roundTrip(name, compression) {
  const sent = Array.from({ length: 200 }, (_, i) => [`k${i}`, `value ${i} `.repeat(20)]);
  await produce(name, sent.map(([key, value]) => ({ key: Buffer.from(key), value: Buffer.from(value) })),
    { compression });
  expectEqual((await read(name, 200)).map((m) => [text(m.key), text(m.value)]), sent, 'records');
}

function codec(compression) {
  return async () => roundTrip(await topic(`codec-${compression}`), compression);
}

async function recompression() {
  for (const kind of ['gzip', 'snappy', 'lz4', 'zstd']) {
    await roundTrip(await topic(`recompressed-${kind}`, { configs: { 'compression.type': kind } }), 'none');
  }
}

async function keysAndTombstones() {
  const name = await topic('keys');
  const sent = [[null, 'a'], ['', 'b'], ['key', 'c'], ['key', null], ['key', '']];
  const buffer = (value) => (value === null ? undefined : Buffer.from(value));
  await produce(name, sent.map(([key, value]) => ({ key: buffer(key), value: buffer(value) })));
  expectEqual((await read(name, sent.length)).map((m) => [text(m.key), text(m.value)]), sent, 'records');
}

async function headers() {
  const name = await topic('headers');
  const sent = [['a', '1'], ['b', ''], ['c', 'three']];
  const map = new Map(sent.map(([key, value]) => [Buffer.from(key), Buffer.from(value)]));
  await produce(name, [{ value: Buffer.from('v'), headers: map }]);
  const [found] = await read(name, 1);
  expectEqual([...found.headers].map(([key, value]) => [text(key), text(value)]), sent, 'headers');
}

async function timestamps() {
  const name = await topic('timestamps');
  await produce(name, [{ value: Buffer.from('v'), timestamp: FIRST_TIME + 123n }]);
  expectEqual((await read(name, 1))[0].timestamp, FIRST_TIME + 123n, 'timestamp');
}

async function logAppendTime() {
  // The client shows the producer's timestamp whatever the batch says, so the broker is asked by time.
  const name = await topic('append-time', { configs: { 'message.timestamp.type': 'LogAppendTime' } });
  const before = Date.now();
  await produce(name, [{ value: Buffer.from('v'), timestamp: FIRST_TIME }]);
  const [found] = await admin.listOffsets({
    topics: [{ name, partitions: [{ partitionIndex: 0, timestamp: BigInt(before - 5000) }] }],
  });
  const { offset, timestamp } = found.partitions[0];
  expectEqual(offset, 0n, 'offset by the broker\'s time');
  expect(Math.abs(Number(timestamp) - before) < PATIENCE_MS, `timestamp ${timestamp}`);
}

async function order(word, settings) {
  const name = await topic(word);
  await produce(name, numbers(1000), settings);
  const found = await read(name, 1000);
  expectEqual(found.map((m) => [text(m.value), m.offset]),
    Array.from({ length: 1000 }, (_, i) => [String(i), BigInt(i)]), 'records');
}

async function largeRecord() {
  const name = await topic('large');
  const value = Buffer.from(Uint8Array.from({ length: 900000 }, (_, i) => i % 251));
  await produce(name, [{ value }]);
  expect((await read(name, 1))[0].value.equals(value), 'the record came back changed');
}

async function offsetAt(name, timestamp) {
  const [found] = await admin.listOffsets({ topics: [{ name, partitions: [{ partitionIndex: 0, timestamp }] }] });
  return found.partitions[0].offset;
}

async function offsetsByTime() {
  const name = await topic('times');
  const sent = Array.from({ length: 100 },
    (_, i) => ({ value: Buffer.from('v'), timestamp: FIRST_TIME + 1000n * BigInt(i) }));
  await produce(name, sent, { compression: 'gzip' });
  for (const [after, offset] of [[0n, 0n], [41500n, 42n], [99000n, 99n], [99001n, -1n]]) {
    expectEqual(await offsetAt(name, FIRST_TIME + after), offset, `offset at ${after}`);
  }
}

async function watermarksOf(name) {
  return [await offsetAt(name, -2n), await offsetAt(name, -1n)];
}

async function watermarks() {
  const name = await topic('watermarks');
  expectEqual(await watermarksOf(name), [0n, 0n], 'watermarks of an empty partition');
  await produce(name, numbers(7));
  expectEqual(await watermarksOf(name), [0n, 7n], 'watermarks');
}

async function seek() {
  const name = await topic('seek');
  await produce(name, numbers(50));
  expectEqual((await read(name, 3, 37)).map((m) => text(m.value)), ['37', '38', '39'], 'records');
}

async function groupRebalance() {
  const name = await topic('rebalance', { partitions: 4 });
  const members = [await reader(nameOf('rebalance'), name, { mode: 'earliest' })];
  const shares = (...wanted) => until(() => String(members.map((m) => m.share())) === String(wanted),
    () => `shares ${wanted}; they are ${members.map((m) => m.share())}`);
  try {
    await shares(4);
    members.push(await reader(nameOf('rebalance'), name, { mode: 'earliest' }));
    await shares(2, 2);
    await members.pop().close();
    await shares(4);
  } finally {
    for (const left of members) await left.close();
  }
}

const committedMode = { mode: 'committed', fallbackMode: 'earliest' };

// A group that has read ten records and committed.
async function committedGroup(word, offset) {
  const name = await topic(word);
  await produce(name, numbers(10));
  const state = await reader(nameOf(word), name, committedMode);
  await take(state, 10);
  await state.consumer.commit({ offsets: [{ topic: name, partition: 0, offset: BigInt(offset), leaderEpoch: -1 }] });
  return state;
}

async function firstOffset(group, name) {
  const state = await reader(group, name, committedMode);
  try {
    return (await take(state, 1))[0].offset;
  } finally {
    await state.close();
  }
}

async function committedOf(group) {
  const [found] = await admin.listConsumerGroupOffsets({
    groups: [{ groupId: group, topics: [{ name: group, partitionIndexes: [0] }] }],
  });
  return found.topics[0].partitions[0].committedOffset;
}

async function commitAndResume() {
  await (await committedGroup('resume', 6)).close();
  expectEqual(await committedOf(nameOf('resume')), 6n, 'committed offset');
  expectEqual(await firstOffset(nameOf('resume'), nameOf('resume')), 6n, 'first offset');
}

async function partitionsOf(name) {
  const found = await admin.metadata({ topics: [name], forceUpdate: true });
  return found.topics.get(name).partitions;
}

async function configsOf(name) {
  const [found] = await admin.describeConfigs({ resources: [{ resourceType: TOPIC, resourceName: name }] });
  return Object.fromEntries(found.configs.map((entry) => [entry.name, [entry.value, entry.configSource]]));
}

async function adminCreateTopic() {
  const name = await topic('created', { partitions: 3, configs: { 'retention.ms': '3600000' } });
  expectEqual((await partitionsOf(name)).map((p) => p.replicas.length), [3, 3, 3], 'replicas');
  expectEqual((await configsOf(name))['retention.ms'][0], '3600000', 'retention.ms');
}

async function adminCreatePartitions() {
  const name = await topic('grown', { partitions: 2 });
  await admin.createPartitions({ topics: [{ name, count: 5 }] });
  expectEqual((await partitionsOf(name)).length, 5, 'partitions');
}

async function adminDeleteTopic() {
  const name = await topic('deleted');
  await admin.deleteTopics({ topics: [name] });
  await until(async () => !(await admin.listTopics()).includes(name), 'the topic to be gone');
}

async function adminDescribeConfigs() {
  const found = await configsOf(await topic('described', { configs: { 'retention.ms': '7200000' } }));
  expectEqual([found['retention.ms'], found['cleanup.policy']],
    [['7200000', DYNAMIC_TOPIC], ['delete', DEFAULT]], 'configs');
}

async function adminAlterConfigs() {
  const name = await topic('altered', { configs: { 'segment.ms': '8000000' } });
  await admin.incrementalAlterConfigs({
    resources: [{
      resourceType: TOPIC, resourceName: name,
      configs: [{ name: 'retention.ms', configOperation: 0, value: '1800000' }],
    }],
  });
  const found = await configsOf(name);
  expectEqual([found['retention.ms'][0], found['segment.ms'][0]], ['1800000', '8000000'], 'configs');
}

async function adminDescribeCluster() {
  const found = await admin.metadata({ topics: [], forceUpdate: true });
  expectEqual([...found.brokers.keys()].sort(), [1, 2, 3], 'brokers');
  expect(found.controllerId > 0, 'no controller');
  expect(found.id, 'no cluster id');
}

async function adminGroups() {
  const group = nameOf('grouped');
  const state = await committedGroup('grouped', 5);
  try {
    expect((await admin.listGroups()).has(group), 'the group is not listed');
    const found = (await admin.describeGroups({ groups: [group] })).get(group);
    expectEqual([found.state.toUpperCase(), found.members.size], ['STABLE', 1], 'group');
  } finally {
    await state.close();
  }
}

async function adminResetOffsets() {
  await (await committedGroup('reset', 5)).close();
  const group = nameOf('reset');
  await admin.alterConsumerGroupOffsets({
    groupId: group, topics: [{ name: group, partitionOffsets: [{ partition: 0, offset: 2n }] }],
  });
  expectEqual(await firstOffset(group, group), 2n, 'first offset');
}

async function adminDeleteGroup() {
  await (await committedGroup('deleted-group', 5)).close();
  const group = nameOf('deleted-group');
  await admin.deleteGroups({ groups: [group] });
  expectEqual(await committedOf(group), -1n, 'committed offset');
}

async function adminDeleteRecords() {
  const name = await topic('records-deleted');
  await produce(name, numbers(10));
  const [found] = await admin.deleteRecords({ topics: [{ name, partitions: [{ partition: 0, offset: 6n }] }] });
  expectEqual(found.partitions[0].lowWatermark, 6n, 'low watermark');
  expectEqual(await watermarksOf(name), [6n, 10n], 'watermarks');
}

async function errorTopicExists() {
  await topic('twice');
  await expectError('TOPIC_ALREADY_EXISTS', () => topic('twice'));
}

async function errorRecordTooLarge() {
  const name = await topic('small-records', { configs: { 'max.message.bytes': '10000' } });
  await expectError('MESSAGE_TOO_LARGE', () => produce(name, [{ value: Buffer.alloc(20000) }]));
}

async function errorOffsetOutOfRange() {
  const name = await topic('out-of-range');
  await produce(name, numbers(1));
  await expectError('OFFSET_OUT_OF_RANGE', () => read(name, 1, 100, { fallbackMode: 'fail' }));
}

const CHECKS = [
  ...['none', 'gzip', 'snappy', 'lz4', 'zstd'].map((compression) => [`codec_${compression}`, codec(compression)]),
  ['recompression', recompression],
  ['keys_and_tombstones', keysAndTombstones],
  ['headers', headers],
  ['timestamps', timestamps],
  ['log_append_time', logAppendTime],
  ['order', () => order('order', {})],
  ['idempotence', () => order('idempotence', { idempotent: true })],
  ['large_record', largeRecord],
  ['offsets_by_time', offsetsByTime],
  ['watermarks', watermarks],
  ['seek', seek],
  ['group_rebalance', groupRebalance],
  ['group_cooperative', async () => { throw new Skip('@platformatic/kafka has no cooperative assigner'); }],
  ['commit_and_resume', commitAndResume],
  ['admin_create_topic', adminCreateTopic],
  ['admin_create_partitions', adminCreatePartitions],
  ['admin_delete_topic', adminDeleteTopic],
  ['admin_describe_configs', adminDescribeConfigs],
  ['admin_alter_configs', adminAlterConfigs],
  ['admin_describe_cluster', adminDescribeCluster],
  ['admin_groups', adminGroups],
  ['admin_reset_offsets', adminResetOffsets],
  ['admin_delete_group', adminDeleteGroup],
  ['admin_delete_records', adminDeleteRecords],
  ['error_topic_exists', errorTopicExists],
  ['error_unknown_topic',
    () => expectError('UNKNOWN_TOPIC_OR_PARTITION', () => admin.deleteTopics({ topics: [nameOf('nowhere')] }))],
  ['error_invalid_topic', () => expectError('INVALID_TOPIC_EXCEPTION', () => topic('bad/name'))],
  ['error_replication_factor',
    () => expectError('INVALID_REPLICATION_FACTOR', () => topic('four-replicas', { replicas: 4 }))],
  ['error_bad_config',
    () => expectError('INVALID_CONFIG', () => topic('bad-config', { configs: { 'retention.ms': 'soon' } }))],
  ['error_record_too_large', errorRecordTooLarge],
  ['error_offset_out_of_range', errorOffsetOutOfRange],
  ['error_unknown_group',
    () => expectError('GROUP_ID_NOT_FOUND', () => admin.deleteGroups({ groups: [nameOf('no-group')] }))],
];

runChecks(CHECKS)
  .then((failed) => process.exit(failed ? 1 : 0))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
