"""What a consumer group may be, and how a client is told that it asks for more (I-48, I-49)."""
import pytest

from cluster import Cluster, wait_for
from messages import Client
from test_pitfalls import wait_for_coordinator

UNKNOWN_TOPIC, METADATA_TOO_LARGE, ILLEGAL_GENERATION, INCONSISTENT_PROTOCOL = 3, 12, 22, 23
INVALID_GROUP, UNKNOWN_MEMBER, INVALID_SESSION_TIMEOUT, REBALANCING = 24, 25, 26, 27
GROUP_FULL, FENCED_INSTANCE = 81, 82
RANGE = [{"name": "range", "metadata": b"\0\0\0\0\0\0\0\0\0\0"}]


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("limited"), size=1, tls=False, offsets_topic_partitions=1,
                      group_initial_rebalance_delay_ms=0, group_max_size=2, group_min_session_timeout_ms=100,
                      group_max_session_timeout_ms=20000, offset_metadata_max_bytes=16)
    try:
        cluster.start()
        cluster.create_topic("work", partitions=2)
        yield cluster
    finally:
        cluster.end()


@pytest.fixture
def client(limited):
    with Client(limited.brokers[1].kafka_port) as client:
        wait_for_coordinator(client, "any")
        yield client


def joining(group, member="", instance=None, protocols=None, **fields):
    return {"group_id": group, "member_id": member, "group_instance_id": instance, "session_timeout_ms": 10000,
            "rebalance_timeout_ms": 10000, "protocol_type": "consumer",
            "protocols": RANGE if protocols is None else protocols, **fields}


def join(client, *arguments, version=5, **fields):
    return client.ask("join_group", version, **joining(*arguments, **fields))


def commit(client, group, version=8, partition=0, **offset):
    answer = client.ask("offset_commit", version, group_id=group, generation_id_or_member_epoch=-1, topics=[
        {"name": "work", "partitions": [{"partition_index": partition, **offset}]}])
    return answer["topics"][0]["partitions"][0]["error_code"]


@pytest.mark.parametrize("milliseconds", [-2**31, -1, 0, 99, 20001, 2**31 - 1])
def test_i48_sessions_have_bounds(client, topic_name, milliseconds):
    assert join(client, topic_name, session_timeout_ms=milliseconds)["error_code"] == INVALID_SESSION_TIMEOUT


@pytest.mark.parametrize("version", [0, 4, 5, 9])
def test_i48_a_group_has_a_name(client, version):
    assert join(client, "", version=version)["error_code"] == INVALID_GROUP
    assert client.ask("sync_group", 3, group_id="")["error_code"] == INVALID_GROUP
    assert client.ask("heartbeat", 3, group_id="")["error_code"] == INVALID_GROUP
    assert client.ask("leave_group", 2, group_id="")["error_code"] == INVALID_GROUP


def test_i48_members_have_a_protocol_in_common(client, topic_name):
    assert join(client, topic_name, protocols=[], version=3)["error_code"] == INCONSISTENT_PROTOCOL
    assert join(client, topic_name, protocol_type="", version=3)["error_code"] == INCONSISTENT_PROTOCOL
    assert join(client, topic_name, version=3)["error_code"] == 0
    other = [{"name": "other", "metadata": b""}]
    assert join(client, topic_name, protocols=other, version=3)["error_code"] == INCONSISTENT_PROTOCOL
    assert join(client, topic_name, protocol_type="connect", version=3)["error_code"] == INCONSISTENT_PROTOCOL


def test_i48_a_group_is_full_at_some_point(limited, client, topic_name):
    first = join(client, topic_name, version=3)
    assert first["error_code"] == 0
    with Client(limited.brokers[1].kafka_port) as second:
        second.post("join_group", 3, **joining(topic_name))

        def are_two():
            (group,) = client.ask("describe_groups", 4, groups=[topic_name])["groups"]
            return len(group["members"]) == 2
        wait_for(are_two, "two are in it")  # who asks to join instead might be the second
        assert join(client, topic_name, version=3)["error_code"] == GROUP_FULL
        again = join(client, topic_name, first["member_id"], version=3)  # a member may come back
        assert again["error_code"] == 0 and len(again["members"]) == 2
        assert second.take("join_group", 3)["error_code"] == 0


