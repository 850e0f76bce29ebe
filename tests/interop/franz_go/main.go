// SPDX-License-Identifier: Apache-2.0

// franz-go against a cluster: conformance BOOTSTRAP PREFIX; prints one line for each check.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"flotilla/interop/report"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	brokers = strings.Split(os.Args[1], ",")
	prefix  = os.Args[2]
	admin   *kadm.Client
)

const firstTime = 1600000000000

type configs map[string]*string

func with(key, value string) configs { return configs{key: &value} }

func name(word string) string { return prefix + "-" + word }

func patience() context.Context {
	ctx, _ := context.WithTimeout(context.Background(), report.Patience) // ends with its check
	return ctx
}

func client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(brokers...)}, options...)...)
}

func create(word string, partitions int32, replicas int16, settings configs) (string, error) {
	_, err := admin.CreateTopic(patience(), partitions, replicas, settings, name(word))
	return name(word), err
}

// withTopic makes a topic of one partition and hands it to the check.
func withTopic(word string, settings configs, check func(topic string) error) error {
	topic, err := create(word, 1, 3, settings)
	if err != nil {
		return err
	}
	return check(topic)
}

func produce(topic string, records []*kgo.Record, options ...kgo.Opt) error {
	producer, err := client(append([]kgo.Opt{
		kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(20 * time.Millisecond), kgo.ProducerBatchMaxBytes(990000),
	}, options...)...)
	if err != nil {
		return err
	}
	defer producer.Close()
	return producer.ProduceSync(patience(), records...).FirstErr()
}

func numbers(count int) []*kgo.Record {
	records := make([]*kgo.Record, count)
	for i := range records {
		records[i] = &kgo.Record{Value: []byte(strconv.Itoa(i))}
	}
	return records
}

func take(consumer *kgo.Client, count int) ([]*kgo.Record, error) {
	var records []*kgo.Record
	ctx := patience()
	for len(records) < count {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("%d of %d records came: %w", len(records), count, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records[:count], nil
}

func read(topic string, count int, offset int64, options ...kgo.Opt) ([]*kgo.Record, error) {
	where := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(offset)}}
	consumer, err := client(append([]kgo.Opt{kgo.ConsumePartitions(where)}, options...)...)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	return take(consumer, count)
}

// roundTrip produces records and reads them again; show says what is compared.
func roundTrip(topic string, records []*kgo.Record, show func(*kgo.Record) string, options ...kgo.Opt) error {
	if err := produce(topic, records, options...); err != nil {
		return err
	}
	found, err := read(topic, len(records), 0)
	if err != nil {
		return err
	}
	for i := range records {
		if err := report.Equal(fmt.Sprintf("record %d", i), show(found[i]), show(records[i])); err != nil {
			return err
		}
	}
	return nil
}

func showKeyAndValue(record *kgo.Record) string {
	return fmt.Sprintf("%v %q %v %q", record.Key == nil, record.Key, record.Value == nil, record.Value)
}

func showHeaders(record *kgo.Record) string {
	shown := ""
	for _, header := range record.Headers {
		shown += fmt.Sprintf("%s=%v%q ", header.Key, header.Value == nil, header.Value)
	}
	return shown
}

func compressed(topic string, codec kgo.CompressionCodec) error {
	var records []*kgo.Record
	for i := 0; i < 200; i++ {
		records = append(records, &kgo.Record{Key: []byte(fmt.Sprintf("k%d", i)),
			Value: bytes.Repeat([]byte(fmt.Sprintf("value %d ", i)), 20)})
	}
	return roundTrip(topic, records, showKeyAndValue, kgo.ProducerBatchCompression(codec))
}

func codec(kind string, codec kgo.CompressionCodec) report.Check {
	return report.Check{Name: "codec_" + kind, Run: func() error {
		return withTopic("codec-"+kind, nil, func(topic string) error { return compressed(topic, codec) })
	}}
}

