"""From CONNECT to the end, statement by statement: what CONNECT may hold, what is said to it, what
counts after a refusal, what is left of a will, and how a connection ends."""
import sys
import time

from auth_test import Guarded, user as user_entry
from harness import Broker, brokers, check, equal, main, until
from mqtt import (PINGREQ, PINGRESP, Packet, connect, disconnect, frame, prop, puback, publish,
                  string, suback, subscribe, u16, unhex, user)
from retaining import retain, retained_now

BOTH = brokers(1, 4)
OWN = brokers(None)
VERSIONS = (3, 4, 5)


def refusal(broker, packet, version=5):
    """(session present, reason) of the CONNACK that turns `packet` down; None when nothing is said.
    The connection is over in either case."""
    client = broker.socket(version)
    client.send(packet)
    data = client.receive()
    if data is None:
        return None
    connack = Packet(data, version)
    equal(connack.type, 2, "the only answer to a refused CONNECT")
    client.expect_end()
    return connack.present, connack.reason


# -- CONNECT

def test_flags_that_contradict(broker):
    """The reserved flag, a will QoS or retain flag without a will, will QoS 3: the end, and no
    CONNACK, since nothing in the packet can be trusted [MQTT-3.1.2-3, 3.1.4-1 of 3.1.1]."""
    for version in (4, 5):
        tail = u16(0) + (b"\0" if version == 5 else b"") + string("flags")
        will = (b"\0" if version == 5 else b"") + string("w") + string("x")
        for flags, rest in [(0x03, b""), (0x0A, b""), (0x12, b""), (0x22, b""), (0x1E, will)]:
            packet = frame(0x10, string("MQTT") + bytes([version, flags]) + tail + rest)
            equal(refusal(broker, packet, version), None, f"v{version} flags {flags:02x}")


def test_fields_that_are_announced_or_not(broker):
    """A field that a flag announces and is not there, and one that no flag announces
    [MQTT-3.1.2-9, 16..19]."""
    for version in (4, 5):
        head = string("MQTT") + bytes([version])
        tail = u16(0) + (b"\0" if version == 5 else b"") + string("fields")
        for flags, rest in [(0x82, b""), (0xC2, string("user")), (0x06, b""), (0x06, string("w")),
                            (0x02, string("user")), (0x82, string("user") + string("password"))]:
            packet = frame(0x10, head + bytes([flags]) + tail + rest)
            equal(refusal(broker, packet, version), None, f"v{version} flags {flags:02x}")


def test_client_ids_that_must_be_allowed(broker):
    """1 to 23 bytes of digits and letters [MQTT-3.1.3-5]; longer and stranger ones too."""
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for version in VERSIONS:
        for name in [letters[:n] for n in (1, 2, 22, 23, 24)] + [letters[-23:], letters, "a b/+#"]:
            client = broker.client(name, version)
            client.exchange(PINGREQ, PINGRESP)
            client.close()


@OWN
def test_client_id_that_is_too_long():
    """0x85 (v3: 2), then the end [MQTT-3.1.3-8]."""
    with Broker(1, {"mqtt.max_client_id_length": 23}) as broker:
        for version in VERSIONS:
            broker.client("x" * 23, version)
            equal(refusal(broker, connect("x" * 24, version), version),
                  (0, 0x85 if version == 5 else 2), f"v{version}")


@BOTH
def test_assigned_id_is_an_id_like_any_other(broker):
    """It is unique, it is told, and another connection can take it over [MQTT-3.1.3-6, 7]."""
    clients = [broker.client("", 5) for _ in range(20)]
    names = {client.connack.properties[0x12] for client in clients}
    equal(len(names), 20, "different ids")
    broker.client(clients[0].connack.properties[0x12], 5)
    clients[0].expect_end(0x8E)
    # 3.x clients are not told theirs, yet none puts another out.
    old = [broker.client("", version) for version in (3, 4) for _ in range(5)]
    for client in old:
        client.exchange(PINGREQ, PINGRESP)


# -- CONNACK

@OWN
def test_refusals_claim_no_session():
    """Session Present is 0 in each refusal, whose code the version knows [MQTT-3.2.2-4, 6, 8]."""
    with Broker(1, {"mqtt.max_client_id_length": 23, "mqtt.retain_available": "false"}) as broker:
        refused = [(connect("x" * 24, 5), 0x85),
                   (connect("a", 5, properties=prop(0x15, "none")), 0x8C),
                   (connect("a", 5, will=("$SYS/x", "", 0, False, b"")), 0x87),
                   (connect("a", 5, will=("t", "", 0, True, b"")), 0x9A),
                   (connect("a", 5, will=("/" * 200, "", 0, False, b"")), 0x90),
                   (connect("a", 5, will=("t", b"\xff", 0, False, prop(0x01, 1))), 0x99)]
        for packet, reason in refused:
            equal(refusal(broker, packet), (0, reason))
        equal(refusal(broker, connect("", 4, clean=False), 4), (0, 2))
        equal(refusal(broker, connect("a", 4, will=("$SYS/x", "", 0, False, b"")), 4), (0, 5))
        for version in (3, 4):
            equal(refusal(broker, connect("a", version, level=9), version), (0, 1))


