"""Sessions that outlive their connection: what is kept, what is sent again, when they end, and what
becomes of their wills."""
import sys
import time

from harness import Broker, WireError, brokers, check, equal, main
from mqtt import (PINGREQ, PINGRESP, connect, disconnect, prop, puback, pubcomp, publish, pubrec,
                  pubrel, suback, subscribe, unsuback, unsubscribe)

BOTH = brokers(1, 4)
OWN = brokers(None)
VERSIONS = (3, 4, 5)
NEVER = 0xFFFFFFFF


def keeps(version, expiry=600):
    return prop(0x11, expiry) if version == 5 else b""


def durable(broker, name, version=5, expiry=600, present=None, properties=b"", **options):
    """A connection of a session that stays for `expiry` seconds; 3.x ones stay for ever."""
    properties += keeps(version, expiry)
    client = broker.client(name, version, clean=False, properties=properties, **options)
    equal(client.connack.properties.get(0x11, expiry), expiry, "session expiry granted")
    if present is not None:  # 3.1 has no place to tell it
        equal(client.connack.present, present if version > 3 else 0, "session present")
    return client


def leave(client):
    client.send(disconnect(client.version))
    client.expect_end()


def clear(broker, name):
    leave(broker.client(name, 5))


def send(broker, topic, qos, *payloads):
    """From another client, finished when it returns."""
    publisher = broker.client("", 4)
    for payload in payloads:
        got = publisher.ask(publish(topic, payload, qos, 1, 4) if qos else PINGREQ)
        if qos == 2:
            publisher.exchange(pubrel(1), pubcomp(1))
        elif qos == 0:
            equal(got.type, 13)
            publisher.exchange(publish(topic, payload, 0, version=4) + PINGREQ, PINGRESP)
    publisher.close()


def quiet(client):
    for _ in range(3):
        client.exchange(PINGREQ, PINGRESP)
        time.sleep(0.02)


# -- what is kept

@BOTH
def test_session_is_there_again(broker):
    """[MQTT-3.1.2-4..6, 3.2.2-2, 3.2.2-3, 3.1.2-23]"""
    for version in VERSIONS:
        clear(broker, "kept")
        first = durable(broker, "kept", version, present=0)
        first.exchange(subscribe(1, ("kept/+", 1), version=version), suback(1, 1, version=version))
        for end in (leave, lambda c: c.reset()):
            end(first)
            first = durable(broker, "kept", version, present=1)
            send(broker, "kept/x", 0, "live")
            first.expect(publish("kept/x", "live", version=version))
        first.exchange(unsubscribe(2, "kept/+", version=version), unsuback(2, 0, version=version))
        leave(first)
        again = durable(broker, "kept", version, present=1)
        send(broker, "kept/x", 1, "nobody's")
        quiet(again)
        leave(again)
        clear(broker, "kept")
        equal(durable(broker, "kept", version).connack.present, 0, "clean start discards it")


@BOTH
def test_messages_wait_for_the_client(broker):
    """QoS 1 and 2 of all subscriptions, once, in order, at the lower QoS [MQTT-3.1.2-5 of 3.1.1,
    4.5.0-1]; QoS 0 is not kept."""
    for version in VERSIONS:
        clear(broker, "waits")
        client = durable(broker, "waits", version)
        client.exchange(subscribe(1, ("wait/#", 2), ("wait/+", 1), version=version),
                        suback(1, 2, 1, version=version))
        leave(client)
        send(broker, "wait/x", 0, "lost")
        wanted = []
        for i in range(60):
            send(broker, "wait/x", 1 + i % 2, str(i))
            wanted.append((str(i).encode(), 1 + i % 2))
        client = durable(broker, "waits", version, present=1)
        got, released = [], 0
        while len(got) < 60 or released < 30:
            packet = client.next()
            if packet.type == 6:
                released += 1
                client.send(pubcomp(packet.packet_id))
                continue
            got.append((packet.payload, packet.qos))
            equal((packet.dup, packet.retain), (0, 0), "never sent before")
            client.send((puback if packet.qos == 1 else pubrec)(packet.packet_id))
        equal(got, wanted)
        quiet(client)
        leave(client)


@BOTH
def test_session_moves_between_versions(broker):
    clear(broker, "moves")
    client = durable(broker, "moves", 4)
    client.exchange(subscribe(1, ("mv", 1), version=4), suback(1, 1, version=4))
    for version in (5, 3, 4, 5):
        leave(client)
        send(broker, "mv", 1, f"for {version}")
        client = durable(broker, "moves", version, present=1)
        got = client.next()
        equal(got.payload, f"for {version}".encode())
        client.send(puback(got.packet_id))
        quiet(client)
    leave(client)


