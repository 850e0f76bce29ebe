"""DescribeQuorum: the controller group as Kafka's tools see it, with brokers that come and go."""
import struct
import time

from cluster import wait_for
from protocol import Connection, Reader, compact_string, request

DESCRIBE_QUORUM = 55


def describe(broker, version):
    """The only partition's fields, states by replica."""
    body = b"\x02" + compact_string("__cluster_metadata") + b"\x02" + struct.pack(">i", 0) + b"\0" + b"\0" + b"\0"
    with Connection(broker.kafka_port) as connection:
        reader = Reader(connection.ask(request(DESCRIBE_QUORUM, version, body, flexible=True)), True)

    def state():
        number = reader.take("i")
        if version >= 2:
            reader.take("QQ")
        end = reader.take("q")
        heard, caught_up = reader.take("qq") if version >= 1 else (None, None)
        return number, {"end": end, "heard": heard, "caught_up": caught_up}

    def partition():
        assert reader.take("ih") == (0, 0)
        assert version < 2 or reader.string() is None
        leader, epoch, high_watermark = reader.take("iiq")
        return {"leader": leader, "epoch": epoch, "high_watermark": high_watermark,
                "voters": dict(reader.array(state)), "observers": dict(reader.array(state))}

    assert reader.take("h") == 0
    assert version < 2 or reader.string() is None
    topics = reader.array(lambda: (reader.string(), reader.array(partition)))
    nodes = {}
    if version >= 2:
        nodes = dict(reader.array(lambda: (
            reader.take("i"), reader.array(lambda: (reader.string(), reader.string(), reader.take("H"))))))
    assert reader.ends()
    assert [name for name, _ in topics] == ["__cluster_metadata"]
    return {**topics[0][1][0], "nodes": nodes}


def test_every_broker_describes_the_quorum(make_cluster):
    cluster = make_cluster(size=4).start()

    def is_settled():
        quorum = describe(cluster.brokers[1], 2)
        return len(quorum["voters"]) == 3 and len(quorum["observers"]) == 1
    wait_for(is_settled, "three of the four vote")
    controller = cluster.controller()
    for broker in cluster.brokers.values():
        for version in range(3):
            quorum = describe(broker, version)
            assert quorum["leader"] == controller.number
            assert quorum["high_watermark"] > 0 and quorum["epoch"] > 0

    quorum = describe(controller, 2)
    for number, listeners in quorum["nodes"].items():
        assert listeners == [("PEER", "127.0.0.1", cluster.brokers[number].peer_port)]
    now = time.time() * 1000
    for state in [*quorum["voters"].values(), *quorum["observers"].values()]:
        assert abs(now - state["heard"]) < 10000

    away = next(broker for number, broker in cluster.brokers.items()
                if number in quorum["voters"] and broker is not controller)
    away.kill()
    before = describe(controller, 1)["voters"][away.number]
    cluster.create_topic("while-it-is-away", 4, 1)
    time.sleep(1)
    after = describe(controller, 1)
    unheard = after["voters"][away.number]
    assert unheard["end"] == before["end"] < after["high_watermark"]
    assert abs(unheard["heard"] - before["heard"]) < 100 and abs(unheard["caught_up"] - before["caught_up"]) < 100
    assert after["voters"][controller.number]["heard"] - unheard["heard"] > 900
    away.start()
    wait_for(lambda: describe(controller, 1)["voters"][away.number]["caught_up"] > before["caught_up"] + 1000,
             "it has caught up")
