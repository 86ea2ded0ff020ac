"""What each packet of each version does, byte by byte, on one loop and across several."""
import sys

from harness import WireError, brokers, check, equal, main
from mqtt import (PINGREQ, PINGRESP, Packet, connect, disconnect, prop, puback, pubcomp, publish,
                  pubrec, pubrel, suback, subscribe, unhex, unsuback, unsubscribe, user)

BOTH = brokers(1, 4)
VERSIONS = (3, 4, 5)


def bad(client, packet, reason):
    """The broker ends the connection over `packet`."""
    client.send(unhex(packet) if isinstance(packet, str) else packet)
    client.expect_end(reason)


# -- CONNECT

def test_connect_of_31_ping_disconnect(broker):
    client = broker.socket(3)
    client.exchange("10 10 00 06 4d 51 49 73 64 70 03 02 00 3c 00 02 76 33", "20 02 00 00")
    client.exchange("c0 00", "d0 00")
    client.send(unhex("e0 00"))
    client.expect_end()


def test_connect_of_311_ping_disconnect(broker):
    client = broker.socket(4)
    client.exchange("10 0e 00 04 4d 51 54 54 04 02 00 3c 00 02 76 34", "20 02 00 00")
    client.exchange("c0 00", "d0 00")
    client.send(unhex("e0 00"))
    client.expect_end()


def test_connect_of_5_ping_disconnect(broker):
    client = broker.socket(5)
    client.send(unhex("10 0f 00 04 4d 51 54 54 05 02 00 3c 00 00 02 76 35"))
    connack = client.next()
    equal((connack.type, connack.flags, connack.present, connack.reason), (2, 0, 0, 0))
    equal(connack.properties[0x21], 1024, "receive maximum")
    equal(connack.properties[0x27], 1 << 20, "maximum packet size")
    equal(connack.properties[0x22], 10, "topic alias maximum")
    for absent in (0x12, 0x13, 0x24, 0x28, 0x29, 0x2A):
        check(absent not in connack.properties, f"property {absent:02x} goes without saying")
    client.exchange("c0 00", "d0 00")
    client.send(unhex("e0 00"))
    client.expect_end()


def test_connect_and_all_that_follows_in_one_write(broker):
    for version in VERSIONS:
        client = broker.socket(version)
        client.send(connect("at once", version), subscribe(7, ("at/once", 1), version=version),
                    publish("at/once", "x", version=version), PINGREQ)
        equal(client.next().type, 2, "CONNACK first")
        rest = sorted(client.receive() for _ in range(3))
        equal(rest, sorted([suback(7, 1, version=version), PINGRESP,
                            publish("at/once", "x", version=version)]))


def test_connect_byte_by_byte(broker):
    client = broker.socket(4)
    for byte in connect("slowly", 4) + subscribe(1, "slow", version=4) + PINGREQ:
        client.send(bytes([byte]))
    client.expect("20 02 00 00")
    equal(sorted([client.receive(), client.receive()]),
          sorted([suback(1, 0, version=4), PINGRESP]))


def test_connect_assigned_id(broker):
    first, second = broker.client("", 5), broker.client("", 5)
    ids = [c.connack.properties[0x12] for c in (first, second)]
    check(ids[0] != ids[1] and all(ids), f"two different ids: {ids}")
    again = broker.client(ids[0].decode(), 5)
    check(0x12 not in again.connack.properties, "an id of the client's own is not assigned")
    first.expect_end(0x8E)
    broker.client("", 4)
    client = broker.socket(4)
    client.send(connect("", 4, clean=False))
    client.expect("20 02 00 02")  # [MQTT-3.1.3-8] of 3.1.1
    client.expect_end()
    broker.client("", 5, clean=False)


def test_connect_session_present_is_never_claimed_for_a_lost_session(broker):
    """None was there; clean start took it away; in 5.0 it ended with its connection."""
    for version in VERSIONS:
        for clean in (False, True, False):
            client = broker.client(f"lost{version}", version, clean=clean)
            equal(client.connack.present, 0)
            client.send(disconnect(version))
            client.expect_end()
    equal(broker.client("lost5", 5, clean=False).connack.present, 0)