@BOTH
def test_options_and_identifiers_are_kept(broker):
    clear(broker, "options")
    client = durable(broker, "options")
    client.exchange(subscribe(1, ("opt/a", 1 | 8), properties=prop(0x0B, 7)), suback(1, 1))
    client.exchange(subscribe(2, ("opt/b", 1 | 4), properties=prop(0x0B, 268435455)), suback(2, 1))
    for _ in range(2):
        leave(client)
        client = durable(broker, "options", present=1)
        client.exchange(publish("opt/b", "own", 1, 5), puback(5))  # no local still holds
        other = broker.client("", 5)
        other.ask(publish("opt/a", "", 1, 1, retain=True))
        got = client.next()
        equal((got.retain, got.properties), (1, {0x0B: [7]}))
        client.send(puback(got.packet_id))
        other.ask(publish("opt/b", "x", 1, 1))
        got = client.next()
        equal(got.properties, {0x0B: [268435455]})
        client.send(puback(got.packet_id))
    leave(client)


# -- what is sent again

@BOTH
def test_unfinished_messages_are_sent_again(broker):
    """With DUP, the same identifiers, in the order of the first sending; a PUBLISH whose PUBREC
    came is PUBREL from then on [MQTT-3.3.1-1, 4.3.3-6, 4.4.0-1, 4.6.0-1]."""
    for version in VERSIONS:
        clear(broker, "again")
        client = durable(broker, "again", version)
        client.exchange(subscribe(1, ("ag", 2), version=version), suback(1, 2, version=version))
        for i in range(6):
            send(broker, "ag", 1 + i % 2, str(i))
        first = [client.next() for _ in range(6)]
        client.send(puback(first[0].packet_id))
        client.exchange(pubrec(first[1].packet_id), pubrel(first[1].packet_id))
        client.exchange(PINGREQ, PINGRESP)
        for end in (leave, lambda c: c.reset()):
            end(client)
            client = durable(broker, "again", version, present=1)
            repeated = [client.next() for _ in range(5)]
            released = [p.packet_id for p in repeated if p.type == 6]
            equal(released, [first[1].packet_id], "PUBREL again")
            equal([(p.packet_id, p.payload, p.qos, p.dup) for p in repeated if p.type == 3],
                  [(p.packet_id, p.payload, p.qos, 1) for p in first[2:]])
            quiet(client)
        client.send(pubcomp(first[1].packet_id))
        for packet in first[2:]:
            client.send(puback(packet.packet_id) if packet.qos == 1 else pubrec(packet.packet_id))
        for _ in range(2):  # these leave when the inbox has committed PUBREC
            released = client.next()
            equal(released.type, 6, "PUBREL")
            client.send(pubcomp(released.packet_id))
        quiet(client)
        leave(client)
        quiet(durable(broker, "again", version, present=1))


@BOTH
def test_qos_2_from_the_client_survives_its_connection(broker):
    """The identifier stays taken until PUBREL, on whatever connection [MQTT-4.3.3-10]."""
    for version in VERSIONS:
        clear(broker, "exactly")
        receiver = broker.subscriber(f"ex/{version}", version=version)
        client = durable(broker, "exactly", version)
        out = publish(f"ex/{version}", "once", 2, 5, version)
        client.exchange(out, pubrec(5))
        receiver.expect(publish(f"ex/{version}", "once", version=version))
        client.reset()
        for _ in range(2):
            client = durable(broker, "exactly", version, present=1)
            client.exchange(publish(f"ex/{version}", "once", 2, 5, version, dup=True), pubrec(5))
            client.reset()
        client = durable(broker, "exactly", version, present=1)
        client.exchange(pubrel(5), pubcomp(5))
        client.exchange(publish(f"ex/{version}", "next", 2, 5, version), pubrec(5))
        receiver.expect(publish(f"ex/{version}", "next", version=version))
        client.exchange(pubrel(5), pubcomp(5))
        leave(client)


def comes_back(broker, name, version, rivals, out, back):
    """A connection among others that come with it, which may be overtaken before they have
    overtaken; then it comes again."""
    others = [broker.socket(version) for _ in range(rivals)]
    for other in others:
        other.send(connect(name, version, clean=False, properties=keeps(version)))
    for _ in range(rivals + 2):
        try:
            client = durable(broker, name, version, present=1)
            client.exchange(out, back)
            for other in others:
                other.receive()  # CONNACK or the end: it overtakes nobody from now on
            client.exchange(PINGREQ, PINGRESP)
            return client
        except WireError as error:
            check(rivals > 0, error)
    raise WireError(f"no connection lasted beside {rivals} others")


