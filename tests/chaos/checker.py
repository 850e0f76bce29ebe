"""Which promises a history breaks.

A rule is a function from a history to the texts of what is wrong; RULES lists them under the names that the
literature of such tests gives them.  Offsets are dense here, so a position in the version order is an offset.
What acks=1 acknowledged may be lost with its leader, and what a plain producer sends may be there twice:
both are counted, not condemned.
"""
import collections
import dataclasses

STUCK_SECONDS = 10
LAG_SECONDS = 30


@dataclasses.dataclass
class Write:
    value: str
    producer: dict  # its begin event
    partition: int
    started: float
    outcome: str = "open"  # acked; refused: somebody promises that it was not written; open: unknown
    finished: float = 0
    offset: int | None = None
    refused_by: str = ""
    error: str = ""

    @property
    def is_safe(self):
        """Acknowledged by a majority."""
        return self.outcome == "acked" and self.producer["acks"] == "all"


class History:
    """The events by what rules ask for."""

    def __init__(self, events):
        self.events = events
        self.writes = {}  # value -> Write
        self.repeated_values = []
        self.offsets = collections.defaultdict(lambda: collections.defaultdict(set))  # p -> value -> offsets
        self.values = collections.defaultdict(lambda: collections.defaultdict(set))  # p -> offset -> values
        self.reads = collections.defaultdict(set)  # partition -> values that somebody read
        clients = {}
        for event in events:
            if event["do"] == "begin":
                clients[event["client"]] = event
            elif event["do"] == "send":
                self.add_write(event, clients[event["client"]])
            elif event["do"] in ("acked", "failed"):
                self.end_write(event)
            elif event["do"] == "poll":
                for offset, value in event["records"]:
                    self.add_place(event["partition"], offset, value)
                    self.reads[event["partition"]].add(value)
        for write in self.writes.values():
            if write.is_safe and write.offset is not None:
                self.add_place(write.partition, write.offset, write.value)

    def add_write(self, event, producer):
        if event["value"] in self.writes:
            self.repeated_values.append(event["value"])
        self.writes[event["value"]] = Write(event["value"], producer, event["partition"], event["time"])

    def end_write(self, event):
        write = self.writes[event["value"]]
        write.finished = event["time"]
        if event["do"] == "acked":
            write.outcome, write.offset = "acked", event["offset"]
        elif event["definite"]:
            write.outcome, write.refused_by = "refused", event["definite"]
            write.error = event["error"]

    def add_place(self, partition, offset, value):
        self.offsets[partition][value].add(offset)
        self.values[partition][offset].add(value)

    def of(self, *kinds):
        return [event for event in self.events if event["do"] in kinds]

    def is_read(self, write):
        return write.value in self.reads[write.partition]

    def safe_writes(self):
        return [write for write in self.writes.values() if write.is_safe]


def shown(values):
    """Some of many."""
    values = sorted(values, key=str)
    return ", ".join(map(str, values[:5])) + (f" and {len(values) - 5} more" if len(values) > 5 else "")


# ---- What is stored ----

def inconsistent_offsets(history):
    for partition, values in history.values.items():
        for offset, found in values.items():
            if len(found) > 1:
                yield f"partition {partition} offset {offset} holds {shown(found)}"


def duplicates(history):
    for partition, offsets in history.offsets.items():
        for value, found in offsets.items():
            write = history.writes.get(value)
            if len(found) > 1 and write is not None and write.producer["idempotent"]:
                yield f"partition {partition}: {value} of an idempotent producer at offsets {shown(found)}"


def lost_writes(history):
    for partition, read in history.reads.items():
        bound = max((min(history.offsets[partition][value]) for value in read), default=-1)
        lost = [write.value for write in history.safe_writes()
                if write.partition == partition and write.offset is not None and write.offset <= bound
                and not history.is_read(write)]
        if lost:
            yield f"partition {partition} was read up to {bound}, but not {shown(lost)}"


def unseen_writes(history):
    for event in history.of("finished"):
        unseen = [write.value for write in history.safe_writes()
                  if write.partition == event["partition"] and not history.is_read(write)]
        if unseen:
            yield (f"partition {event['partition']} was read to its end {event['high']}, and acknowledged "
                   f"messages are not there: {shown(unseen)}")


def refused_but_read(history, by):
    for write in history.writes.values():
        if write.outcome == "refused" and write.refused_by == by and history.is_read(write):
            yield f"partition {write.partition}: {write.value} was refused with {write.error}, and is there"


def aborted_reads(history):
    return refused_but_read(history, "client")


def definite_errors_that_lie(history):
    return refused_but_read(history, "broker")


def phantoms(history):
    for event in history.of("poll"):
        strange = [offset for offset, value in event["records"] if value not in history.writes]
        if strange:
            yield f"partition {event['partition']}: nobody sent what is at {shown(strange)}"
    for value in history.repeated_values:
        yield f"{value} was sent twice by its client; the history proves nothing"