def test_i48_a_static_id_belongs_to_one(client, topic_name):
    first = join(client, topic_name, instance="a")
    second = join(client, topic_name, instance="a")
    assert (first["error_code"], second["error_code"]) == (0, 0)
    assert join(client, topic_name, first["member_id"], instance="a")["error_code"] == FENCED_INSTANCE


def test_i48_large_metadata_is_taken_or_refused_whole(client, topic_name):
    """Ten megabytes: what does not fit into a record of the group must not be half kept."""
    large = [{"name": "range", "metadata": b"x" * (10 << 20)}]
    joined = join(client, topic_name, protocols=large, version=3)
    assert joined["error_code"] == 0
    synced = client.ask("sync_group", 2, group_id=topic_name, generation_id=joined["generation_id"],
                        member_id=joined["member_id"],
                        assignments=[{"member_id": joined["member_id"], "assignment": b"y" * (10 << 20)}])
    assert synced["error_code"] != 0 and synced["assignment"] == b""
    assert join(client, topic_name + "-next", version=3)["error_code"] == 0  # and the coordinator lives


def test_i49_metadata_of_an_offset_has_a_bound(client, topic_name):
    assert commit(client, topic_name, committed_offset=1, committed_metadata="x" * 16) == 0
    assert commit(client, topic_name, committed_offset=2, committed_metadata="x" * 17) == METADATA_TOO_LARGE
    answer = client.ask("offset_fetch", 5, group_id=topic_name, topics=[{"name": "work", "partition_indexes": [0]}])
    kept = answer["topics"][0]["partitions"][0]
    assert (kept["committed_offset"], kept["metadata"]) == (1, "x" * 16)


def test_i49_offsets_are_checked_one_by_one(client, topic_name):
    assert commit(client, topic_name, partition=7, committed_offset=1) == UNKNOWN_TOPIC
    answer = client.ask("offset_commit", 8, group_id=topic_name, generation_id_or_member_epoch=-1, topics=[
        {"name": "work", "partitions": [{"partition_index": n, "committed_offset": 1} for n in range(3)]},
        {"name": "missing", "partitions": [{"partition_index": 0, "committed_offset": 1}]}])
    assert [each["error_code"] for topic in answer["topics"] for each in topic["partitions"]] == [0, 0, 3, 3]


def test_i49_only_members_commit_for_a_group_that_has_some(client, topic_name):
    stranger = {"generation_id_or_member_epoch": 3, "member_id": "stranger", "topics": [
        {"name": "work", "partitions": [{"partition_index": 0, "committed_offset": 1}]}]}

    def commit_as_stranger():
        answer = client.ask("offset_commit", 8, group_id=topic_name, **stranger)
        return answer["topics"][0]["partitions"][0]["error_code"]
    assert commit_as_stranger() == ILLEGAL_GENERATION  # there is no such group
    joined = join(client, topic_name, version=3)
    assert commit_as_stranger() == UNKNOWN_MEMBER
    assert commit(client, topic_name, committed_offset=1) == UNKNOWN_MEMBER
    stranger["member_id"] = joined["member_id"]
    assert commit_as_stranger() == ILLEGAL_GENERATION
    stranger["generation_id_or_member_epoch"] = joined["generation_id"]
    assert commit_as_stranger() == REBALANCING  # its assignment is not known yet


def test_i49_many_partitions_in_one_commit(client, topic_name):
    wanted = [{"partition_index": n, "committed_offset": n, "committed_metadata": ""} for n in range(100000)]
    answer = client.ask("offset_commit", 8, group_id=topic_name, generation_id_or_member_epoch=-1,
                        topics=[{"name": "work", "partitions": wanted}])
    codes = [each["error_code"] for each in answer["topics"][0]["partitions"]]
    assert codes == [0, 0] + [UNKNOWN_TOPIC] * 99998