@BOTH
def test_qos_2_repeated_on_a_connection_that_comes_at_once(broker):
    """The next connection overtakes the end of the one that got PUBREC [MQTT-4.3.3-10], which is
    reset, left open and taken over, or closed, some with others in between; transient and
    persistent receivers get one copy."""
    clear(broker, "hasty")
    clear(broker, "hasty reader")
    for i in range(60):
        version = VERSIONS[i % 3]
        live = broker.subscriber(f"hasty/{i}", version=4)
        reader = durable(broker, "hasty reader", 4)
        reader.exchange(subscribe(1, (f"hasty/{i}", 1), version=4), suback(1, 1, version=4))
        client = durable(broker, "hasty", version)
        client.exchange(publish(f"hasty/{i}", "once", 2, 5, version), pubrec(5))
        live.expect(publish(f"hasty/{i}", "once", version=4))
        for end in (lambda c: c.reset(), lambda c: None, lambda c: c.close())[i % 3:]:
            end(client)
            client = comes_back(broker, "hasty", version, i % 4,
                                publish(f"hasty/{i}", "once", 2, 5, version, dup=True), pubrec(5))
        client.exchange(pubrel(5), pubcomp(5))
        leave(client)
        send(broker, f"hasty/{i}", 1, "fence")
        live.expect(publish(f"hasty/{i}", "fence", version=4))
        for wanted in (b"once", b"fence"):
            got = reader.next()
            equal(got.payload, wanted)
            reader.send(puback(got.packet_id))
        live.close()
        leave(reader)


@BOTH
def test_qos_2_of_a_connection_that_broke_before_pubrec(broker):
    """What was accepted and is handed out when nobody is there is known when it comes again."""
    clear(broker, "broke")
    clear(broker, "reader")
    reader = durable(broker, "reader", 4)
    reader.exchange(subscribe(1, ("bk/#", 1), version=4), suback(1, 1, version=4))
    leave(durable(broker, "broke", 4))
    for i in range(30):
        client = durable(broker, "broke", 4, present=1)
        client.send(*(publish("bk/x", f"{i}.{n}", 2, n, 4) for n in range(1, 21)))
        client.close()
        client = durable(broker, "broke", 4, present=1)
        client.send(*(publish("bk/x", f"{i}.{n}", 2, n, 4, dup=True) for n in range(1, 21)))
        client.expect(*(pubrec(n) for n in range(1, 21)))
        client.send(*(pubrel(n) for n in range(1, 21)))
        client.expect(*(pubcomp(n) for n in range(1, 21)))
        leave(client)
        send(broker, "bk/end", 1, "end")
        got = []
        while not got or got[-1] != b"end":
            packet = reader.next()
            got.append(packet.payload)
            reader.send(puback(packet.packet_id))
        equal(got, [b"%d.%d" % (i, n) for n in range(1, 21)] + [b"end"])
    leave(reader)


@BOTH
def test_identifiers_in_use_are_not_given_again(broker):
    """New messages after a return keep away from the ids that are still open [MQTT-2.2.1-4]."""
    clear(broker, "ids")
    client = durable(broker, "ids", 4)
    client.exchange(subscribe(1, ("ids/d", 1), version=4), suback(1, 1, version=4))
    send(broker, "ids/d", 1, *map(str, range(5)))
    held = {client.next().packet_id for _ in range(5)}
    client.reset()
    client = durable(broker, "ids", 4, present=1)
    equal({client.next().packet_id for _ in range(5)}, held, "sent again")
    send(broker, "ids/d", 1, *map(str, range(20)))
    fresh = [client.next().packet_id for _ in range(20)]
    check(not held & set(fresh) and len(set(fresh)) == 20, f"{held} and {fresh}")
    leave(client)
    clear(broker, "ids")


@BOTH
def test_receive_maximum_holds_for_what_is_sent_again(broker):
    """Of the new connection, not of the old one [MQTT-4.9.0-1]; aliases start empty
    [MQTT-3.3.2-7]."""
    clear(broker, "narrow")
    client = durable(broker, "narrow", properties=prop(0x22, 5))
    client.exchange(subscribe(1, ("narrow/x", 1)), suback(1, 1))
    send(broker, "narrow/x", 1, *map(str, range(10)))
    equal([client.next().payload for _ in range(10)], [str(i).encode() for i in range(10)])
    client.reset()
    client = durable(broker, "narrow", properties=prop(0x21, 2), present=1)
    held = [client.next(), client.next()]
    for i in range(2, 10):
        quiet(client)
        client.send(puback(held.pop(0).packet_id))
        held.append(client.next())
        equal((held[-1].topic, held[-1].payload), ("narrow/x", str(i).encode()))
    client.send(*(puback(got.packet_id) for got in held))
    leave(client)


