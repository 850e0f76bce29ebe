// KafkaJS against a cluster: conformance.js BOOTSTRAP PREFIX; prints one line for each check.
'use strict';

const { promisify } = require('util');
const zlib = require('zlib');
const lz4 = require('lz4-napi');
const snappy = require('kafkajs-snappy');
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs');
const { Skip, expect, expectEqual, runChecks, until } = require('../report/report.js');

const [bootstrap, prefix] = process.argv.slice(2);
const PATIENCE_MS = 60000;
const FIRST_TIME = 1600000000000;
const kafka = new Kafka({
  brokers: bootstrap.split(','),
  logLevel: logLevel.ERROR,
  logCreator: () => ({ log }) => console.error(log.message, log.error || ''),
  retry: { retries: 8 },
});
const admin = kafka.admin();

// KafkaJS takes these codecs from whoever uses it.
CompressionCodecs[CompressionTypes.Snappy] = snappy;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: (encoder) => promisify(zlib.zstdCompress)(encoder.buffer),
  decompress: (buffer) => promisify(zlib.zstdDecompress)(buffer),
});

const nameOf = (word) => `${prefix}-${word}`;

async function topic(word, { partitions = 1, replicas = 3, configs = {} } = {}) {
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
  const wanted = { topic: nameOf(word), numPartitions: partitions, replicationFactor: replicas, configEntries };
  expect(await admin.createTopics({ topics: [wanted], timeout: PATIENCE_MS }), 'the topic exists already');
  return wanted.topic;
}

async function produce(name, messages, { compression, settings = {} } = {}) {
  const producer = kafka.producer(settings);
  await producer.connect();
  try {
    return await producer.send({ topic: name, compression, messages: messages.map((m) => ({ partition: 0, ...m })) });
  } finally {
    await producer.disconnect();
  }
}

// A running consumer of a group, with what it has read and been assigned so far.
async function member(group, name, settings = {}) {
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: 10000, heartbeatInterval: 1000, ...settings });
  const state = { consumer, messages: [], partitions: [] };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    state.partitions = payload.memberAssignment[name] || [];
  });
  await consumer.connect();
  await consumer.subscribe({ topic: name, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => { state.messages.push(message); },
  });
  return state;
}

async function take(state, count) {
  await until(() => state.messages.length >= count, () => `${count} records; ${state.messages.length} came`);
  return state.messages.slice(0, count);
}

let readers = 0;
async function read(name, count, offset) {
  const state = await member(nameOf(`reader-${readers++}`), name);
  try {
    if (offset !== undefined) {
      state.consumer.seek({ topic: name, partition: 0, offset: String(offset) });
      await until(() => state.messages.some((m) => m.offset === String(offset)), `offset ${offset}`);
      state.messages = state.messages.slice(state.messages.findIndex((m) => m.offset === String(offset)));
    }
    return await take(state, count);
  } finally {
    await state.consumer.disconnect();
  }
}

function typeOf(error) {
  const inner = (error.errors && error.errors[0]) || (error.groups && error.groups[0].error) || error;
  return inner.type || (inner.cause && inner.cause.type) || inner.message;
}

async function expectError(type, action) {
  try {
    await action();
  } catch (error) {
    expectEqual(typeOf(error), type, 'error');
    return;
  }
  throw new Error(`no error where ${type} was due`);
}

const text = (buffer) => (buffer === null ? null : buffer.toString());
const numbers = (count) => Array.from({ length: count }, (_, i) => ({ value: String(i) }));

async function roundTrip(name, compression) {
  const sent = Array.from({ length: 200 }, (_, i) => ({ key: `k${i}`, value: `value ${i} `.repeat(20) }));
  await produce(name, sent, { compression });
  const found = await read(name, 200);
  expectEqual(found.map((m) => [text(m.key), text(m.value)]), sent.map((m) => [m.key, m.value]), 'records');
}

function codec(kind, compression) {
  return async () => roundTrip(await topic(`codec-${kind}`), compression);
}

