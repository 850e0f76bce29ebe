"""Starting and stopping partition Raft groups: the requests, their log lines, and what is left on disk."""
import re

from cluster import log_messages, wait_for


def start_lines(cluster, topic):
    return [m for m in log_messages(cluster.all_logs()) if f"Topic={topic}," in m]


def all_say(cluster, verb, join=""):
    """The answer to a client waits for a leader of each group, not for every broker."""
    lines = {f"Successfully {verb} Raft group {1001 + partition} for partition test-topic-{partition}{join}"
             for partition in range(3)}
    return all(lines <= set(log_messages(broker.log())) for broker in cluster.brokers.values())


def test_create_and_delete_leave_the_documented_trail(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("test-topic", partitions=3)
    wait_for(lambda: all_say(cluster, "started", " (join=false)"), "all groups started")
    controller = cluster.controller()
    messages = log_messages(controller.log())
    assert "Starting Raft groups for 3 partitions across multiple brokers" in messages
    for group in (1001, 1002, 1003):
        for broker in cluster.brokers.values():
            assert (f"Sending StartPartitionRaftGroup request to 127.0.0.1:{broker.peer_port} "
                    f"for group {group} (join=false)") in messages
    for broker in cluster.brokers.values():
        own = log_messages(broker.log())
        for partition in range(3):
            group = 1001 + partition
            assert (f"Received StartPartitionRaftGroup request: GroupID={group}, Topic=test-topic, "
                    f"Partition={partition}, Join=false") in own
            assert (f"Successfully started Raft group {group} for partition test-topic-{partition} "
                    f"(join=false)") in own
            assert (broker.directory / "groups" / str(group)).is_dir()
        if broker is not controller:
            assert (f"Connected to broker at 127.0.0.1:{broker.peer_port} for StartPartitionRaftGroup "
                    "request") in messages
            assert any(m.startswith("Handling inter-broker request from 127.0.0.1:") for m in own)

    cluster.tool("topic", "delete", "test-topic")
    wait_for(lambda: all(not (b.directory / "groups" / "1001").exists() and
                         not (b.directory / "groups" / "1003").exists()
                         for b in cluster.brokers.values()), "group directories gone")
    wait_for(lambda: all_say(cluster, "stopped"), "all groups stopped")
    messages = log_messages(controller.log())
    assert "Stopping Raft groups for 3 partitions across multiple brokers" in messages
    for broker in cluster.brokers.values():
        own = log_messages(broker.log())
        assert (f"Sending StopRaftGroup command to 127.0.0.1:{broker.peer_port} for group 1001"
                in messages)
        assert ("Received StopPartitionRaftGroup request: GroupID=1001, Topic=test-topic, Partition=0"
                in own)
        assert "Successfully stopped Raft group 1001 for partition test-topic-0" in own
        assert any((broker.directory / "tombstones").iterdir())
        if broker is not controller:
            assert (f"Connected to broker at 127.0.0.1:{broker.peer_port} for StopPartitionRaftGroup "
                    "request") in messages


def test_a_recreated_topic_is_a_new_one(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("again")
    cluster.tool("produce", "again", stdin="one\ntwo\n")
    first = cluster.groups("again")[0]
    cluster.tool("topic", "delete", "again")
    cluster.create_topic("again")
    assert cluster.tool("consume", "again", "--exit").stdout == ""
    cluster.tool("produce", "again", stdin="three\n")
    assert cluster.tool("consume", "again", "--exit").stdout == "three\n"
    second = cluster.groups("again")[0]
    old_ids = {report["group"] for report in first.values()}
    new_ids = {report["group"] for report in second.values()}
    assert len(new_ids) == 1 and new_ids.isdisjoint(old_ids)


def test_a_broker_that_was_down_converges(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("kept", partitions=2)
    cluster.create_topic("doomed", partitions=2)
    doomed = {report["group"] for reports in cluster.groups("doomed").values()
              for report in reports.values()}
    absent = next(b for b in cluster.brokers.values() if b is not cluster.controller())
    absent.kill()
    cluster.tool("topic", "delete", "doomed")
    cluster.create_topic("born", partitions=3)
    cluster.tool("produce", "born", stdin="".join(f"{i}\n" for i in range(100)))
    absent.start()
    cluster.wait_until_ready()
    wait_for(lambda: all(absent.number in reports for reports in cluster.groups("born").values())
             and len(cluster.groups("born")) == 3, "the new groups run on the broker that was away")
    for partition, reports in cluster.groups("born").items():
        group = reports[absent.number]["group"]
        assert (f"Successfully started Raft group {group} for partition born-{partition} (join=false)"
                in log_messages(absent.log()))
    wait_for(lambda: not any((absent.directory / "groups" / str(group)).exists() for group in doomed),
             "the deleted groups are gone from it")
    wait_for(lambda: cluster.replicas_agree("born"), "its replicas caught up")


def test_messages_survive_the_groups_restart(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("stays", partitions=2)
    cluster.tool("produce", "stays", stdin="".join(f"message {i}\n" for i in range(500)))
    for broker in cluster.brokers.values():
        assert broker.stop() == 0, broker.log()[-2000:]
    cluster.start()
    lines = cluster.tool("consume", "stays", "--exit").stdout.splitlines()
    assert sorted(lines) == sorted(f"message {i}" for i in range(500))


def test_log_lines_are_key_value(shared_cluster):
    for broker in shared_cluster.brokers.values():
        for line in broker.log().splitlines():
            assert re.match(r"time=\S+Z level=(debug|info|warn|error) ", line), line