func recompression() error {
	for _, kind := range []string{"gzip", "snappy", "lz4", "zstd"} {
		err := withTopic("recompressed-"+kind, with("compression.type", kind), func(topic string) error {
			return compressed(topic, kgo.NoCompression())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func keysAndTombstones() error {
	return withTopic("keys", nil, func(topic string) error {
		return roundTrip(topic, []*kgo.Record{
			{Value: []byte("a")}, {Key: []byte{}, Value: []byte("b")}, {Key: []byte("key"), Value: []byte("c")},
			{Key: []byte("key")}, {Key: []byte("key"), Value: []byte{}},
		}, showKeyAndValue)
	})
}

func headers() error {
	return withTopic("headers", nil, func(topic string) error {
		record := &kgo.Record{Value: []byte("v"), Headers: []kgo.RecordHeader{
			{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{}}, {Key: "a", Value: []byte("2")}, {Key: "none"}}}
		return roundTrip(topic, []*kgo.Record{record}, showHeaders)
	})
}

func timestamps() error {
	return withTopic("timestamps", nil, func(topic string) error {
		record := &kgo.Record{Value: []byte("v"), Timestamp: time.UnixMilli(firstTime + 123)}
		return roundTrip(topic, []*kgo.Record{record}, func(record *kgo.Record) string {
			return fmt.Sprint(record.Timestamp.UnixMilli(), record.Attrs.TimestampType())
		})
	})
}

func logAppendTime() error {
	return withTopic("append-time", with("message.timestamp.type", "LogAppendTime"), func(topic string) error {
		before := time.Now()
		err := produce(topic, []*kgo.Record{{Value: []byte("v"), Timestamp: time.UnixMilli(firstTime)}})
		if err != nil {
			return err
		}
		found, err := read(topic, 1, 0)
		if err != nil {
			return err
		}
		near := found[0].Timestamp.Sub(before).Abs() < report.Patience
		return report.Equal("type of timestamp, and it is near", []any{found[0].Attrs.TimestampType(), near}, []any{1, true})
	})
}

func order(word string, options ...kgo.Opt) error {
	return withTopic(word, nil, func(topic string) error {
		err := roundTrip(topic, numbers(1000), func(r *kgo.Record) string { return string(r.Value) }, options...)
		if err != nil {
			return err
		}
		return expectWatermarks(topic, 0, 1000)
	})
}

func largeRecord() error {
	return withTopic("large", nil, func(topic string) error {
		value := make([]byte, 900000)
		for i := range value {
			value[i] = byte(i % 251)
		}
		return roundTrip(topic, []*kgo.Record{{Value: value}}, func(r *kgo.Record) string { return string(r.Value) },
			kgo.ProducerBatchCompression(kgo.NoCompression()))
	})
}

func offsetOf(listed kadm.ListedOffsets, err error, topic string) (int64, error) {
	if err != nil {
		return 0, err
	}
	found, _ := listed.Lookup(topic, 0)
	return found.Offset, found.Err
}

func expectWatermarks(topic string, low, high int64) error {
	starts, err := admin.ListStartOffsets(patience(), topic)
	start, err := offsetOf(starts, err, topic)
	if err != nil {
		return err
	}
	ends, err := admin.ListEndOffsets(patience(), topic)
	end, err := offsetOf(ends, err, topic)
	if err != nil {
		return err
	}
	return report.Equal("watermarks", []int64{start, end}, []int64{low, high})
}

func offsetsByTime() error {
	return withTopic("times", nil, func(topic string) error {
		records := numbers(100)
		for i, record := range records {
			record.Timestamp = time.UnixMilli(firstTime + 1000*int64(i))
		}
		if err := produce(topic, records, kgo.ProducerBatchCompression(kgo.GzipCompression())); err != nil {
			return err
		}
		// Behind the last record kadm asks for the end.
		for _, pair := range [][2]int64{{0, 0}, {41500, 42}, {99000, 99}, {99001, 100}} {
			listed, err := admin.ListOffsetsAfterMilli(patience(), firstTime+pair[0], topic)
			found, err := offsetOf(listed, err, topic)
			if err == nil {
				err = report.Equal(fmt.Sprint("offset at ", pair[0]), found, pair[1])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func watermarks() error {
	return withTopic("watermarks", nil, func(topic string) error {
		return errors.Join(expectWatermarks(topic, 0, 0), produce(topic, numbers(7)), expectWatermarks(topic, 0, 7))
	})
}

func seek() error {
	return withTopic("seek", nil, func(topic string) error {
		if err := produce(topic, numbers(50)); err != nil {
			return err
		}
		found, err := read(topic, 3, 37)
		if err != nil {
			return err
		}
		return report.Equal("first and last record", []string{string(found[0].Value), string(found[2].Value)}, []string{"37", "39"})
	})
}

// member joins a group and counts its partitions.
func member(group, topic string, options ...kgo.Opt) (*kgo.Client, func() int, error) {
	var share atomic.Int64
	count := func(sign int64) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			share.Add(sign * int64(len(partitions[topic])))
		}
	}
	consumer, err := client(append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(10 * time.Second), kgo.HeartbeatInterval(time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(count(1)), kgo.OnPartitionsRevoked(count(-1)), kgo.OnPartitionsLost(count(-1)),
	}, options...)...)
	return consumer, func() int { return int(share.Load()) }, err
}

func rebalance(word string, balancer kgo.GroupBalancer) error {
	topic, err := create(word, 4, 3, nil)
	if err != nil {
		return err
	}
	one, shareOfOne, err := member(name(word), topic, kgo.Balancers(balancer))
	if err != nil {
		return err
	}
	defer one.Close()
	if err := report.Shares([]int{4}, shareOfOne); err != nil {
		return err
	}
	two, shareOfTwo, err := member(name(word), topic, kgo.Balancers(balancer))
	if err != nil {
		return err
	}
	defer two.Close()
	if err := report.Shares([]int{2, 2}, shareOfOne, shareOfTwo); err != nil {
		return err
	}
	two.Close()
	return report.Shares([]int{4}, shareOfOne)
}

// committedGroup has read ten records and committed; the member is still there.
func committedGroup(word string, offset int64) (*kgo.Client, error) {
	topic, err := create(word, 1, 3, nil)
	if err != nil {
		return nil, err
	}
	if err := produce(topic, numbers(10)); err != nil {
		return nil, err
	}
	consumer, _, err := member(name(word), topic)
	if err != nil {
		return nil, err
	}
	found, err := take(consumer, 10)
	if err == nil {
		err = consumer.CommitRecords(patience(), found[offset-1])
	}
	return consumer, err
}

func firstOffset(group, topic string) (int64, error) {
	consumer, _, err := member(group, topic)
	if err != nil {
		return 0, err
	}
	defer consumer.Close()
	found, err := take(consumer, 1)
	if err != nil {
		return 0, err
	}
	return found[0].Offset, nil
}

func commitAndResume() error {
	consumer, err := committedGroup("resume", 6)
	if err != nil {
		return err
	}
	consumer.Close()
	found, err := firstOffset(name("resume"), name("resume"))
	if err != nil {
		return err
	}
	return report.Equal("first offset", found, 6)
}

func describe(topic string) (kadm.TopicDetail, error) {
	details, err := admin.ListTopics(patience(), topic)
	if err != nil {
		return kadm.TopicDetail{}, err
	}
	return details[topic], details[topic].Err
}

func expectConfigs(topic string, wanted map[string]string) error {
	found, err := admin.DescribeTopicConfigs(patience(), topic)
	if err != nil {
		return err
	}
	resource, err := found.On(topic, nil)
	if err != nil {
		return err
	}
	seen := 0
	for _, config := range resource.Configs {
		if value, is := wanted[config.Key]; is {
			seen++
			shown := fmt.Sprintf("%s %v", config.MaybeValue(), config.Source == kmsg.ConfigSourceDynamicTopicConfig)
			if err := report.Equal(config.Key, shown, value); err != nil {
				return err
			}
		}
	}
	return report.Equal("configs found", seen, len(wanted))
}

func adminCreateTopic() error {
	topic, err := create("created", 3, 3, with("retention.ms", "3600000"))
	if err != nil {
		return err
	}
	detail, err := describe(topic)
	if err != nil {
		return err
	}
	return errors.Join(
		report.Equal("partitions and replicas", []int{len(detail.Partitions), detail.Partitions.NumReplicas()}, []int{3, 3}),
		expectConfigs(topic, map[string]string{"retention.ms": "3600000 true"}))
}

func adminCreatePartitions() error {
	topic, err := create("grown", 2, 3, nil)
	if err != nil {
		return err
	}
	answers, err := admin.UpdatePartitions(patience(), 5, topic)
	if err != nil || answers.Error() != nil {
		return errors.Join(err, answers.Error())
	}
	detail, err := describe(topic)
	return errors.Join(err, report.Equal("partitions", len(detail.Partitions), 5))
}

func adminDeleteTopic() error {
	return withTopic("deleted", nil, func(topic string) error {
		if _, err := admin.DeleteTopic(patience(), topic); err != nil {
			return err
		}
		return report.Until(func() (bool, error) {
			details, err := admin.ListTopics(patience())
			return !details.Has(topic), err
		}, "the topic to be gone")
	})
}

func adminDescribeConfigs() error {
	return withTopic("described", with("retention.ms", "7200000"), func(topic string) error {
		return expectConfigs(topic, map[string]string{"retention.ms": "7200000 true", "cleanup.policy": "delete false"})
	})
}

func adminAlterConfigs() error {
	return withTopic("altered", with("segment.ms", "8000000"), func(topic string) error {
		value := "1800000"
		change := kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}
		answers, err := admin.AlterTopicConfigs(patience(), []kadm.AlterConfig{change}, topic)
		if err != nil {
			return err
		}
		if answer, err := answers.On(topic, nil); err != nil || answer.Err != nil {
			return errors.Join(err, answer.Err)
		}
		return expectConfigs(topic, map[string]string{"retention.ms": "1800000 true", "segment.ms": "8000000 true"})
	})
}

func adminDescribeCluster() error {
	found, err := admin.BrokerMetadata(patience())
	if err != nil {
		return err
	}
	return report.Equal("brokers, a controller, a cluster id",
		[]any{found.Brokers.NodeIDs(), found.Controller > 0, found.Cluster != ""}, []any{[]int{1, 2, 3}, true, true})
}

func adminGroups() error {
	consumer, err := committedGroup("grouped", 5)
	if err != nil {
		return err
	}
	defer consumer.Close()
	listed, err := admin.ListGroups(patience())
	if err != nil {
		return err
	}
	described, err := admin.DescribeGroups(patience(), name("grouped"))
	if err != nil {
		return err
	}
	group := described[name("grouped")]
	_, isListed := listed[name("grouped")]
	return report.Equal("listed, state, members", []any{isListed, group.State, len(group.Members)}, []any{true, "Stable", 1})
}

func adminResetOffsets() error {
	consumer, err := committedGroup("reset", 5)
	if err != nil {
		return err
	}
	consumer.Close()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: name("reset"), At: 2, LeaderEpoch: -1})
	answers, err := admin.CommitOffsets(patience(), name("reset"), offsets)
	if err != nil || answers.Error() != nil {
		return errors.Join(err, answers.Error())
	}
	found, err := firstOffset(name("reset"), name("reset"))
	return errors.Join(err, report.Equal("first offset", found, 2))
}

func adminDeleteGroup() error {
	consumer, err := committedGroup("deleted-group", 5)
	if err != nil {
		return err
	}
	consumer.Close()
	if _, err := admin.DeleteGroup(patience(), name("deleted-group")); err != nil {
		return err
	}
	answers, err := admin.FetchOffsets(patience(), name("deleted-group"))
	return errors.Join(err, report.Equal("commits", len(answers), 0))
}

func adminDeleteRecords() error {
	return withTopic("records-deleted", nil, func(topic string) error {
		if err := produce(topic, numbers(10)); err != nil {
			return err
		}
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: topic, At: 6})
		answers, err := admin.DeleteRecords(patience(), offsets)
		if err != nil || answers.Error() != nil {
			return errors.Join(err, answers.Error())
		}
		return expectWatermarks(topic, 6, 10)
	})
}

func errorTopicExists() error {
	return withTopic("twice", nil, func(string) error {
		_, err := create("twice", 1, 3, nil)
		return report.Is(err, kerr.TopicAlreadyExists)
	})
}

func errorOfCreate(wanted error, word string, replicas int16, settings configs) func() error {
	return func() error {
		_, err := create(word, 1, replicas, settings)
		return report.Is(err, wanted)
	}
}

func errorUnknownTopic() error {
	_, err := admin.DeleteTopic(patience(), name("nowhere"))
	return report.Is(err, kerr.UnknownTopicOrPartition)
}

func errorRecordTooLarge() error {
	return withTopic("small-records", with("max.message.bytes", "10000"), func(topic string) error {
		err := produce(topic, []*kgo.Record{{Value: make([]byte, 20000)}}, kgo.ProducerBatchCompression(kgo.NoCompression()))
		return report.Is(err, kerr.MessageTooLarge)
	})
}

func errorOffsetOutOfRange() error {
	return withTopic("out-of-range", nil, func(topic string) error {
		if err := produce(topic, numbers(1)); err != nil {
			return err
		}
		_, err := read(topic, 1, 100, kgo.ConsumeResetOffset(kgo.NoResetOffset()))
		return report.Is(err, kerr.OffsetOutOfRange)
	})
}

func errorUnknownGroup() error {
	_, err := admin.DeleteGroup(patience(), name("no-group"))
	return report.Is(err, kerr.GroupIDNotFound)
}

func main() {
	shared, err := client()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	admin = kadm.NewClient(shared)
	report.Run([]report.Check{
		codec("none", kgo.NoCompression()), codec("gzip", kgo.GzipCompression()), codec("snappy", kgo.SnappyCompression()),
		codec("lz4", kgo.Lz4Compression()), codec("zstd", kgo.ZstdCompression()),
		{Name: "recompression", Run: recompression},
		{Name: "keys_and_tombstones", Run: keysAndTombstones},
		{Name: "headers", Run: headers},
		{Name: "timestamps", Run: timestamps},
		{Name: "log_append_time", Run: logAppendTime},
		{Name: "order", Run: func() error { return order("order", kgo.DisableIdempotentWrite()) }},
		{Name: "idempotence", Run: func() error { return order("idempotence") }},
		{Name: "large_record", Run: largeRecord},
		{Name: "offsets_by_time", Run: offsetsByTime},
		{Name: "watermarks", Run: watermarks},
		{Name: "seek", Run: seek},
		{Name: "group_rebalance", Run: func() error { return rebalance("rebalance", kgo.RangeBalancer()) }},
		{Name: "group_cooperative", Run: func() error { return rebalance("cooperative", kgo.CooperativeStickyBalancer()) }},
		{Name: "commit_and_resume", Run: commitAndResume},
		{Name: "admin_create_topic", Run: adminCreateTopic},
		{Name: "admin_create_partitions", Run: adminCreatePartitions},
		{Name: "admin_delete_topic", Run: adminDeleteTopic},
		{Name: "admin_describe_configs", Run: adminDescribeConfigs},
		{Name: "admin_alter_configs", Run: adminAlterConfigs},
		{Name: "admin_describe_cluster", Run: adminDescribeCluster},
		{Name: "admin_groups", Run: adminGroups},
		{Name: "admin_reset_offsets", Run: adminResetOffsets},
		{Name: "admin_delete_group", Run: adminDeleteGroup},
		{Name: "admin_delete_records", Run: adminDeleteRecords},
		{Name: "error_topic_exists", Run: errorTopicExists},
		{Name: "error_unknown_topic", Run: errorUnknownTopic},
		{Name: "error_invalid_topic", Run: errorOfCreate(kerr.InvalidTopicException, "bad/name", 3, nil)},
		{Name: "error_replication_factor", Run: errorOfCreate(kerr.InvalidReplicationFactor, "four-replicas", 4, nil)},
		{Name: "error_bad_config", Run: errorOfCreate(kerr.InvalidConfig, "bad-config", 3, with("retention.ms", "soon"))},
		{Name: "error_record_too_large", Run: errorRecordTooLarge},
		{Name: "error_offset_out_of_range", Run: errorOffsetOutOfRange},
		{Name: "error_unknown_group", Run: errorUnknownGroup},
	})
}