async function recompression() {
  for (const kind of ['gzip', 'snappy', 'lz4', 'zstd']) {
    const name = await topic(`recompressed-${kind}`, { configs: { 'compression.type': kind } });
    await roundTrip(name, CompressionTypes.None);
  }
}

async function keysAndTombstones() {
  const name = await topic('keys');
  const sent = [[null, 'a'], ['', 'b'], ['key', 'c'], ['key', null], ['key', '']];
  await produce(name, sent.map(([key, value]) => ({ key, value })));
  expectEqual((await read(name, sent.length)).map((m) => [text(m.key), text(m.value)]), sent, 'records');
}

async function headers() {
  const name = await topic('headers');
  await produce(name, [{ value: 'v', headers: { a: ['1', '2'], b: '', c: 'three' } }]);
  const [found] = await read(name, 1);
  const shown = Object.entries(found.headers).map(([key, value]) => [key, String(value)]);
  expectEqual(shown, [['a', '1,2'], ['b', ''], ['c', 'three']], 'headers');
}

async function timestamps() {
  const name = await topic('timestamps');
  await produce(name, [{ value: 'v', timestamp: String(FIRST_TIME + 123) }]);
  expectEqual((await read(name, 1))[0].timestamp, String(FIRST_TIME + 123), 'timestamp');
}

async function logAppendTime() {
  const name = await topic('append-time', { configs: { 'message.timestamp.type': 'LogAppendTime' } });
  const before = Date.now();
  const [answer] = await produce(name, [{ value: 'v', timestamp: String(FIRST_TIME) }]);
  const [found] = await read(name, 1);
  expect(Math.abs(Number(answer.logAppendTime) - before) < PATIENCE_MS, `answered time ${answer.logAppendTime}`);
  expectEqual(found.timestamp, answer.logAppendTime, 'timestamp');
}

async function order(word, settings) {
  const name = await topic(word);
  await produce(name, numbers(1000), { settings });
  const found = await read(name, 1000);
  expectEqual(found.map((m) => [text(m.value), m.offset]),
    Array.from({ length: 1000 }, (_, i) => [String(i), String(i)]), 'records');
}

async function largeRecord() {
  const name = await topic('large');
  const value = Buffer.from(Uint8Array.from({ length: 900000 }, (_, i) => i % 251));
  await produce(name, [{ value }]);
  expect((await read(name, 1))[0].value.equals(value), 'the record came back changed');
}

async function offsetsByTime() {
  const name = await topic('times');
  const sent = Array.from({ length: 100 }, (_, i) => ({ value: 'v', timestamp: String(FIRST_TIME + 1000 * i) }));
  await produce(name, sent, { compression: CompressionTypes.GZIP });
  for (const [after, offset] of [[0, 0], [41500, 42], [99000, 99], [99001, 100]]) {
    const [found] = await admin.fetchTopicOffsetsByTimestamp(name, FIRST_TIME + after);
    expectEqual(found.offset, String(offset), `offset at ${after}`); // behind the end KafkaJS says the end
  }
}

async function watermarksOf(name) {
  const [found] = await admin.fetchTopicOffsets(name);
  return [found.low, found.high];
}

async function watermarks() {
  const name = await topic('watermarks');
  expectEqual(await watermarksOf(name), ['0', '0'], 'watermarks of an empty partition');
  await produce(name, numbers(7));
  expectEqual(await watermarksOf(name), ['0', '7'], 'watermarks');
}

async function seek() {
  const name = await topic('seek');
  await produce(name, numbers(50));
  expectEqual((await read(name, 3, 37)).map((m) => text(m.value)), ['37', '38', '39'], 'records');
}

