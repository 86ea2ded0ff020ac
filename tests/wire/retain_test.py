"""Retained messages in detail [MQTT-3.3.1-5..13]: stored, replaced, cleared, refused; what a
subscription has to say about them."""
import sys
import time

from harness import Broker, brokers, check, equal, main, until
from mqtt import (connect, disconnect, prop, puback, pubcomp, publish, pubrec, pubrel, suback,
                  subscribe, unsuback, unsubscribe, user)
from retaining import retain, retained_now, silent

BOTH = brokers(1, 4)
OWN = brokers(None)
VERSIONS = (3, 4, 5)
SEND, IF_NEW, NEVER = 0x00, 0x10, 0x20  # Retain Handling
AS_PUBLISHED, NO_LOCAL = 0x08, 0x04


# -- set, replace, clear

@BOTH
def test_set_replace_clear(broker):
    for version in VERSIONS:
        publisher = broker.client("p", version)
        for qos in (0, 1, 2):
            topic = f"src/{version}/{qos}"
            retain(publisher, topic, "one", qos)
            until(lambda: retained_now(broker, topic) == {topic: b"one"}, "stored")
            retain(publisher, topic, "two", qos)
            until(lambda: retained_now(broker, topic) == {topic: b"two"}, "replaced")
            publisher.send(publish(topic, "passing", 0, version=version))  # not retained: no change
            retain(publisher, topic, "", qos)
            until(lambda: retained_now(broker, topic) == {}, "cleared")
            retain(publisher, topic, "", qos)  # nothing there to clear


@BOTH
def test_stored_before_the_ack(broker):
    """An ack is a promise: who subscribes after it gets the message, on whatever loop."""
    publisher = broker.client("p", 5)
    for i in range(50):
        qos = 1 + i % 2
        retain(publisher, "promise", str(i), qos)
        client = broker.subscriber("promise")
        client.expect(publish("promise", str(i), retain=True))
        client.close()
    retain(publisher, "promise", "")


@BOTH
def test_live_delivery_of_a_clear(broker):
    """The empty message itself goes to current subscribers [MQTT-3.3.1-6]."""
    client = broker.subscriber(("clear/live", 1))
    publisher = broker.client("p", 5)
    retain(publisher, "clear/live", "x", reason=0)
    got = client.next()
    equal((got.payload, got.retain), (b"x", 0), "live")
    client.send(puback(got.packet_id))
    retain(publisher, "clear/live", "", reason=0)
    got = client.next()
    equal((got.payload, got.retain), (b"", 0), "live clear")


def test_wildcards_and_dollar_topics(broker):
    publisher = broker.client("p", 5)
    topics = ["w/a", "w/a/b", "w", "w/", "$w/a", "/w"]
    for topic in topics:
        retain(publisher, topic, topic)
    for topic_filter, wanted in [("w/#", {"w/a", "w/a/b", "w", "w/"}), ("w/+", {"w/a", "w/"}),
                                 ("#", {"w/a", "w/a/b", "w", "w/", "/w"}), ("$w/#", {"$w/a"}),
                                 ("+/a", {"w/a"}), ("+/w", {"/w"}), ("w/a/b/c", set())]:
        equal(set(retained_now(broker, topic_filter)), wanted, topic_filter)
    for topic in topics:
        retain(publisher, topic, "")
    equal(retained_now(broker, "#"), {}, "all cleared")


# -- options of the subscription

