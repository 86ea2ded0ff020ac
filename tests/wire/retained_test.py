"""Retained messages: what new subscribers get, in all versions, on one loop and on several."""
import sys

from harness import Broker, brokers, check, equal, main
from mqtt import (PINGREQ, PINGRESP, prop, puback, pubcomp, publish, pubrec, pubrel, suback,
                  subscribe, unsuback, unsubscribe, user)

BOTH = brokers(1, 4)
OWN = brokers(None)
VERSIONS = (3, 4, 5)


def retain(publisher, topic, payload, packet_id=1, **options):
    """Stored when it returns: that is what the ack says."""
    version = publisher.version
    got = publisher.ask(publish(topic, payload, 1, packet_id, version, retain=True, **options))
    check((got.type, got.packet_id) == (4, packet_id) and got.reason < 0x80, f"{got.data.hex()}")


def topics_and_payloads(client, count):
    got = [client.next() for _ in range(count)]
    for packet in got:
        equal(packet.retain, 1, "retain flag")
    return sorted((p.topic, p.payload) for p in got)


@BOTH
def test_retained_after_suback(broker):
    for version in VERSIONS:
        publisher = broker.client("", version)
        retain(publisher, f"ret/{version}", "kept")
        client = broker.subscriber((f"ret/{version}", 0), version=version)
        client.expect(publish(f"ret/{version}", "kept", version=version, retain=True))
        retain(publisher, f"ret/{version}", "newer")
        client.expect(publish(f"ret/{version}", "newer", version=version))
        other = broker.subscriber((f"ret/{version}", 1), version=version)
        got = other.next()
        equal((got.payload, got.qos, got.retain, got.dup), (b"newer", 1, 1, 0))
        other.send(puback(got.packet_id))


@BOTH
def test_retained_is_removed_by_an_empty_payload(broker):
    publisher = broker.client()
    retain(publisher, "ret/gone", "kept")
    retain(publisher, "ret/gone", "")
    retain(publisher, "ret/stays", "fence")
    client = broker.subscriber("ret/gone", "ret/stays")
    client.expect(publish("ret/stays", "fence", retain=True))
    retain(publisher, "ret/stays", "")
    client.expect(publish("ret/stays", ""))


@BOTH
def test_retained_on_wildcards(broker):
    publisher = broker.client()
    names = ["wild/a", "wild/b", "wild/c/d", "wild", "wild/", "$wild/x"]
    for name in names:
        retain(publisher, name, name)
    for name, wanted in (("wild/+", ["wild/", "wild/a", "wild/b"]),
                         ("wild/#", ["wild", "wild/", "wild/a", "wild/b", "wild/c/d"]),
                         ("wild/+/d", ["wild/c/d"]), ("$wild/#", ["$wild/x"])):
        client = broker.subscriber(name)
        equal(topics_and_payloads(client, len(wanted)), [(n, n.encode()) for n in wanted])
        client.exchange(PINGREQ, PINGRESP)
    for name in names:
        retain(publisher, name, "")


@BOTH
def test_retained_hundreds_at_once(broker):
    """Home Assistant's discovery: every retained message of a wildcard, none missing."""
    publisher = broker.client()
    for i in range(600):
        publisher.send(publish(f"ha/{i % 7}/n{i}/config", f"{i}" * 50, 1, i + 1, retain=True))
    for i in range(600):
        check(publisher.next().packet_id == i + 1, "acks in order")
    for qos in (0, 1):
        client = broker.subscriber(("ha/+/+/config", qos))
        seen = {}
        for _ in range(600):
            got = client.next()
            seen[got.topic] = got.payload
            if got.qos:
                client.send(puback(got.packet_id))
        equal(len(seen), 600)
    publisher.send(*(publish(f"ha/{i % 7}/n{i}/config", "", 0, retain=True) for i in range(600)))
    publisher.exchange(PINGREQ, PINGRESP)