async function groupRebalance() {
  const name = await topic('rebalance', { partitions: 4 });
  const members = [await member(nameOf('rebalance'), name)];
  const shares = (...wanted) => until(() => String(members.map((m) => m.partitions.length)) === String(wanted),
    () => `shares ${wanted}; they are ${members.map((m) => m.partitions.length)}`);
  try {
    await shares(4);
    members.push(await member(nameOf('rebalance'), name));
    await shares(2, 2);
    await members.pop().consumer.disconnect();
    await shares(4);
  } finally {
    for (const left of members) await left.consumer.disconnect();
  }
}

async function commitAndResume() {
  const name = await topic('resume');
  await produce(name, numbers(20));
  const first = await member(nameOf('resume'), name);
  await take(first, 12);
  await first.consumer.commitOffsets([{ topic: name, partition: 0, offset: '12', metadata: 'a note' }]);
  await first.consumer.disconnect();
  const second = await member(nameOf('resume'), name);
  try {
    expectEqual(text((await take(second, 8))[0].value), '12', 'first record');
    const [found] = await admin.fetchOffsets({ groupId: nameOf('resume'), topics: [name] });
    expectEqual([found.partitions[0].offset, found.partitions[0].metadata], ['12', 'a note'], 'committed offset');
  } finally {
    await second.consumer.disconnect();
  }
}

async function partitionsOf(name) {
  return (await admin.fetchTopicMetadata({ topics: [name] })).topics[0].partitions;
}

async function configsOf(name) {
  const found = await admin.describeConfigs({
    includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name }],
  });
  return Object.fromEntries(found.resources[0].configEntries.map((entry) => [entry.configName, entry]));
}

async function adminCreateTopic() {
  const name = await topic('created', { partitions: 3, configs: { 'retention.ms': '3600000' } });
  expectEqual((await partitionsOf(name)).map((p) => p.replicas.length), [3, 3, 3], 'replicas');
  expectEqual((await configsOf(name))['retention.ms'].configValue, '3600000', 'retention.ms');
}

async function adminCreatePartitions() {
  const name = await topic('grown', { partitions: 2 });
  await admin.createPartitions({ topicPartitions: [{ topic: name, count: 5 }] });
  expectEqual((await partitionsOf(name)).length, 5, 'partitions');
}

async function adminDeleteTopic() {
  const name = await topic('deleted');
  await admin.deleteTopics({ topics: [name], timeout: PATIENCE_MS });
  await until(async () => !(await admin.listTopics()).includes(name), 'the topic to be gone');
}

async function adminDescribeConfigs() {
  const found = await configsOf(await topic('described', { configs: { 'retention.ms': '7200000' } }));
  const shown = ['retention.ms', 'cleanup.policy'].map((key) => [found[key].configValue, found[key].isDefault]);
  expectEqual(shown, [['7200000', false], ['delete', true]], 'configs');
}

async function adminAlterConfigs() {
  const name = await topic('altered', { configs: { 'segment.ms': '8000000' } });
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{
      type: ConfigResourceTypes.TOPIC, name, configEntries: [{ name: 'retention.ms', value: '1800000' }],
    }],
  });
  const found = await configsOf(name);
  expectEqual(found['retention.ms'].configValue, '1800000', 'retention.ms');
  expectEqual(found['segment.ms'].isDefault, true, 'segment.ms, which AlterConfigs resets, is default');
}

async function adminDescribeCluster() {
  const found = await admin.describeCluster();
  expectEqual(found.brokers.map((broker) => broker.nodeId).sort(), [1, 2, 3], 'brokers');
  expect([1, 2, 3].includes(found.controller), 'no controller');
  expect(found.clusterId, 'no cluster id');
}

// A group that has read ten records and committed offset 5.
async function committedGroup(word) {
  const name = await topic(word);
  await produce(name, numbers(10));
  const state = await member(nameOf(word), name);
  await take(state, 10);
  await state.consumer.commitOffsets([{ topic: name, partition: 0, offset: '5' }]);
  return state;
}

