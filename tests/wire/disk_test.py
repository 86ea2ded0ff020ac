"""A full disk: what is refused and why, what goes on, and that nothing acknowledged is lost.

The data directory is a small tmpfs, so this needs the right to mount one; it is skipped otherwise.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import Broker, Skip, WireError, brokers, check, equal, main, memory, until
from mqtt import (PINGREQ, PINGRESP, disconnect, prop, puback, publish, suback, subscribe)

OWN = brokers(None)
MB = 1 << 20
PAYLOAD = 16 << 10


class SmallDisk:
    """A file system of its own, with a file that can be deleted to make room."""

    def __init__(self, size, ballast):
        self.path = tempfile.mkdtemp(prefix="skald-disk-")
        mounted = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "skald-test", self.path],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
        if not mounted:
            os.rmdir(self.path)
            raise Skip("a tmpfs cannot be mounted here (that takes root)")
        self.data = self.path + "/data"
        self.fill("ballast", ballast)

    def fill(self, name, size):
        with open(f"{self.path}/{name}", "wb") as file:
            for _ in range(size >> 20):
                file.write(b"x" * MB)

    def make_room(self, name="ballast"):
        os.remove(f"{self.path}/{name}")

    def free(self):
        info = os.statvfs(self.path)
        return info.f_bavail * info.f_frsize

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for broker in Broker.started:
            broker.process.kill()
            broker.process.wait()
        subprocess.run(["umount", "-l", self.path], check=False)
        shutil.rmtree(self.path, ignore_errors=True)


def node(disk, reserve=0, **more):
    return Broker(env={"node.data_dir": disk.data, "node.disk_reserve_bytes": reserve,
                       "mqtt.max_queued_messages": 1_000_000, "mqtt.max_queued_bytes": 1 << 32,
                       **more})


def offline_session(broker):
    client = broker.client("keeper", 4, clean=False)
    client.exchange(subscribe(1, ("kept/#", 1), version=4), suback(1, 1, version=4))
    client.send(disconnect(4))
    client.expect_end()


class Writer:
    """Publishes what must be kept, one message at a time; knows what was acknowledged."""

    def __init__(self, broker, topic, retain):
        self.broker, self.topic, self.retain = broker, topic, retain
        self.client = broker.client(f"writer-{topic}", 5)
        self.acked, self.next = [], 0

    def write(self, patience=8.0):
        """The reason code; None when there was no answer in time."""
        self.next += 1
        topic = f"{self.topic}/{self.next}"
        payload = str(self.next).encode().ljust(PAYLOAD, b".")
        self.client.send(publish(topic, payload, 1, self.next % 60000 + 1, retain=self.retain))
        try:
            answer = self.client.next(patience)
        except WireError:
            if self.client.ended:
                raise
            return None
        equal((answer.type, answer.packet_id), (4, self.next % 60000 + 1))
        if answer.reason in (0, 0x10):
            self.acked.append(self.next)
        return answer.reason


def everything_is_there(broker, queue, retained, take=True):
    """What was acknowledged, at least: what was refused late may have got through. Without `take`
    only the first of the queue are looked at, and stay."""
    reader = broker.client("retained-reader", 4)
    wanted, found = set(retained.acked), set()
    reader.exchange(subscribe(1, ("ret/#", 1), version=4), suback(1, 1, version=4))
    while not wanted <= found:
        packet = reader.next()
        found.add(int(packet.topic.split("/")[1]))
        equal(packet.payload, str(int(packet.topic.split("/")[1])).encode().ljust(PAYLOAD, b"."))
        reader.send(puback(packet.packet_id))
    reader.close()
    keeper = broker.client("keeper", 4, clean=False)
    equal(keeper.connack.present, 1)
    got = []
    while not set(queue.acked) <= set(got) and (take or len(got) < 100):
        packet = keeper.next()
        got.append(int(packet.topic.split("/")[1]))
        if take:
            keeper.send(puback(packet.packet_id))
    keeper.reset()
    equal(got, sorted(got), "order of the queue")
    equal(got[0], queue.acked[0], "the first of the queue")


def fill_up(broker, queue, retained, transient):
    """Until both are refused, or not answered; others do not notice."""
    refusals = {queue: None, retained: None}
    deadline = time.monotonic() + 120
    while None in refusals.values():
        check(time.monotonic() < deadline, "the disk does not get full")
        for writer in (queue, retained):
            if refusals[writer] is not None:
                continue
            begun = time.monotonic()
            reason = writer.write()
            took = time.monotonic() - begun
            check(took < 9, f"{took:.1f} s for an answer")
            if reason not in (0, 0x10):
                check(reason in (None, 0x97, 0x83), f"reason {reason}")
                refusals[writer] = reason if reason is not None else "silence"
        others_go_on(transient)
    return refusals


def others_go_on(client):
    client.send(publish("transient", "x", version=4), PINGREQ)
    got = sorted([client.receive(2), client.receive(2)])
    equal(got, sorted([publish("transient", "x", version=4), PINGRESP]))


def resumes(broker, disk, *writers):
    disk.make_room()
    begun = time.monotonic()
    for writer in writers:
        writer.client.close()
        while True:
            check(time.monotonic() < begun + 20, "service does not resume")
            try:
                writer.client = broker.client(f"again-{writer.topic}", 5)
                if writer.write(3) in (0, 0x10):
                    break
            except WireError:
                pass
            time.sleep(0.2)
    return time.monotonic() - begun


def full_disk(size, ballast, reserve, pattern):
    with SmallDisk(size, ballast) as disk:
        broker = node(disk, reserve)
        transient = broker.subscriber("transient", version=4)
        offline_session(broker)
        queue, retained = Writer(broker, "kept", False), Writer(broker, "ret", True)
        refusals = fill_up(broker, queue, retained, transient)
        broker.wait_for_log(pattern)
        kept = len(queue.acked) + len(retained.acked)
        check(kept * PAYLOAD > 5 * MB, f"only {kept} were kept")
        left = disk.free() >> 20
        for _ in range(3):
            others_go_on(transient)
            time.sleep(0.5)
        took = resumes(broker, disk, queue, retained)
        print(f"  {kept} kept, then {list(refusals.values())} with {left} MB left; "
              f"{took:.1f} s to resume")
        others_go_on(transient)
        everything_is_there(broker, queue, retained, take=False)
        broker.process.send_signal(signal.SIGKILL)
        broker.ended()
        again = node(disk, reserve)
        everything_is_there(again, queue, retained)
        equal(again.stop(30), 0, "exit code after SIGTERM")


@OWN
def test_full_with_reserve():
    """Refused in good time with 0x97, and the log says why."""
    full_disk("160m", 48 * MB, 64 * MB, "less than node.disk_reserve_bytes")


@OWN
def test_full_without_reserve():
    """The write itself fails: nothing is acknowledged until it works again."""
    full_disk("160m", 96 * MB, 0, "cannot be written")


@OWN
@memory(384)
def test_queue_makes_room():
    """Below the reserve a client can still take its messages, and a retained one be cleared."""
    with SmallDisk("240m", 16 * MB) as disk:
        broker = node(disk, 128 * MB)  # what the log has in memory, 64 MB, must fit
        offline_session(broker)
        queue, retained = Writer(broker, "kept", False), Writer(broker, "ret", True)
        transient = broker.subscriber("transient", version=4)
        equal(list(fill_up(broker, queue, retained, transient).values()), [0x97, 0x97])
        old = broker.client("old", 4)  # 3.x has no other way to hear of it
        old.send(publish("ret/x", "x", 1, 1, 4, retain=True))
        old.expect_end()
        for number in retained.acked:
            answer = retained.client.ask(publish(f"ret/{number}", b"", 1, 7, retain=True))
            equal(answer.reason in (0, 0x10), True, "a cleared message")
        keeper = broker.client("keeper", 4, clean=False)
        for number in queue.acked:
            packet = keeper.next()
            equal(int(packet.topic.split("/")[1]), number)
            keeper.send(puback(packet.packet_id))
        until(lambda: queue.write() in (0, 0x10), "it takes messages again", 30)
        equal(broker.stop(30), 0, "exit code after SIGTERM")


@OWN
@memory(384)
def test_stop_while_full():
    """SIGTERM ends a node whose disk is full, in time, and what was acknowledged is there."""
    with SmallDisk("160m", 96 * MB) as disk:
        broker = node(disk)
        offline_session(broker)
        queue, retained = Writer(broker, "kept", False), Writer(broker, "ret", True)
        fill_up(broker, queue, retained, broker.subscriber("transient", version=4))
        broker.wait_for_log("cannot be written")
        code = broker.stop(40)
        equal(code, 0, "exit code after SIGTERM: " + "".join(broker.log[-5:]))
        disk.make_room()
        everything_is_there(node(disk), queue, retained)


if __name__ == "__main__":
    sys.exit(main(globals()))
