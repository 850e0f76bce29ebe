// @confluentinc/kafka-javascript against a cluster: conformance.js BOOTSTRAP PREFIX; prints one line for each check.
'use strict';

const { CompressionTypes, ConsumerGroupStates, ErrorCodes, Kafka, logLevel } = require('@confluentinc/kafka-javascript').KafkaJS;
const { Skip, expect, expectEqual, runChecks, until } = require('../report/report.js');

const [bootstrap, prefix] = process.argv.slice(2);
const PATIENCE_MS = 60000;
const FIRST_TIME = 1600000000000;
const kafka = new Kafka({ kafkaJS: { brokers: bootstrap.split(','), logLevel: logLevel.NOTHING } });
const admin = kafka.admin();

const nameOf = (word) => `${prefix}-${word}`;

async function topic(word, { partitions = 1, replicas = 3, configs = {} } = {}) {
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
  const wanted = { topic: nameOf(word), numPartitions: partitions, replicationFactor: replicas, configEntries };
  expect(await admin.createTopics({ topics: [wanted], timeout: PATIENCE_MS }), 'the topic exists already');
  return wanted.topic;
}

async function produce(name, messages, { compression = CompressionTypes.None, settings = {} } = {}) {
  const producer = kafka.producer({ kafkaJS: { acks: -1, compression, ...settings }, 'message.max.bytes': 2000000 });
  await producer.connect();
  try {
    return await producer.send({ topic: name, messages: messages.map((m) => ({ partition: 0, ...m })) });
  } finally {
    await producer.disconnect();
  }
}

// A running consumer of a group, with what it has read so far.
async function member(group, name, settings = {}) {
  const consumer = kafka.consumer({
    kafkaJS: { groupId: group, sessionTimeout: 10000, heartbeatInterval: 1000, fromBeginning: true, autoCommit: false },
    ...settings,
  });
  const state = { consumer, messages: [], share: () => consumer.assignment().length };
  await consumer.connect();
  await consumer.subscribe({ topic: name });
  await consumer.run({
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

async function expectError(code, action) {
  try {
    await action();
  } catch (error) {
    const inner = (error.errors && error.errors[0]) || (error.groups && error.groups[0].error) || error;
    expectEqual(inner.code, code, `error (${inner.message})`);
    return;
  }
  throw new Error(`no error where ${code} was due`);
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
  const sent = [[null, 'a'], ['', 'b'], ['key', 'c'], ['key', null]]; // an empty value is sent as a null one
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
  await produce(name, [{ value: 'v', timestamp: String(FIRST_TIME) }]);
  const [found] = await read(name, 1);
  expect(Math.abs(Number(found.timestamp) - before) < PATIENCE_MS, `timestamp ${found.timestamp}`);
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
    expectEqual(found.offset, String(offset), `offset at ${after}`); // behind the end it says the end
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

async function rebalance(word, strategy) {
  const name = await topic(word, { partitions: 4 });
  const settings = { 'partition.assignment.strategy': strategy };
  const members = [await member(nameOf(word), name, settings)];
  const shares = (...wanted) => until(() => String(members.map((m) => m.share())) === String(wanted),
    () => `shares ${wanted}; they are ${members.map((m) => m.share())}`);
  try {
    await shares(4);
    members.push(await member(nameOf(word), name, settings));
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
  return (await admin.fetchTopicMetadata({ topics: [name] }))[0].partitions;
}

async function adminCreateTopic() {
  const name = await topic('created', { partitions: 3, configs: { 'retention.ms': '3600000' } });
  expectEqual((await partitionsOf(name)).map((p) => p.replicas.length), [3, 3, 3], 'replicas');
}

async function adminDeleteTopic() {
  const name = await topic('deleted');
  await admin.deleteTopics({ topics: [name], timeout: PATIENCE_MS });
  await until(async () => !(await admin.listTopics()).includes(name), 'the topic to be gone');
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
    expectEqual([found.state, found.members.length], [ConsumerGroupStates.STABLE, 1], 'group');
  } finally {
    await state.consumer.disconnect();
  }
}

async function adminDeleteGroup() {
  await (await committedGroup('deleted-group')).consumer.disconnect();
  const group = nameOf('deleted-group');
  await admin.deleteGroups([group]);
  const [found] = await admin.fetchOffsets({ groupId: group, topics: [group] });
  expect(!found || found.partitions.every((p) => p.offset === '-1'), 'the commit is still there');
}

async function adminDeleteRecords() {
  const name = await topic('records-deleted');
  await produce(name, numbers(10));
  await admin.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: '6' }] });
  expectEqual(await watermarksOf(name), ['6', '10'], 'watermarks');
}

