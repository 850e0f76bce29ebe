// SPDX-License-Identifier: Apache-2.0

// segmentio/kafka-go against a cluster: conformance BOOTSTRAP PREFIX; prints one line for each check.
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
	"github.com/segmentio/kafka-go"
)

var (
	brokers = strings.Split(os.Args[1], ",")
	prefix  = os.Args[2]
	client  = &kafka.Client{Addr: kafka.TCP(brokers...), Timeout: report.Patience}
)

const (
	firstTime    = 1600000000000
	topicSource  = 1 // DYNAMIC_TOPIC_CONFIG
	noGeneration = -1
)

type configs []kafka.ConfigEntry

func with(key, value string) configs {
	return configs{{ConfigName: key, ConfigValue: value}}
}

func name(word string) string { return prefix + "-" + word }

func patience() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), report.Patience)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func create(word string, partitions, replicas int, entries configs) (string, error) {
	answer, err := client.CreateTopics(patience(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: name(word), NumPartitions: partitions, ReplicationFactor: replicas, ConfigEntries: entries}}})
	if err != nil {
		return "", err
	}
	return name(word), answer.Errors[name(word)]
}

// withTopic makes a topic of one partition and hands it to the check.
func withTopic(word string, entries configs, check func(topic string) error) error {
	topic, err := create(word, 1, 3, entries)
	if err != nil {
		return err
	}
	return check(topic)
}

func produce(topic string, messages []kafka.Message, codec kafka.Compression) error {
	writer := &kafka.Writer{Addr: kafka.TCP(brokers...), Topic: topic, RequiredAcks: kafka.RequireAll, Compression: codec,
		BatchTimeout: 10 * time.Millisecond, BatchBytes: 2000000, MaxAttempts: 20}
	defer writer.Close()
	err := writer.WriteMessages(patience(), messages...)
	var each kafka.WriteErrors
	if errors.As(err, &each) {
		for _, err := range each {
			if err != nil {
				return err
			}
		}
	}
	return err
}

func numbers(count int) []kafka.Message {
	messages := make([]kafka.Message, count)
	for i := range messages {
		messages[i] = kafka.Message{Value: []byte(strconv.Itoa(i))}
	}
	return messages
}

func take(reader *kafka.Reader, count int) ([]kafka.Message, error) {
	var messages []kafka.Message
	ctx := patience()
	for len(messages) < count {
		message, err := reader.FetchMessage(ctx)
		if err != nil {
			return nil, fmt.Errorf("%d of %d records came: %w", len(messages), count, err)
		}
		messages = append(messages, message)
	}
	return messages, nil
}

func read(topic string, count int, offset int64) ([]kafka.Message, error) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: brokers, Topic: topic, MaxBytes: 10000000,
		MaxWait: 500 * time.Millisecond, OffsetOutOfRangeError: true})
	defer reader.Close()
	if err := reader.SetOffset(offset); err != nil {
		return nil, err
	}
	return take(reader, count)
}

// The client reads an empty key or value as a null one, so these are not told apart.
func show(message kafka.Message) string {
	shown := fmt.Sprintf("%q %q", message.Key, message.Value)
	for _, header := range message.Headers {
		shown += fmt.Sprintf(" %q=%q", header.Key, header.Value)
	}
	return shown
}