def test_connect_session_expiry_is_answered_with_what_is_granted(broker):
    granted = broker.client("expiry", 5, properties=prop(0x11, 3600)).connack.properties
    check(granted.get(0x11, 3600) in (0, 3600), f"session expiry {granted}")
    check(0x11 not in broker.client("expiry0", 5).connack.properties, "zero needs no answer")


def test_connect_bridge_bit(broker):
    """Level 0x84: no local and retain as published, whatever the SUBSCRIBE says."""
    bridge = broker.socket(4)
    bridge.exchange(connect("bridge", 4, level=0x84), "20 02 00 00")
    bridge.exchange(subscribe(1, ("bridge/#", 1), version=4), suback(1, 1, version=4))
    bridge.exchange(publish("bridge/own", "own", 1, 5, 4), puback(5))
    other = broker.client("bridged", 4)
    other.exchange(publish("bridge/other", "x", 1, 6, 4, retain=True), puback(6))
    got = bridge.next()
    equal((got.topic, got.payload, got.retain), ("bridge/other", b"x", 1))
    other.exchange(publish("bridge/other", "", 1, 7, 4, retain=True), puback(7))
    got = bridge.next()
    equal((got.payload, got.retain), (b"", 1))
    old = broker.socket(3)
    old.exchange(connect("bridge3", 3, level=0x83), "20 02 00 00")


def test_connect_unknown_level_or_name(broker):
    """Refused with 0x01, and with nothing that was meant for another client."""
    broker.subscriber("some/thing", properties=b"").send(publish("some/thing", "else"))
    for packet in ("10 0e 00 04 4d 51 54 54 06 02 00 3c 00 02 76 34",
                   "10 0e 00 04 4d 51 54 54 02 02 00 3c 00 02 76 34",
                   "10 0e 00 04 4d 51 54 55 04 02 00 3c 00 02 76 34"):
        client = broker.socket(4)
        client.exchange(packet, "20 02 00 01")
        client.expect_end()


def test_connect_user_name_without_password(broker):
    broker.client("name only", 5, user_name="someone")
    broker.client("name only", 4, user_name="someone")
    broker.client("password only", 5, password="secret")
    client = broker.socket(4)
    client.send(connect("p", 4, password="secret"))
    client.expect_end()


def test_connect_unread_after_disconnect(broker):
    """What follows DISCONNECT is not looked at."""
    watcher = broker.subscriber("after/disconnect")
    client = broker.client("gone", 5)
    client.send(disconnect() + publish("after/disconnect", "late"))
    client.expect_end()
    watcher.exchange(publish("after/disconnect", "own"), publish("after/disconnect", "own"))


# -- PUBLISH

@BOTH
def test_qos_of_message_and_subscription(broker):
    """Each version, each QoS in, each QoS granted: the lower one is delivered, all acked."""
    for version in VERSIONS:
        receivers = [broker.subscriber((f"qos/{version}", granted), version=version)
                     for granted in range(3)]
        publisher = broker.client("", version)
        for qos in range(3):
            publisher.send(publish(f"qos/{version}", f"m{qos}", qos, 40 + qos, version))
            if qos == 1:
                publisher.expect(puback(41))
            elif qos == 2:
                publisher.expect(pubrec(42))
                publisher.exchange(pubrel(42), pubcomp(42))
            for granted, receiver in enumerate(receivers):
                got, lower = receiver.next(), min(qos, granted)
                equal((got.qos, got.payload, got.dup, got.retain),
                      (lower, f"m{qos}".encode(), 0, 0), f"v{version} {qos} for {granted}")
                equal(got.data, publish(f"qos/{version}", f"m{qos}", lower, got.packet_id, version))
                check((got.packet_id != 0) == (lower > 0), "a packet id where one belongs")
                if lower == 1:
                    receiver.send(puback(got.packet_id))
                elif lower == 2:
                    receiver.exchange(pubrec(got.packet_id), pubrel(got.packet_id))
                    receiver.send(pubcomp(got.packet_id))