def replicas_that_differ(history):
    found = collections.defaultdict(list)
    for event in history.of("replica"):
        found[event["partition"]].append(event)
    for partition, replicas in found.items():
        if len({(replica["start"], replica["end"], replica["digest"]) for replica in replicas}) > 1:
            yield f"partition {partition}: " + "; ".join(
                f"broker {r['broker']} has {r['start']} to {r['end']} as {r['digest'][:12]}"
                for r in replicas)


# ---- What one client sees ----

def deltas(history):
    """(event, expected offset, found offset, whether both are of one answer) where they differ."""
    expected = {}
    for event in history.of("assign", "poll"):
        if event["do"] == "assign":
            for key in [key for key in expected if key[0] == event["client"]]:
                del expected[key]
            for partition, offset in event["positions"].items():
                if offset >= 0:
                    expected[event["client"], int(partition)] = offset
            continue
        key = event["client"], event["partition"]
        is_inside = False
        for offset, _ in event["records"]:
            if key in expected and offset != expected[key]:
                yield event, expected[key], offset, is_inside
            expected[key] = offset + 1
            is_inside = True


def polls_that(history, skip, inside):
    for event, expected, found, is_inside in deltas(history):
        if is_inside == inside and (found > expected) == skip:
            yield (f"{event['client']}, partition {event['partition']}: {found} came where {expected} "
                   f"was next")


def poll_skips(history):
    return polls_that(history, skip=True, inside=False)


def nonmonotonic_polls(history):
    return polls_that(history, skip=False, inside=False)


def skips_and_returns_inside_a_poll(history):
    yield from polls_that(history, skip=True, inside=True)
    yield from polls_that(history, skip=False, inside=True)


def nonmonotonic_sends(history):
    newest = {}
    for write in sorted(history.writes.values(), key=lambda write: write.started):
        found = history.offsets[write.partition].get(write.value)
        if not found or not write.producer["ordered"]:
            continue
        key = write.producer["client"], write.partition
        before, offset = newest.get(key, (None, -1))
        if min(found) < offset:
            yield (f"partition {write.partition}: {write.value} at {min(found)} was sent after {before} "
                   f"at {offset}")
        newest[key] = write.value, min(found)


def acknowledged_before(history, partition):
    """(time, highest offset acknowledged by then), ascending."""
    highest = -1
    steps = []
    for write in sorted((w for w in history.safe_writes()
                         if w.partition == partition and w.offset is not None),
                        key=lambda write: write.finished):
        highest = max(highest, write.offset)
        steps.append((write.finished, highest))
    return steps


def sweep(asked, steps):
    """For each (time, what) in order of time: what, and the highest offset acknowledged before."""
    position, highest = 0, -1
    for moment, what in sorted(asked, key=lambda pair: pair[0]):
        while position < len(steps) and steps[position][0] < moment:
            highest = steps[position][1]
            position += 1
        yield what, highest


def offsets_against_real_time(history):
    partitions = {write.partition for write in history.writes.values()}
    for partition in sorted(partitions):
        owners = {}
        asked = []
        for write in history.safe_writes():
            if write.partition != partition or write.offset is None:
                continue
            if owners.setdefault(write.offset, write) is not write:
                yield (f"partition {partition} offset {write.offset} was acknowledged to "
                       f"{owners[write.offset].value} and to {write.value}")
            asked.append((write.started, write))
        for write, highest in sweep(asked, acknowledged_before(history, partition)):
            if write.offset <= highest:
                yield (f"partition {partition}: {write.value} got {write.offset}, and {highest} was "
                       f"acknowledged before it was sent")


def stale_ends(history):
    newest = {}
    asked = collections.defaultdict(list)
    for event in history.of("ends"):
        key = event["client"], event["partition"]
        low, high = newest.get(key, (0, 0))
        if event["low"] < low or event["high"] < high:
            yield (f"{event['client']}, partition {event['partition']}: from {low} to {high} became from "
                   f"{event['low']} to {event['high']}")
        newest[key] = event["low"], event["high"]
        asked[event["partition"]].append((event["started"], event))
    for partition, events in asked.items():
        for event, highest in sweep(events, acknowledged_before(history, partition)):
            if event["high"] <= highest:
                yield (f"{event['client']}, partition {partition}: the end was {event['high']}, and "
                       f"{highest} was acknowledged {event['time'] - event['started']:.3f} s or more before")


# ---- The cluster ----

def controller_history(history):
    created = {event["topic"]: event["time"] for event in history.of("created")}
    deleted = {event["topic"] for event in history.of("deleted")}
    asked_to_delete = deleted | {event["topic"] for event in history.of("deleting")}
    for event in history.of("listed"):
        if not event["last"]:
            continue
        topics = set(event["topics"])
        for topic in sorted(created.keys() - asked_to_delete - topics):
            yield f"{topic}: creation was acknowledged, and it is not there"
        for topic in sorted(deleted & topics):
            yield f"{topic}: deletion was acknowledged, and it is there"


