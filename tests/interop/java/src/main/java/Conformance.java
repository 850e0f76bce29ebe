// SPDX-License-Identifier: Apache-2.0
// Conformance.java -- the Java client against a cluster: Conformance BOOTSTRAP PREFIX; one line for each check.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Conformance {
    private static final long PATIENCE_MS = 60_000;
    private static final long FIRST_TIME = 1_600_000_000_000L;

    private final String bootstrap;
    private final String prefix;
    private final Admin admin;
    private final Map<String, Check> checks = new LinkedHashMap<>();

    private interface Check {
        void run() throws Exception;
    }

    private Conformance(String bootstrap, String prefix) {
        this.bootstrap = bootstrap;
        this.prefix = prefix;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
        for (String kind : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            checks.put("codec_" + kind, () -> codec(kind));
        }
        checks.put("recompression", this::recompression);
        checks.put("keys_and_tombstones", this::keysAndTombstones);
        checks.put("headers", this::headers);
        checks.put("timestamps", this::timestamps);
        checks.put("log_append_time", this::logAppendTime);
        checks.put("order", () -> order("order", false));
        checks.put("idempotence", () -> order("idempotence", true));
        checks.put("large_record", this::largeRecord);
        checks.put("offsets_by_time", this::offsetsByTime);
        checks.put("watermarks", this::watermarks);
        checks.put("seek", this::seek);
        checks.put("group_rebalance", () -> rebalance("rebalance", "RangeAssignor"));
        checks.put("group_cooperative", () -> rebalance("cooperative", "CooperativeStickyAssignor"));
        checks.put("commit_and_resume", this::commitAndResume);
        checks.put("admin_create_topic", this::adminCreateTopic);
        checks.put("admin_create_partitions", this::adminCreatePartitions);
        checks.put("admin_delete_topic", this::adminDeleteTopic);
        checks.put("admin_describe_configs", this::adminDescribeConfigs);
        checks.put("admin_alter_configs", this::adminAlterConfigs);
        checks.put("admin_describe_cluster", this::adminDescribeCluster);
        checks.put("admin_groups", this::adminGroups);
        checks.put("admin_reset_offsets", this::adminResetOffsets);
        checks.put("admin_delete_group", this::adminDeleteGroup);
        checks.put("admin_delete_records", this::adminDeleteRecords);
        checks.put("error_topic_exists", this::errorTopicExists);
        checks.put("error_unknown_topic", () -> expectError(UnknownTopicOrPartitionException.class,
            () -> get(admin.deleteTopics(List.of(name("nowhere"))).all())));
        checks.put("error_invalid_topic",
            () -> expectError(InvalidTopicException.class, () -> topic("bad/name", 1, 3, Map.of())));
        checks.put("error_replication_factor", () -> expectError(InvalidReplicationFactorException.class,
            () -> topic("four-replicas", 1, 4, Map.of())));
        checks.put("error_bad_config", () -> expectError(InvalidConfigurationException.class,
            () -> topic("bad-config", 1, 3, Map.of("retention.ms", "soon"))));
        checks.put("error_record_too_large", this::errorRecordTooLarge);
        checks.put("error_offset_out_of_range", this::errorOffsetOutOfRange);
        checks.put("error_unknown_group", () -> expectError(GroupIdNotFoundException.class,
            () -> get(admin.deleteConsumerGroups(List.of(name("no-group"))).all())));
    }

    public static void main(String[] arguments) {
        Conformance conformance = new Conformance(arguments[0], arguments[1]);
        int failed = 0;
        for (Map.Entry<String, Check> entry : conformance.checks.entrySet()) {
            try {
                entry.getValue().run();
                System.out.println("ok " + entry.getKey());
            } catch (Exception | AssertionError error) {
                failed++;
                error.printStackTrace();
                System.out.println("not ok " + entry.getKey() + ": " + error.toString().replaceAll("\\s+", " "));
            }
        }
        conformance.admin.close();
        System.exit(failed == 0 ? 0 : 1);
    }

    private static void expect(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private static void expectEqual(Object found, Object wanted, String what) {
        expect(Objects.equals(found, wanted), what + ": " + found + ", not " + wanted);
    }

    private static void expectError(Class<? extends Exception> wanted, Check action) throws Exception {
        try {
            action.run();
        } catch (Exception error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            expectEqual(cause.getClass(), wanted, "error (" + cause.getMessage() + ")");
            return;
        }
        throw new AssertionError("no error where " + wanted.getSimpleName() + " was due");
    }

    private static <T> T get(KafkaFuture<T> future) throws Exception {
        return future.get(PATIENCE_MS, TimeUnit.MILLISECONDS);
    }

    private static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    private String name(String word) {
        return prefix + "-" + word;
    }

    private static TopicPartition first(String topic) {
        return new TopicPartition(topic, 0);
    }

    private String topic(String word) throws Exception {
        return topic(word, 1, 3, Map.of());
    }

    private String topic(String word, int partitions, int replicas, Map<String, String> configs) throws Exception {
        NewTopic wanted = new NewTopic(name(word), partitions, (short) replicas).configs(configs);
        get(admin.createTopics(List.of(wanted)).all());
        return name(word);
    }

    private List<RecordMetadata> produce(List<ProducerRecord<byte[], byte[]>> records, String... settings)
        throws Exception {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "acks", "all", "linger.ms",
            "20", "enable.idempotence", "false", "max.request.size", "2000000"));
        for (int i = 0; i < settings.length; i += 2) {
            config.put(settings[i], settings[i + 1]);
        }
        List<RecordMetadata> done = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer =
                 new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (ProducerRecord<byte[], byte[]> record : records) {
                sent.add(producer.send(record));
            }
            for (Future<RecordMetadata> future : sent) {
                done.add(future.get(PATIENCE_MS, TimeUnit.MILLISECONDS));
            }
        }
        return done;
    }

    /** Records whose values are the numbers from 0 on. */
    private static List<ProducerRecord<byte[], byte[]>> numbers(String topic, int count) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            records.add(new ProducerRecord<>(topic, 0, null, bytes(Integer.toString(i))));
        }
        return records;
    }

    private KafkaConsumer<byte[], byte[]> consumer(String group, String... settings) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset",
            "earliest", "enable.auto.commit", "false", "session.timeout.ms", "10000"));
        if (group != null) {
            config.put("group.id", group);
        }
        for (int i = 0; i < settings.length; i += 2) {
            config.put(settings[i], settings[i + 1]);
        }
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static List<ConsumerRecord<byte[], byte[]>> take(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (records.size() < count) {
            expect(System.currentTimeMillis() < deadline, records.size() + " of " + count + " records came");
            consumer.poll(Duration.ofMillis(500)).forEach(records::add);
        }
        return records;
    }

    private List<ConsumerRecord<byte[], byte[]>> read(String topic, int count, long offset, String... settings) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(null, settings)) {
            consumer.assign(List.of(first(topic)));
            consumer.seek(first(topic), offset);
            return take(consumer, count).subList(0, count);
        }
    }

    private void codec(String kind) throws Exception {
        roundTrip(topic("codec-" + kind), kind);
    }

    private void recompression() throws Exception {
        for (String kind : List.of("gzip", "snappy", "lz4", "zstd")) {
            roundTrip(topic("recompressed-" + kind, 1, 3, Map.of("compression.type", kind)), "none");
        }
    }

    private void roundTrip(String topic, String codec) throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            records.add(new ProducerRecord<>(topic, 0, bytes("k" + i), bytes(("value " + i).repeat(20))));
        }
        produce(records, "compression.type", codec);
        List<ConsumerRecord<byte[], byte[]>> found = read(topic, 200, 0);
        for (int i = 0; i < 200; i++) {
            expectEqual(text(found.get(i).key()), "k" + i, "key");
            expectEqual(text(found.get(i).value()), ("value " + i).repeat(20), "value");
        }
    }

    private void keysAndTombstones() throws Exception {
        String topic = topic("keys");
        String[][] sent = {{null, "a"}, {"", "b"}, {"key", "c"}, {"key", null}, {"key", ""}};
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (String[] pair : sent) {
            records.add(new ProducerRecord<>(topic, 0, bytes(pair[0]), bytes(pair[1])));
        }
        produce(records);
        List<ConsumerRecord<byte[], byte[]>> found = read(topic, sent.length, 0);
        for (int i = 0; i < sent.length; i++) {
            expectEqual(text(found.get(i).key()), sent[i][0], "key " + i);
            expectEqual(text(found.get(i).value()), sent[i][1], "value " + i);
        }
    }

    private void headers() throws Exception {
        String topic = topic("headers");
        String[][] sent = {{"a", "1"}, {"b", ""}, {"a", "2"}, {"none", null}};
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, 0, null, bytes("v"));
        for (String[] pair : sent) {
            record.headers().add(pair[0], bytes(pair[1]));
        }
        produce(List.of(record));
        Header[] found = read(topic, 1, 0).get(0).headers().toArray();
        expectEqual(found.length, sent.length, "number of headers");
        for (int i = 0; i < sent.length; i++) {
            expectEqual(found[i].key(), sent[i][0], "header " + i);
            expectEqual(text(found[i].value()), sent[i][1], "value of header " + i);
        }
    }

    private void timestamps() throws Exception {
        String topic = topic("timestamps");
        produce(List.of(new ProducerRecord<>(topic, 0, FIRST_TIME + 123, null, bytes("v"))));
        ConsumerRecord<byte[], byte[]> found = read(topic, 1, 0).get(0);
        expectEqual(found.timestamp(), FIRST_TIME + 123, "timestamp");
        expectEqual(found.timestampType(), TimestampType.CREATE_TIME, "its type");
    }

    private void logAppendTime() throws Exception {
        String topic = topic("append-time", 1, 3, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        RecordMetadata done = produce(List.of(new ProducerRecord<>(topic, 0, FIRST_TIME, null, bytes("v")))).get(0);
        ConsumerRecord<byte[], byte[]> found = read(topic, 1, 0).get(0);
        expectEqual(found.timestampType(), TimestampType.LOG_APPEND_TIME, "type of timestamp");
        expectEqual(done.timestamp(), found.timestamp(), "timestamp the producer was told");
        expect(Math.abs(found.timestamp() - before) < PATIENCE_MS, "timestamp " + found.timestamp());
    }

    private void order(String word, boolean isIdempotent) throws Exception {
        String topic = topic(word);
        produce(numbers(topic, 1000), "enable.idempotence", Boolean.toString(isIdempotent));
        List<ConsumerRecord<byte[], byte[]>> found = read(topic, 1000, 0);
        for (int i = 0; i < 1000; i++) {
            expectEqual(text(found.get(i).value()), Integer.toString(i), "record " + i);
            expectEqual(found.get(i).offset(), (long) i, "offset of record " + i);
        }
        expectEqual(watermarks(topic), List.of(0L, 1000L), "watermarks");
    }

    private void largeRecord() throws Exception {
        String topic = topic("large");
        byte[] value = new byte[900_000];
        for (int i = 0; i < value.length; i++) {
            value[i] = (byte) (i % 251);
        }
        produce(List.of(new ProducerRecord<>(topic, 0, null, value)));
        expect(Arrays.equals(read(topic, 1, 0).get(0).value(), value), "the record came back changed");
    }

    private List<Long> watermarks(String topic) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(null)) {
            return List.of(consumer.beginningOffsets(List.of(first(topic))).get(first(topic)),
                consumer.endOffsets(List.of(first(topic))).get(first(topic)));
        }
    }

    private void offsetsByTime() throws Exception {
        String topic = topic("times");
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            records.add(new ProducerRecord<>(topic, 0, FIRST_TIME + 1000 * i, null, bytes("v")));
        }
        produce(records, "compression.type", "gzip");
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(null)) {
            long[][] wanted = {{0, 0}, {41_500, 42}, {99_000, 99}};
            for (long[] pair : wanted) {
                OffsetAndTimestamp found =
                    consumer.offsetsForTimes(Map.of(first(topic), FIRST_TIME + pair[0])).get(first(topic));
                expectEqual(found.offset(), pair[1], "offset at " + pair[0]);
                expectEqual(found.timestamp(), FIRST_TIME + 1000 * pair[1], "its timestamp");
            }
            expectEqual(consumer.offsetsForTimes(Map.of(first(topic), FIRST_TIME + 99_001)).get(first(topic)), null,
                "offset behind the end");
        }
    }

    private void watermarks() throws Exception {
        String topic = topic("watermarks");
        expectEqual(watermarks(topic), List.of(0L, 0L), "watermarks of an empty partition");
        produce(numbers(topic, 7));
        expectEqual(watermarks(topic), List.of(0L, 7L), "watermarks");
    }

    private void seek() throws Exception {
        String topic = topic("seek");
        produce(numbers(topic, 50));
        List<ConsumerRecord<byte[], byte[]>> found = read(topic, 3, 37);
        expectEqual(text(found.get(0).value()), "37", "first record");
        expectEqual(found.get(2).offset(), 39L, "offset of the third one");
    }

    private static void untilAssigned(List<KafkaConsumer<byte[], byte[]>> members, List<Integer> shares) {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (true) {
            List<Integer> found = new ArrayList<>();
            for (KafkaConsumer<byte[], byte[]> member : members) {
                member.poll(Duration.ofMillis(100));
                found.add(member.assignment().size());
            }
            if (found.equals(shares)) {
                return;
            }
            expect(System.currentTimeMillis() < deadline, "members have " + found + " partitions, not " + shares);
        }
    }

    private void rebalance(String word, String assignor) throws Exception {
        String topic = topic(word, 4, 3, Map.of());
        String strategy = "org.apache.kafka.clients.consumer." + assignor;
        try (KafkaConsumer<byte[], byte[]> one = consumer(name(word), "partition.assignment.strategy", strategy);
             KafkaConsumer<byte[], byte[]> two = consumer(name(word), "partition.assignment.strategy", strategy)) {
            one.subscribe(List.of(topic));
            untilAssigned(List.of(one), List.of(4));
            two.subscribe(List.of(topic));
            untilAssigned(List.of(one, two), List.of(2, 2));
            two.unsubscribe();
            untilAssigned(List.of(one), List.of(4));
        }
    }

    private void commitAndResume() throws Exception {
        String topic = topic("resume");
        produce(numbers(topic, 20));
        try (KafkaConsumer<byte[], byte[]> member = consumer(name("resume"), "max.poll.records", "12")) {
            member.subscribe(List.of(topic));
            take(member, 12);
            member.commitSync(Map.of(first(topic), new OffsetAndMetadata(12, "a note")));
        }
        try (KafkaConsumer<byte[], byte[]> member = consumer(name("resume"))) {
            member.subscribe(List.of(topic));
            List<ConsumerRecord<byte[], byte[]>> found = take(member, 8);
            expectEqual(text(found.get(0).value()), "12", "first record");
            OffsetAndMetadata committed = member.committed(Set.of(first(topic))).get(first(topic));
            expectEqual(committed.offset(), 12L, "committed offset");
            expectEqual(committed.metadata(), "a note", "its metadata");
        }
    }

    private TopicDescription describe(String topic) throws Exception {
        return get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
    }

    private Config config(String topic) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return get(admin.describeConfigs(List.of(resource)).all()).get(resource);
    }

    private void adminCreateTopic() throws Exception {
        String topic = topic("created", 3, 3, Map.of("retention.ms", "3600000"));
        TopicDescription found = describe(topic);
        expectEqual(found.partitions().size(), 3, "partitions");
        expectEqual(found.partitions().get(0).replicas().size(), 3, "replicas");
        expectEqual(config(topic).get("retention.ms").value(), "3600000", "retention.ms");
    }

    private void adminCreatePartitions() throws Exception {
        String topic = topic("grown", 2, 3, Map.of());
        get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
        expectEqual(describe(topic).partitions().size(), 5, "partitions");
    }

    private void adminDeleteTopic() throws Exception {
        String topic = topic("deleted");
        get(admin.deleteTopics(List.of(topic)).all());
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (get(admin.listTopics().names()).contains(topic)) {
            expect(System.currentTimeMillis() < deadline, "the topic is still listed");
        }
    }

    private void adminDescribeConfigs() throws Exception {
        Config found = config(topic("described", 1, 3, Map.of("retention.ms", "7200000")));
        expectEqual(found.get("retention.ms").value(), "7200000", "retention.ms");
        expectEqual(found.get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "its source");
        expectEqual(found.get("cleanup.policy").value(), "delete", "cleanup.policy");
        expectEqual(found.get("cleanup.policy").source(), ConfigEntry.ConfigSource.DEFAULT_CONFIG, "its source");
    }

    private void adminAlterConfigs() throws Exception {
        String topic = topic("altered", 1, 3, Map.of("segment.ms", "8000000"));
        AlterConfigOp change =
            new AlterConfigOp(new ConfigEntry("retention.ms", "1800000"), AlterConfigOp.OpType.SET);
        Collection<AlterConfigOp> changes = List.of(change);
        get(admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, topic), changes)).all());
        Config found = config(topic);
        expectEqual(found.get("retention.ms").value(), "1800000", "retention.ms");
        expectEqual(found.get("segment.ms").value(), "8000000", "segment.ms");
    }

    private void adminDescribeCluster() throws Exception {
        expectEqual(get(admin.describeCluster().nodes()).size(), 3, "brokers");
        expect(get(admin.describeCluster().controller()).id() > 0, "no controller");
        expect(!get(admin.describeCluster().clusterId()).isEmpty(), "no cluster id");
    }

    /** A group whose member has read ten records and committed. */
    private KafkaConsumer<byte[], byte[]> committedGroup(String word, long offset) throws Exception {
        String topic = topic(word);
        produce(numbers(topic, 10));
        KafkaConsumer<byte[], byte[]> member = consumer(name(word));
        member.subscribe(List.of(topic));
        take(member, 10);
        member.commitSync(Map.of(first(topic), new OffsetAndMetadata(offset)));
        return member;
    }

    private void adminGroups() throws Exception {
        String group = name("grouped");
        try (KafkaConsumer<byte[], byte[]> member = committedGroup("grouped", 5)) {
            expect(get(admin.listConsumerGroups().all()).stream().anyMatch(found -> found.groupId().equals(group)),
                "the group is not listed");
            var found = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
            expectEqual(found.state().toString(), "Stable", "state");
            expectEqual(found.members().size(), 1, "members");
            expectEqual(found.members().iterator().next().assignment().topicPartitions(), Set.of(first(group)),
                "assignment");
        }
    }

    private void adminResetOffsets() throws Exception {
        committedGroup("reset", 5).close();
        String group = name("reset");
        get(admin.alterConsumerGroupOffsets(group, Map.of(first(group), new OffsetAndMetadata(2))).all());
        try (KafkaConsumer<byte[], byte[]> member = consumer(group)) {
            member.subscribe(List.of(group));
            expectEqual(take(member, 1).get(0).offset(), 2L, "first offset");
        }
    }

    private void adminDeleteGroup() throws Exception {
        committedGroup("deleted-group", 5).close();
        String group = name("deleted-group");
        get(admin.deleteConsumerGroups(List.of(group)).all());
        try (KafkaConsumer<byte[], byte[]> member = consumer(group)) {
            expectEqual(member.committed(Set.of(first(group))).get(first(group)), null, "committed offset");
        }
    }

    private void adminDeleteRecords() throws Exception {
        String topic = topic("records-deleted");
        produce(numbers(topic, 10));
        var result = admin.deleteRecords(Map.of(first(topic), RecordsToDelete.beforeOffset(6)));
        expectEqual(get(result.lowWatermarks().get(first(topic))).lowWatermark(), 6L, "low watermark");
        expectEqual(watermarks(topic), List.of(6L, 10L), "watermarks");
    }

    private void errorTopicExists() throws Exception {
        topic("twice");
        expectError(TopicExistsException.class, () -> topic("twice"));
    }

    private void errorRecordTooLarge() throws Exception {
        String topic = topic("small-records", 1, 3, Map.of("max.message.bytes", "10000"));
        expectError(RecordTooLargeException.class,
            () -> produce(List.of(new ProducerRecord<>(topic, 0, null, new byte[20_000]))));
    }

    private void errorOffsetOutOfRange() throws Exception {
        String topic = topic("out-of-range");
        produce(numbers(topic, 1));
        expectError(OffsetOutOfRangeException.class, () -> read(topic, 1, 100, "auto.offset.reset", "none"));
    }
}
