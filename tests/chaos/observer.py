"""Looks at what the brokers say of themselves while faults are under way: who leads what."""
import http.client
import threading

from history import Writer

PAUSE_SECONDS = 0.2
ANSWER_SECONDS = 0.5


class Observer:
    def __init__(self, cluster, topic, histories):
        self.cluster = cluster
        self.topic = topic
        self.history = Writer(histories, "observer")
        self.history.note("begin", kind="observer")
        self.leaders = {}  # partition -> (term, broker number), the newest heard of
        self.controllers = (0, 0)  # the same of the controller group
        self.told = {}  # (broker number, group) -> term that it last said it leads
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def look_at(self, broker):
        for group in broker.status(timeout=ANSWER_SECONDS)["groups"]:
            if group["role"] != "leader":
                continue
            term, number = group["term"], group["group"]
            if self.told.get((broker.number, number)) != term:
                self.told[broker.number, number] = term
                self.history.note("leads", group=number, broker=broker.number, term=term)
            if group.get("topic") == self.topic:
                partition = group["partition"]
                self.leaders[partition] = max(self.leaders.get(partition, (0, 0)), (term, broker.number))
            elif group["kind"] == "controller":
                self.controllers = max(self.controllers, (term, broker.number))

    def run(self):
        while not self.stopping.wait(PAUSE_SECONDS):
            for broker in self.cluster.brokers.values():
                try:
                    if broker.is_running():
                        self.look_at(broker)
                except (OSError, ValueError, http.client.HTTPException):
                    continue  # it is down, stopped, or was killed while it answered

    def leader_of(self, partition):
        return self.cluster.brokers.get(self.leaders.get(partition, (0, 0))[1])

    def controller(self):
        return self.cluster.brokers.get(self.controllers[1])

    def stop(self):
        self.stopping.set()
        self.thread.join()
        self.history.close()

    def note(self, do, **fields):
        """Events of the run itself."""
        self.history.note(do, **fields)

