"""Fetch on the wire: sessions, epochs, and where a client that asked the wrong broker is sent."""
from confluent_kafka import Consumer, Producer, TopicPartition

from cluster import wait_for
from messages import Client, batch, batches

NONE, NOT_LEADER_OR_FOLLOWER, FENCED, UNKNOWN_EPOCH = 0, 6, 74, 75
SESSION_NOT_FOUND, WRONG_SESSION_EPOCH, TOPIC_ID_ERROR = 70, 71, 106
# A leader that was elected just now is waited for.
SOON = {"min_bytes": 1, "max_wait_ms": 500}


def produce(client, topic, value="x", partition=0, version=9):
    answer = client.ask("produce", version, acks=-1, timeout_ms=10000, topic_data=[
        {"name": topic, "partition_data": [{"index": partition, "records": batch([value])}]}])
    (told,) = answer["responses"][0]["partition_responses"]
    return told, answer


def places(topic, *partitions, topic_id=bytes(16)):
    """partitions: dictionaries of a FetchPartition."""
    return [{"topic": topic, "topic_id": topic_id,
             "partitions": [{"partition_max_bytes": 1 << 20, **each} for each in partitions]}]


def fetch(client, topics, version=12, **fields):
    return client.ask("fetch", version, **{"max_wait_ms": 0, "min_bytes": 0, "session_epoch": -1,
                                           "topics": topics, **fields})


def told(answer):
    """partition number -> what is told of it."""
    return {each["partition_index"]: each for topic in answer["responses"] for each in topic["partitions"]}


def topic_id_of(client, topic):
    answer = client.ask("metadata", 12, topics=[{"name": topic}])
    return answer["topics"][0]["topic_id"]


def test_a_session_tells_only_what_is_new(make_cluster):
    cluster = make_cluster(size=1, tls=False).start()
    (broker,) = cluster.brokers.values()
    cluster.create_topic("work", partitions=3)
    with Client(broker.kafka_port) as client:
        for partition in range(3):
            produce(client, "work", partition=partition)
        asked = places("work", *({"partition": n, "fetch_offset": 1} for n in range(3)))
        first = fetch(client, asked, session_epoch=0)
        session = first["session_id"]
        assert session > 0 and set(told(first)) == {0, 1, 2}

        def news(epoch, topics=(), **fields):
            return fetch(client, list(topics), session_id=session, session_epoch=epoch, **fields)

        assert told(news(1)) == {}
        produce(client, "work", partition=1)
        second = news(2)
        assert set(told(second)) == {1} and second["session_id"] == session
        assert batches(told(second)[1]["records"])[0][0] == 1
        assert told(news(3, places("work", {"partition": 1, "fetch_offset": 2}))) == {}
        produce(client, "work", partition=2)
        forgotten = news(4, forgotten_topics_data=[{"topic": "work", "partitions": [2]}])
        assert told(forgotten) == {}
        assert news(4)["error_code"] == WRONG_SESSION_EPOCH
        ids = fetch(client, [], version=13, session_id=session, session_epoch=5)
        assert ids["error_code"] == TOPIC_ID_ERROR
        assert broker.metric("flotilla_fetch_sessions") == 1
        assert broker.metric("flotilla_fetch_session_partitions") == 2
        assert fetch(client, asked, session_id=session)["session_id"] == 0
        assert news(5)["error_code"] == SESSION_NOT_FOUND
        assert broker.metric("flotilla_fetch_sessions") == 0


def test_a_session_outlives_its_connection_and_a_recreated_topic(make_cluster):
    cluster = make_cluster(size=1, tls=False, shards=1).start()
    (broker,) = cluster.brokers.values()
    cluster.create_topic("work")
    with Client(broker.kafka_port) as client:
        topic_id = topic_id_of(client, "work")
        first = fetch(client, places("", {"partition": 0}, topic_id=topic_id), version=16, session_epoch=0,
                      **SOON)
        session = first["session_id"]
        assert session > 0 and told(first)[0]["error_code"] == NONE
    with Client(broker.kafka_port) as client:
        assert told(fetch(client, [], version=16, session_id=session, session_epoch=1)) == {}
        cluster.tool("topic", "delete", "work")
        cluster.create_topic("work")
        gone = fetch(client, [], version=16, session_id=session, session_epoch=2)
        assert told(gone)[0]["error_code"] == 100  # UNKNOWN_TOPIC_ID
        anew = fetch(client, places("", {"partition": 0}, topic_id=topic_id_of(client, "work")), version=16,
                     session_id=session, session_epoch=3,
                     forgotten_topics_data=[{"topic_id": topic_id, "partitions": [0]}], **SOON)
        assert told(anew)[0]["error_code"] == NONE


