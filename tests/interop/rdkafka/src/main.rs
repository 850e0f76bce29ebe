// SPDX-License-Identifier: Apache-2.0
//
// rdkafka against a cluster: conformance BOOTSTRAP PREFIX; prints one line for each check.

use futures::executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigEntry, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage, Timestamp};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_TIME: i64 = 1_600_000_000_000;

// Why a check failed.
type Outcome<T = ()> = Result<T, String>;

struct Cluster {
    bootstrap: String,
    prefix: String,
    admin: AdminClient<DefaultClientContext>,
    options: AdminOptions,
}

// A record to send: key, value, timestamp.
type Record = (Option<Vec<u8>>, Option<Vec<u8>>, i64);

fn text<E: ToString>(error: E) -> String {
    error.to_string()
}

fn equal<T: PartialEq + std::fmt::Debug>(found: T, wanted: T, what: &str) -> Outcome {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, not {wanted:?}"))
}

fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    error.rdkafka_error_code()
}

fn numbers(count: usize) -> Vec<Record> {
    (0..count)
        .map(|i| (Some(format!("k{i}").into_bytes()), Some(i.to_string().into_bytes()), FIRST_TIME + 1000 * i as i64))
        .collect()
}

fn one(topic: &str, offset: Offset) -> Outcome<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, offset).map_err(text)?;
    Ok(list)
}

impl Cluster {
    fn name(&self, word: &str) -> String {
        format!("{}-{}", self.prefix, word)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    fn create(&self, word: &str, partitions: i32, replicas: i32, config: Option<(&str, &str)>) -> Result<String, RDKafkaErrorCode> {
        let name = self.name(word);
        let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(replicas));
        if let Some((key, value)) = config {
            topic = topic.set(key, value);
        }
        let mut results = block_on(self.admin.create_topics(&[topic], &self.options))
            .map_err(|error| code_of(&error).unwrap_or(RDKafkaErrorCode::Fail))?;
        results.remove(0).map_err(|(_, code)| code)
    }

    fn topic(&self, word: &str) -> Outcome<String> {
        self.create(word, 1, 3, None).map_err(text)
    }

    fn topic_with(&self, word: &str, key: &str, value: &str) -> Outcome<String> {
        self.create(word, 1, 3, Some((key, value))).map_err(text)
    }

