"""The disk of one broker, as fault_disk.c makes it misbehave."""
import errno
import os

from cluster import BUILD, wait_for


class Disk:
    """The disk of one broker, from the broker's next start on."""

    def __init__(self, broker):
        self.broker = broker
        self.control = broker.directory.parent / f"disk{broker.number}"
        self.log_path = broker.directory.parent / f"disk{broker.number}.log"
        os.mkfifo(self.control)
        broker.environment.update({
            "LD_PRELOAD": str(BUILD / "tests/integration/fault_disk.so"),
            "FAULT_DISK_DIRECTORY": str(broker.directory.resolve()),
            "FAULT_DISK_CONTROL": str(self.control),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"})

    def listener(self):
        """The end of the FIFO to write to; None while a broker that was started does not listen yet."""
        try:
            return os.open(self.control, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or not self.broker.is_running():
                raise
            return None

    def order(self, command):
        descriptor = wait_for(self.listener, f"the disk of broker {self.broker.number} listens")
        with open(descriptor, "w") as control:
            control.write(command + "\n")

    def obey(self, command):
        """The order is in force on return."""
        before = self.log().count("obeyed ")
        self.order(command)
        wait_for(lambda: self.log().count("obeyed ") > before, f"the disk obeys: {command}")

    def log(self):
        return self.log_path.read_text(errors="replace")