@BOTH
def test_retain_handling(broker):
    publisher = broker.client("p", 5)
    retain(publisher, "handling", "x")
    stored = publish("handling", "x", retain=True)
    client = broker.client("c", 5)
    for options, wanted in [(NEVER, False), (IF_NEW, False), (SEND, True), (SEND, True),
                            (NEVER, False), (IF_NEW, False)]:
        client.exchange(subscribe(1, ("handling", options)), suback(1, 0))
        if wanted:
            client.expect(stored)
        silent(client)
    client.exchange(unsubscribe(2, "handling"), unsuback(2, 0))
    client.exchange(subscribe(3, ("handling", IF_NEW)), suback(3, 0))
    client.expect(stored)
    silent(client)
    # Twice in one packet: the second is not new.
    client.exchange(unsubscribe(2, "handling"), unsuback(2, 0))
    client.exchange(subscribe(3, ("handling", IF_NEW), ("handling", IF_NEW)), suback(3, 0, 0))
    client.expect(stored)
    silent(client)
    # 3.1.1 always sends [MQTT-3.8.4-3].
    old = broker.client("old", 4)
    for _ in range(2):
        old.exchange(subscribe(1, "handling", version=4), suback(1, 0, version=4))
        old.expect(publish("handling", "x", version=4, retain=True))
    retain(publisher, "handling", "")


@BOTH
def test_retain_flag(broker):
    """1 on what was stored, whatever the options; live by the options [MQTT-3.3.1-12]."""
    publisher = broker.client("p", 5)
    retain(publisher, "flag", "old")
    for options, live in [(0, 0), (AS_PUBLISHED, 1)]:
        client = broker.subscriber(("flag", options))
        client.expect(publish("flag", "old", retain=True))
        retain(publisher, "flag", "old")
        client.expect(publish("flag", "old", retain=bool(live)))
        publisher.send(publish("flag", "plain"))
        client.expect(publish("flag", "plain"))
        client.close()
    retain(publisher, "flag", "")


@BOTH
def test_qos_is_the_lower_one(broker):
    publisher = broker.client("p", 5)
    for stored in (0, 1, 2):
        retain(publisher, f"qos/{stored}", "x", stored)
        for granted in (0, 1, 2):
            client = broker.subscriber((f"qos/{stored}", granted))
            got = client.next()
            equal((got.qos, got.retain, got.dup), (min(stored, granted), 1, 0), "downgraded")
            if got.qos == 2:
                client.exchange(pubrec(got.packet_id), pubrel(got.packet_id))
                client.send(pubcomp(got.packet_id))
            client.close()
    for stored in (0, 1, 2):
        retain(publisher, f"qos/{stored}", "")


def test_subscription_identifier_and_properties(broker):
    publisher = broker.client("p", 5)
    sent = (prop(0x01, 1) + prop(0x03, "text") + user("b", "1") + user("a", "2") + prop(0x09, b"\0")
            + prop(0x08, "answer/here"))
    retain(publisher, "ident/a", "x", properties=sent)
    client = broker.client("c", 5)
    client.exchange(subscribe(1, ("ident/+", 0), properties=prop(0x0B, 300)), suback(1, 0))
    got = client.next()
    equal(got.properties, {0x01: 1, 0x03: b"text", 0x08: b"answer/here", 0x09: b"\0",
                           0x0B: [300], 0x26: [(b"b", b"1"), (b"a", b"2")]})
    # Only the identifier of the new subscription, though the older one matches too.
    client.exchange(subscribe(2, ("ident/a", 0), properties=prop(0x0B, 7)), suback(2, 0))
    equal(client.next().properties[0x0B], [7])
    client.exchange(subscribe(3, ("ident/#", 0)), suback(3, 0))
    check(0x0B not in client.next().properties, "no identifier")
    retain(publisher, "ident/a", "")


def test_shared_subscriptions_get_none(broker):
    publisher = broker.client("p", 5)
    retain(publisher, "shared/it", "x")
    client = broker.subscriber("$share/g/shared/it")
    silent(client)
    retain(publisher, "shared/it", "")


@BOTH
def test_no_local(broker):
    """Its own retained message is not forwarded to a connection either [MQTT-3.8.3-3]."""
    client, other = broker.client("own", 5), broker.client("other", 5)
    retain(client, "nolocal/own", "mine")
    retain(other, "nolocal/other", "theirs")
    client.exchange(subscribe(1, ("nolocal/#", NO_LOCAL)), suback(1, 0))
    client.expect(publish("nolocal/other", "theirs", retain=True))
    silent(client)
    other.exchange(subscribe(1, ("nolocal/own", NO_LOCAL)), suback(1, 0))
    other.expect(publish("nolocal/own", "mine", retain=True))
    retain(other, "nolocal/own", "")
    retain(other, "nolocal/other", "")