def two_leaders_of_a_term(history):
    leaders = {}
    terms = {}
    for event in history.of("leads"):
        key = event["group"], event["term"]
        if leaders.setdefault(key, event["broker"]) != event["broker"]:
            yield (f"group {event['group']} term {event['term']} is led by brokers {leaders[key]} and "
                   f"{event['broker']}")
        own = event["group"], event["broker"]
        if event["term"] < terms.get(own, 0):
            yield (f"group {event['group']}: broker {event['broker']} led term {terms[own]}, and term "
                   f"{event['term']} after that")
        terms[own] = event["term"]


def stuck_partitions(history):
    healed = max((event["time"] for event in history.of("healed")), default=None)
    if healed is None:
        return
    for partition in sorted({write.partition for write in history.writes.values()}):
        times = [write.finished for write in history.safe_writes()
                 if write.partition == partition and write.started >= healed]
        if not times or min(times) > healed + STUCK_SECONDS:
            yield f"partition {partition} took no message within {STUCK_SECONDS} s after the last fault"


def stuck_consumers(history):
    healed = max((event["time"] for event in history.of("healed")), default=None)
    if healed is None:
        return
    reaching = {}  # (consumer, partition) -> the newest offset it had read by the end
    assigned = {}
    for event in history.of("assign", "poll"):
        if event["do"] == "assign":
            assigned[event["client"]] = event
        elif event["time"] <= healed + LAG_SECONDS and event["records"]:
            key = event["client"], event["partition"]
            reaching[key] = max(event["records"][-1][0], reaching.get(key, -1))
    for client, event in assigned.items():
        for partition in map(int, event["positions"]):
            steps = [step for step in acknowledged_before(history, partition) if step[0] < healed]
            if steps and event["time"] < healed and reaching.get((client, partition), -1) < steps[-1][1]:
                yield (f"{client}, partition {partition}: {LAG_SECONDS} s after the last fault it has read "
                       f"up to {reaching.get((client, partition))}, of {steps[-1][1]}")


RULES = (
    ("A1", "inconsistent offsets", inconsistent_offsets),
    ("A2", "duplicate", duplicates),
    ("A3", "lost write", lost_writes),
    ("A4", "unseen", unseen_writes),
    ("A5", "aborted read", aborted_reads),
    ("A10", "poll skip", poll_skips),
    ("A11", "nonmonotonic poll", nonmonotonic_polls),
    ("A12", "skip or return inside a poll", skips_and_returns_inside_a_poll),
    ("A13", "nonmonotonic send", nonmonotonic_sends),
    ("A15", "offset against real time", offsets_against_real_time),
    ("A16", "phantom", phantoms),
    ("A17", "stale end", stale_ends),
    ("A21", "replicas differ", replicas_that_differ),
    ("A22", "controller history", controller_history),
    ("A22", "two leaders of a term", two_leaders_of_a_term),
    ("A23", "definite error that lies", definite_errors_that_lie),
    ("A25", "stuck partition", stuck_partitions),
    ("A25", "stuck consumer", stuck_consumers),
)


def check(history):
    """One text for each broken promise."""
    return [f"{name} {title}: {text}" for name, title, rule in RULES for text in rule(history)]


@dataclasses.dataclass
class Counts:
    """What the history holds, and what of it the promises leave open."""
    sent: int
    acknowledged: int
    read: int
    duplicates_of_plain: int
    lost_of_acks_1: int
    unknown: int
    refused: int


def count(history):
    writes = history.writes.values()
    acked = [write for write in writes if write.outcome == "acked"]
    return Counts(
        sent=len(writes),
        acknowledged=len(acked),
        read=sum(map(len, history.reads.values())),
        duplicates_of_plain=sum(
            len(found) - 1 for offsets in history.offsets.values() for value, found in offsets.items()
            if value in history.writes and not history.writes[value].producer["idempotent"]),
        lost_of_acks_1=sum(write.producer["acks"] == "1" and not history.is_read(write)
                           for write in acked),
        unknown=sum(write.outcome == "open" for write in writes),
        refused=sum(write.outcome == "refused" for write in writes))


def gaps(history, begin, end):
    """The longest time between two acknowledgements of acks=all on each partition, where it began
    between these times: seconds."""
    times = collections.defaultdict(list)
    for write in history.safe_writes():
        times[write.partition].append(write.finished)
    longest = []
    for moments in times.values():
        moments.sort()
        pairs = [later - earlier for earlier, later in zip(moments, moments[1:])
                 if begin - 0.5 <= earlier <= end and later > begin]
        if pairs:
            longest.append(max(pairs))
    return longest


@dataclasses.dataclass
class Tally:
    """What became of the messages that were acknowledged in a while."""
    acknowledged: int
    lost: int
    copies: int


def tally(history, begin, end):
    ended = [write for write in history.writes.values()
             if write.outcome == "acked" and begin <= write.finished < end]
    safe = [write for write in ended if write.is_safe]
    return Tally(
        acknowledged=len(safe),
        lost=sum(not history.is_read(write) for write in safe),
        copies=sum(len(history.offsets[write.partition].get(write.value, (0,))) - 1 for write in ended
                   if not write.producer["idempotent"]))
