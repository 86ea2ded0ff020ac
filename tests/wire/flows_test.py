"""Messages under way, statement by statement: packet identifiers, the DUP flag, each step of QoS 1
and 2, expiry meanwhile, and the errors of either side."""
import sys
import time

from harness import Broker, brokers, check, equal, main
from mqtt import (PINGREQ, PINGRESP, Packet, connect, prop, puback, pubcomp, publish, pubrec,
                  pubrel, suback, subscribe, unsuback, unsubscribe)

BOTH = brokers(1, 4)
OWN = brokers(None)
VERSIONS = (3, 4, 5)


def take(client, count):
    return [client.next() for _ in range(count)]


# -- identifiers and DUP

@BOTH
def test_identifiers_of_the_broker_are_free_ones(broker):
    """While 60 are open, none is 0 and none is given twice [MQTT-2.2.1-4, 4.3.2-1, 4.3.3-1];
    those that are done may come again, those that are not do not."""
    receiver = broker.subscriber(("ids", 2), version=4)
    publisher = broker.client("", 4)
    open_now, held = {}, None
    for turn in range(4):
        publisher.send(*(publish("ids", str(i), 1 + i % 2, i, 4) for i in range(1, 61)))
        publisher.expect(*(puback(i) if i % 2 == 0 else pubrec(i) for i in range(1, 61)))
        publisher.send(*(pubrel(i) for i in range(1, 61, 2)))
        publisher.expect(*(pubcomp(i) for i in range(1, 61, 2)))
        for got in take(receiver, 60):
            check(got.packet_id and got.packet_id not in open_now, f"{got.packet_id} is in use")
            equal(got.dup, 0, "sent for the first time")
            open_now[got.packet_id] = got.qos
        held = held or min(open_now)
        for packet_id in sorted(open_now):
            if packet_id == held:
                continue  # the oldest stays open through all turns, which are less than a window
            if open_now.pop(packet_id) == 1:
                receiver.send(puback(packet_id))
            else:
                receiver.exchange(pubrec(packet_id), pubrel(packet_id))
                receiver.send(pubcomp(packet_id))
    equal(list(open_now), [held], f"after {turn + 1} turns")


@BOTH
def test_dup_is_each_hops_own(broker):
    """What a client repeats is a first sending to the receivers [MQTT-3.3.1-3]."""
    for version in VERSIONS:
        receiver = broker.subscriber((f"dup/hop/{version}", 2), version=version)
        publisher = broker.client("", version)
        for qos in (1, 2):
            publisher.send(publish(f"dup/hop/{version}", "x", qos, 7, version, dup=True))
            equal(publisher.next().packet_id, 7)
            if qos == 2:
                publisher.exchange(pubrel(7), pubcomp(7))
            got = receiver.next()
            equal((got.qos, got.dup), (qos, 0))


def test_after_puback_the_identifier_is_new(broker):
    """A PUBLISH with the same id is another message, whatever its DUP flag [MQTT-4.3.2-5]."""
    for version in VERSIONS:
        receiver = broker.subscriber(f"again/{version}", version=version)
        publisher = broker.client("", version)
        for dup in (False, True, True, False):
            publisher.exchange(publish(f"again/{version}", "x", 1, 3, version, dup=dup), puback(3))
        receiver.expect(*[publish(f"again/{version}", "x", version=version)] * 4)


def test_after_pubcomp_the_identifier_is_new(broker):
    """Until PUBREL it is the same message, afterwards another [MQTT-4.3.3-10, 12]."""
    for version in VERSIONS:
        receiver = broker.subscriber(f"comp/{version}", version=version)
        publisher = broker.client("", version)
        for text in ("one", "two"):
            out = publish(f"comp/{version}", text, 2, 3, version)
            publisher.exchange(out, pubrec(3))
            publisher.exchange(publish(f"comp/{version}", text, 2, 3, version, dup=True), pubrec(3))
            publisher.exchange(pubrel(3), pubcomp(3))
        receiver.expect(publish(f"comp/{version}", "one", version=version),
                        publish(f"comp/{version}", "two", version=version))
        receiver.exchange(PINGREQ, PINGRESP)


def test_identifiers_of_both_sides_are_apart(broker):
    """A client's own PUBLISH may use an id that the broker uses towards it."""
    client = broker.client("apart", 5)
    client.exchange(subscribe(1, ("apart", 1)), suback(1, 1))
    broker.client().ask(publish("apart", "first", 1, 9))
    got = client.next()
    client.exchange(publish("other/apart", "x", 2, got.packet_id), pubrec(got.packet_id, 0x10))
    client.exchange(subscribe(got.packet_id, "x"), suback(got.packet_id, 0))
    client.exchange(unsubscribe(got.packet_id, "x"), unsuback(got.packet_id, 0))
    client.exchange(pubrel(got.packet_id), pubcomp(got.packet_id))
    client.send(puback(got.packet_id))
    broker.client().ask(publish("apart", "second", 1, 9))
    equal(client.next().payload, b"second")