@BOTH
def test_takeover_of_a_session(broker):
    """The old connection is told, the new one has the session with all that was open."""
    for version in VERSIONS:
        clear(broker, "over")
        old = durable(broker, "over", version)
        old.exchange(subscribe(1, ("ov", 1), version=version), suback(1, 1, version=version))
        send(broker, "ov", 1, "a", "b")
        first = [old.next(), old.next()]
        new = durable(broker, "over", version, present=1)
        old.expect_end(0x8E)
        again = [new.next(), new.next()]
        equal([(p.packet_id, p.payload, p.dup) for p in again],
              [(p.packet_id, p.payload, 1) for p in first])
        new.send(*(puback(p.packet_id) for p in again))
        leave(new)


# -- when it ends

@OWN
def test_session_expires():
    """At its time, not before, whatever the end was; DISCONNECT may change the time
    [MQTT-4.1.0-2]."""
    with Broker(2) as broker:
        def after(seconds, expiry, end):
            clear(broker, "short")
            client = durable(broker, "short", expiry=expiry)
            client.exchange(subscribe(1, ("sh", 1)), suback(1, 1))
            end(client)
            time.sleep(seconds)
            client = durable(broker, "short", expiry=expiry)
            present = client.connack.present
            leave(client)
            return present

        def ends_with(expiry):
            return lambda c: c.send(b"\xe0\x07\x00\x05" + prop(0x11, expiry))
        equal(after(0.2, 60, leave), 1)
        equal(after(2.5, 1, leave), 0)
        equal(after(2.5, 1, lambda c: c.reset()), 0)
        equal(after(0.3, 60, ends_with(0)), 0)
        equal(after(2.5, 60, ends_with(1)), 0)
        equal(after(2.5, 1, ends_with(NEVER)), 1)
        equal(after(2.5, NEVER, leave), 1)


@OWN
def test_messages_expire_in_the_queue():
    with Broker(2) as broker:
        clear(broker, "late")
        client = durable(broker, "late")
        client.exchange(subscribe(1, ("late/x", 1)), suback(1, 1))
        leave(client)
        publisher = broker.client()
        for text, expiry in (("short", 1), ("long", 100)):
            publisher.ask(publish("late/x", text, 1, 1, properties=prop(0x02, expiry)))
        time.sleep(2.2)
        client = durable(broker, "late", present=1)
        got = client.next()
        equal(got.payload, b"long", "[MQTT-3.3.2-5]")
        check(95 <= got.properties[0x02] <= 98, f"{got.properties} [MQTT-3.3.2-6]")
        client.send(puback(got.packet_id))
        quiet(client)


# -- wills

@OWN
def test_will_waits_for_its_delay():
    """It is published when the delay is over or the session ends, whichever is first, and not at
    all when the client returns before [MQTT-3.1.2-8, 3.1.3-9]."""
    with Broker(2) as broker:
        watcher = broker.subscriber("wd/#")

        def dies(name, delay, expiry):
            clear(broker, name)
            client = durable(broker, name, expiry=expiry,
                             will=(f"wd/{name}", "x", 0, False, prop(0x18, delay)))
            client.reset()
            return time.monotonic()
        for name, delay, expiry in (("delay", 1, 60), ("expiry", 60, 1), ("none", 0, 60)):
            since = dies(name, delay, expiry)
            equal(watcher.next().topic, f"wd/{name}")
            took = time.monotonic() - since
            check((0.8 if name != "none" else 0) <= took < 4, f"{name}: {took:.1f} s")
        dies("back", 2, 60)
        back = durable(broker, "back", present=1)
        time.sleep(2.5)
        watcher.exchange(PINGREQ, PINGRESP)
        leave(back)
        # A clean start ends the session: its will is due at once.
        dies("clean", 60, 60)
        broker.client("clean", 5)
        equal(watcher.next().topic, "wd/clean")


# -- shared subscriptions

@BOTH
def test_shared_qos_2_is_finished_by_its_member(broker):
    """Once sent it waits for its client, and ends with its session [MQTT-4.8.2-4, 5]."""
    clear(broker, "member")
    member = durable(broker, "member")
    member.exchange(subscribe(1, ("$share/du/shd", 2)), suback(1, 2))
    send(broker, "shd", 2, "hers")
    got = member.next()
    member.reset()
    other = broker.subscriber(("$share/du/shd", 2))
    quiet(other)
    member = durable(broker, "member", present=1)
    again = member.next()
    equal((again.packet_id, again.payload, again.dup), (got.packet_id, b"hers", 1))
    member.exchange(pubrec(got.packet_id), pubrel(got.packet_id))
    member.reset()
    clear(broker, "member")
    quiet(other)


if __name__ == "__main__":
    sys.exit(main(globals()))