    fn produce(&self, topic: &str, records: &[Record], settings: &[(&str, &str)]) -> Result<(), KafkaError> {
        let mut config = self.config();
        config.set("message.max.bytes", "2000000").set("linger.ms", "20");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        let producer: FutureProducer = config.create()?;
        let mut sent = Vec::new();
        for (key, value, timestamp) in records {
            let mut record: FutureRecord<[u8], [u8]> = FutureRecord::to(topic).partition(0).timestamp(*timestamp);
            record.key = key.as_deref();
            record.payload = value.as_deref();
            sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        producer.flush(PATIENCE)?;
        for delivery in sent {
            match block_on(delivery) {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(error),
                Err(_) => return Err(KafkaError::Canceled),
            }
        }
        Ok(())
    }

    fn consumer(&self, group: &str, strategy: &str, reset: &str) -> Outcome<BaseConsumer> {
        let mut config = self.config();
        config
            .set("group.id", group)
            .set("auto.offset.reset", reset)
            .set("enable.auto.commit", "false")
            .set("session.timeout.ms", "10000")
            .set("partition.assignment.strategy", strategy);
        config.create().map_err(text)
    }

    fn reader(&self, topic: &str, offset: i64) -> Outcome<BaseConsumer> {
        let consumer = self.consumer(&self.name("reader"), "range", "error")?;
        consumer.assign(&one(topic, Offset::Offset(offset))?).map_err(text)?;
        Ok(consumer)
    }

    fn read(&self, topic: &str, count: usize, offset: i64) -> Outcome<Vec<OwnedMessage>> {
        take(&self.reader(topic, offset)?, count).map_err(text)
    }

    // Produces, reads again, and compares keys, values and offsets.
    fn round_trip(&self, topic: &str, records: &[Record], settings: &[(&str, &str)]) -> Outcome<Vec<OwnedMessage>> {
        self.produce(topic, records, settings).map_err(text)?;
        let found = self.read(topic, records.len(), 0)?;
        for (i, (message, (key, value, _))) in found.iter().zip(records).enumerate() {
            equal(message.key(), key.as_deref(), "key")?;
            equal(message.payload(), value.as_deref(), "value")?;
            equal(message.offset(), i as i64, "offset")?;
        }
        Ok(found)
    }

    fn watermarks(&self, topic: &str) -> Outcome<(i64, i64)> {
        let consumer = self.consumer(&self.name("reader"), "range", "earliest")?;
        consumer.fetch_watermarks(topic, 0, PATIENCE).map_err(text)
    }

    fn configs(&self, topic: &str) -> Outcome<HashMap<String, (Option<String>, bool)>> {
        let resource = [ResourceSpecifier::Topic(topic)];
        let mut results = block_on(self.admin.describe_configs(&resource, &self.options)).map_err(text)?;
        let entries = results.remove(0).map_err(text)?.entries;
        Ok(entries.into_iter().map(|ConfigEntry { name, value, is_default, .. }| (name, (value, is_default))).collect())
    }

    fn expect_config(&self, topic: &str, key: &str, value: &str, is_default: bool) -> Outcome {
        let found = self.configs(topic)?.remove(key).ok_or(format!("{key} is not described"))?;
        equal(found, (Some(value.to_string()), is_default), key)
    }

    fn shape(&self, topic: &str) -> Outcome<(usize, usize)> {
        let found = self.admin.inner().fetch_metadata(Some(topic), PATIENCE).map_err(text)?;
        let partitions = found.topics()[0].partitions();
        Ok((partitions.len(), partitions[0].replicas().len()))
    }

    // A group, named like its topic, that has read ten records and committed; its member is still there.
    fn committed_group(&self, word: &str, offset: i64) -> Outcome<BaseConsumer> {
        let topic = self.topic(word)?;
        self.produce(&topic, &numbers(10), &[]).map_err(text)?;
        let consumer = self.join(&topic, "range")?;
        take(&consumer, 10).map_err(text)?;
        consumer.commit(&one(&topic, Offset::Offset(offset))?, CommitMode::Sync).map_err(text)?;
        Ok(consumer)
    }

    fn join(&self, topic: &str, strategy: &str) -> Outcome<BaseConsumer> {
        let consumer = self.consumer(topic, strategy, "earliest")?;
        consumer.subscribe(&[topic]).map_err(text)?;
        Ok(consumer)
    }

    fn expect_first(&self, topic: &str, offset: i64) -> Outcome {
        let found = take(&self.join(topic, "range")?, 1).map_err(text)?;
        equal(found[0].offset(), offset, "first offset")
    }

    fn rebalance(&self, word: &str, strategy: &str) -> Outcome {
        let topic = self.create(word, 4, 3, None).map_err(text)?;
        let first = self.join(&topic, strategy)?;
        until_shares(&[&first], &[4])?;
        let second = self.join(&topic, strategy)?;
        until_shares(&[&first, &second], &[2, 2])?;
        drop(second);
        until_shares(&[&first], &[4])
    }

    fn delete_group(&self, group: &str) -> Result<(), RDKafkaErrorCode> {
        let mut results = block_on(self.admin.delete_groups(&[group], &self.options))
            .map_err(|error| code_of(&error).unwrap_or(RDKafkaErrorCode::Fail))?;
        results.remove(0).map(|_| ()).map_err(|(_, code)| code)
    }

    fn delete_topic(&self, topic: &str) -> Result<(), RDKafkaErrorCode> {
        let mut results = block_on(self.admin.delete_topics(&[topic], &self.options))
            .map_err(|error| code_of(&error).unwrap_or(RDKafkaErrorCode::Fail))?;
        results.remove(0).map(|_| ()).map_err(|(_, code)| code)
    }
}

fn take(consumer: &BaseConsumer, count: usize) -> Result<Vec<OwnedMessage>, KafkaError> {
    let mut found = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while found.len() < count && Instant::now() < deadline {
        if let Some(message) = consumer.poll(Duration::from_millis(500)) {
            found.push(message?.detach());
        }
    }
    if found.len() < count {
        return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
    }
    Ok(found)
}

fn until_shares(members: &[&BaseConsumer], wanted: &[usize]) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut found = Vec::new();
        for member in members {
            if let Some(Err(error)) = member.poll(Duration::from_millis(100)) {
                return Err(error.to_string());
            }
            found.push(member.assignment().map_err(text)?.count());
        }
        if found == wanted {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("shares of partitions: {found:?}, not {wanted:?}"));
        }
    }
}