async function adminGroups() {
  const group = nameOf('grouped');
  const state = await committedGroup('grouped');
  try {
    expect((await admin.listGroups()).groups.some((g) => g.groupId === group), 'the group is not listed');
    const [found] = (await admin.describeGroups([group])).groups;
    expectEqual([found.state, found.members.length], ['Stable', 1], 'group');
  } finally {
    await state.consumer.disconnect();
  }
}

async function adminResetOffsets() {
  await (await committedGroup('reset')).consumer.disconnect();
  const group = nameOf('reset');
  await admin.setOffsets({ groupId: group, topic: group, partitions: [{ partition: 0, offset: '2' }] });
  const state = await member(group, group);
  try {
    expectEqual((await take(state, 1))[0].offset, '2', 'first offset');
  } finally {
    await state.consumer.disconnect();
  }
}

async function adminDeleteGroup() {
  await (await committedGroup('deleted-group')).consumer.disconnect();
  const group = nameOf('deleted-group');
  await admin.deleteGroups([group]);
  const [found] = await admin.fetchOffsets({ groupId: group, topics: [group] });
  expectEqual(found.partitions.map((p) => p.offset), ['-1'], 'committed offset');
}

async function adminDeleteRecords() {
  const name = await topic('records-deleted');
  await produce(name, numbers(10));
  await watermarksOf(name); // deleteTopicRecords knows only leaders of topics that its admin was asked about before
  await admin.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: '6' }] });
  expectEqual(await watermarksOf(name), ['6', '10'], 'watermarks');
}

async function errorTopicExists() {
  const name = await topic('twice');
  // KafkaJS answers false for TOPIC_ALREADY_EXISTS and throws for every other error.
  expectEqual(await admin.createTopics({ topics: [{ topic: name }] }), false, 'created again');
}

async function errorRecordTooLarge() {
  const name = await topic('small-records', { configs: { 'max.message.bytes': '10000' } });
  await expectError('MESSAGE_TOO_LARGE', () => produce(name, [{ value: Buffer.alloc(20000) }]));
}

async function errorOffsetOutOfRange() {
  const name = await topic('out-of-range');
  await produce(name, numbers(1));
  const state = await member(nameOf('out-of-range'), name);
  try {
    await take(state, 1);
    const crossed = state.messages.length;
    state.consumer.seek({ topic: name, partition: 0, offset: '100' });
    // KafkaJS meets OFFSET_OUT_OF_RANGE by going to where the group begins.
    await until(() => state.messages.length > crossed, 'the reset after OFFSET_OUT_OF_RANGE');
    expectEqual(state.messages[crossed].offset, '0', 'offset after the reset');
  } finally {
    await state.consumer.disconnect();
  }
}

const CHECKS = [
  ['codec_none', codec('none', CompressionTypes.None)],
  ['codec_gzip', codec('gzip', CompressionTypes.GZIP)],
  ['codec_snappy', codec('snappy', CompressionTypes.Snappy)],
  ['codec_lz4', codec('lz4', CompressionTypes.LZ4)],
  ['codec_zstd', codec('zstd', CompressionTypes.ZSTD)],
  ['recompression', recompression],
  ['keys_and_tombstones', keysAndTombstones],
  ['headers', headers],
  ['timestamps', timestamps],
  ['log_append_time', logAppendTime],
  ['order', () => order('order', {})],
  ['idempotence', () => order('idempotence', { idempotent: true, maxInFlightRequests: 1 })],
  ['large_record', largeRecord],
  ['offsets_by_time', offsetsByTime],
  ['watermarks', watermarks],
  ['seek', seek],
  ['group_rebalance', groupRebalance],
  ['group_cooperative', async () => { throw new Skip('KafkaJS has no cooperative assigner'); }],
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
  ['error_unknown_group', () => expectError('GROUP_ID_NOT_FOUND', () => admin.deleteGroups([nameOf('no-group')]))],
];

admin.connect()
  .then(() => runChecks(CHECKS))
  .then(async (failed) => {
    await admin.disconnect();
    process.exit(failed ? 1 : 0);
  })
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