# -- expiry

def test_message_expiry(broker):
    publisher = broker.client("p", 5)
    retain(publisher, "expiry/long", "x", properties=prop(0x02, 100))
    retain(publisher, "expiry/short", "x", properties=prop(0x02, 1))
    retain(publisher, "expiry/kept", "x")
    client = broker.subscriber("expiry/long")
    check(99 <= client.next().properties[0x02] <= 100, "what is left")
    old = broker.subscriber("expiry/long", version=4)
    old.expect(publish("expiry/long", "x", version=4, retain=True))
    wanted = {"expiry/long": b"x", "expiry/kept": b"x"}
    until(lambda: retained_now(broker, "expiry/#") == wanted, "one has expired")
    time.sleep(0.5)
    client = broker.subscriber("expiry/long")
    check(97 <= client.next().properties[0x02] <= 99, "less is left")
    retain(publisher, "expiry/long", "y")  # replaced: no expiry any more
    client = broker.subscriber("expiry/long")
    check(0x02 not in client.next().properties, "never expires")
    for topic in wanted:
        retain(publisher, topic, "")


# -- limits

@OWN
def test_quota():
    with Broker(2, {"mqtt.max_retained_messages": 3}) as broker:
        watcher = broker.subscriber(("q/#", 0))
        publisher = broker.client("p", 5)
        for i in range(3):
            retain(publisher, f"q/{i}", "x", reason=0)
            watcher.expect(publish(f"q/{i}", "x"))
        for qos in (1, 2):
            retain(publisher, "q/more", "x", qos, reason=0x97)
        retain(publisher, "q/1", "replaced", 2, reason=0)
        watcher.expect(publish("q/1", "replaced"))
        silent(watcher)  # what was refused went to nobody
        equal(len(retained_now(broker, "q/#")), 3)
        for version in (3, 4):
            for qos in (1, 2):
                old = broker.client("old", version)
                old.send(publish("q/more", "x", qos, 1, version, retain=True))
                old.expect_end()  # not acked
        retain(publisher, "q/0", "", reason=0)
        retain(publisher, "q/more", "x", reason=0)
        # Without RETAIN nothing is refused, and QoS 0 does not end a v5 connection.
        publisher.exchange(publish("q/none", "x", 1, 9), puback(9))
        retain(publisher, "q/none", "x", 0)


@OWN
def test_quota_of_bytes():
    with Broker(1, {"mqtt.max_retained_bytes": 4096}) as broker:
        publisher = broker.client("p", 5)
        retain(publisher, "big", "x" * 4096, reason=0x97)
        retain(publisher, "a", "x" * 3000, reason=0x10)
        retain(publisher, "b", "x" * 1500, reason=0x97)
        retain(publisher, "a", "x", reason=0x10)
        retain(publisher, "b", "x" * 1500, reason=0x10)


@OWN
def test_retain_not_available():
    """Told in CONNACK; a PUBLISH or a will with RETAIN is refused [MQTT-3.2.2-13, -14]."""
    with Broker(1, {"mqtt.retain_available": "false"}) as broker:
        client = broker.client("c", 5)
        equal(client.connack.properties.get(0x25), 0, "retain available")
        client.send(publish("a", "x", retain=True))
        client.expect_end(0x9A)
        client = broker.socket(5)
        client.send(connect("w", 5, will=("w", "x", 0, True, b"")))
        client.expect_end(0x9A)
        old = broker.socket(4)
        old.send(connect("w", 4, will=("w", "x", 0, True, b"")))
        check(old.next().reason != 0, "refused")


@OWN
def test_levels_beyond_what_can_be_stored():
    """A limit of levels above what the broker can match: refused for what it is."""
    with Broker(1, {"mqtt.max_topic_levels": 30000}) as broker:
        client = broker.client("deep", 5)
        retain(client, "/".join("a" * 5000), "x", reason=0x90)
        retain(client, "/".join("a" * 200), "x", reason=0x10)
        silent(client)