fn expect_code<T: std::fmt::Debug>(result: Result<T, RDKafkaErrorCode>, wanted: RDKafkaErrorCode) -> Outcome {
    equal(result.err(), Some(wanted), "error")
}

fn codec(cluster: &Cluster, kind: &str) -> Outcome {
    let topic = cluster.topic(&format!("codec-{kind}"))?;
    cluster.round_trip(&topic, &numbers(200), &[("compression.codec", kind)]).map(|_| ())
}

fn recompression(cluster: &Cluster) -> Outcome {
    for kind in ["gzip", "snappy", "lz4", "zstd"] {
        let topic = cluster.topic_with(&format!("recompressed-{kind}"), "compression.type", kind)?;
        cluster.round_trip(&topic, &numbers(200), &[("compression.codec", "none")])?;
    }
    Ok(())
}

fn keys_and_tombstones(cluster: &Cluster) -> Outcome {
    let bytes = |value: &str| Some(value.as_bytes().to_vec());
    let records = [
        (None, bytes("a"), FIRST_TIME),
        (bytes(""), bytes("b"), FIRST_TIME),
        (bytes("key"), bytes("c"), FIRST_TIME),
        (bytes("key"), None, FIRST_TIME),
        (bytes("key"), bytes(""), FIRST_TIME),
    ];
    cluster.round_trip(&cluster.topic("keys")?, &records, &[]).map(|_| ())
}

fn headers(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic("headers")?;
    let sent = [("a", Some("1")), ("b", Some("")), ("a", Some("2")), ("none", None)];
    let mut list = OwnedHeaders::new();
    for (key, value) in sent {
        list = list.insert(Header { key, value });
    }
    let producer: FutureProducer = cluster.config().create().map_err(text)?;
    let record: FutureRecord<[u8], [u8]> = FutureRecord::to(&topic).payload(&b"v"[..]).headers(list);
    block_on(producer.send(record, PATIENCE)).map_err(|(error, _)| error.to_string())?;
    let found = cluster.read(&topic, 1, 0)?;
    let found = found[0].headers().ok_or("no headers came")?;
    let shown: Vec<_> = found.iter().map(|header| (header.key, header.value)).collect();
    equal(shown, sent.map(|(key, value)| (key, value.map(str::as_bytes))).to_vec(), "headers")
}

fn timestamps(cluster: &Cluster) -> Outcome {
    let found = cluster.round_trip(&cluster.topic("timestamps")?, &numbers(5), &[])?;
    equal(found[4].timestamp(), Timestamp::CreateTime(FIRST_TIME + 4000), "timestamp")
}

fn log_append_time(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic_with("append-time", "message.timestamp.type", "LogAppendTime")?;
    let found = cluster.round_trip(&topic, &numbers(1), &[])?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(text)?.as_millis() as i64;
    match found[0].timestamp() {
        Timestamp::LogAppendTime(stamp) if (stamp - now).abs() < 60_000 => Ok(()),
        other => Err(format!("timestamp {other:?}")),
    }
}

fn order(cluster: &Cluster, word: &str, settings: &[(&str, &str)]) -> Outcome {
    let topic = cluster.topic(word)?;
    cluster.round_trip(&topic, &numbers(1000), settings)?;
    equal(cluster.watermarks(&topic)?, (0, 1000), "watermarks")
}

fn large_record(cluster: &Cluster) -> Outcome {
    let value: Vec<u8> = (0..900_000u32).map(|i| (i % 251) as u8).collect();
    cluster.round_trip(&cluster.topic("large")?, &[(None, Some(value), FIRST_TIME)], &[]).map(|_| ())
}

fn offsets_by_time(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic("times")?;
    cluster.produce(&topic, &numbers(100), &[("compression.codec", "gzip")]).map_err(text)?;
    let consumer = cluster.consumer(&cluster.name("reader"), "range", "earliest")?;
    let wanted = [(0, Offset::Offset(0)), (41_500, Offset::Offset(42)), (99_000, Offset::Offset(99)), (99_001, Offset::End)];
    for (after, offset) in wanted {
        let asked = one(&topic, Offset::Offset(FIRST_TIME + after))?;
        let found = consumer.offsets_for_times(asked, PATIENCE).map_err(text)?;
        equal(found.elements()[0].offset(), offset, "offset by time")?;
    }
    Ok(())
}

