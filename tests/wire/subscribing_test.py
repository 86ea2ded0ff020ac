"""Subscriptions, statement by statement: what SUBSCRIBE replaces and UNSUBSCRIBE takes away, which
topic names are the same, and what a subscription is told of what is retained."""
import sys

from harness import brokers, check, equal, main
from mqtt import (PINGREQ, PINGRESP, prop, puback, publish, suback, subscribe, unsuback,
                  unsubscribe, user)
from retaining import retain, silent

BOTH = brokers(1, 4)
VERSIONS = (3, 4, 5)


# -- replacing

@BOTH
def test_replacing_loses_nothing(broker):
    """While a publisher goes on, the subscription is replaced a hundred times: each message comes
    once and in order, at one of the two QoS [MQTT-3.8.4-3, 4]."""
    for version in VERSIONS:
        topic = f"replaced/{version}"
        receiver, publisher = broker.client("", version), broker.client("", version)
        receiver.exchange(subscribe(1, (topic, 1), version=version), suback(1, 1, version=version))
        for i in range(1, 101):
            publisher.send(*(publish(topic, str(20 * i + k), 1, 20 * (i - 1) + k + 1, version)
                             for k in range(20)))
            receiver.send(subscribe(i, (topic, i % 2), version=version))
            seen, acked = [], 0
            while len(seen) < 20 or not acked:
                got = receiver.next()
                if got.type == 9:
                    acked += 1
                    equal((got.packet_id, got.codes), (i, [i % 2]))
                    continue
                seen.append(int(got.payload))
                if got.qos:
                    receiver.send(puback(got.packet_id))
            equal(seen, list(range(20 * i, 20 * i + 20)), "each once, in order")
            for _ in range(20):
                equal(publisher.next().type, 4, "PUBACK")


@BOTH
def test_replacing_sends_what_is_retained_again(broker):
    """[MQTT-3.8.4-3 of 3.1.1, 3.8.4-4 of 5.0]: with Retain Handling 0, and with the new QoS."""
    retain(broker.client(), "again/kept", "x")
    for version in VERSIONS:
        client = broker.client("", version)
        for qos in (0, 1, 0):
            client.exchange(subscribe(1, ("again/+", qos), version=version),
                            suback(1, qos, version=version))
            got = client.next()
            equal((got.payload, got.retain, got.qos), (b"x", 1, qos))
            if qos:
                client.send(puback(got.packet_id))
        silent(client)
    retain(broker.client(), "again/kept", "")


def test_many_filters_are_many_subscriptions(broker):
    """In one SUBSCRIBE as in several: codes in order, good ones beside bad ones, the later of two
    equal ones holds [MQTT-3.8.4-5..7, 3.9.3-1]."""
    for version in VERSIONS:
        bad = 0x8F if version == 5 else 0x80
        client, publisher = broker.client("", version), broker.client("", version)
        client.exchange(subscribe(5, ("mf/a", 2), ("mf/#/x", 0), ("mf/b", 0), ("mf/+/", 1),
                                  ("mf/a", 0), ("$share/g/a/#b", 2), version=version),
                        suback(5, 2, bad, 0, 1, 0, bad, version=version))
        publisher.ask(publish("mf/a", "x", 1, 1, version))
        client.expect(publish("mf/a", "x", version=version))
        publisher.ask(publish("mf/q/", "y", 2, 2, version))
        publisher.ask(b"\x62\x02\x00\x02")
        got = client.next()
        equal((got.topic, got.qos), ("mf/q/", 1))
        client.send(puback(got.packet_id))
        client.exchange(unsubscribe(6, "mf/a", "mf/#/x", "mf/c", "mf/b", "mf/a", version=version),
                        unsuback(6, 0, 0x8F, 0x11, 0, 0x11, version=version))
        client.exchange(PINGREQ, PINGRESP)


# -- taking away

@BOTH
def test_unsubscribe_compares_characters(broker):
    """A filter that matches another is not that one [MQTT-3.10.4-1], and UNSUBACK comes all the
    same [MQTT-3.10.4-5]."""
    for version in VERSIONS:
        client, publisher = broker.client("", version), broker.client("", version)
        filters = ["ux/a", "ux/+", "ux/A/#", "$share/g/ux/a"]
        if version == 3:
            filters.pop()
        for name in filters:
            client.exchange(subscribe(1, name, version=version), suback(1, 0, version=version))
        for other in ("ux/#", "+/a", "ux/A", "UX/a", "ux/a/", "/ux/a", "$share/h/ux/a",
                      "$share/g/ux/+", "ux/\u0061\u0301"):
            client.exchange(unsubscribe(2, other, version=version),
                            unsuback(2, 0x11, version=version))
        wanted = 1 if version == 3 else 2  # the plain ones make one copy, the shared one another
        publisher.send(publish("ux/a", "x", version=version))
        for _ in range(wanted):
            equal(client.next().topic, "ux/a")
        for name in filters:
            client.exchange(unsubscribe(3, name, version=version), unsuback(3, 0, version=version))
        publisher.ask(publish("ux/a", "x", 1, 1, version))
        client.exchange(PINGREQ, PINGRESP)