func roundTrip(topic string, messages []kafka.Message, codec kafka.Compression) ([]kafka.Message, error) {
	if err := produce(topic, messages, codec); err != nil {
		return nil, err
	}
	found, err := read(topic, len(messages), 0)
	if err != nil {
		return nil, err
	}
	for i, message := range messages {
		if err := report.Equal("record", fmt.Sprint(found[i].Offset, show(found[i])), fmt.Sprint(i, show(message))); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func compressed(topic string, codec kafka.Compression) error {
	var messages []kafka.Message
	for i := 0; i < 200; i++ {
		messages = append(messages, kafka.Message{Key: []byte(fmt.Sprintf("k%d", i)),
			Value: []byte(strings.Repeat(fmt.Sprintf("value %d ", i), 20))})
	}
	_, err := roundTrip(topic, messages, codec)
	return err
}

func codec(kind string, codec kafka.Compression) report.Check {
	return report.Check{Name: "codec_" + kind, Run: func() error {
		return withTopic("codec-"+kind, nil, func(topic string) error { return compressed(topic, codec) })
	}}
}

func recompression() error {
	for _, kind := range []string{"gzip", "snappy", "lz4", "zstd"} {
		err := withTopic("recompressed-"+kind, with("compression.type", kind), func(topic string) error {
			return compressed(topic, 0)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func keysAndTombstones() error {
	return withTopic("keys", nil, func(topic string) error {
		_, err := roundTrip(topic, []kafka.Message{
			{Value: []byte("a")}, {Key: []byte{}, Value: []byte("b")}, {Key: []byte("key"), Value: []byte("c")},
			{Key: []byte("key")}, {Key: []byte("key"), Value: []byte{}}}, 0)
		return err
	})
}

func headers() error {
	return withTopic("headers", nil, func(topic string) error {
		_, err := roundTrip(topic, []kafka.Message{{Value: []byte("v"), Headers: []kafka.Header{
			{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{}}, {Key: "a", Value: []byte("2")}, {Key: "none"}}}}, 0)
		return err
	})
}

func timestamps() error {
	return withTopic("timestamps", nil, func(topic string) error {
		found, err := roundTrip(topic, []kafka.Message{{Value: []byte("v"), Time: time.UnixMilli(firstTime + 123)}}, 0)
		if err != nil {
			return err
		}
		return report.Equal("timestamp", found[0].Time.UnixMilli(), firstTime+123)
	})
}

// The client shows the producer's timestamp whatever the batch says, so the broker is asked by time.
func logAppendTime() error {
	return withTopic("append-time", with("message.timestamp.type", "LogAppendTime"), func(topic string) error {
		before := time.Now()
		err := produce(topic, []kafka.Message{{Value: []byte("v"), Time: time.UnixMilli(firstTime)}}, 0)
		if err != nil {
			return err
		}
		return expectOffsetAt(topic, before.Add(-5*time.Second), 0)
	})
}

func order() error {
	return withTopic("order", nil, func(topic string) error {
		if _, err := roundTrip(topic, numbers(1000), 0); err != nil {
			return err
		}
		return expectWatermarks(topic, 0, 1000)
	})
}

func largeRecord() error {
	return withTopic("large", nil, func(topic string) error {
		_, err := roundTrip(topic, []kafka.Message{{Value: bytes.Repeat([]byte("flotilla!"), 100000)}}, 0)
		return err
	})
}

// The client leaves it to its caller to ask again when its metadata name a leader of before.
func offsetsOf(topic string, request kafka.OffsetRequest) (kafka.PartitionOffsets, error) {
	var found kafka.PartitionOffsets
	err := report.Until(func() (bool, error) {
		answer, err := client.ListOffsets(patience(), &kafka.ListOffsetsRequest{
			Topics: map[string][]kafka.OffsetRequest{topic: {request}}})
		if err != nil {
			return false, err
		}
		found = answer.Topics[topic][0]
		if errors.Is(found.Error, kafka.NotLeaderForPartition) {
			return false, nil
		}
		return true, found.Error
	}, "the leader of "+topic)
	return found, err
}

func expectWatermarks(topic string, low, high int64) error {
	first, err := offsetsOf(topic, kafka.FirstOffsetOf(0))
	if err != nil {
		return err
	}
	last, err := offsetsOf(topic, kafka.LastOffsetOf(0))
	if err != nil {
		return err
	}
	return report.Equal("watermarks", []int64{first.FirstOffset, last.LastOffset}, []int64{low, high})
}

func expectOffsetAt(topic string, moment time.Time, offset int64) error {
	found, err := offsetsOf(topic, kafka.TimeOffsetOf(0, moment))
	if err != nil {
		return err
	}
	if _, isThere := found.Offsets[offset]; isThere && len(found.Offsets) == 1 {
		return nil
	}
	return fmt.Errorf("offset at %v: %v, not %d", moment.UnixMilli(), found.Offsets, offset)
}

func offsetsByTime() error {
	return withTopic("times", nil, func(topic string) error {
		messages := numbers(100)
		for i := range messages {
			messages[i].Time = time.UnixMilli(firstTime + 1000*int64(i))
		}
		if err := produce(topic, messages, kafka.Gzip); err != nil {
			return err
		}
		return errors.Join(expectOffsetAt(topic, time.UnixMilli(firstTime), 0),
			expectOffsetAt(topic, time.UnixMilli(firstTime+41500), 42),
			expectOffsetAt(topic, time.UnixMilli(firstTime+99000), 99),
			expectOffsetAt(topic, time.UnixMilli(firstTime+99001), -1))
	})
}

func watermarks() error {
	return withTopic("watermarks", nil, func(topic string) error {
		return errors.Join(expectWatermarks(topic, 0, 0), produce(topic, numbers(7), 0), expectWatermarks(topic, 0, 7))
	})
}

func seek() error {
	return withTopic("seek", nil, func(topic string) error {
		if err := produce(topic, numbers(50), 0); err != nil {
			return err
		}
		found, err := read(topic, 3, 37)
		if err != nil {
			return err
		}
		return report.Equal("first and last record", []string{string(found[0].Value), string(found[2].Value)}, []string{"37", "39"})
	})
}

// A member of a group; its share is the number of its partitions in the generation it last joined.
type member struct {
	group  *kafka.ConsumerGroup
	share  atomic.Int64
	cancel context.CancelFunc
	done   chan struct{}
}

func join(group, topic string) (*member, error) {
	joined, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: group, Brokers: brokers, Topics: []string{topic},
		HeartbeatInterval: time.Second, SessionTimeout: 10 * time.Second, RebalanceTimeout: 20 * time.Second,
		JoinGroupBackoff: 200 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: joined, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			generation, err := joined.Next(ctx)
			if err != nil {
				continue
			}
			m.share.Store(int64(len(generation.Assignments[topic])))
			generation.Start(func(ended context.Context) { <-ended.Done() })
		}
	}()
	return m, nil
}

func (m *member) leave() {
	m.cancel()
	m.group.Close()
	<-m.done
}

func (m *member) count() int { return int(m.share.Load()) }

func groupRebalance() error {
	topic, err := create("rebalance", 4, 3, nil)
	if err != nil {
		return err
	}
	one, err := join(name("rebalance"), topic)
	if err != nil {
		return err
	}
	defer one.leave()
	if err := report.Shares([]int{4}, one.count); err != nil {
		return err
	}
	two, err := join(name("rebalance"), topic)
	if err != nil {
		return err
	}
	err = report.Shares([]int{2, 2}, one.count, two.count)
	two.leave()
	if err != nil {
		return err
	}
	return report.Shares([]int{4}, one.count)
}

func groupReader(group, topic string) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{Brokers: brokers, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
		MaxWait: 500 * time.Millisecond, SessionTimeout: 10 * time.Second, HeartbeatInterval: time.Second,
		JoinGroupBackoff: 200 * time.Millisecond})
}

// committedGroup has read ten records and committed; the reader is still a member.
func committedGroup(word string, offset int64) (*kafka.Reader, error) {
	topic, err := create(word, 1, 3, nil)
	if err != nil {
		return nil, err
	}
	if err := produce(topic, numbers(10), 0); err != nil {
		return nil, err
	}
	reader := groupReader(name(word), topic)
	found, err := take(reader, 10)
	if err == nil {
		err = reader.CommitMessages(patience(), found[offset-1])
	}
	if err != nil {
		reader.Close()
		return nil, err
	}
	return reader, nil
}

func expectFirst(group, topic string, offset int64) error {
	reader := groupReader(group, topic)
	defer reader.Close()
	found, err := take(reader, 1)
	if err != nil {
		return err
	}
	return report.Equal("first offset", found[0].Offset, offset)
}

func committed(group string) (int64, error) {
	answer, err := client.OffsetFetch(patience(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{group: {0}}})
	if err != nil || answer.Error != nil {
		return 0, errors.Join(err, answer.Error)
	}
	return answer.Topics[group][0].CommittedOffset, answer.Topics[group][0].Error
}

func commitAndResume() error {
	reader, err := committedGroup("resume", 6)
	if err != nil {
		return err
	}
	reader.Close()
	offset, err := committed(name("resume"))
	if err != nil {
		return err
	}
	return errors.Join(report.Equal("committed offset", offset, 6), expectFirst(name("resume"), name("resume"), 6))
}

func expectConfigs(topic string, wanted map[string]string) error {
	answer, err := client.DescribeConfigs(patience(), &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}}})
	if err != nil || answer.Resources[0].Error != nil {
		return errors.Join(err, answer.Resources[0].Error)
	}
	seen := 0
	for _, config := range answer.Resources[0].ConfigEntries {
		if value, is := wanted[config.ConfigName]; is {
			seen++
			shown := fmt.Sprintf("%s %v", config.ConfigValue, config.ConfigSource == topicSource)
			if err := report.Equal(config.ConfigName, shown, value); err != nil {
				return err
			}
		}
	}
	return report.Equal("configs found", seen, len(wanted))
}