fn watermarks(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic("watermarks")?;
    equal(cluster.watermarks(&topic)?, (0, 0), "watermarks of an empty partition")?;
    cluster.produce(&topic, &numbers(7), &[]).map_err(text)?;
    equal(cluster.watermarks(&topic)?, (0, 7), "watermarks")
}

fn seek(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic("seek")?;
    cluster.produce(&topic, &numbers(50), &[]).map_err(text)?;
    let found = cluster.read(&topic, 3, 37)?;
    equal(found[2].payload(), Some(&b"39"[..]), "third record")
}

fn commit_and_resume(cluster: &Cluster) -> Outcome {
    drop(cluster.committed_group("resume", 6)?);
    cluster.expect_first(&cluster.name("resume"), 6)
}

fn admin_create_topic(cluster: &Cluster) -> Outcome {
    let topic = cluster.create("created", 3, 3, Some(("retention.ms", "3600000"))).map_err(text)?;
    equal(cluster.shape(&topic)?, (3, 3), "partitions and replicas")?;
    cluster.expect_config(&topic, "retention.ms", "3600000", false)
}

fn admin_create_partitions(cluster: &Cluster) -> Outcome {
    let topic = cluster.create("grown", 2, 3, None).map_err(text)?;
    let wanted = [NewPartitions::new(&topic, 5)];
    let mut results = block_on(cluster.admin.create_partitions(&wanted, &cluster.options)).map_err(text)?;
    results.remove(0).map_err(|(_, code)| code.to_string())?;
    equal(cluster.shape(&topic)?, (5, 3), "partitions and replicas")
}

fn admin_delete_topic(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic("deleted")?;
    cluster.delete_topic(&topic).map_err(text)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = cluster.admin.inner().fetch_metadata(None, PATIENCE).map_err(text)?;
        if !found.topics().iter().any(|listed| listed.name() == topic) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("the topic is still listed".to_string());
        }
    }
}

fn admin_describe_configs(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic_with("described", "retention.ms", "7200000")?;
    cluster.expect_config(&topic, "retention.ms", "7200000", false)?;
    cluster.expect_config(&topic, "cleanup.policy", "delete", true)
}

// The client has AlterConfigs alone, which resets what it does not name.
fn admin_alter_configs(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic_with("altered", "segment.ms", "8000000")?;
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("retention.ms", "1800000");
    let mut results = block_on(cluster.admin.alter_configs([&change], &cluster.options)).map_err(text)?;
    results.remove(0).map_err(|(_, code)| code.to_string())?;
    cluster.expect_config(&topic, "retention.ms", "1800000", false)?;
    cluster.expect_config(&topic, "segment.ms", "604800000", true)
}

fn admin_describe_cluster(cluster: &Cluster) -> Outcome {
    let found = cluster.admin.inner().fetch_metadata(None, PATIENCE).map_err(text)?;
    equal(found.brokers().len(), 3, "brokers")?;
    equal(cluster.admin.inner().fetch_cluster_id(PATIENCE).is_some(), true, "whether there is a cluster id")
}

fn admin_groups(cluster: &Cluster) -> Outcome {
    let member = cluster.committed_group("grouped", 5)?;
    let group = cluster.name("grouped");
    let found = member.fetch_group_list(Some(&group), PATIENCE).map_err(text)?;
    equal(found.groups().len(), 1, "groups")?;
    equal((found.groups()[0].state(), found.groups()[0].members().len()), ("Stable", 1), "group")
}

// The client's admin cannot; a consumer outside of the group commits in its name.
fn admin_reset_offsets(cluster: &Cluster) -> Outcome {
    drop(cluster.committed_group("reset", 5)?);
    let group = cluster.name("reset");
    let outside = cluster.consumer(&group, "range", "earliest")?;
    outside.commit(&one(&group, Offset::Offset(2))?, CommitMode::Sync).map_err(text)?;
    drop(outside);
    cluster.expect_first(&group, 2)
}

fn admin_delete_group(cluster: &Cluster) -> Outcome {
    drop(cluster.committed_group("deleted-group", 5)?);
    let group = cluster.name("deleted-group");
    cluster.delete_group(&group).map_err(text)?;
    cluster.expect_first(&group, 0)
}

fn admin_delete_records(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic("records-deleted")?;
    cluster.produce(&topic, &numbers(10), &[]).map_err(text)?;
    let wanted = one(&topic, Offset::Offset(6))?;
    let found = block_on(cluster.admin.delete_records(&wanted, &cluster.options)).map_err(text)?;
    found.elements()[0].error().map_err(text)?;
    equal(cluster.watermarks(&topic)?, (6, 10), "watermarks")
}