# -- order of acks and of what follows a retained publish

@BOTH
def test_order_behind_a_retained_publish(broker):
    """What the same publisher sends behind it stays behind it; acks come in order."""
    watcher = broker.subscriber(("order/#", AS_PUBLISHED))
    for version in VERSIONS:
        publisher = broker.client("p", version)
        out, wanted, acks = [], [], []
        for i in range(60):
            qos, kept = i % 3, i % 4 == 1
            out.append(publish("order/it", str(i), qos, i + 1 if qos else 0, version, retain=kept))
            wanted.append((str(i).encode(), int(kept)))
            if qos:
                acks.append((4 if qos == 1 else 5, i + 1))
        publisher.send(*out)
        got = [watcher.next() for _ in wanted]
        equal([(one.payload, one.retain) for one in got], wanted, "order of delivery")
        got = [publisher.next() for _ in acks]
        equal([(one.type, one.packet_id) for one in got], acks, "order of acks")
        equal(retained_now(broker, "order/it"), {"order/it": b"57"})
        retain(publisher, "order/it", "")
        watcher.next()
        publisher.close()


@BOTH
def test_qos2_sent_again_while_it_is_stored(broker):
    """One PUBREC for both, and a PUBREL that comes too early does no harm."""
    for version in VERSIONS:
        publisher = broker.client("p", version)
        for _ in range(3):
            publisher.send(publish("twice", "x", 2, 1, version, retain=True),
                           publish("twice", "x", 2, 1, version, retain=True, dup=True))
            publisher.expect(pubrec(1, 0x10 if version == 5 else None))
            publisher.exchange(pubrel(1), pubcomp(1))
        publisher.close()
    retain(broker.client("p", 5), "twice", "")


@OWN
def test_hasty_pubrel_of_a_refused_publish():
    with Broker(1, {"mqtt.max_retained_messages": 1, "mqtt.receive_maximum": 2}) as broker:
        publisher = broker.client("p", 5)
        retain(publisher, "one", "x")
        for _ in range(5):
            publisher.send(publish("two", "x", 2, 1, retain=True), pubrel(1))
            equal([publisher.next().type, publisher.next().type], [7, 5], "PUBCOMP, PUBREC")
        retain(publisher, "one", "y", 2, reason=0x10)


@BOTH
def test_publisher_that_ends_at_once(broker):
    """All that came before the end of the connection is published, the will last."""
    watcher = broker.subscriber(("ends/#", 0))
    for version in VERSIONS:
        for kept_will in (False, True):
            client = broker.client("ends", version,
                                   will=("ends/it", "will", 1, kept_will, b""))
            client.send(*[publish("ends/it", str(i), 0, 0, version, retain=True)
                          for i in range(100)],
                        publish("ends/it", "plain", 0, 0, version))
            client.close()
            for payload in [str(i) for i in range(100)] + ["plain", "will"]:
                watcher.expect(publish("ends/it", payload))
            equal(retained_now(broker, "ends/it"),
                  {"ends/it": b"will" if kept_will else b"99"}, "stored")
    retain(broker.client("p"), "ends/it", "")


# -- wills

@BOTH
def test_retained_will(broker):
    for version in VERSIONS:
        watcher = broker.subscriber(("rw/it", AS_PUBLISHED))
        client = broker.client("rw", version, will=("rw/it", "gone", 1, True, b""))
        client.close()
        watcher.expect(publish("rw/it", "gone", retain=True))
        equal(retained_now(broker, "rw/it"), {"rw/it": b"gone"})
        client = broker.client("rw", version, will=("rw/it", "", 1, True, b""))  # clears
        client.close()
        watcher.expect(publish("rw/it", "", retain=True))
        equal(retained_now(broker, "rw/it"), {})
        client = broker.client("rw", version, will=("rw/it", "gone", 1, True, b""))
        client.send(disconnect(version, 0))
        client.expect_end()
        silent(watcher)
        equal(retained_now(broker, "rw/it"), {})
        watcher.close()


if __name__ == "__main__":
    sys.exit(main(globals()))