@BOTH
def test_qos_between_versions(broker):
    """A v5 publish reaches 3.x without properties, and the reverse."""
    old, new = broker.subscriber(("mix", 1), version=4), broker.subscriber(("mix", 1))
    from_new, from_old = broker.client(""), broker.client("", 4)
    from_new.exchange(publish("mix", "a", 1, 9, properties=user("k", "v") + prop(0x03, "t")),
                      puback(9))
    got = old.next()
    equal(got.data, publish("mix", "a", 1, got.packet_id, 4))
    equal(new.next().properties, {0x26: [(b"k", b"v")], 0x03: b"t"})
    from_old.exchange(publish("mix", "b", 1, 10, 4), puback(10))
    got = new.next()
    equal(got.data, publish("mix", "b", 1, got.packet_id, 5))
    equal(old.next().payload, b"b")


def test_qos_2_duplicate_is_not_delivered_again(broker):
    for version in VERSIONS:
        receiver = broker.subscriber(f"dup/{version}", version=version)
        publisher = broker.client("", version)
        publisher.exchange(publish(f"dup/{version}", "one", 2, 5, version), pubrec(5))
        for _ in range(3):
            publisher.exchange(publish(f"dup/{version}", "one", 2, 5, version, dup=True), pubrec(5))
        publisher.exchange(pubrel(5), pubcomp(5))
        publisher.exchange(publish(f"dup/{version}", "two", 2, 5, version), pubrec(5))
        receiver.expect(publish(f"dup/{version}", "one", version=version),
                        publish(f"dup/{version}", "two", version=version))


def test_acks_come_in_the_order_of_publishes(broker):
    receiver = broker.subscriber(("order", 0))
    publisher = broker.client()
    out, back = [], []
    for packet_id in range(1, 301):
        qos = packet_id % 2 + 1
        out.append(publish("order", str(packet_id), qos, packet_id))
        back.append(puback(packet_id) if qos == 1 else pubrec(packet_id))
    publisher.send(*out)
    publisher.expect(*back)
    receiver.expect(*(publish("order", str(packet_id)) for packet_id in range(1, 301)))


def test_no_matching_subscribers_is_told(broker):
    publisher = broker.client()
    publisher.exchange(publish("nobody/here", "", 1, 3), puback(3, 0x10))
    publisher.exchange(publish("nobody/here", "", 2, 4), pubrec(4, 0x10))
    publisher.exchange(pubrel(4), pubcomp(4))
    old = broker.client("", 4)
    old.exchange(publish("nobody/here", "", 1, 3, 4), puback(3))


def test_negative_acks_of_a_receiver_end_the_flow(broker):
    receiver = broker.subscriber(("negative", 2), properties=b"")
    publisher = broker.client()
    for qos in (1, 2):
        publisher.ask(publish("negative", "x", qos, 3))
        if qos == 2:
            publisher.exchange(pubrel(3), pubcomp(3))
        got = receiver.next()
        receiver.send((puback if qos == 1 else pubrec)(got.packet_id, 0x83))
    receiver.exchange(PINGREQ, PINGRESP)
    receiver.exchange(pubrec(65000), pubrel(65000, 0x92))
    receiver.exchange(pubrel(65000), pubcomp(65000, 0x92))


@BOTH
def test_user_properties_keep_their_order(broker):
    before, after = (b"".join(user(f"k{i % 3}", f"{part}{i}") for i in range(20))
                     for part in "ab")
    rest = (prop(0x01, 1) + prop(0x03, "text/plain") + prop(0x08, "answer/here") +
            prop(0x09, b"\x00\xff\x01"))
    receiver = broker.subscriber(("props", 1))
    broker.client().send(publish("props", "body", 0, properties=before + rest + after))
    receiver.expect(publish("props", "body", 0, properties=before + rest + after))


def test_message_expiry_is_passed_on(broker):
    receiver = broker.subscriber("expiring")
    broker.client().send(publish("expiring", "x", properties=prop(0x02, 1000)))
    left = receiver.next().properties[0x02]
    check(998 <= left <= 1000, f"about what was sent: {left}")


def test_payload_format(broker):
    receiver = broker.subscriber("format")
    publisher = broker.client()
    publisher.exchange(publish("format", b"\xff", 1, 1, properties=prop(0x01, 1)),
                       puback(1, 0x99))
    publisher.exchange(publish("format", b"\xff", 1, 2, properties=prop(0x01, 0)), puback(2))
    receiver.expect(publish("format", b"\xff", properties=prop(0x01, 0)))