async function errorTopicExists() {
  const name = await topic('twice');
  // It answers false for TOPIC_ALREADY_EXISTS and throws for every other error.
  expectEqual(await admin.createTopics({ topics: [{ topic: name }] }), false, 'created again');
}

async function errorRecordTooLarge() {
  const name = await topic('small-records', { configs: { 'max.message.bytes': '10000' } });
  await expectError(ErrorCodes.ERR_MSG_SIZE_TOO_LARGE, () => produce(name, [{ value: Buffer.alloc(20000) }]));
}

async function errorOffsetOutOfRange() {
  const name = await topic('out-of-range');
  await produce(name, numbers(1));
  const state = await member(nameOf('out-of-range'), name);
  try {
    await take(state, 1);
    const crossed = state.messages.length;
    state.consumer.seek({ topic: name, partition: 0, offset: '100' });
    // The client meets OFFSET_OUT_OF_RANGE by going to where the group begins.
    await until(() => state.messages.length > crossed, 'the reset after OFFSET_OUT_OF_RANGE');
    expectEqual(state.messages[crossed].offset, '0', 'offset after the reset');
  } finally {
    await state.consumer.disconnect();
  }
}

async function missing() {
  throw new Skip('its admin has no such call');
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
  ['idempotence', () => order('idempotence', { idempotent: true })],
  ['large_record', largeRecord],
  ['offsets_by_time', offsetsByTime],
  ['watermarks', watermarks],
  ['seek', seek],
  ['group_rebalance', () => rebalance('rebalance', 'range')],
  ['group_cooperative', () => rebalance('cooperative', 'cooperative-sticky')],
  ['commit_and_resume', commitAndResume],
  ['admin_create_topic', adminCreateTopic],
  ['admin_create_partitions', missing],
  ['admin_delete_topic', adminDeleteTopic],
  ['admin_describe_configs', missing],
  ['admin_alter_configs', missing],
  ['admin_describe_cluster', missing],
  ['admin_groups', adminGroups],
  ['admin_reset_offsets', missing],
  ['admin_delete_group', adminDeleteGroup],
  ['admin_delete_records', adminDeleteRecords],
  ['error_topic_exists', errorTopicExists],
  ['error_unknown_topic',
    () => expectError(ErrorCodes.ERR_UNKNOWN_TOPIC_OR_PART, () => admin.deleteTopics({ topics: [nameOf('nowhere')] }))],
  ['error_invalid_topic', () => expectError(ErrorCodes.ERR_TOPIC_EXCEPTION, () => topic('bad/name'))],
  ['error_replication_factor',
    () => expectError(ErrorCodes.ERR_INVALID_REPLICATION_FACTOR, () => topic('four-replicas', { replicas: 4 }))],
  ['error_bad_config',
    () => expectError(ErrorCodes.ERR_INVALID_CONFIG, () => topic('bad-config', { configs: { 'retention.ms': 'soon' } }))],
  ['error_record_too_large', errorRecordTooLarge],
  ['error_offset_out_of_range', errorOffsetOutOfRange],
  ['error_unknown_group', () => expectError(ErrorCodes.ERR_GROUP_ID_NOT_FOUND, () => admin.deleteGroups([nameOf('no-group')]))],
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