@BOTH
def test_retain_handling(broker):
    """0: at each SUBSCRIBE; 1: when the subscription is new; 2: never."""
    publisher = broker.client()
    retain(publisher, "rh/x", "kept")
    client = broker.client()
    kept = publish("rh/x", "kept", retain=True)
    client.exchange(subscribe(1, ("rh/x", 0x20)), suback(1, 0))
    client.exchange(PINGREQ, PINGRESP)
    client.exchange(subscribe(2, ("rh/x", 0x10)), suback(2, 0))
    client.exchange(PINGREQ, PINGRESP)
    client.exchange(subscribe(3, ("rh/x", 0x00)), suback(3, 0))
    client.expect(kept)
    client.exchange(unsubscribe(4, "rh/x"), unsuback(4, 0))
    client.exchange(subscribe(5, ("rh/x", 0x10)), suback(5, 0))
    client.expect(kept)
    old = broker.subscriber("rh/x", version=4)
    for packet_id in (2, 3):
        old.expect(publish("rh/x", "kept", version=4, retain=True))
        old.exchange(subscribe(packet_id, "rh/x", version=4), suback(packet_id, 0, version=4))
    retain(publisher, "rh/x", "")


@BOTH
def test_retained_keeps_its_properties(broker):
    sent = prop(0x01, 1) + prop(0x03, "type") + user("b", "1") + user("a", "2")
    publisher = broker.client()
    retain(publisher, "rp/x", "p", properties=prop(0x02, 500) + sent)
    client = broker.client()
    client.exchange(subscribe(1, ("rp/+", 0), properties=prop(0x0B, 44)), suback(1, 0))
    got = client.next()
    left = got.properties.pop(0x02)
    check(490 <= left <= 500, f"what is left of its expiry: {left}")
    equal(got.properties, {0x01: 1, 0x03: b"type", 0x26: [(b"b", b"1"), (b"a", b"2")],
                           0x0B: [44]})
    old = broker.subscriber("rp/x", version=4)
    old.expect(publish("rp/x", "p", version=4, retain=True))
    retain(publisher, "rp/x", "")


def test_retained_are_not_sent_to_shared_subscriptions(broker):
    publisher = broker.client()
    retain(publisher, "rs/x", "kept")
    client = broker.subscriber("$share/g/rs/x")
    client.exchange(PINGREQ, PINGRESP)
    retain(publisher, "rs/x", "live")
    client.expect(publish("rs/x", "live"))
    retain(publisher, "rs/x", "")


@BOTH
def test_retained_will(broker):
    client = broker.client("rw", 5, will=("rw/status", "offline", 1, True, b""))
    watcher = broker.subscriber(("rw/status", 0))
    client.reset()
    watcher.expect(publish("rw/status", "offline"))
    late = broker.subscriber(("rw/status", 0), version=4)
    late.expect(publish("rw/status", "offline", version=4, retain=True))
    retain(broker.client(), "rw/status", "")


@BOTH
def test_retained_of_each_qos(broker):
    publisher = broker.client()
    for qos in range(3):
        publisher.send(publish(f"rq/{qos}", "x", qos, 7, retain=True))
        if qos == 1:
            check(publisher.next().type == 4, "PUBACK")
        elif qos == 2:
            check(publisher.next().type == 5, "PUBREC")
            publisher.exchange(pubrel(7), pubcomp(7))
    publisher.exchange(PINGREQ, PINGRESP)
    client = broker.subscriber(("rq/+", 2))
    got = sorted((client.next() for _ in range(3)), key=lambda p: p.topic)
    equal([(p.topic, p.qos, p.retain) for p in got], [(f"rq/{q}", q, 1) for q in range(3)])
    client.exchange(pubrec(got[2].packet_id), pubrel(got[2].packet_id))
    client.send(pubcomp(got[2].packet_id), puback(got[1].packet_id))
    client.exchange(PINGREQ, PINGRESP)


@OWN
def test_33_retained_bomb():
    """Over the limit of messages or bytes: 0x97, and what was there stays."""
    for limits in ({"mqtt.max_retained_messages": 100}, {"mqtt.max_retained_bytes": 20_000}):
        with Broker(2, limits) as broker:
            client = broker.client()
            reasons = []
            for i in range(300):
                packet = publish(f"bomb/{i}", "x" * 300, 1, 1, retain=True)
                reasons.append(client.ask(packet).reason)
            stored = sum(reason < 0x80 for reason in reasons)
            check(10 <= stored <= 100, f"{stored} stored")
            equal(set(reasons) - {0x00, 0x10}, {0x97})
            late = broker.subscriber("bomb/+")
            equal(len(topics_and_payloads(late, stored)), stored)
            late.exchange(PINGREQ, PINGRESP)
            retain(client, "bomb/0", "")
            retain(client, "bomb/again", "x" * 300)


if __name__ == "__main__":
    sys.exit(main(globals()))