func partitionsOf(topic string) ([]kafka.Partition, error) {
	answer, err := client.Metadata(patience(), &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, err
	}
	return answer.Topics[0].Partitions, answer.Topics[0].Error
}

func adminCreateTopic() error {
	topic, err := create("created", 3, 3, with("retention.ms", "3600000"))
	if err != nil {
		return err
	}
	partitions, err := partitionsOf(topic)
	if err != nil {
		return err
	}
	return errors.Join(report.Equal("partitions and replicas", []int{len(partitions), len(partitions[0].Replicas)}, []int{3, 3}),
		expectConfigs(topic, map[string]string{"retention.ms": "3600000 true"}))
}

func adminCreatePartitions() error {
	topic, err := create("grown", 2, 3, nil)
	if err != nil {
		return err
	}
	answer, err := client.CreatePartitions(patience(), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 5}}})
	if err != nil || answer.Errors[topic] != nil {
		return errors.Join(err, answer.Errors[topic])
	}
	// The client keeps metadata for some seconds.
	return report.Until(func() (bool, error) {
		partitions, err := partitionsOf(topic)
		return len(partitions) == 5, err
	}, "five partitions")
}

func deleteTopic(topic string) error {
	answer, err := client.DeleteTopics(patience(), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	return answer.Errors[topic]
}

func adminDeleteTopic() error {
	return withTopic("deleted", nil, func(topic string) error {
		if err := deleteTopic(topic); err != nil {
			return err
		}
		return report.Until(func() (bool, error) {
			answer, err := client.Metadata(patience(), &kafka.MetadataRequest{})
			if err != nil {
				return false, err
			}
			for _, found := range answer.Topics {
				if found.Name == topic {
					return false, nil
				}
			}
			return true, nil
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
		answer, err := client.IncrementalAlterConfigs(patience(), &kafka.IncrementalAlterConfigsRequest{
			Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
				Configs: []kafka.IncrementalAlterConfigsRequestConfig{
					{Name: "retention.ms", Value: "1800000", ConfigOperation: kafka.ConfigOperationSet}}}}})
		if err != nil || answer.Resources[0].Error != nil {
			return errors.Join(err, answer.Resources[0].Error)
		}
		return expectConfigs(topic, map[string]string{"retention.ms": "1800000 true", "segment.ms": "8000000 true"})
	})
}

func adminDescribeCluster() error {
	answer, err := client.Metadata(patience(), &kafka.MetadataRequest{})
	if err != nil {
		return err
	}
	return report.Equal("brokers, and a controller", []any{len(answer.Brokers), answer.Controller.ID > 0}, []any{3, true})
}

func adminGroups() error {
	reader, err := committedGroup("grouped", 5)
	if err != nil {
		return err
	}
	defer reader.Close()
	isListed := false
	for _, broker := range brokers {
		answer, err := client.ListGroups(patience(), &kafka.ListGroupsRequest{Addr: kafka.TCP(broker)})
		if err != nil || answer.Error != nil {
			return errors.Join(err, answer.Error)
		}
		for _, group := range answer.Groups {
			isListed = isListed || group.GroupID == name("grouped")
		}
	}
	answer, err := client.DescribeGroups(patience(), &kafka.DescribeGroupsRequest{GroupIDs: []string{name("grouped")}})
	if err != nil || answer.Groups[0].Error != nil {
		return errors.Join(err, answer.Groups[0].Error)
	}
	return report.Equal("listed, state, members",
		[]any{isListed, answer.Groups[0].GroupState, len(answer.Groups[0].Members)}, []any{true, "Stable", 1})
}

func adminResetOffsets() error {
	reader, err := committedGroup("reset", 5)
	if err != nil {
		return err
	}
	reader.Close()
	group := name("reset")
	answer, err := client.OffsetCommit(patience(), &kafka.OffsetCommitRequest{GroupID: group, GenerationID: noGeneration,
		Topics: map[string][]kafka.OffsetCommit{group: {{Partition: 0, Offset: 2}}}})
	if err != nil || answer.Topics[group][0].Error != nil {
		return errors.Join(err, answer.Topics[group][0].Error)
	}
	return expectFirst(group, group, 2)
}

func deleteGroup(group string) error {
	answer, err := client.DeleteGroups(patience(), &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return err
	}
	return answer.Errors[group]
}

func adminDeleteGroup() error {
	reader, err := committedGroup("deleted-group", 5)
	if err != nil {
		return err
	}
	reader.Close()
	if err := deleteGroup(name("deleted-group")); err != nil {
		return err
	}
	offset, err := committed(name("deleted-group"))
	return errors.Join(err, report.Equal("committed offset", offset, -1))
}

func errorOfCreate(wanted error, word string, replicas int, entries configs) func() error {
	return func() error {
		_, err := create(word, 1, replicas, entries)
		return report.Is(err, wanted)
	}
}

func errorTopicExists() error {
	return withTopic("twice", nil, func(string) error { return errorOfCreate(kafka.TopicAlreadyExists, "twice", 3, nil)() })
}

func errorRecordTooLarge() error {
	return withTopic("small-records", with("max.message.bytes", "10000"), func(topic string) error {
		return report.Is(produce(topic, []kafka.Message{{Value: make([]byte, 20000)}}, 0), kafka.MessageSizeTooLarge)
	})
}

func errorOffsetOutOfRange() error {
	return withTopic("out-of-range", nil, func(topic string) error {
		if err := produce(topic, numbers(1), 0); err != nil {
			return err
		}
		_, err := read(topic, 1, 100)
		return report.Is(err, kafka.OffsetOutOfRange)
	})
}

func main() {
	report.Run([]report.Check{
		codec("none", 0), codec("gzip", kafka.Gzip), codec("snappy", kafka.Snappy), codec("lz4", kafka.Lz4),
		codec("zstd", kafka.Zstd),
		{Name: "recompression", Run: recompression},
		{Name: "keys_and_tombstones", Run: keysAndTombstones},
		{Name: "headers", Run: headers},
		{Name: "timestamps", Run: timestamps},
		{Name: "log_append_time", Run: logAppendTime},
		{Name: "order", Run: order},
		{Name: "idempotence", Run: report.Skip("kafka-go has no idempotent writer")},
		{Name: "large_record", Run: largeRecord},
		{Name: "offsets_by_time", Run: offsetsByTime},
		{Name: "watermarks", Run: watermarks},
		{Name: "seek", Run: seek},
		{Name: "group_rebalance", Run: groupRebalance},
		{Name: "group_cooperative", Run: report.Skip("kafka-go has no cooperative balancer")},
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
		{Name: "admin_delete_records", Run: report.Skip("kafka-go has no such call")},
		{Name: "error_topic_exists", Run: errorTopicExists},
		{Name: "error_unknown_topic", Run: func() error {
			return report.Is(deleteTopic(name("nowhere")), kafka.UnknownTopicOrPartition)
		}},
		{Name: "error_invalid_topic", Run: errorOfCreate(kafka.InvalidTopic, "bad/name", 3, nil)},
		{Name: "error_replication_factor", Run: errorOfCreate(kafka.InvalidReplicationFactor, "four-replicas", 4, nil)},
		{Name: "error_bad_config", Run: errorOfCreate(kafka.InvalidConfiguration, "bad-config", 3, with("retention.ms", "soon"))},
		{Name: "error_record_too_large", Run: errorRecordTooLarge},
		{Name: "error_offset_out_of_range", Run: errorOffsetOutOfRange},
		{Name: "error_unknown_group", Run: func() error { return report.Is(deleteGroup(name("no-group")), kafka.GroupIdNotFound) }},
	})
}