# -- names

@BOTH
def test_names_are_compared_as_they_are(broker):
    """No normalisation, no folding, no trimming [MQTT-4.7.3-4]; leading and trailing slashes, empty
    levels, spaces and case tell topics apart."""
    names = ["nm", "NM", "/nm", "nm/", "//nm", "nm//", " nm", "nm ", "n m", "nm\u00e9", "nme\u0301",
             "nm\ufeff", "\ufeffnm", "nm.", "nm\t", "nm\u200b", "n\u043c", "./nm", "nm/..", "%6em"]
    receivers = {name: broker.subscriber(name) for name in names}
    publisher = broker.client()
    for name in names:
        publisher.exchange(publish(name, name, 1, 1), puback(1))
    for name, receiver in receivers.items():
        receiver.expect(publish(name, name))
        receiver.exchange(PINGREQ, PINGRESP)


def test_longest_names(broker):
    """65,535 bytes pass whole, in topic, filter, retained message and response topic
    [MQTT-4.7.3-3]."""
    longest = "l" * 65535
    for version in VERSIONS:
        client = broker.client("", version)
        client.exchange(subscribe(1, longest, version=version), suback(1, 0, version=version))
        out = publish(longest, "x", version=version)
        client.exchange(out, out)
        client.exchange(unsubscribe(2, longest, version=version), unsuback(2, 0, version=version))
    accented = "\u00e9" * 32767 + "x"
    client = broker.subscriber(accented)
    out = publish(accented, "y", properties=prop(0x08, accented) + user("k", accented))
    client.exchange(out, out)


@BOTH
def test_wildcards_do_not_match_the_brokers_own(broker):
    """Filters that begin with a wildcard match no topic that begins with `$` [MQTT-4.7.2-1]; those
    that name it do."""
    for version in VERSIONS:
        plain = broker.subscriber("#", "+/dollar/#", "+/+/x", version=version)
        named = broker.subscriber("$own/#", version=version)
        exact = broker.subscriber("$own/+/x", version=version)
        out = publish("$own/dollar/x", "x", version=version)
        broker.client("", version).send(out)
        named.expect(out)
        exact.expect(out)
        plain.exchange(PINGREQ, PINGRESP)
        plain.close()


# -- properties

def test_properties_go_through_unchanged(broker):
    """All that a receiver may see, byte for byte and in order, also of what is retained and of what
    waited in the queue [MQTT-3.3.2-4, 15..18, 20]."""
    sent = (prop(0x01, 1) + prop(0x03, "application/x;v=\u00e9") + user("b", "1") +
            prop(0x08, "answer/to/\u00e9") + user("a", "2") + prop(0x09, bytes(range(256))) +
            user("b", "1") + user("", ""))
    client = broker.client("props", 5, properties=prop(0x21, 1))
    client.exchange(subscribe(1, ("pr/+", 1)), suback(1, 1))
    publisher = broker.client()
    for packet_id in (1, 2, 3):
        publisher.exchange(publish("pr/x", "x", 1, packet_id, properties=sent), puback(packet_id))
    for _ in range(3):
        got = client.next()
        equal(got.data, publish("pr/x", "x", 1, got.packet_id, properties=sent))
        client.send(puback(got.packet_id))
    retain(publisher, "pr/kept", "x", properties=sent)
    late = broker.subscriber("pr/kept")
    late.expect(publish("pr/kept", "x", retain=True, properties=sent))
    retain(publisher, "pr/kept", "")


def test_subscription_identifiers_are_whose_they_are(broker):
    """Each client gets its own ones, none gets another's, and a subscription without one brings
    none [MQTT-3.3.4-3, 4]; the largest that there is passes."""
    first, second, third = (broker.client(f"sid{i}", 5) for i in range(3))
    first.exchange(subscribe(1, "sid/#", properties=prop(0x0B, 1)), suback(1, 0))
    second.exchange(subscribe(1, "sid/#", properties=prop(0x0B, 268435455)), suback(1, 0))
    third.exchange(subscribe(1, "sid/#"), suback(1, 0))
    broker.client().send(publish("sid/x", "x"))
    first.expect(publish("sid/x", "x", properties=prop(0x0B, 1)))
    second.expect(publish("sid/x", "x", properties=prop(0x0B, 268435455)))
    third.expect(publish("sid/x", "x"))
    check(0x29 not in first.connack.properties, "identifiers are available, which goes unsaid")


if __name__ == "__main__":
    sys.exit(main(globals()))
