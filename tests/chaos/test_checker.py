"""The checker finds each anomaly in a history that has it, and none in one that has none.

Runs by itself: pytest tests/chaos/test_checker.py
"""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import checker  # noqa: E402
from history import make_message, read_message  # noqa: E402


class Story:
    """A history told in order; each event a second after the one before."""

    def __init__(self):
        self.events = []
        self.client("safe", acks="all", idempotent=True, ordered=True)
        self.client("plain", acks="all", idempotent=False, ordered=False)
        self.client("leader-only", acks="1", idempotent=False, ordered=False)

    def client(self, name, **fields):
        self.tell("begin", name, kind="producer", **fields)

    def tell(self, do, client="reader", **fields):
        self.events.append({"do": do, "client": client, "time": float(len(self.events)), **fields})
        return self

    def send(self, value, partition=0):
        return self.tell("send", value.split(":")[0], partition=partition, value=value)

    def acked(self, value, offset):
        return self.tell("acked", value.split(":")[0], value=value, offset=offset)

    def wrote(self, value, offset):
        return self.send(value).acked(value, offset)

    def failed(self, value, definite):
        return self.tell("failed", value.split(":")[0], value=value, error="ERROR", definite=definite)

    def poll(self, *records, client="reader", partition=0):
        return self.tell("poll", client, partition=partition, records=[list(pair) for pair in records])

    def assign(self, offset, client="reader"):
        return self.tell("assign", client, positions={"0": offset})

    def ends(self, low, high, started=None):
        started = float(len(self.events)) if started is None else started
        return self.tell("ends", "ends", partition=0, started=started, low=low, high=high)

    def replica(self, broker, digest, end=2):
        return self.tell("replica", partition=0, broker=broker, start=0, end=end, digest=digest)

    def later(self, seconds):
        """What follows happens after a while."""
        for _ in range(seconds):
            self.tell("nothing")
        return self

    def found(self):
        return {text.split(" ")[0] for text in checker.check(checker.History(self.events))}


def two_messages():
    return Story().wrote("safe:0", 0).wrote("safe:1", 1)


GOOD = {
    "all read": two_messages().assign(0).poll((0, "safe:0"), (1, "safe:1"))
                .tell("finished", partition=0, high=2),
    "an answer without a place": Story().send("safe:0").acked("safe:0", None).poll((0, "safe:0")),
    "a copy of a plain producer": Story().wrote("plain:0", 1).poll((0, "plain:0"), (1, "plain:0")),
    "lost with its leader": Story().wrote("leader-only:0", 0).wrote("safe:0", 0).poll((0, "safe:0"))
                            .tell("finished", partition=0, high=1),
    "unknown fate, written": Story().send("plain:0").failed("plain:0", None).poll((0, "plain:0")),
    "unknown fate, not written": Story().send("plain:0").failed("plain:0", None).wrote("safe:0", 0)
                                 .poll((0, "safe:0")).tell("finished", partition=0, high=1),
    "refused": Story().send("plain:0").failed("plain:0", "broker").wrote("safe:0", 0).poll((0, "safe:0")),
    "under way at the same time": Story().send("safe:0").send("plain:0").acked("plain:0", 1)
                                  .acked("safe:0", 0),
    "a new position": two_messages().assign(1).poll((1, "safe:1")).assign(0)
                      .poll((0, "safe:0"), (1, "safe:1")),
    "from wherever the end is": two_messages().assign(-1).poll((1, "safe:1"))
                                .poll((0, "safe:0"), client="other"),
    "two consumers": two_messages().assign(0).assign(1, "other").poll((1, "safe:1"), client="other")
                     .poll((0, "safe:0")),
    "an end asked for before": Story().send("safe:0").ends(0, 0, started=0.0).acked("safe:0", 0),
    "the end moves": two_messages().ends(0, 2).wrote("safe:2", 2).ends(0, 3).ends(1, 3),
    "replicas agree": two_messages().replica(1, "aa").replica(2, "aa"),
    "topics come and go": Story().tell("created", topic="t").tell("created", topic="u")
                          .tell("deleting", topic="u").tell("deleted", topic="u")
                          .tell("listed", topics=["t"], last=True),
    "a deletion of unknown fate": Story().tell("created", topic="t").tell("deleting", topic="t")
                                  .tell("listed", topics=["t"], last=True),
    "leaders of terms": Story().tell("leads", group=1, broker=1, term=3)
                        .tell("leads", group=1, broker=2, term=4).tell("leads", group=2, broker=2, term=3)
                        .tell("leads", group=1, broker=1, term=5),
    "served again": Story().wrote("safe:0", 0).tell("healed").wrote("safe:1", 1),
}

