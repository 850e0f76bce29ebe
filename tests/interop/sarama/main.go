// SPDX-License-Identifier: Apache-2.0

// Sarama against a cluster: conformance BOOTSTRAP PREFIX; prints one line for each check.
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
	"github.com/IBM/sarama"
)

var (
	brokers = strings.Split(os.Args[1], ",")
	prefix  = os.Args[2]
	client  sarama.Client
	admin   sarama.ClusterAdmin
)

const firstTime = 1600000000000

type configs map[string]*string

func with(key, value string) configs { return configs{key: &value} }

func name(word string) string { return prefix + "-" + word }

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.MaxMessageBytes = 2000000
	config.Consumer.Return.Errors = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = 10 * time.Second
	config.Consumer.Group.Heartbeat.Interval = time.Second
	return config
}

func create(word string, partitions int32, replicas int16, entries configs) (string, error) {
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: replicas, ConfigEntries: entries}
	err := admin.CreateTopic(name(word), detail, false)
	if err == nil {
		err = client.RefreshMetadata(name(word))
	}
	return name(word), err
}

// withTopic makes a topic of one partition and hands it to the check.
func withTopic(word string, entries configs, check func(topic string) error) error {
	topic, err := create(word, 1, 3, entries)
	if err != nil {
		return err
	}
	return check(topic)
}

func produce(topic string, messages []*sarama.ProducerMessage, change func(*sarama.Config)) error {
	config := settings()
	if change != nil {
		change(config)
	}
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	for _, message := range messages {
		message.Topic = topic
	}
	err = producer.SendMessages(messages)
	var failed sarama.ProducerErrors
	if errors.As(err, &failed) {
		return failed[0].Err
	}
	return err
}

func numbers(count int) []*sarama.ProducerMessage {
	messages := make([]*sarama.ProducerMessage, count)
	for i := range messages {
		messages[i] = &sarama.ProducerMessage{Value: sarama.StringEncoder(strconv.Itoa(i))}
	}
	return messages
}

func takeFrom(messages <-chan *sarama.ConsumerMessage, failures <-chan *sarama.ConsumerError, count int) ([]*sarama.ConsumerMessage, error) {
	var found []*sarama.ConsumerMessage
	deadline := time.After(report.Patience)
	for len(found) < count {
		select {
		case message, isOpen := <-messages:
			if !isOpen {
				return nil, fmt.Errorf("closed after %d of %d records", len(found), count)
			}
			found = append(found, message)
		case failure := <-failures:
			return nil, failure.Err
		case <-deadline:
			return nil, fmt.Errorf("%d of %d records came", len(found), count)
		}
	}
	return found, nil
}

func read(topic string, count int, offset int64) ([]*sarama.ConsumerMessage, error) {
	consumer, err := sarama.NewConsumer(brokers, settings())
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(topic, 0, offset)
	if err != nil {
		return nil, err
	}
	defer partition.AsyncClose()
	return takeFrom(partition.Messages(), partition.Errors(), count)
}

func bytesOf(encoder sarama.Encoder) []byte {
	if encoder == nil {
		return nil
	}
	encoded, _ := encoder.Encode()
	return encoded
}