# -- steps

@BOTH
def test_nothing_is_sent_twice_on_a_live_connection(broker):
    """A receiver that does not ack gets no repetition [MQTT-4.4.0-1]; one that acks twice gets no
    second PUBLISH, and PUBREL again [MQTT-4.3.3-4, 6]."""
    for version in VERSIONS:
        receiver = broker.subscriber((f"twice/{version}", 2), version=version)
        publisher = broker.client("", version)
        publisher.ask(publish(f"twice/{version}", "one", 1, 1, version))
        publisher.ask(publish(f"twice/{version}", "two", 2, 2, version))
        publisher.ask(pubrel(2))
        one, two = receiver.next(), receiver.next()
        time.sleep(0.5)
        receiver.exchange(PINGREQ, PINGRESP)
        for _ in range(3):
            receiver.exchange(pubrec(two.packet_id), pubrel(two.packet_id))
        receiver.send(pubcomp(two.packet_id), puback(one.packet_id))
        receiver.exchange(PINGREQ, PINGRESP)


def test_acks_of_the_wrong_kind_change_nothing(broker):
    """PUBACK for a QoS 2 message, PUBREC for a QoS 1 one, PUBCOMP too early: the flow goes on as
    its QoS wants [MQTT-4.3.2-3, 4.3.3-3, 5]."""
    receiver = broker.client("kinds", 5, properties=prop(0x21, 2))
    receiver.exchange(subscribe(1, ("kinds", 2)), suback(1, 2))
    publisher = broker.client()
    for qos, packet_id in ((1, 1), (2, 2), (1, 3)):
        publisher.ask(publish("kinds", str(packet_id), qos, packet_id))
        if qos == 2:
            publisher.exchange(pubrel(packet_id), pubcomp(packet_id))
    one, two = receiver.next(), receiver.next()
    receiver.send(puback(two.packet_id), pubcomp(two.packet_id), pubcomp(one.packet_id))
    receiver.exchange(PINGREQ, PINGRESP)  # the window is still full: no third message
    receiver.exchange(pubrec(two.packet_id), pubrel(two.packet_id))
    receiver.exchange(PINGREQ, PINGRESP)  # PUBREL is not acked: still full
    receiver.send(pubcomp(two.packet_id))
    equal(receiver.next().payload, b"3")
    receiver.send(puback(one.packet_id))
    receiver.exchange(PINGREQ, PINGRESP)


def test_negative_pubrec_of_the_broker_ends_the_flow(broker):
    """0x87 for a topic of the broker's: the id is free at once, PUBREL finds nothing, and the same
    id with another topic is a new message [MQTT-4.3.3-9]."""
    receiver = broker.subscriber("negative/two")
    publisher = broker.client()
    for _ in range(3):
        publisher.exchange(publish("$SYS/x", "no", 2, 5), pubrec(5, 0x87))
        publisher.exchange(publish("negative/two", "yes", 2, 5), pubrec(5))
        receiver.expect(publish("negative/two", "yes"))
        publisher.exchange(pubrel(5), pubcomp(5))
        publisher.exchange(pubrel(5), pubcomp(5, 0x92))


def test_negative_acks_are_not_repeated(broker):
    """A PUBACK or PUBREC over 0x80 ends the sending: a place in the window is free, and the message
    does not come again [MQTT-4.4.0-2, 4.3.3-4]."""
    receiver = broker.client("neg", 5, properties=prop(0x21, 1))
    receiver.exchange(subscribe(1, ("neg/acks", 2)), suback(1, 2))
    publisher = broker.client()
    for i in range(1, 21):
        qos = 1 + i % 2
        publisher.ask(publish("neg/acks", str(i), qos, i))
        if qos == 2:
            publisher.exchange(pubrel(i), pubcomp(i))
    for i in range(1, 21):
        got = receiver.next()
        equal(got.payload, str(i).encode(), "each once")
        receiver.send((puback if got.qos == 1 else pubrec)(got.packet_id, 0x80 if i % 3 else 0x97))
    receiver.exchange(PINGREQ, PINGRESP)


def test_unsubscribe_lets_started_flows_end(broker):
    """[MQTT-3.10.4-2, 3]"""
    for version in VERSIONS:
        topic = f"ending/{version}"
        receiver = broker.subscriber((topic, 2), version=version)
        publisher = broker.client("", version)
        publisher.ask(publish(topic, "one", 1, 1, version))
        publisher.ask(publish(topic, "two", 2, 2, version))
        publisher.ask(pubrel(2))
        one, two = receiver.next(), receiver.next()
        receiver.exchange(unsubscribe(9, topic, version=version), unsuback(9, 0, version=version))
        publisher.ask(publish(topic, "three", 1, 3, version))
        receiver.exchange(pubrec(two.packet_id), pubrel(two.packet_id))
        receiver.send(pubcomp(two.packet_id), puback(one.packet_id))
        receiver.exchange(PINGREQ, PINGRESP)