@BOTH
def test_payload_sizes(broker):
    receiver = broker.subscriber(("size", 1), version=4)
    publisher = broker.client("", 4)
    for size in (0, 1, 120, 127, 128, 2047, 2048, 16383, 16384, 65535, 65536, 300_000,
                 (1 << 20) - 20):
        payload = bytes([size % 251]) * size
        publisher.send(publish("size", payload, 1, 3, 4))
        got = receiver.next()
        equal((len(got.payload), got.payload == payload), (size, True))
        receiver.send(puback(got.packet_id))
        publisher.expect(puback(3))


@BOTH
def test_small_packets_after_a_large_one(broker):
    """A packet that was larger than the read buffer leaves nothing behind."""
    for version in VERSIONS:
        client = broker.client("", version)
        client.exchange(publish("large", b"x" * 900_000, 1, 3, version),
                        puback(3, 0x10) if version == 5 else puback(3))
        client.exchange(PINGREQ, PINGRESP)
        for byte in PINGREQ:
            client.send(bytes([byte]))
        client.expect(PINGRESP)


# -- SUBSCRIBE

def test_suback_grants_what_was_asked(broker):
    for version in VERSIONS:
        client = broker.client("", version)
        client.exchange(subscribe(9, ("a", 0), ("b", 1), ("c/+/#", 2), version=version),
                        suback(9, 0, 1, 2, version=version))
        client.exchange(unsubscribe(10, "a", "none", version=version),
                        unsuback(10, 0x00, 0x11, version=version))


def test_suback_refuses_invalid_filters(broker):
    filters = ["a/#/b", "a+", "#a", "a/b#", "+a/b", "$share//x", "$share/g", "$share/+/x",
               "$share/g#/x", "$share/g/", "$oshare/g/x"]
    for version in VERSIONS:
        refused = 0x8F if version == 5 else 0x80
        client = broker.client("", version)
        for name in filters:
            client.exchange(subscribe(3, ("good", 1), (name, 1), version=version),
                            suback(3, 1, refused, version=version))


def test_suback_and_the_filters_that_match(broker):
    matches = {"a/b": ["a/b", "a/+", "+/b", "#", "a/#", "+/+", "a/b/#"],
               "/": ["+/+", "/", "#", "/+", "/#", "+/"], "$x/y": ["$x/y", "$x/#", "$x/+"],
               "ä/ü": ["ä/ü", "ä/+"], "a//b": ["a/+/b", "a//b", "a/#"]}
    no_match = {"a/b": ["a", "a/b/c", "a/+/+", "b/#", "+"], "$x/y": ["#", "+/y", "+/#"],
                "a": ["a/", "/a", "a/+"], "A": ["a"]}
    publisher = broker.client()
    for topic, filters in matches.items():
        for name in filters:
            receiver = broker.subscriber(name)
            publisher.send(publish(topic, name))
            receiver.expect(publish(topic, name))
            receiver.close()
    for topic, filters in no_match.items():
        for name in filters:
            receiver = broker.subscriber(name, "fence/only")
            publisher.send(publish(topic, name), publish("fence/only"))
            receiver.expect(publish("fence/only"))
            receiver.close()


@BOTH
def test_overlapping_subscriptions_make_one_copy(broker):
    """One copy at the highest QoS, with every identifier that matched."""
    receiver = broker.client()
    receiver.exchange(subscribe(1, ("over/#", 0), properties=prop(0x0B, 7)), suback(1, 0))
    receiver.exchange(subscribe(2, ("over/+", 2), properties=prop(0x0B, 268435455)), suback(2, 2))
    receiver.exchange(subscribe(3, ("over/lap", 1)), suback(3, 1))
    publisher = broker.client()
    publisher.ask(publish("over/lap", "x", 1, 1))
    got = receiver.next()
    equal((got.qos, got.payload, sorted(got.properties[0x0B])), (1, b"x", [7, 268435455]))
    receiver.send(puback(got.packet_id))
    publisher.send(publish("over/lap/deep", "y"))
    equal(receiver.next().properties, {0x0B: [7]})
    old = broker.subscriber(("over/#", 0), ("over/old", 2), version=4)
    publisher.ask(publish("over/old", "z", 2, 9))
    equal(old.next().qos, 2)