@BOTH
def test_nothing_counts_after_a_refusal(broker):
    """What stands behind a refused CONNECT in the same write is not looked at [MQTT-3.1.4-6]."""
    watcher = broker.subscriber("#")
    for version in VERSIONS:
        late = publish("refused/late", "x", version=version)
        for packet in (connect("r", version, will=("$SYS/x", "", 0, False, b"")),
                       connect("r", version, level=9), connect(b"\xff", version)):
            client = broker.socket(version)
            client.send(packet + late + subscribe(1, "refused/late", version=version))
            data = client.receive()
            if data is not None:
                equal(data[0], 0x20, "nothing but CONNACK")
                client.expect_end()
    watcher.exchange(publish("fence"), publish("fence"))


def test_one_connack_before_all_else(broker):
    """Also when all that follows comes in the same write [MQTT-3.2.0-1, 2]."""
    for version in VERSIONS:
        client = broker.socket(version)
        client.send(connect("first", version) + PINGREQ * 3 +
                    publish("$x/nobody", "", 1, 1, version) + PINGREQ)
        types = [client.next().type for _ in range(6)]
        equal((types[0], types.count(2)), (2, 1), "CONNACK once, and first")
        equal(sorted(types[1:]), [4, 13, 13, 13, 13])


def test_clean_start_is_told_no_session(broker):
    for version in VERSIONS:
        for _ in range(2):
            client = broker.client("clean", version)
            equal(client.connack.present, 0, "[MQTT-3.2.2-2]")
            client.exchange(subscribe(1, "x", version=version), suback(1, 0, version=version))


def test_nobody_asks_for_authentication(broker):
    """No method in CONNECT: none in CONNACK, no AUTH from the broker, and one from the client ends
    the connection, as a method in CONNECT does with 0x8C [MQTT-4.12.0-1, 6, 7, 4.12.1-1]."""
    client = broker.client("plain", 5)
    check(not {0x15, 0x16} & set(client.connack.properties), "no method, no data")
    for auth, reason in [("f000", 0x8C), ("f0 02 18 00", 0x82),
                         ("f0 09 18 07 15 00 04 53 41 53 4c", 0x8C),
                         ("f0 09 19 07 15 00 04 53 41 53 4c", 0x8C)]:
        client = broker.client("plain", 5)
        client.send(unhex(auth))
        client.expect_end(reason)
    method = prop(0x15, "SCRAM-SHA-256")
    equal(refusal(broker, connect("m", 5, properties=method)), (0, 0x8C))
    equal(refusal(broker, connect("m", 5, properties=method + prop(0x16, b"data"))), (0, 0x8C))


@OWN
def test_maximum_qos():
    """A tenant without QoS 2, or 1: CONNACK says so, subscriptions are taken at what is left, a
    publish above it ends the connection, a will above it is refused [MQTT-3.2.2-9..12]."""
    for maximum in (0, 1):
        rules = user_entry("few/bob") + f"[tenant.few]\nMaximumQoS = {maximum}\n"
        with Guarded(rules) as broker:
            client = broker.user("few/bob", "a")
            equal(client.connack.properties.get(0x24), maximum, "Maximum QoS")
            for version in VERSIONS:
                client = broker.user("few/bob", "b", version)
                client.exchange(subscribe(1, ("q/0", 0), ("q/1", 1), ("q/2", 2), version=version),
                                suback(1, 0, min(1, maximum), maximum, version=version))
                client.send(publish("q/2", "low", maximum, 5 if maximum else 0, version))
                got = [client.next() for _ in range(1 + maximum)]
                equal([p.payload for p in got if p.type == 3], [b"low"])
                client.send(publish("q/2", "high", maximum + 1, 6, version))
                client.expect_end(0x9B)
            broker.refused(0x9B, "few/bob", will=("w", "x", maximum + 1, False, b""))
            old = broker.login("few/bob", version=4, will=("w", "x", maximum + 1, False, b""))
            check(old.connack.reason != 0, "a will above the maximum")
            old.expect_end()
            broker.user("few/bob", will=("w", "x", maximum, False, b""))