def test_a_full_table_of_sessions_leaves_full_fetches(make_cluster):
    cluster = make_cluster(size=1, tls=False, shards=1, fetch_sessions_max=2).start()
    (broker,) = cluster.brokers.values()
    cluster.create_topic("work")
    asked = places("work", {"partition": 0})
    with Client(broker.kafka_port) as client:
        ids = [fetch(client, asked, session_epoch=0)["session_id"] for _ in range(3)]
        assert ids[0] != ids[1] and all(ids[:2]) and ids[2] == 0
        assert broker.metric("flotilla_fetch_sessions_refused_total") == 1


def test_epochs_fence_and_a_parted_client_is_sent_back(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("work", replication=3)
    first = cluster.leader_of("work")
    with Client(first.kafka_port) as client:
        produce(client, "work")
        old = told(fetch(client, places("work", {"partition": 0})))[0]
        old_epoch = batches(old["records"])[0][1]
    first.kill()
    second = wait_for(lambda: cluster.leader_of("work"), "another leader")
    with Client(second.kafka_port) as client:
        wait_for(lambda: produce(client, "work")[0]["error_code"] == NONE, "it takes records")
        new = told(fetch(client, places("work", {"partition": 0, "fetch_offset": 1})))[0]
        new_epoch = batches(new["records"])[0][1]
        assert new_epoch > old_epoch

        def ask(**partition):
            return told(fetch(client, places("work", {"partition": 0, **partition})))[0]

        fenced = ask(current_leader_epoch=old_epoch)
        assert fenced["error_code"] == FENCED
        assert fenced["current_leader"] == {"leader_id": second.number, "leader_epoch": new_epoch}
        assert ask(current_leader_epoch=new_epoch + 1)["error_code"] == UNKNOWN_EPOCH
        assert ask(current_leader_epoch=new_epoch)["error_code"] == NONE
        # A client that read two records of the old epoch, where there is one, goes back behind it.
        parted = ask(current_leader_epoch=new_epoch, last_fetched_epoch=old_epoch, fetch_offset=2)
        assert parted["error_code"] == NONE and parted["records"] == b""
        assert parted["diverging_epoch"] == {"epoch": old_epoch, "end_offset": 1}
        whole = ask(last_fetched_epoch=old_epoch, fetch_offset=1)
        assert whole["diverging_epoch"] in ({}, {"epoch": -1, "end_offset": -1}) and whole["records"]


def test_the_wrong_broker_says_who_leads_and_where(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("work", replication=3)
    leader = cluster.leader_of("work")
    other = next(broker for broker in cluster.brokers.values() if broker is not leader)
    with Client(other.kafka_port) as client:
        topic_id = topic_id_of(client, "work")
        refused, answer = produce(client, "work", version=10)
        assert refused["error_code"] == NOT_LEADER_OR_FOLLOWER
        answers = [(refused, answer)]
        answer = fetch(client, places("", {"partition": 0}, topic_id=topic_id), version=16)
        answers.append((told(answer)[0], answer))
        for refused, answer in answers:
            assert refused["error_code"] == NOT_LEADER_OR_FOLLOWER
            assert refused["current_leader"]["leader_id"] == leader.number
            assert refused["current_leader"]["leader_epoch"] >= 1
            (node,) = answer["node_endpoints"]
            assert (node["node_id"], node["host"], node["port"]) == (leader.number, "127.0.0.1",
                                                                     leader.kafka_port)


def racked_cluster(make_cluster, **options):
    cluster = make_cluster(enable_follower_read="true", **options)
    for broker in cluster.brokers.values():
        broker.extra["rack"] = f"rack-{broker.number}"
    return cluster.start()


def test_a_client_reads_from_the_replica_in_its_rack(make_cluster):
    cluster = racked_cluster(make_cluster)
    cluster.create_topic("work", replication=3)
    leader = cluster.leader_of("work")
    near = next(broker for broker in cluster.brokers.values() if broker is not leader)
    here = {"rack_id": f"rack-{near.number}", "min_bytes": 1, "max_wait_ms": 20000}
    with Client(leader.kafka_port) as client, Client(near.kafka_port) as follower:
        for _ in range(4):
            produce(client, "work")
        for version in (11, 12):
            sent = told(fetch(client, places("work", {"partition": 0, "fetch_offset": 3}), version=version, **here))[0]
            assert sent["error_code"] == NONE and sent["records"] == b""
            assert sent["preferred_read_replica"] == near.number
        # An old client, one without a rack, one in the leader's.
        for version, rack in ((10, ""), (11, ""), (11, f"rack-{leader.number}"), (11, "rack-9")):
            read = told(fetch(client, places("work", {"partition": 0, "fetch_offset": 3}), version=version,
                              rack_id=rack))[0]
            assert read.get("preferred_read_replica", -1) == -1 and read["records"]
        # The follower has it, waits for more, and gets it.
        read = told(fetch(follower, places("work", {"partition": 0, "fetch_offset": 3}), version=11, **here))[0]
        assert read["error_code"] == NONE and batches(read["records"])[0][0] == 3
        follower.post("fetch", 11, session_epoch=-1, topics=places("work", {"partition": 0, "fetch_offset": 4}),
                      **here)
        produce(client, "work")
        read = told(follower.take("fetch", 11))[0]
        assert read["error_code"] == NONE and batches(read["records"])[0][0] == 4
        refused = told(fetch(follower, places("work", {"partition": 0, "fetch_offset": 99}), version=11, **here))[0]
        assert refused["error_code"] == 1  # OFFSET_OUT_OF_RANGE
        refused = told(fetch(follower, places("work", {"partition": 0}), version=10))[0]
        assert refused["error_code"] == NOT_LEADER_OR_FOLLOWER
        for name, version in (("metadata", 9), ("describe_cluster", 0)):
            answer = client.ask(name, version)
            racks = {each.get("node_id", each.get("broker_id")): each["rack"] for each in answer["brokers"]}
            assert racks == {n: f"rack-{n}" for n in cluster.brokers}


def test_followers_are_not_read_from_by_default(make_cluster):
    cluster = make_cluster()
    for broker in cluster.brokers.values():
        broker.extra["rack"] = f"rack-{broker.number}"
    cluster.start()
    cluster.create_topic("work", replication=3)
    leader = cluster.leader_of("work")
    other = next(broker for broker in cluster.brokers.values() if broker is not leader)
    with Client(leader.kafka_port) as client, Client(other.kafka_port) as follower:
        produce(client, "work")
        read = told(fetch(client, places("work", {"partition": 0}), rack_id=f"rack-{other.number}"))[0]
        assert read["preferred_read_replica"] == -1 and read["records"]
        refused = told(fetch(follower, places("work", {"partition": 0}), rack_id=f"rack-{other.number}"))[0]
        assert refused["error_code"] == NOT_LEADER_OR_FOLLOWER


def test_a_real_consumer_reads_from_its_rack_through_the_loss_of_brokers(make_cluster):
    cluster = racked_cluster(make_cluster)
    cluster.create_topic("work", replication=3)
    leader = cluster.leader_of("work")
    near = next(broker for broker in cluster.brokers.values() if broker is not leader)
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "enable.idempotence": True})
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "g", "client.rack": f"rack-{near.number}",
                         "auto.offset.reset": "earliest", "topic.metadata.refresh.interval.ms": 500})
    consumer.assign([TopicPartition("work", 0, 0)])
    seen = []

    def produce(first, count):
        for i in range(first, first + count):
            producer.produce("work", str(i))
        assert producer.flush(30) == 0

    def produce_and_read(first, count):
        produce(first, count)

        def all_read():
            message = consumer.poll(0.5)
            if message is not None and not message.error():
                seen.append(int(message.value()))
            return len(seen) >= first + count
        wait_for(all_read, f"{first + count} records are read, not {len(seen)}")

    produce_and_read(0, 50)
    before = near.metric("flotilla_fetch_bytes_total")
    produce_and_read(50, 50)
    assert near.metric("flotilla_fetch_bytes_total") > before
    near.kill()  # librdkafka waits for its replica to come back
    produce(100, 50)
    near.start()
    cluster.wait_until_ready()
    produce_and_read(150, 50)
    cluster.leader_of("work").kill()
    produce_and_read(200, 50)
    assert seen == list(range(250))
    consumer.close()