fn error_topic_exists(cluster: &Cluster) -> Outcome {
    cluster.topic("twice")?;
    expect_code(cluster.create("twice", 1, 3, None), RDKafkaErrorCode::TopicAlreadyExists)
}

fn error_record_too_large(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic_with("small-records", "max.message.bytes", "10000")?;
    let result = cluster.produce(&topic, &[(None, Some(vec![0; 20_000]), FIRST_TIME)], &[]);
    equal(result.err().and_then(|error| code_of(&error)), Some(RDKafkaErrorCode::MessageSizeTooLarge), "error")
}

fn error_offset_out_of_range(cluster: &Cluster) -> Outcome {
    let topic = cluster.topic("out-of-range")?;
    cluster.produce(&topic, &numbers(1), &[]).map_err(text)?;
    let result = take(&cluster.reader(&topic, 100)?, 1);
    equal(result.err().and_then(|error| code_of(&error)), Some(RDKafkaErrorCode::AutoOffsetReset), "error")
}

type Check = (&'static str, fn(&Cluster) -> Outcome);

const CHECKS: &[Check] = &[
    ("codec_none", |c| codec(c, "none")),
    ("codec_gzip", |c| codec(c, "gzip")),
    ("codec_snappy", |c| codec(c, "snappy")),
    ("codec_lz4", |c| codec(c, "lz4")),
    ("codec_zstd", |c| codec(c, "zstd")),
    ("recompression", recompression),
    ("keys_and_tombstones", keys_and_tombstones),
    ("headers", headers),
    ("timestamps", timestamps),
    ("log_append_time", log_append_time),
    ("order", |c| order(c, "order", &[])),
    ("idempotence", |c| order(c, "idempotence", &[("enable.idempotence", "true")])),
    ("large_record", large_record),
    ("offsets_by_time", offsets_by_time),
    ("watermarks", watermarks),
    ("seek", seek),
    ("group_rebalance", |c| c.rebalance("rebalance", "range")),
    ("group_cooperative", |c| c.rebalance("cooperative", "cooperative-sticky")),
    ("commit_and_resume", commit_and_resume),
    ("admin_create_topic", admin_create_topic),
    ("admin_create_partitions", admin_create_partitions),
    ("admin_delete_topic", admin_delete_topic),
    ("admin_describe_configs", admin_describe_configs),
    ("admin_alter_configs", admin_alter_configs),
    ("admin_describe_cluster", admin_describe_cluster),
    ("admin_groups", admin_groups),
    ("admin_reset_offsets", admin_reset_offsets),
    ("admin_delete_group", admin_delete_group),
    ("admin_delete_records", admin_delete_records),
    ("error_topic_exists", error_topic_exists),
    ("error_unknown_topic", |c| {
        expect_code(c.delete_topic(&c.name("nowhere")), RDKafkaErrorCode::UnknownTopicOrPartition)
    }),
    ("error_invalid_topic", |c| expect_code(c.create("bad/name", 1, 3, None), RDKafkaErrorCode::InvalidTopic)),
    ("error_replication_factor", |c| {
        expect_code(c.create("four-replicas", 1, 4, None), RDKafkaErrorCode::InvalidReplicationFactor)
    }),
    ("error_bad_config", |c| {
        expect_code(c.create("bad-config", 1, 3, Some(("retention.ms", "soon"))), RDKafkaErrorCode::InvalidConfig)
    }),
    ("error_record_too_large", error_record_too_large),
    ("error_offset_out_of_range", error_offset_out_of_range),
    ("error_unknown_group", |c| {
        expect_code(c.delete_group(&c.name("no-group")), RDKafkaErrorCode::GroupIdNotFound)
    }),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let admin = ClientConfig::new().set("bootstrap.servers", &arguments[1]).create().expect("an admin client");
    let cluster = Cluster {
        bootstrap: arguments[1].clone(),
        prefix: arguments[2].clone(),
        admin,
        options: AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE)),
    };
    let mut failed = 0;
    for (name, check) in CHECKS {
        match check(&cluster) {
            Ok(()) => println!("ok {name}"),
            Err(why) => {
                failed += 1;
                println!("not ok {name}: {}", why.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    std::process::exit(if failed == 0 { 0 } else { 1 });
}