def test_subscribe_again_replaces(broker):
    receiver = broker.client()
    receiver.exchange(subscribe(1, ("again", 2), properties=prop(0x0B, 1)), suback(1, 2))
    receiver.exchange(subscribe(2, ("again", 0), properties=prop(0x0B, 2)), suback(2, 0))
    publisher = broker.client()
    publisher.ask(publish("again", "x", 1, 1))
    receiver.expect(publish("again", "x", properties=prop(0x0B, 2)))
    receiver.exchange(unsubscribe(3, "again"), unsuback(3, 0))
    publisher.ask(publish("again", "x", 1, 1))
    receiver.exchange(PINGREQ, PINGRESP)


@BOTH
def test_no_local(broker):
    client = broker.client("no local")
    client.exchange(subscribe(1, ("nl/mine", 4), ("nl/all", 0)), suback(1, 0, 0))
    client.send(publish("nl/mine", "own"), publish("nl/all", "own"))
    client.expect(publish("nl/all", "own"))
    broker.client("other").send(publish("nl/mine", "other"))
    client.expect(publish("nl/mine", "other"))


def test_no_local_of_one_of_two_overlapping(broker):
    client = broker.client("half local")
    client.exchange(subscribe(1, ("half/#", 4 | 2), properties=prop(0x0B, 1)), suback(1, 2))
    client.exchange(subscribe(2, ("half/+", 0), properties=prop(0x0B, 2)), suback(2, 0))
    client.send(publish("half/x", "own"))
    client.expect(publish("half/x", "own", properties=prop(0x0B, 2)))


@BOTH
def test_retain_as_published(broker):
    client = broker.subscriber(("rap/yes", 8), ("rap/no", 0))
    if client.connack.properties.get(0x25) == 0:
        publisher = broker.client()
        bad(publisher, publish("rap/yes", "x", retain=True), 0x9A)
        return
    publisher = broker.client()
    publisher.send(publish("rap/yes", "x", retain=True), publish("rap/no", "x", retain=True),
                   publish("rap/yes", "x"), publish("rap/yes", "", retain=True),
                   publish("rap/no", "", retain=True))
    client.expect(publish("rap/yes", "x", retain=True), publish("rap/no", "x"),
                  publish("rap/yes", "x"), publish("rap/yes", "", retain=True),
                  publish("rap/no", ""))


# -- limits that both sides state

def test_topic_aliases_of_a_client(broker):
    receiver = broker.subscriber("alias/#")
    client = broker.client()
    client.send(publish("alias/one", "1", properties=prop(0x23, 1)),
                publish("", "2", properties=prop(0x23, 1)),
                publish("alias/ten", "3", properties=prop(0x23, 10)),
                publish("alias/two", "4", properties=prop(0x23, 1)),
                publish("", "5", properties=prop(0x23, 1)),
                publish("", "6", properties=prop(0x23, 10)))
    for topic, payload in (("one", "1"), ("one", "2"), ("ten", "3"), ("two", "4"), ("two", "5"),
                           ("ten", "6")):
        receiver.expect(publish("alias/" + topic, payload))


@BOTH
def test_topic_aliases_towards_a_client(broker):
    receiver = broker.subscriber("out/#", properties=b"")
    aliased = broker.client("aliased", 5, properties=prop(0x22, 2))
    aliased.exchange(subscribe(1, "out/#"), suback(1, 0))
    publisher = broker.client()
    names = ["out/a", "out/b", "out/c", "out/a", "out/b", "out/c", "out/a"]
    publisher.send(*(publish(name, name) for name in names))
    known, bytes_seen = {}, []
    for name in names:
        got = aliased.next()
        alias = got.properties.get(0x23)
        check(alias is None or 1 <= alias <= 2, "an alias within the client's maximum")
        if got.topic:
            if alias:
                known[alias] = got.topic
        equal(got.topic or known[alias], name)
        equal(got.payload, name.encode())
        bytes_seen.append(got.topic)
        receiver.expect(publish(name, name))
    check("" in bytes_seen, "aliases are used, not only offered")


@BOTH
def test_maximum_packet_size_towards_a_client(broker):
    """What is larger is not sent, and the flow goes on; the limit itself is met exactly."""
    small = broker.client("small", 5, properties=prop(0x27, 40))
    small.exchange(subscribe(1, ("mps", 1)), suback(1, 1))
    publisher = broker.client()
    fits = 40 - len(publish("mps", b"", 1, 1))
    for packet_id, size in ((1, fits + 1), (2, fits), (3, 5000), (4, fits - 1)):
        publisher.ask(publish("mps", b"x" * size, 1, packet_id))
    for size in (fits, fits - 1):
        got = small.next()
        equal(len(got.payload), size)
        small.send(puback(got.packet_id))


