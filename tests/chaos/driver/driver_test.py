"""The driver's client against scripted bytes: no sockets, no clock that matters."""

import asyncio
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))

from tests.chaos.driver import packets as mqtt, workloads  # noqa: E402
from tests.chaos.driver.client import Connection, Store, Will  # noqa: E402
from tests.chaos.driver.history import escape, make_payload, now_us, read_payload  # noqa: E402


class Lines:
    """A history in memory, without times."""

    def __init__(self):
        self.lines = []
        self.acked = 0
        self.numbers = 0

    def write(self, text):
        self.lines += [line.partition(" ")[2] for line in text.splitlines()]

    def log(self, text):
        self.lines.append(text)

    def ack(self, _kind, n=1):
        self.acked += n

    def new_message(self):
        self.numbers += 1
        return self.numbers

    new_connection = new_message

    def take(self):
        lines, self.lines = self.lines, []
        return lines


class Wire:
    """A transport that keeps what is written."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data

    def is_closing(self):
        return False

    def close(self):
        pass

    abort = close

    def take(self):
        data, self.data = self.data, b""
        return data


def connack(present=0, reason=0, version=5):
    return mqtt.frame(0x20, bytes((present, reason)) + (b"\0" if version == 5 else b""))


def open_connection(history, store, present=0, will=None):
    connection = Connection(history, store, store.expiry == 0, will)
    wire = Wire()
    connection.connection_made(wire)
    wire.take()
    history.take()
    connection.data_received(connack(present, 0, store.version))
    return connection, wire


def asynchronous(test):
    return lambda self: asyncio.run(test(self))


class ClientTest(unittest.TestCase):
    @asynchronous
    async def test_connect_as_the_standard_writes_it(self):
        history = Lines()
        wire = Wire()
        will = Will(9, "w", 1, True, 2)
        Connection(history, Store("id", 60), False, will).connection_made(wire)
        self.assertEqual(history.take(), [
            "connect c=1 id=id v=5 clean=0 exp=60 rm=100 will=9 wt=w wq=1 wr=1 wd=2"])
        payload = make_payload(9)
        self.assertEqual(wire.take(), mqtt.frame(0x10, (
            b"\0\4MQTT\5\x2c\0\x3c" + b"\x08\x11\0\0\0\x3c\x21\0\x64" + b"\0\2id"
            + b"\5\x18\0\0\0\2" + b"\0\1w" + bytes((0, len(payload))) + payload)))

    @asynchronous
    async def test_unacked_is_resent_in_order_after_a_resumed_session(self):
        history = Lines()
        store = Store("p", 60)
        first, wire = open_connection(history, store)
        one = first.publish("a", 1)
        two = first.publish("a", 2)
        three = first.publish("a", 2)
        first.flush()
        first.data_received(mqtt.ack(mqtt.PUBREC, 2))
        sent = wire.take()
        self.assertTrue(sent.endswith(mqtt.ack(mqtt.PUBREL, 2)))
        first.connection_lost(None)
        history.take()
        second, wire = open_connection(history, store, 1)
        self.assertEqual(history.take(), [
            "connack c=5 rc=0 sp=1", "repub c=5 m=%d p=1" % one, "pubrel c=5 m=%d" % two,
            "repub c=5 m=%d p=3" % three])
        sent = wire.take()
        self.assertEqual(sent[0], 0x3A)  # QoS 1 with DUP
        second.data_received(mqtt.ack(mqtt.PUBACK, 1) + mqtt.ack(mqtt.PUBCOMP, 2))
        self.assertEqual(list(store.outgoing), [3])
        self.assertEqual(history.acked, 4)

    @asynchronous
    async def test_a_lost_session_is_forgotten(self):
        history = Lines()
        store = Store("p", 60)
        first, _ = open_connection(history, store)
        first.publish("a", 1)
        store.unreleased.add(7)
        first.connection_lost(None)
        _, wire = open_connection(history, store, 0)
        self.assertEqual((wire.take(), store.outgoing, store.unreleased), (b"", {}, set()))

    @asynchronous
    async def test_deliveries_cut_at_every_byte(self):
        payload = make_payload(77, b"padding")
        data = mqtt.publish(5, "a b", payload, 1, True, True, 3, 60)
        data += mqtt.publish(5, "q", payload[:-1] + b"!", 2, False, False, 4, None)
        data += mqtt.ack(mqtt.PUBREL, 4)
        data += mqtt.publish(5, "e", b"", 0, False, False, 0, None)
        wanted = [
            "deliver c=1 m=77 t=a%20b q=1 p=3 x=60 d=1 r=1", "ack c=1 p=3",
            "deliver c=1 m=0 t=q q=2 p=4", "rec c=1 p=4", "rel c=1 p=4", "comp c=1 p=4",
            "deliver c=1 m=0 t=e q=0 e=1"]
        for cut in range(len(data)):
            history = Lines()
            connection, wire = open_connection(history, Store("s", 0))
            history.take()
            connection.data_received(data[:cut])
            connection.data_received(data[cut:])
            self.assertEqual(history.take(), wanted)
            self.assertEqual(wire.take(), mqtt.ack(mqtt.PUBACK, 3) + mqtt.ack(mqtt.PUBREC, 4)
                             + mqtt.ack(mqtt.PUBCOMP, 4))

    @asynchronous
    async def test_refusals_are_no_successes(self):
        history = Lines()
        connection, _ = open_connection(history, Store("p", 60))
        acked = history.acked
        m = connection.publish("a", 2)
        connection.data_received(mqtt.frame(0x50, b"\0\1\x97"))
        self.assertEqual(history.take()[-1], "pubrec c=1 m=%d rc=151" % m)
        self.assertEqual((history.acked, connection.store.outgoing), (acked, {}))
        _, answer = connection.subscribe("f", 1)
        connection.data_received(mqtt.frame(0x90, b"\xff\xfe\0\x80"))
        self.assertEqual(await answer, 0x80)
        self.assertEqual(history.acked, acked)


class WorkloadTest(unittest.TestCase):
    def test_transient_only_leaves_nothing_behind(self):
        for transient_only in (False, True):
            world = workloads.World(Lines(), None, 1, transient_only)
            pubsub = workloads.PubSub(world)
            clients = [c.store for c in pubsub.publishers + pubsub.subscribers]
            clients += workloads.Takeovers(world).stores
            self.assertEqual(len({s.client for s in clients}), len(clients))
            self.assertEqual(any(s.expiry for s in clients), not transient_only)

    def test_only_quiet_connections_are_drained(self):
        history = Lines()
        world = workloads.World(history, None, 1)
        for received, is_open in ((0, True), (now_us() + 10**9, True), (0, False)):
            connection = type("Fake", (), {})()
            connection.last_received = received
            connection.open = is_open
            connection.number = len(world.connections)
            world.connections.add(connection)
        world.drained(1000)
        self.assertEqual(history.take(), ["drained c=0 quiet=1000"])


class HistoryTest(unittest.TestCase):
    def test_payloads(self):
        payload = make_payload(12, b"x y")
        self.assertEqual(read_payload(payload), 12)
        for i in range(len(payload)):
            damaged = payload[:i] + bytes((payload[i] ^ 1,)) + payload[i + 1:]
            self.assertEqual(read_payload(damaged), 0, damaged)
        self.assertEqual(read_payload(b"garbage"), 0)

    def test_escape(self):
        self.assertEqual(escape("a b%\x7f/\u00e9"), "a%20b%25%7f/\u00e9")


if __name__ == "__main__":
    unittest.main()