// roundTrip produces messages and reads them again: keys, values, headers and offsets are what they were.
func roundTrip(topic string, messages []*sarama.ProducerMessage, change func(*sarama.Config)) ([]*sarama.ConsumerMessage, error) {
	if err := produce(topic, messages, change); err != nil {
		return nil, err
	}
	found, err := read(topic, len(messages), 0)
	if err != nil {
		return nil, err
	}
	for i, message := range messages {
		shown := fmt.Sprintf("%d %q %q", found[i].Offset, found[i].Key, found[i].Value)
		wanted := fmt.Sprintf("%d %q %q", i, bytesOf(message.Key), bytesOf(message.Value))
		for _, header := range found[i].Headers {
			shown += fmt.Sprintf(" %q=%q", header.Key, header.Value)
		}
		for _, header := range message.Headers {
			wanted += fmt.Sprintf(" %q=%q", header.Key, header.Value)
		}
		if err := report.Equal("record", shown, wanted); err != nil {
			return nil, err
		}
		isNull := []bool{found[i].Key == nil, found[i].Value == nil}
		if err := report.Equal("null key and value", isNull, []bool{message.Key == nil, message.Value == nil}); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func compressed(topic string, codec sarama.CompressionCodec) error {
	var messages []*sarama.ProducerMessage
	for i := 0; i < 200; i++ {
		messages = append(messages, &sarama.ProducerMessage{
			Key:   sarama.StringEncoder(fmt.Sprintf("k%d", i)),
			Value: sarama.StringEncoder(strings.Repeat(fmt.Sprintf("value %d ", i), 20))})
	}
	_, err := roundTrip(topic, messages, func(config *sarama.Config) { config.Producer.Compression = codec })
	return err
}

func codec(kind string, codec sarama.CompressionCodec) report.Check {
	return report.Check{Name: "codec_" + kind, Run: func() error {
		return withTopic("codec-"+kind, nil, func(topic string) error { return compressed(topic, codec) })
	}}
}

func recompression() error {
	for _, kind := range []string{"gzip", "snappy", "lz4", "zstd"} {
		err := withTopic("recompressed-"+kind, with("compression.type", kind), func(topic string) error {
			return compressed(topic, sarama.CompressionNone)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func keysAndTombstones() error {
	return withTopic("keys", nil, func(topic string) error {
		_, err := roundTrip(topic, []*sarama.ProducerMessage{
			{Value: sarama.StringEncoder("a")},
			{Key: sarama.StringEncoder(""), Value: sarama.StringEncoder("b")},
			{Key: sarama.StringEncoder("key"), Value: sarama.StringEncoder("c")},
			{Key: sarama.StringEncoder("key")},
			{Key: sarama.StringEncoder("key"), Value: sarama.StringEncoder("")},
		}, nil)
		return err
	})
}

func headers() error {
	return withTopic("headers", nil, func(topic string) error {
		_, err := roundTrip(topic, []*sarama.ProducerMessage{{Value: sarama.StringEncoder("v"), Headers: []sarama.RecordHeader{
			{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b"), Value: []byte{}},
			{Key: []byte("a"), Value: []byte("2")}, {Key: []byte("none")}}}}, nil)
		return err
	})
}

func timestamps() error {
	return withTopic("timestamps", nil, func(topic string) error {
		message := &sarama.ProducerMessage{Value: sarama.StringEncoder("v"), Timestamp: time.UnixMilli(firstTime + 123)}
		found, err := roundTrip(topic, []*sarama.ProducerMessage{message}, nil)
		if err != nil {
			return err
		}
		return report.Equal("timestamp", found[0].Timestamp.UnixMilli(), firstTime+123)
	})
}

func logAppendTime() error {
	return withTopic("append-time", with("message.timestamp.type", "LogAppendTime"), func(topic string) error {
		before := time.Now()
		message := &sarama.ProducerMessage{Value: sarama.StringEncoder("v"), Timestamp: time.UnixMilli(firstTime)}
		found, err := roundTrip(topic, []*sarama.ProducerMessage{message}, nil)
		if err != nil {
			return err
		}
		isNear := found[0].Timestamp.Sub(before).Abs() < report.Patience
		return report.Equal("the broker's time is near, and told to the producer",
			[]any{isNear, message.Timestamp.UnixMilli()}, []any{true, found[0].Timestamp.UnixMilli()})
	})
}

func order(word string, change func(*sarama.Config)) error {
	return withTopic(word, nil, func(topic string) error {
		if _, err := roundTrip(topic, numbers(1000), change); err != nil {
			return err
		}
		return expectWatermarks(topic, 0, 1000)
	})
}

func idempotent(config *sarama.Config) {
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
}

func largeRecord() error {
	return withTopic("large", nil, func(topic string) error {
		value := bytes.Repeat([]byte("flotilla!"), 100000)
		_, err := roundTrip(topic, []*sarama.ProducerMessage{{Value: sarama.ByteEncoder(value)}}, nil)
		return err
	})
}

func expectWatermarks(topic string, low, high int64) error {
	start, err := client.GetOffset(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	end, err := client.GetOffset(topic, 0, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	return report.Equal("watermarks", []int64{start, end}, []int64{low, high})
}

func offsetsByTime() error {
	return withTopic("times", nil, func(topic string) error {
		messages := numbers(100)
		for i, message := range messages {
			message.Timestamp = time.UnixMilli(firstTime + 1000*int64(i))
		}
		err := produce(topic, messages, func(config *sarama.Config) { config.Producer.Compression = sarama.CompressionGZIP })
		if err != nil {
			return err
		}
		for _, pair := range [][2]int64{{0, 0}, {41500, 42}, {99000, 99}, {99001, -1}} {
			found, err := client.GetOffset(topic, 0, firstTime+pair[0])
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
		return errors.Join(expectWatermarks(topic, 0, 0), produce(topic, numbers(7), nil), expectWatermarks(topic, 0, 7))
	})
}

func seek() error {
	return withTopic("seek", nil, func(topic string) error {
		if err := produce(topic, numbers(50), nil); err != nil {
			return err
		}
		found, err := read(topic, 3, 37)
		if err != nil {
			return err
		}
		return report.Equal("first and last record", []string{string(found[0].Value), string(found[2].Value)}, []string{"37", "39"})
	})
}

// A member of a group: its session's claims are counted, their messages come by one channel.
type member struct {
	group    sarama.ConsumerGroup
	share    atomic.Int64
	messages chan *sarama.ConsumerMessage
	session  atomic.Value
	cancel   context.CancelFunc
	done     chan struct{}
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.session.Store(session)
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.share.Add(1)
	defer m.share.Add(-1)
	for {
		select {
		case message, isOpen := <-claim.Messages():
			if !isOpen {
				return nil
			}
			m.messages <- message
		case <-session.Context().Done():
			return nil
		}
	}
}

func join(group, topic string, strategy sarama.BalanceStrategy) (*member, error) {
	config := settings()
	config.Consumer.Return.Errors = false
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	joined, err := sarama.NewConsumerGroup(brokers, group, config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: joined, messages: make(chan *sarama.ConsumerMessage, 1000), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			if err := joined.Consume(ctx, []string{topic}, m); err != nil {
				fmt.Fprintln(os.Stderr, group, err)
			}
		}
	}()
	return m, nil
}

func (m *member) leave() {
	m.cancel()
	<-m.done
	m.group.Close()
}

func (m *member) count() int { return int(m.share.Load()) }

func (m *member) take(count int) ([]*sarama.ConsumerMessage, error) {
	return takeFrom(m.messages, nil, count)
}

func rebalance(word string, strategy func() sarama.BalanceStrategy) error {
	topic, err := create(word, 4, 3, nil)
	if err != nil {
		return err
	}
	one, err := join(name(word), topic, strategy())
	if err != nil {
		return err
	}
	defer one.leave()
	if err := report.Shares([]int{4}, one.count); err != nil {
		return err
	}
	two, err := join(name(word), topic, strategy())
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

// committedGroup has read ten records and committed; the member is still there.
func committedGroup(word string, offset int64) (*member, error) {
	topic, err := create(word, 1, 3, nil)
	if err != nil {
		return nil, err
	}
	if err := produce(topic, numbers(10), nil); err != nil {
		return nil, err
	}
	m, err := join(name(word), topic, sarama.NewBalanceStrategyRange())
	if err != nil {
		return nil, err
	}
	if _, err := m.take(10); err != nil {
		m.leave()
		return nil, err
	}
	session := m.session.Load().(sarama.ConsumerGroupSession)
	session.MarkOffset(topic, 0, offset, "a note")
	session.Commit()
	return m, nil
}

func committed(group, topic string) (*sarama.OffsetFetchResponseBlock, error) {
	answer, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
	if err != nil {
		return nil, err
	}
	block := answer.GetGroupBlock(group, topic, 0)
	if block == nil {
		block = answer.GetBlock(topic, 0)
	}
	if block == nil {
		return nil, errors.New("the partition is not in the answer")
	}
	return block, nil
}

func expectFirst(group, topic string, offset int64) error {
	m, err := join(group, topic, sarama.NewBalanceStrategyRange())
	if err != nil {
		return err
	}
	defer m.leave()
	found, err := m.take(1)
	if err != nil {
		return err
	}
	return report.Equal("first offset", found[0].Offset, offset)
}

func commitAndResume() error {
	m, err := committedGroup("resume", 6)
	if err != nil {
		return err
	}
	m.leave()
	block, err := committed(name("resume"), name("resume"))
	if err != nil {
		return err
	}
	if err := report.Equal("commit", fmt.Sprintf("%d %s", block.Offset, block.Metadata), "6 a note"); err != nil {
		return err
	}
	return expectFirst(name("resume"), name("resume"), 6)
}

func expectConfigs(topic string, wanted map[string]string) error {
	found, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	if err != nil {
		return err
	}
	seen := 0
	for _, config := range found {
		if value, is := wanted[config.Name]; is {
			seen++
			shown := fmt.Sprintf("%s %v", config.Value, config.Source == sarama.SourceTopic)
			if err := report.Equal(config.Name, shown, value); err != nil {
				return err
			}
		}
	}
	return report.Equal("configs found", seen, len(wanted))
}

func partitionsOf(topic string) (int, int, error) {
	found, err := admin.DescribeTopics([]string{topic})
	if err != nil || !errors.Is(found[0].Err, sarama.ErrNoError) {
		return 0, 0, errors.Join(err, found[0].Err)
	}
	return len(found[0].Partitions), len(found[0].Partitions[0].Replicas), nil
}

func adminCreateTopic() error {
	topic, err := create("created", 3, 3, with("retention.ms", "3600000"))
	if err != nil {
		return err
	}
	partitions, replicas, err := partitionsOf(topic)
	return errors.Join(err, report.Equal("partitions and replicas", []int{partitions, replicas}, []int{3, 3}),
		expectConfigs(topic, map[string]string{"retention.ms": "3600000 true"}))
}

func adminCreatePartitions() error {
	topic, err := create("grown", 2, 3, nil)
	if err != nil {
		return err
	}
	if err := admin.CreatePartitions(topic, 5, nil, false); err != nil {
		return err
	}
	partitions, _, err := partitionsOf(topic)
	return errors.Join(err, report.Equal("partitions", partitions, 5))
}

func adminDeleteTopic() error {
	return withTopic("deleted", nil, func(topic string) error {
		if err := admin.DeleteTopic(topic); err != nil {
			return err
		}
		return report.Until(func() (bool, error) {
			topics, err := admin.ListTopics()
			_, isThere := topics[topic]
			return !isThere, err
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
		change := map[string]sarama.IncrementalAlterConfigsEntry{
			"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}
		if err := admin.IncrementalAlterConfig(sarama.TopicResource, topic, change, false); err != nil {
			return err
		}
		return expectConfigs(topic, map[string]string{"retention.ms": "1800000 true", "segment.ms": "8000000 true"})
	})
}

func adminDescribeCluster() error {
	found, controller, err := admin.DescribeCluster()
	return errors.Join(err, report.Equal("brokers, and a controller", []any{len(found), controller > 0}, []any{3, true}))
}

func adminGroups() error {
	m, err := committedGroup("grouped", 5)
	if err != nil {
		return err
	}
	defer m.leave()
	listed, err := admin.ListConsumerGroups()
	if err != nil {
		return err
	}
	described, err := admin.DescribeConsumerGroups([]string{name("grouped")})
	if err != nil {
		return err
	}
	return report.Equal("type, state, members",
		[]any{listed[name("grouped")], described[0].State, len(described[0].Members)}, []any{"consumer", "Stable", 1})
}

func adminResetOffsets() error {
	m, err := committedGroup("reset", 5)
	if err != nil {
		return err
	}
	m.leave()
	topic := name("reset")
	_, err = admin.AlterConsumerGroupOffsets(topic, map[string]map[int32]sarama.OffsetAndMetadata{
		topic: {0: {Offset: 2, LeaderEpoch: -1}}}, nil)
	if err != nil {
		return err
	}
	return expectFirst(topic, topic, 2)
}

func adminDeleteGroup() error {
	m, err := committedGroup("deleted-group", 5)
	if err != nil {
		return err
	}
	m.leave()
	topic := name("deleted-group")
	if err := admin.DeleteConsumerGroup(topic); err != nil {
		return err
	}
	block, err := committed(topic, topic)
	if err != nil {
		return err
	}
	return report.Equal("committed offset", block.Offset, -1)
}

func adminDeleteRecords() error {
	return withTopic("records-deleted", nil, func(topic string) error {
		return errors.Join(produce(topic, numbers(10), nil), admin.DeleteRecords(topic, map[int32]int64{0: 6}),
			expectWatermarks(topic, 6, 10))
	})
}

func errorOfCreate(wanted error, word string, replicas int16, entries configs) func() error {
	return func() error {
		_, err := create(word, 1, replicas, entries)
		return report.Is(err, wanted)
	}
}

func errorTopicExists() error {
	return withTopic("twice", nil, func(string) error { return errorOfCreate(sarama.ErrTopicAlreadyExists, "twice", 3, nil)() })
}

func errorRecordTooLarge() error {
	return withTopic("small-records", with("max.message.bytes", "10000"), func(topic string) error {
		err := produce(topic, []*sarama.ProducerMessage{{Value: sarama.ByteEncoder(make([]byte, 20000))}}, nil)
		return report.Is(err, sarama.ErrMessageSizeTooLarge)
	})
}

func errorOffsetOutOfRange() error {
	return withTopic("out-of-range", nil, func(topic string) error {
		if err := produce(topic, numbers(1), nil); err != nil {
			return err
		}
		_, err := read(topic, 1, 100)
		return report.Is(err, sarama.ErrOffsetOutOfRange)
	})
}

func main() {
	var err error
	if client, err = sarama.NewClient(brokers, settings()); err == nil {
		admin, err = sarama.NewClusterAdminFromClient(client)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	report.Run([]report.Check{
		codec("none", sarama.CompressionNone), codec("gzip", sarama.CompressionGZIP),
		codec("snappy", sarama.CompressionSnappy), codec("lz4", sarama.CompressionLZ4), codec("zstd", sarama.CompressionZSTD),
		{Name: "recompression", Run: recompression},
		{Name: "keys_and_tombstones", Run: keysAndTombstones},
		{Name: "headers", Run: headers},
		{Name: "timestamps", Run: timestamps},
		{Name: "log_append_time", Run: logAppendTime},
		{Name: "order", Run: func() error { return order("order", nil) }},
		{Name: "idempotence", Run: func() error { return order("idempotence", idempotent) }},
		{Name: "large_record", Run: largeRecord},
		{Name: "offsets_by_time", Run: offsetsByTime},
		{Name: "watermarks", Run: watermarks},
		{Name: "seek", Run: seek},
		{Name: "group_rebalance", Run: func() error { return rebalance("rebalance", sarama.NewBalanceStrategyRange) }},
		{Name: "group_cooperative", Run: func() error {
			return rebalance("cooperative", sarama.NewBalanceStrategyCooperativeSticky)
		}},
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
		{Name: "error_unknown_topic", Run: func() error {
			return report.Is(admin.DeleteTopic(name("nowhere")), sarama.ErrUnknownTopicOrPartition)
		}},
		{Name: "error_invalid_topic", Run: errorOfCreate(sarama.ErrInvalidTopic, "bad/name", 3, nil)},
		{Name: "error_replication_factor", Run: errorOfCreate(sarama.ErrInvalidReplicationFactor, "four-replicas", 4, nil)},
		{Name: "error_bad_config", Run: errorOfCreate(sarama.ErrInvalidConfig, "bad-config", 3, with("retention.ms", "soon"))},
		{Name: "error_record_too_large", Run: errorRecordTooLarge},
		{Name: "error_offset_out_of_range", Run: errorOffsetOutOfRange},
		{Name: "error_unknown_group", Run: func() error {
			return report.Is(admin.DeleteConsumerGroup(name("no-group")), sarama.ErrGroupIDNotFound)
		}},
	})
}