# -- expiry

@OWN
def test_expiry_does_not_break_a_flow():
    """A QoS 2 message that expires while it is under way: both flows go to their ends
    [MQTT-4.3.3-7, 13]; what waited in the queue is not sent any more [MQTT-3.3.2-5]."""
    with Broker(2) as broker:
        receiver = broker.client("expiring", 5, properties=prop(0x21, 1))
        receiver.exchange(subscribe(1, ("expires", 2)), suback(1, 2))
        publisher = broker.client()
        for packet_id in (1, 2):
            publisher.exchange(publish("expires", str(packet_id), 2, packet_id,
                                       properties=prop(0x02, 1)), pubrec(packet_id))
        publisher.exchange(publish("expires", "3", 1, 3), puback(3))
        first = receiver.next()
        check(first.properties[0x02] <= 1, "what is left")
        time.sleep(1.3)
        for packet_id in (1, 2):
            publisher.exchange(pubrel(packet_id), pubcomp(packet_id))
        receiver.exchange(pubrec(first.packet_id), pubrel(first.packet_id))
        receiver.send(pubcomp(first.packet_id))
        equal(receiver.next().payload, b"3", "the second one has expired in the queue")


# -- a window that is shut

@BOTH
def test_shut_window_stops_publishes_only(broker):
    """At Receive Maximum 1 with nothing acked: QoS 0 comes, subscriptions, pings and the client's
    own publishes are answered [MQTT-3.3.4-9, 10, 4.9.0-2, 3]."""
    client = broker.client("shut", 5, properties=prop(0x21, 1))
    client.exchange(subscribe(1, ("shut/#", 1)), suback(1, 1))
    other = broker.client()
    for packet_id in (1, 2, 3):
        other.ask(publish("shut/one", str(packet_id), 1, packet_id))
    first = client.next()
    other.send(publish("shut/zero", "q0"))
    client.expect(publish("shut/zero", "q0"))
    client.exchange(subscribe(2, "more"), suback(2, 0))
    client.exchange(publish("nobody/there", "", 2, 1), pubrec(1, 0x10))
    client.exchange(pubrel(1), pubcomp(1))
    client.exchange(unsubscribe(3, "more"), unsuback(3, 0))
    client.exchange(PINGREQ, PINGRESP)
    client.send(puback(first.packet_id))
    for text in (b"2", b"3"):
        got = client.next()
        equal(got.payload, text)
        client.send(puback(got.packet_id))


# -- shared subscriptions

def of_all(members, count):
    """The next `count` messages with the member that got each, as they come."""
    while count:
        for member in members:
            while count and (data := member.take() or (member.readable(0.01) and member.receive())):
                count -= 1
                yield member, Packet(data, member.version)


@BOTH
def test_shared_negative_ack_discards(broker):
    """What a member refuses goes to nobody else [MQTT-4.8.2-6]."""
    members = [broker.subscriber(("$share/deny/dy", 2)) for _ in range(2)]
    publisher = broker.client()
    for i in range(1, 21):
        qos = 1 + i % 2
        publisher.ask(publish("dy", str(i), qos, i))
        if qos == 2:
            publisher.exchange(pubrel(i), pubcomp(i))
    seen = []
    for member, got in of_all(members, 20):
        seen.append(int(got.payload))
        member.send((puback if got.qos == 1 else pubrec)(got.packet_id, 0x83))
    for member in members:
        member.exchange(PINGREQ, PINGRESP)
        member.reset()
    equal(sorted(seen), list(range(1, 21)), "each to one member, once")


@BOTH
def test_shared_member_gets_its_own_qos(broker):
    """[MQTT-4.8.2-3]"""
    members = [broker.subscriber(("$share/each/qs", qos)) for qos in range(3)]
    publisher = broker.client()
    for i in range(1, 31):
        publisher.exchange(publish("qs", str(i), 2, i), pubrec(i))
        publisher.exchange(pubrel(i), pubcomp(i))
    for member, got in of_all(members, 30):
        equal(got.qos, members.index(member), "as granted to this one")


# -- errors

def test_error_ends_that_connection_only(broker):
    """A violation closes the connection it came on; others, of the same address and with the same
    topics, go on [MQTT-4.8.0-1, 4.13.1-1, 4.13.2-1]."""
    for version in VERSIONS:
        other = broker.subscriber(f"spared/{version}", version=version)
        for packet in (b"\0\0", publish("", version=version), publish("a/#", version=version),
                       subscribe(1, version=version), connect("again", version)):
            client = broker.subscriber(f"spared/{version}", version=version, name="sinner")
            client.send(packet)
            if version == 5:
                check(client.next().reason >= 0x80, "DISCONNECT with an error")
            client.expect_end()
            other.exchange(publish(f"spared/{version}", "x", version=version),
                           publish(f"spared/{version}", "x", version=version))


if __name__ == "__main__":
    sys.exit(main(globals()))