# -- wills

@BOTH
def test_will_that_is_not_retained(broker):
    """It reaches who is there and leaves nothing behind, nor changes what is [MQTT-3.1.2-14]."""
    for version in VERSIONS:
        watcher = broker.subscriber("passing/will", version=version)
        broker.client("p", version, will=("passing/will", "x", 1, False, b"")).reset()
        watcher.expect(publish("passing/will", "x", version=version))
        watcher.close()
        equal(retained_now(broker, "passing/will"), {}, "nothing is stored")
    retain(broker.client(), "passing/will", "kept")
    watcher = broker.subscriber(("passing/will", 0x20))
    broker.client("p", 5, will=("passing/will", "x", 1, False, b"")).reset()
    watcher.expect(publish("passing/will", "x"))
    equal(retained_now(broker, "passing/will"), {"passing/will": b"kept"})
    retain(broker.client(), "passing/will", "")


@BOTH
def test_will_once(broker):
    """One will, one publication, and none where there was none [MQTT-3.1.2-10, 12 of 3.1.1]."""
    watcher = broker.subscriber("once/#")
    for version in VERSIONS:
        broker.client("none", version).reset()
        client = broker.client("one", version, will=(f"once/{version}", "x", 0, False, b""))
        client.send(unhex("00 00"))
        watcher.expect(publish(f"once/{version}", "x"))
        # The next connection of the same client has no will of its own.
        broker.client("one", version).reset()
    broker.client("fence", 5, will=("once/fence", "", 0, False, b"")).reset()
    watcher.expect(publish("once/fence", ""))


@BOTH
def test_will_of_each_qos(broker):
    for version in VERSIONS:
        watcher = broker.subscriber((f"wq/{version}/+", 2), version=version)
        for qos in range(3):
            broker.client("w", version, will=(f"wq/{version}/{qos}", "x", qos, False, b"")).reset()
            got = watcher.next()
            equal((got.topic, got.qos), (f"wq/{version}/{qos}", qos))
        watcher.close()


@BOTH
def test_retained_messages_outlive_the_session(broker):
    """[MQTT-3.1.2-7 of 3.1.1]"""
    for version in VERSIONS:
        publisher = broker.client("mortal", version)
        retain(publisher, f"outlives/{version}", "x")
        publisher.send(disconnect(version))
        publisher.expect_end()
        broker.client("mortal", version).close()
        equal(retained_now(broker, f"outlives/{version}"), {f"outlives/{version}": b"x"})
        retain(broker.client(), f"outlives/{version}", "")


def test_user_properties_of_a_will_keep_their_order(broker):
    """[MQTT-3.1.3-10], also through storage."""
    pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", "")]
    properties = b"".join(user(*pair) for pair in pairs)
    watcher = broker.subscriber("ordered/will")
    broker.client("w", 5, will=("ordered/will", "x", 0, True, properties)).reset()
    watcher.expect(publish("ordered/will", "x", properties=properties))
    until(lambda: retained_now(broker, "ordered/will"), "it is stored")
    late = broker.subscriber("ordered/will")
    late.expect(publish("ordered/will", "x", properties=properties, retain=True))
    retain(broker.client(), "ordered/will", "")


# -- DISCONNECT

def test_disconnect_of_the_broker_holds_no_expiry(broker):
    """Its properties are a reason string at most [MQTT-3.14.2-2]; nothing follows it
    [MQTT-3.14.4-1, 2]."""
    for packet in (publish(""), unhex("0000"), connect("again", 5), subscribe(1), unhex("f000"),
                   publish("t", properties=prop(0x23, 99)), disconnect(5, 0x8B)):
        client = broker.client("told", 5, properties=prop(0x11, 0))
        client.send(packet + PINGREQ * 5 + publish("t", "x", 1, 1))
        last = client.next()
        equal(last.type, 14)
        check(set(last.properties) <= {0x1F}, f"{last.properties}")
        client.expect_end()


def test_disconnect_is_the_last_word_of_a_client(broker):
    """The broker closes, and publishes nothing that came behind it [MQTT-3.14.4-2, 3]."""
    watcher = broker.subscriber("last/word")
    for version in VERSIONS:
        client = broker.client("leaves", version, will=("last/word", "will", 0, False, b""))
        started = time.monotonic()
        client.send(disconnect(version) + publish("last/word", "late", version=version) + PINGREQ)
        client.expect_end()
        check(time.monotonic() - started < 5, "at once")
    broker.client().exchange(publish("last/word", "next", 1, 1), puback(1))
    watcher.expect(publish("last/word", "next"))


if __name__ == "__main__":
    sys.exit(main(globals()))
