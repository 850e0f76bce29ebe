"""What other implementations of the Kafka protocol got wrong, one test or more for each case; the numbers are those
of the list the project keeps.  11 (transactions) and 14 (SASL) do not apply yet.

What cannot be seen on the wire, or only after minutes, is tested beneath it:
   1  offsets over truncation, snapshots and rejoining   tests/unit/log/test_model.c, tests/sim/raft
   7  leadership lost while a fetch waits                tests/unit/broker/test_fetch.c
   8  sessions against full fetches                      tests/unit/broker/test_fetch_session.c
  10  what is remembered of producers over restarts      tests/unit/txn/test_producer_model.c
  15  deadlines of members                               tests/unit/group/test_membership.c
"""
import struct
import time

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from cluster import wait_for
from messages import Client, batch, batches, schema
from test_fetch import fetch, places, racked_cluster, told

EARLIEST, LATEST = -2, -1
OFFSETS_TOPIC = "__consumer_offsets"
NO_EPOCH = {"epoch": -1, "end_offset": -1}


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A broker alone, which leads and coordinates everything."""
    from cluster import Cluster
    cluster = Cluster(tmp_path_factory.mktemp("single"), size=1, tls=False, offsets_topic_partitions=1,
                      group_initial_rebalance_delay_ms=0)
    try:
        yield cluster.start()
    finally:
        cluster.end()


@pytest.fixture
def client(single):
    with Client(single.brokers[1].kafka_port) as client:
        yield client


@pytest.fixture
def topic(single, topic_name):
    single.create_topic(topic_name)
    return topic_name


def produce(client, topic, records, version=9, acks=-1):
    answer = client.ask("produce", version, acks=acks, timeout_ms=10000, topic_data=[
        {"name": topic, "partition_data": [{"index": 0, "records": records}]}])
    return answer["responses"][0]["partition_responses"][0]


def offset_at(client, topic, timestamp, version=4, **fields):
    answer = client.ask("list_offsets", version, replica_id=-1, topics=[
        {"name": topic, "partitions": [{"partition_index": 0, "timestamp": timestamp}]}], **fields)
    return answer["topics"][0]["partitions"][0]


def metadata_of(client, topic, version=12):
    return client.ask("metadata", version, topics=[{"name": topic}])["topics"][0]


def fetch_one(client, topic, offset=0, version=12, partition=None, **fields):
    return told(fetch(client, places(topic, {"partition": 0, "fetch_offset": offset, **(partition or {})}),
                      version=version, **fields))[0]


# ---- 1 ----

def test_pitfall_01_what_raft_writes_takes_no_offset(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("work", replication=3)
    count = 0
    for _ in range(3):
        leader = cluster.leader_of("work")
        with Client(leader.kafka_port) as client:
            if count == 0:
                empty = fetch_one(client, "work", min_bytes=1, max_wait_ms=200)
                assert (empty["high_watermark"], empty["last_stable_offset"], empty["log_start_offset"]) == (0, 0, 0)
            for _ in range(5):
                answer = produce(client, "work", batch(["x", "y"]))
                assert (answer["error_code"], answer["base_offset"]) == (0, count)
                count += 2
            assert offset_at(client, "work", LATEST)["offset"] - offset_at(client, "work", EARLIEST)["offset"] == count
            data = fetch_one(client, "work")
            assert [base for base, *_ in batches(data["records"])] == list(range(0, count, 2))
            assert data["high_watermark"] == count
        leader.kill()
        leader.start()
        cluster.wait_until_ready()
        wait_for(lambda: cluster.replicas_agree("work"), "the replicas agree")


# ---- 2 ----

def test_pitfall_02_one_leader_epoch_everywhere(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("work", replication=3)
    epochs = []
    for _ in range(2):
        leader = cluster.leader_of("work")
        with Client(leader.kafka_port) as client:
            wait_for(lambda: produce(client, "work", batch(["x"]))["error_code"] == 0, "it leads")
            epoch = metadata_of(client, "work")["partitions"][0]["leader_epoch"]
            newest = batches(fetch_one(client, "work", min_bytes=1)["records"])[-1]
            assert newest[1] == epoch >= 1
            assert offset_at(client, "work", LATEST)["leader_epoch"] == epoch
            assert fetch_one(client, "work", partition={"current_leader_epoch": epoch})["error_code"] == 0
            assert fetch_one(client, "work", partition={"current_leader_epoch": epoch + 1})["error_code"] == 75
            if epochs:
                assert fetch_one(client, "work", partition={"current_leader_epoch": epochs[-1]})["error_code"] == 74
        for broker in cluster.brokers.values():
            with Client(broker.kafka_port) as client:
                def agrees():
                    partition = metadata_of(client, "work", 9)["partitions"][0]
                    return (partition["leader_id"], partition["leader_epoch"]) == (leader.number, epoch)
                wait_for(agrees, "all brokers say the same")
        epochs.append(epoch)
        leader.kill()
        leader.start()
        cluster.wait_until_ready()
    assert epochs[0] < epochs[1]


def test_pitfall_02_an_unknown_leader_is_minus_one(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("work", replication=3)
    survivor, *others = cluster.brokers.values()
    for broker in others:
        broker.kill()
    with Client(survivor.kafka_port) as client:
        def has_no_leader():
            found = metadata_of(client, "work")
            return found["partitions"] and found["partitions"][0]["leader_id"] == -1 and found
        partition = wait_for(has_no_leader, "the loss is noticed")["partitions"][0]
        assert partition["error_code"] == 5 and partition["leader_epoch"] >= -1
        refused = fetch_one(client, "work")
        assert refused["error_code"] == 6
        assert refused["current_leader"].get("leader_id", -1) in (-1, survivor.number)


def test_pitfall_02_a_recreated_topic_has_another_id(single, client, topic):
    produce(client, topic, batch(["x"]))
    before = metadata_of(client, topic)
    single.tool("topic", "delete", topic)
    single.create_topic(topic)
    after = metadata_of(client, topic)
    assert after["topic_id"] != before["topic_id"] and after["topic_id"] != bytes(16)
    epoch = after["partitions"][0]["leader_epoch"]
    read = fetch_one(client, topic, partition={"current_leader_epoch": epoch}, min_bytes=1, max_wait_ms=200)
    assert read["error_code"] == 0 and read["high_watermark"] == 0


# ---- 3, 4, 5 ----

@pytest.mark.parametrize("version", [5, 100, 32767])
def test_pitfall_03_an_unknown_version_of_api_versions(client, version):
    client.send(struct.pack(">ihhih", 10 + 4, 18, version, 9, 4) + b"test")
    answer = client.read_frame()
    assert answer[:6] == struct.pack(">ih", 9, 35)  # the head is never flexible, nor is the body
    (count,) = struct.unpack_from(">i", answer, 6)
    rows = [struct.unpack_from(">hhh", answer, 10 + 6 * i) for i in range(count)]
    assert len(answer) == 10 + 6 * count
    assert [row for row in rows if row[0] == 18] == [(18, 0, 4)]


def test_pitfall_03_features_that_begin_at_zero_are_not_shown_before_version_4(client):
    answer = client.ask("api_versions", 3, client_software_name="test", client_software_version="1")
    assert all(feature["min_version"] > 0 for feature in answer["supported_features"])


# What every client in use finds a version in (a range that ours must contain).
MUST_COVER = {"produce": (0, 7), "fetch": (4, 12), "list_offsets": (1, 5), "metadata": (0, 9), "offset_commit": (1, 8),
              "offset_fetch": (1, 8), "find_coordinator": (0, 4), "join_group": (0, 6), "heartbeat": (0, 4),
              "leave_group": (0, 4), "sync_group": (0, 4), "describe_groups": (0, 5), "list_groups": (0, 4),
              "api_versions": (0, 3), "create_topics": (0, 7), "delete_topics": (0, 6), "init_producer_id": (0, 3),
              "describe_configs": (0, 2), "delete_groups": (0, 2), "list_partition_reassignments": (0, 0)}


def test_pitfall_04_advertised_ranges_leave_no_client_out(client):
    rows = {row["api_key"]: (row["min_version"], row["max_version"])
            for row in client.ask("api_versions", 0)["api_keys"]}
    for name, (least, most) in MUST_COVER.items():
        found = rows[schema(name).type]
        assert found[0] <= least and found[1] >= most, f"{name}: {found}"


def advertised(client):
    from messages import ROOT
    names = {}
    for path in (ROOT / "src" / "wire" / "schemas").glob("*.schema"):
        message = schema(path.stem)
        if message.type is not None and message.type < 1000:
            names[message.type] = path.stem
    return [(names[row["api_key"]], version) for row in client.ask("api_versions", 0)["api_keys"]
            for version in range(row["min_version"], row["max_version"] + 1)]


# What an empty request would do harm with, or be no request.
FILLED = {"unregister_broker": {"broker_id": 77}}


def test_pitfall_05_every_version_that_is_advertised_is_answered_in_its_own_shape(client):
    for name, version in advertised(client):
        if name == "produce" and version < 3:
            continue  # said to be served for the sake of old feature tests (4)
        fields = {"acks": 1, **FILLED.get(name, {})} if name == "produce" else FILLED.get(name, {})
        client.ask(name, version, **fields)  # fails if the answer is not of the version's shape


# ---- 6 ----

@pytest.mark.parametrize("version", range(4, 13))
@pytest.mark.parametrize("isolation", [0, 1])
def test_pitfall_06_records_are_never_null(client, topic, version, isolation):
    produce(client, topic, batch(["x"]))
    for name, offset in ((topic, 0), (topic, 1), (topic, 99), ("missing", 0)):
        data = fetch_one(client, name, offset, version, isolation_level=isolation)
        assert data["records"] is not None
        assert bool(data["records"]) == (name == topic and offset == 0)
        assert data["aborted_transactions"] == ([] if isolation else None)
        assert data.get("preferred_read_replica", -1) == -1
        assert data.get("diverging_epoch", {}) in ({}, NO_EPOCH)


# ---- 7 ----

def timed(ask):
    begun = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - begun


def test_pitfall_07_long_poll_ends_at_its_deadline_and_not_before(client, topic):
    fetch_one(client, topic, min_bytes=1, max_wait_ms=500)  # its leader leads from here on
    data, seconds = timed(lambda: fetch_one(client, topic, min_bytes=1, max_wait_ms=300))
    assert data["error_code"] == 0 and not data["records"] and seconds >= 0.29


@pytest.mark.parametrize("fields", [{"min_bytes": 0, "max_wait_ms": 60000}, {"min_bytes": 1, "max_wait_ms": 0}])
def test_pitfall_07_long_poll_that_asks_for_nothing_is_answered_now(client, topic, fields):
    client.socket.settimeout(20)
    assert not fetch_one(client, topic, **fields)["records"]


def test_pitfall_07_long_poll_is_woken_by_a_record(single, client, topic):
    client.post("fetch", 12, session_epoch=-1, min_bytes=1, max_wait_ms=25000, topics=places(topic, {"partition": 0}))
    with Client(single.brokers[1].kafka_port) as other:
        produce(other, topic, batch(["x"]))
    client.socket.settimeout(20)
    assert told(client.take("fetch", 12))[0]["records"]


def test_pitfall_07_long_poll_does_not_wait_for_more_than_a_partition_may_give(client, topic):
    produce(client, topic, batch(["x" * 400]))
    produce(client, topic, batch(["x" * 400]))
    client.socket.settimeout(20)
    data = fetch_one(client, topic, partition={"partition_max_bytes": 500}, min_bytes=100000, max_wait_ms=25000)
    assert len(batches(data["records"])) == 1


def test_pitfall_07_long_poll_tells_errors_at_once(client, topic):
    client.socket.settimeout(20)
    for name, offset, error in ((topic, 7, 1), ("missing", 0, 3)):
        assert fetch_one(client, name, offset, min_bytes=1, max_wait_ms=25000)["error_code"] == error


def test_pitfall_07_read_committed_at_the_beginning_of_the_log(client, topic):
    data = fetch_one(client, topic, isolation_level=1, min_bytes=1, max_wait_ms=200)
    assert (data["error_code"], data["last_stable_offset"], data["log_start_offset"]) == (0, 0, 0)


# ---- 8 ----

def test_pitfall_08_sessions_repeat_a_preferred_replica_and_forget_what_is_forgotten(make_cluster):
    cluster = racked_cluster(make_cluster)
    cluster.create_topic("work", partitions=1, replication=3)
    leader = cluster.leader_of("work")
    other = next(broker for broker in cluster.brokers.values() if broker is not leader)
    with Client(leader.kafka_port) as client:
        wait_for(lambda: produce(client, "work", batch(["x"]))["error_code"] == 0, "it leads")
        wait_for(lambda: cluster.replicas_agree("work"), "the replicas have it")
        asked = places("work", {"partition": 0, "fetch_offset": 1})
        answer = fetch(client, asked, session_epoch=0, rack_id=f"rack-{other.number}")
        session = answer["session_id"]
        for epoch in range(1, 4):
            assert told(answer)[0]["preferred_read_replica"] == other.number
            answer = fetch(client, [], session_id=session, session_epoch=epoch, rack_id=f"rack-{other.number}")
        # Elsewhere the client forgets it here; what is produced is not told any more.
        gone = fetch(client, [], session_id=session, session_epoch=4,
                     forgotten_topics_data=[{"topic": "work", "partitions": [0]}])
        assert told(gone) == {} and gone["session_id"] == 0
        assert fetch(client, [], session_id=session, session_epoch=5)["error_code"] == 70


def test_pitfall_08_sessions_tell_that_the_high_watermark_moved(client, topic):
    answer = fetch(client, places(topic, {"partition": 0}), session_epoch=0, min_bytes=1, max_wait_ms=200)
    session = answer["session_id"]
    produce(client, topic, batch(["x"]))
    moved = fetch(client, places(topic, {"partition": 0, "fetch_offset": 1}), session_id=session, session_epoch=1)
    assert told(moved)[0]["high_watermark"] == 1 and not told(moved)[0]["records"]
    assert told(fetch(client, [], session_id=session, session_epoch=2)) == {}


# ---- 9 ----

@pytest.mark.parametrize("compress", [False, True])
def test_pitfall_09_offsets_by_time_are_those_of_records(client, topic, compress):
    # Times do not rise with the offsets: 0..4 at 5000..9000, 5..9 at 1000..1400, 10 at 20000.
    for first, step, count in ((5000, 1000, 5), (1000, 100, 5), (20000, 0, 1)):
        produce(client, topic, batch(["x"] * count, first_timestamp=first, step_ms=step, compress=compress))
    for wanted, offset, timestamp in ((0, 0, 5000), (5000, 0, 5000), (5001, 1, 6000), (9000, 4, 9000),
                                      (9001, 10, 20000), (20000, 10, 20000), (20001, -1, -1)):
        found = offset_at(client, topic, wanted)
        assert (found["error_code"], found["offset"], found["timestamp"]) == (0, offset, timestamp), wanted
        assert (found["leader_epoch"] >= 0) == (offset >= 0)
    for isolation in (0, 1):
        assert offset_at(client, topic, LATEST, isolation_level=isolation)["offset"] == 11
    assert offset_at(client, topic, -3, version=7)["offset"] == 10  # of the largest time


def test_pitfall_09_the_latest_offset_is_of_what_is_acknowledged(client, topic):
    for count in range(1, 20):
        produce(client, topic, batch(["x"]))
        assert offset_at(client, topic, LATEST)["offset"] == count


def test_pitfall_09_nothing_is_found_below_the_beginning_of_the_log(client, topic):
    produce(client, topic, batch(["x"] * 5, first_timestamp=1000, step_ms=1000))  # one batch: the cut is inside it
    deleted = client.ask("delete_records", 1, timeout_ms=10000, topics=[
        {"name": topic, "partitions": [{"partition_index": 0, "offset": 3}]}])["topics"][0]["partitions"][0]
    assert (deleted["error_code"], deleted["low_watermark"]) == (0, 3)
    assert offset_at(client, topic, EARLIEST)["offset"] == 3
    for wanted, offset in ((0, 3), (1000, 3), (4000, 3), (5000, 4), (5001, -1)):
        assert offset_at(client, topic, wanted)["offset"] == offset, wanted
    gone = fetch_one(client, topic, 2)
    assert (gone["error_code"], gone["log_start_offset"]) == (1, 3)
    assert fetch_one(client, topic, 3)["records"]


# ---- 10 ----

def new_producer(client):
    return client.ask("init_producer_id", 1, transaction_timeout_ms=60000, transactional_id=None)["producer_id"]


def test_pitfall_10_a_duplicate_is_answered_with_its_first_offset(client, topic):
    producer = new_producer(client)
    sent = [batch(["x", "y"], producer=(producer, 0, 2 * i)) for i in range(7)]
    for i, each in enumerate(sent):
        assert produce(client, topic, each)["base_offset"] == 2 * i
    for i in range(2, 7):  # five batches are remembered
        again = produce(client, topic, sent[i])
        assert (again["error_code"], again["base_offset"]) == (0, 2 * i)
    for unfit in (sent[0], batch(["x"], producer=(producer, 0, 99))):
        # A leader that is new itself has the client try again before it believes in a gap.
        wait_for(lambda: produce(client, topic, unfit)["error_code"] == 45, "OUT_OF_ORDER_SEQUENCE_NUMBER")
    assert offset_at(client, topic, LATEST)["offset"] == 14


def test_pitfall_10_an_unknown_producer_may_begin_anywhere_and_a_new_epoch_at_zero(client, topic):
    producer = new_producer(client)
    wait_for(lambda: produce(client, topic, batch(["x"], producer=(producer, 0, 4711)))["error_code"] in (0, 6) and
             offset_at(client, topic, LATEST)["offset"] == 1, "it begins")
    assert produce(client, topic, batch(["x"], producer=(producer, 1, 5)))["error_code"] == 45
    assert produce(client, topic, batch(["x"], producer=(producer, 1, 0)))["error_code"] == 0
    assert produce(client, topic, batch(["x"], producer=(producer, 0, 4712)))["error_code"] == 47


def test_pitfall_10_pipelined_batches_are_kept_in_order(client, topic):
    producer = new_producer(client)
    for i in range(5):
        client.post("produce", 9, acks=-1, timeout_ms=10000, topic_data=[{"name": topic, "partition_data": [
            {"index": 0, "records": batch(["x"], producer=(producer, 0, i))}]}])
    answers = [client.take("produce", 9)["responses"][0]["partition_responses"][0] for _ in range(5)]
    assert [(each["error_code"], each["base_offset"]) for each in answers] == [(0, i) for i in range(5)]


def test_pitfall_10_duplicates_are_known_to_the_next_leader(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("work", replication=3)
    sent = []
    leader = cluster.leader_of("work")
    with Client(leader.kafka_port) as client:
        producer = new_producer(client)
        for i in range(3):
            sent.append(batch(["x"], producer=(producer, 0, i)))
            assert produce(client, "work", sent[i])["base_offset"] == i
    leader.kill()
    with Client(wait_for(lambda: cluster.leader_of("work"), "another leader").kafka_port) as client:
        wait_for(lambda: produce(client, "work", sent[2])["error_code"] == 0, "it leads")
        for i in range(3):
            again = produce(client, "work", sent[i])
            assert (again["error_code"], again["base_offset"]) == (0, i)
        assert produce(client, "work", batch(["x"], producer=(producer, 0, 3)))["base_offset"] == 3


# ---- 12 ----

def test_pitfall_12_configs_are_whole_and_say_where_they_come_from(client, topic_name):
    created = client.ask("create_topics", 5, timeout_ms=20000, topics=[
        {"name": topic_name, "num_partitions": 1, "replication_factor": 1, "assignments": [],
         "configs": [{"name": "cleanup.policy", "value": "compact"}]}])["topics"][0]
    assert created["error_code"] == 0 and created["num_partitions"] == 1
    answer = client.ask("describe_configs", 4, include_synonyms=True, resources=[
        {"resource_type": 2, "resource_name": topic_name, "configuration_keys": None}])["results"][0]
    described = {each["name"]: each for each in answer["configs"]}
    assert {each["name"] for each in created["configs"]} == set(described)
    assert (described["cleanup.policy"]["value"], described["cleanup.policy"]["config_source"]) == ("compact", 1)
    for name in ("retention.ms", "min.insync.replicas", "max.message.bytes", "compression.type"):
        assert described[name]["config_source"] == 5 and described[name]["value"], name


# ---- 13 ----

def test_pitfall_13_a_created_topic_is_there_for_everybody(shared_cluster, topic_name):
    with Client(shared_cluster.brokers[1].kafka_port) as client:
        created = client.ask("create_topics", 5, timeout_ms=30000, topics=[
            {"name": topic_name, "num_partitions": 6, "replication_factor": 3, "assignments": [], "configs": []}])
        assert created["topics"][0]["error_code"] == 0
        partitions = metadata_of(client, topic_name)["partitions"]
        leaders = {each["partition_index"]: each["leader_id"] for each in partitions}
        assert len(leaders) == 6 and all(leader > 0 for leader in leaders.values())
    for partition, leader in leaders.items():
        with Client(shared_cluster.brokers[leader].kafka_port) as client:
            answer = client.ask("produce", 9, acks=-1, timeout_ms=10000, topic_data=[
                {"name": topic_name, "partition_data": [{"index": partition, "records": batch(["x"])}]}])
            assert answer["responses"][0]["partition_responses"][0]["error_code"] == 0


@pytest.mark.parametrize("version", [0, 3, 4, 12])
def test_pitfall_13_metadata_creates_topics_where_it_may(client, topic_name, version):
    def found():
        fields = {"allow_auto_topic_creation": True} if version >= 4 else {}
        topic = client.ask("metadata", version, topics=[{"name": topic_name}], **fields)["topics"][0]
        assert topic["error_code"] in (0, 5)  # LEADER_NOT_AVAILABLE: ask again
        return topic["error_code"] == 0 and len(topic["partitions"]) == 1
    wait_for(found, "the topic is created")


def test_pitfall_13_metadata_that_may_not_create_does_not(client, topic_name):
    topic = client.ask("metadata", 4, topics=[{"name": topic_name}], allow_auto_topic_creation=False)["topics"][0]
    assert topic["error_code"] == 3


# ---- 15, 16 ----

def join(client, group, member="", instance=None, version=5):
    return client.ask("join_group", version, group_id=group, session_timeout_ms=10000, rebalance_timeout_ms=10000,
                      member_id=member, group_instance_id=instance, protocol_type="consumer",
                      protocols=[{"name": "range", "metadata": b"\0\0\0\0\0\0\0\0\0\0"}])


def wait_for_coordinator(client, group):
    def ready():
        answer = client.ask("heartbeat", 0, group_id=group, generation_id=1, member_id="nobody")
        return answer["error_code"] == 25  # UNKNOWN_MEMBER_ID: it coordinates
    client.ask("find_coordinator", 0, key=group)
    wait_for(ready, "a coordinator")


def test_pitfall_15_a_static_member_that_comes_back_has_a_new_id_at_once(client, topic_name):
    wait_for_coordinator(client, topic_name)
    first = join(client, topic_name, instance="a")
    assert first["error_code"] == 0 and first["leader"] == first["member_id"]
    synced = client.ask("sync_group", 3, group_id=topic_name, generation_id=first["generation_id"],
                        member_id=first["member_id"], group_instance_id="a",
                        assignments=[{"member_id": first["member_id"], "assignment": b"mine"}])
    assert synced["assignment"] == b"mine"
    again = join(client, topic_name, instance="a")
    assert again["error_code"] == 0 and again["generation_id"] == first["generation_id"]
    assert again["member_id"] != first["member_id"]

    def beat(member):
        return client.ask("heartbeat", 3, group_id=topic_name, generation_id=first["generation_id"], member_id=member,
                          group_instance_id="a")["error_code"]
    assert beat(first["member_id"]) == 82  # FENCED_INSTANCE_ID
    assert beat(again["member_id"]) == 0
    synced = client.ask("sync_group", 3, group_id=topic_name, generation_id=first["generation_id"],
                        member_id=again["member_id"], group_instance_id="a", assignments=[])
    assert synced["assignment"] == b"mine"


def test_pitfall_15_a_new_member_is_given_its_id_first(client, topic_name):
    wait_for_coordinator(client, topic_name)
    asked = join(client, topic_name)
    assert asked["error_code"] == 79 and asked["member_id"]  # MEMBER_ID_REQUIRED
    joined = join(client, topic_name, asked["member_id"])
    assert joined["error_code"] == 0 and joined["member_id"] == asked["member_id"]
    assert join(client, topic_name, "made-up")["error_code"] == 25


def test_pitfall_16_not_the_coordinator_is_told_of_every_partition(make_cluster):
    cluster = make_cluster(offsets_topic_partitions=1, group_initial_rebalance_delay_ms=0).start()
    cluster.create_topic("work", partitions=2)
    with Client(cluster.brokers[1].kafka_port) as client:
        wait_for(lambda: client.ask("find_coordinator", 0, key="g")["error_code"] == 0, "a coordinator")
    coordinator = cluster.leader_of(OFFSETS_TOPIC)
    other = next(broker for broker in cluster.brokers.values() if broker is not coordinator)
    asked = [{"name": "work", "partition_indexes": [0, 1]}]
    with Client(coordinator.kafka_port) as client:
        wait_for_coordinator(client, "g")
        committed = client.ask("offset_commit", 2, group_id="g", generation_id_or_member_epoch=-1, topics=[
            {"name": "work", "partitions": [{"partition_index": 0, "committed_offset": 5}]}])
        assert committed["topics"][0]["partitions"][0]["error_code"] == 0
        for version in (0, 1):
            answer = client.ask("offset_fetch", version, group_id="g", topics=asked)
            assert [each["committed_offset"] for each in answer["topics"][0]["partitions"]] == [5, -1]
    with Client(other.kafka_port) as client:
        for version in (0, 1):
            answer = client.ask("offset_fetch", version, group_id="g", topics=asked)
            assert [each["error_code"] for each in answer["topics"][0]["partitions"]] == [16, 16]
        for version in range(2, 8):
            assert client.ask("offset_fetch", version, group_id="g", topics=asked)["error_code"] == 16
        answer = client.ask("offset_fetch", 8, groups=[{"group_id": "g", "topics": asked}])
        assert answer["groups"][0]["error_code"] == 16


# ---- 17 ----

@pytest.mark.parametrize("leader_epoch", [-1, 0, 77, -2**31])
@pytest.mark.parametrize("base_offset", [0, 12345])
def test_pitfall_17_what_the_broker_sets_itself_is_not_checked(client, topic, leader_epoch, base_offset):
    sent = produce(client, topic, batch(["x", "y"], leader_epoch=leader_epoch, base_offset=base_offset))
    assert (sent["error_code"], sent["base_offset"]) == (0, 0)
    ((base, epoch, count, _),) = batches(fetch_one(client, topic)["records"])
    assert (base, count) == (0, 2) and epoch >= 1


# ---- 18 ----

def test_pitfall_18_the_offsets_topic_is_kafkas(make_cluster):
    cluster = make_cluster(size=1, tls=False).start()
    cluster.create_topic("work")
    with Client(cluster.brokers[1].kafka_port) as client:
        wait_for_coordinator(client, "readers")
        found = metadata_of(client, OFFSETS_TOPIC)
        assert found["is_internal"] and len(found["partitions"]) == 50
        client.ask("offset_commit", 8, group_id="readers", generation_id_or_member_epoch=-1, topics=[
            {"name": "work", "partitions": [{"partition_index": 0, "committed_offset": 17,
                                             "committed_metadata": "note"}]}])
        partition = 0  # Java: "readers".hashCode(), its absolute value, modulo 50
        for byte in b"readers":
            partition = (31 * partition + byte) & 0xffffffff
        partition = abs(partition - (1 << 32) if partition >= 1 << 31 else partition) % 50
        answer = fetch(client, places(OFFSETS_TOPIC, {"partition": partition}), min_bytes=1, max_wait_ms=5000)
        records = told(answer)[partition]["records"]
        key = b"\0\1" + b"\0\7readers" + b"\0\4work" + b"\0\0\0\0"
        value = b"\0\3" + struct.pack(">qi", 17, -1) + b"\0\4note"
        assert key in records and value in records
    admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    (answer,) = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, OFFSETS_TOPIC)])
    assert {row[0]: row[1] for row in answer.resources[0][4]}["cleanup.policy"] == "compact"
    admin.close()


# ---- 19 ----

def test_pitfall_19_no_lag_is_left_when_everything_is_read(single, client, topic):
    for count in range(1, 10):
        produce(client, topic, batch(["x"]))
        data = fetch_one(client, topic, count - 1)
        assert data["high_watermark"] == count
    wait_for_coordinator(client, "lag")
    client.ask("offset_commit", 2, group_id="lag", generation_id_or_member_epoch=-1, topics=[
        {"name": topic, "partitions": [{"partition_index": 0, "committed_offset": count}]}])
    (row,) = lag_rows(single, "lag")
    assert (row["offset"], row["end"], row["lag"]) == (count, count, 0)


def lag_rows(cluster, group):
    import json
    return json.loads(cluster.tool("group", "describe", group, "-o", "json").stdout)["offsets"]


def test_pitfall_19_what_is_gone_is_no_lag(make_cluster):
    cluster = make_cluster(size=1, tls=False, retention_check_ms=100).start()
    cluster.create_topic("work", config="segment.bytes=14000,retention.bytes=20000")
    with Client(cluster.brokers[1].kafka_port) as client:
        count = 0

        def log_start_moved():
            nonlocal count
            count += produce(client, "work", batch(["x" * 1000] * 5))["error_code"] == 0 and 5
            return offset_at(client, "work", EARLIEST)["offset"]
        start = wait_for(log_start_moved, "old segments go")
        wait_for_coordinator(client, "late")
        client.ask("offset_commit", 2, group_id="late", generation_id_or_member_epoch=-1, topics=[
            {"name": "work", "partitions": [{"partition_index": 0, "committed_offset": 0}]}])
        start = offset_at(client, "work", EARLIEST)["offset"]
        (row,) = lag_rows(cluster, "late")
        assert row["offset"] == 0 and row["end"] == count and row["lag"] <= count - start