BAD = {
    "A1": [two_messages().poll((0, "safe:1")),
           two_messages().poll((0, "safe:0")).poll((0, "safe:1"), client="other"),
           Story().wrote("safe:0", 0).wrote("plain:0", 0)],
    "A2": [two_messages().poll((2, "safe:0")),
           Story().send("safe:0").poll((0, "safe:0"), (1, "safe:0"))],
    "A3": [two_messages().poll((1, "safe:1")),
           two_messages().wrote("plain:0", 2).poll((0, "safe:0")).poll((2, "plain:0"), client="other")],
    "A4": [two_messages().poll((0, "safe:0")).tell("finished", partition=0, high=1),
           Story().send("safe:0").acked("safe:0", None).tell("finished", partition=0, high=0)],
    "A5": [Story().send("plain:0").failed("plain:0", "client").poll((0, "plain:0"))],
    "A10": [two_messages().wrote("safe:2", 2).assign(0).poll((0, "safe:0")).poll((2, "safe:2")),
            two_messages().assign(0).poll((1, "safe:1"))],
    "A11": [two_messages().assign(0).poll((0, "safe:0"), (1, "safe:1")).poll((0, "safe:0")),
            two_messages().assign(1).poll((0, "safe:0"))],
    "A12": [two_messages().wrote("safe:2", 2).assign(0).poll((0, "safe:0"), (2, "safe:2")),
            two_messages().assign(0).poll((0, "safe:0"), (0, "safe:0"))],
    "A13": [Story().send("safe:0").send("safe:1").acked("safe:1", 0).acked("safe:0", 1)],
    "A15": [Story().wrote("safe:0", 5).wrote("plain:0", 4),
            Story().send("safe:0").send("plain:0").acked("safe:0", 3).acked("plain:0", 3)],
    "A16": [Story().poll((0, "stranger:0")), Story().poll((0, None)),
            Story().wrote("safe:0", 0).wrote("safe:0", 1)],
    "A17": [two_messages().ends(0, 1), two_messages().ends(0, 2).ends(0, 1),
            two_messages().ends(1, 2).ends(0, 2)],
    "A21": [two_messages().replica(1, "aa").replica(2, "bb"),
            two_messages().replica(1, "aa").replica(2, "aa", end=1)],
    "A22": [Story().tell("created", topic="t").tell("listed", topics=[], last=True),
            Story().tell("created", topic="t").tell("deleting", topic="t").tell("deleted", topic="t")
            .tell("listed", topics=["t"], last=True),
            Story().tell("leads", group=1, broker=1, term=3).tell("leads", group=1, broker=2, term=3),
            Story().tell("leads", group=1, broker=1, term=3).tell("leads", group=1, broker=1, term=2)],
    "A23": [Story().send("plain:0").failed("plain:0", "broker").poll((0, "plain:0"))],
    "A25": [Story().wrote("safe:0", 0).tell("healed"),
            Story().tell("healed").send("safe:0").later(20).acked("safe:0", 0),
            two_messages().assign(0).poll((0, "safe:0")).tell("healed").wrote("safe:2", 2).later(60)
            .poll((1, "safe:1"))],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_history_without_anomalies(name):
    story = GOOD[name]
    assert checker.check(checker.History(story.events)) == []


@pytest.mark.parametrize("rule, story", [(rule, story) for rule, stories in BAD.items() for story in stories])
def test_an_anomaly_is_found(rule, story):
    assert rule in story.found()


def test_every_rule_has_a_history_that_breaks_it():
    assert {name for name, _, _ in checker.RULES} == set(BAD)


def test_what_promises_leave_open_is_counted():
    story = Story().wrote("plain:0", 1).poll((0, "plain:0"), (1, "plain:0")).wrote("leader-only:0", 2)
    story.send("plain:1").send("plain:2").failed("plain:2", "broker")
    counts = checker.count(checker.History(story.events))
    assert (counts.sent, counts.acknowledged, counts.read) == (4, 2, 1)
    assert (counts.duplicates_of_plain, counts.lost_of_acks_1) == (1, 1)
    assert (counts.unknown, counts.refused) == (1, 1)


def test_gaps_begin_within_the_time_asked_for():
    story = Story()
    for number in range(3):
        story.wrote(f"safe:{number}", number)
    story.later(10).wrote("safe:3", 3).wrote("safe:4", 4)
    history = checker.History(story.events)
    assert checker.gaps(history, 8, 9) == [12.0]
    assert checker.gaps(history, 20, 25) == [2.0]


def test_a_message_proves_itself():
    data = make_message("plain:17")
    assert read_message(data) == "plain:17"
    assert read_message(data[:20] + b"?" + data[21:]) is None
    assert read_message(data[:-1]) is None
    assert read_message(b"") is None