def test_maximum_packet_size_of_the_broker(broker):
    largest = (1 << 20) - 4 - len(string_and_properties("mine"))
    receiver = broker.subscriber("mine")
    publisher = broker.client()
    publisher.send(publish("mine", b"x" * largest))
    equal(len(receiver.next().payload), largest)
    publisher.send(publish("mine", b"x" * (largest + 1))[:5])
    publisher.expect_end(0x95)
    old = broker.client("", 4)
    old.send(publish("mine", b"x" * (2 << 20), version=4)[:5])
    old.expect_end()


def string_and_properties(topic):
    return publish(topic)[2:]


@BOTH
def test_receive_maximum_of_a_client(broker):
    """No more than asked for are unacked; the others follow as acks come, in order."""
    receiver = broker.client("window", 5, properties=prop(0x21, 3))
    receiver.exchange(subscribe(1, ("win", 2)), suback(1, 2))
    publisher = broker.client()
    publisher.send(*(publish("win", str(i), 1 + i % 2, i) for i in range(1, 21)))
    for i in range(1, 21):
        equal(publisher.next().packet_id, i)
    open_now, seen = [], 0
    while seen < 20:
        while len(open_now) < min(3, 20 - seen + len(open_now)):
            got = receiver.next()
            seen += 1
            equal(got.payload, str(seen).encode(), "order")
            open_now.append(got)
        receiver.exchange(PINGREQ, PINGRESP)  # and nothing before it: the window is full
        done = open_now.pop(0)
        if done.qos == 1:
            receiver.send(puback(done.packet_id))
        else:
            receiver.exchange(pubrec(done.packet_id), pubrel(done.packet_id))
            receiver.send(pubcomp(done.packet_id))


def test_inflight_of_old_clients(broker):
    """3.x clients state no window: at least 20 are under way."""
    receiver = broker.subscriber(("old/window", 1), version=4)
    publisher = broker.client("", 4)
    publisher.send(*(publish("old/window", str(i), 1, i, 4) for i in range(1, 600)))
    packets = [receiver.next() for _ in range(20)]
    packets += drain(receiver)
    check(len(packets) <= 256, "max_inflight holds")
    while len(packets) < 599:
        receiver.send(*(puback(p.packet_id) for p in packets if p.dup == 0))
        packets += [receiver.next()] + drain(receiver)
        equal(packets[-1].payload, str(len(packets)).encode(), "order")


def drain(client):
    """The packets before the answer to a ping."""
    client.send(PINGREQ)
    got = []
    while True:
        packet = client.next()
        if packet.data == PINGRESP:
            return got
        got.append(packet)


def test_request_problem_information(broker):
    """Without leave no reason strings, but in CONNACK and DISCONNECT [MQTT-3.1.2-29]."""
    quiet = broker.client("quiet", 5, properties=prop(0x17, 0))
    got = quiet.ask(publish("$SYS/x", "", 1, 1))
    equal((got.reason, got.properties), (0x87, {}))
    loud = broker.client("loud", 5)
    check(loud.ask(publish("", "", properties=prop(0x23, 3))).type == 14, "unknown alias")


def test_request_response_information(broker):
    """The broker may leave it out, but never sends what was not asked for."""
    check(0x1A not in broker.client("a", 5).connack.properties, "not asked for")
    broker.client("b", 5, properties=prop(0x19, 1))


def test_ping_of_packet_class(broker):
    """The client's own reader: what it takes apart is what was put together."""
    packet = Packet(publish("t", "p", 1, 5, properties=user("a", "b") + prop(0x0B, 300)), 5)
    equal((packet.topic, packet.payload, packet.properties),
          ("t", b"p", {0x26: [(b"a", b"b")], 0x0B: [300]}))
    client = broker.client()
    try:
        client.send(PINGREQ)
        client.expect("d0 01")
    except WireError:
        return
    raise WireError("a wrong packet must be seen")


if __name__ == "__main__":
    sys.exit(main(globals()))
