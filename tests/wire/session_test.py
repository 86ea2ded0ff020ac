"""What happens between clients: keep alive, wills, takeover, shared subscriptions, loops."""
import sys
import time

from harness import MB, Broker, WireError, brokers, check, equal, main, slack, until
from mqtt import (PINGREQ, PINGRESP, connect, disconnect, prop, puback, pubcomp, publish, pubrec,
                  pubrel, suback, subscribe, unsuback, unsubscribe, user)

BOTH = brokers(1, 4)
OWN = brokers(None)
VERSIONS = (3, 4, 5)


# -- keep alive

def test_keep_alive_ends_silent_clients_after_one_and_a_half(broker):
    """Packets of any kind count; the wills of the silent ones are published."""
    watcher = broker.subscriber(("silent/#", 0), version=4)
    started = time.monotonic()
    silent = [broker.client(f"silent{v}", v, keep_alive=1,
                            will=(f"silent/{v}", "gone", 0, False, b"")) for v in VERSIONS]
    other, busy = broker.client("never", 4, keep_alive=0), broker.client("busy", 5, keep_alive=2)
    watcher.send(PINGREQ)
    watcher.expect(PINGRESP)
    for client in silent:
        client.expect_end(0x8D)
        took = time.monotonic() - started
        check(1.4 <= took < 6, f"{took:.2f} s for a keep alive of 1 s")
    equal(sorted(watcher.next().topic for _ in VERSIONS), [f"silent/{v}" for v in VERSIONS])
    for _ in range(2):
        busy.exchange(PINGREQ, PINGRESP)
    other.exchange(PINGREQ, PINGRESP)


@OWN
def test_keep_alive_of_the_server():
    with Broker(1, {"mqtt.server_keep_alive_s": 1}) as broker:
        client = broker.client("told", 5, keep_alive=600)
        equal(client.connack.properties[0x13], 1, "server keep alive")
        old = broker.client("not told", 4, keep_alive=600)
        client.expect_end(0x8D)
        old.exchange(PINGREQ, PINGRESP)
    with Broker(1, {"mqtt.max_keep_alive_s": 5}) as broker:
        equal(broker.client("a", 5, keep_alive=9).connack.properties[0x13], 5)
        equal(broker.client("b", 5, keep_alive=0).connack.properties[0x13], 5)
        check(0x13 not in broker.client("c", 5, keep_alive=4).connack.properties, "its own wish")


@OWN
def test_keep_alive_is_reset_by_a_packet_that_arrives_in_pieces():
    """A client that is slow but not silent lives."""
    with Broker(1) as broker:
        client = broker.client("pieces", 4, keep_alive=1)
        for _ in range(8):
            client.send(PINGREQ[:1])
            deadline = time.monotonic() + 0.25
            until(lambda due=deadline: time.monotonic() >= due, "a quarter of a second")
            client.exchange(PINGREQ[1:], PINGRESP)


@OWN
def test_connect_timeout():
    """Half-open sockets: nothing, a part of CONNECT, bytes that trickle in."""
    with Broker(2, {"mqtt.connect_timeout_ms": 700}) as broker:
        fine = broker.client("fine", 5)
        started = time.monotonic()
        silent, part, trickle = broker.socket(), broker.socket(), broker.socket()
        part.send(connect("never complete", 5)[:9])
        for byte in connect("x" * 60, 5)[:-1]:
            trickle.send(bytes([byte]))
        for client in (silent, part, trickle):
            client.expect_end()
            took = time.monotonic() - started
            check(0.6 <= took < 5, f"{took:.2f} s for a connect timeout of 0.7 s")
        fine.exchange(PINGREQ, PINGRESP)
        until(lambda: broker.descriptors() < 60, "the sockets are closed")


# -- wills

WILL = ("will/it", "last words", 1, False, b"")


@BOTH
def test_will_after_an_abrupt_close(broker):
    for version in VERSIONS:
        watcher = broker.subscriber(("will/it", 1), version=version)
        for end in ("close", "reset", "garbage"):
            client = broker.client(f"will {end}", version, will=WILL)
            if end == "garbage":
                client.send(b"\0\0")
            elif end == "close":
                client.close()
            else:
                client.reset()
            got = watcher.next()
            equal((got.topic, got.payload, got.qos, got.retain), ("will/it", b"last words", 1, 0))
            watcher.send(puback(got.packet_id))
        watcher.close()


def test_will_with_properties(broker):
    sent = prop(0x01, 1) + prop(0x03, "text") + user("b", "1") + user("a", "2") + prop(0x09, b"\0")
    watcher = broker.subscriber("will/props")
    client = broker.client("w", 5, will=("will/props", "ü", 0, False, prop(0x02, 100) + sent))
    client.send(disconnect(5, 0x04))
    got = watcher.next()
    check(98 <= got.properties.pop(0x02) <= 100, "message expiry")
    equal(got.properties, {0x01: 1, 0x03: b"text", 0x26: [(b"b", b"1"), (b"a", b"2")],
                           0x09: b"\0"})


@BOTH
def test_will_after_disconnect_with_will(broker):
    watcher = broker.subscriber("will/it")
    client = broker.client("w", 5, will=WILL)
    client.send(disconnect(5, 0x04))
    watcher.expect(publish("will/it", "last words"))
    client.expect_end()


@BOTH
def test_no_will_after_a_clean_disconnect(broker):
    watcher = broker.subscriber(("will/#", 0))
    for version in VERSIONS:
        client = broker.client("clean", version, will=WILL)
        client.send(disconnect(version))
        client.expect_end()
    # The next will is the first that is seen.
    broker.client("fence", 5, will=("will/fence", "x", 0, False, b"")).send(disconnect(5, 0x04))
    watcher.expect(publish("will/fence", "x"))


@BOTH
def test_will_at_takeover(broker):
    for version in VERSIONS:
        watcher = broker.subscriber(("will/it", 0), version=version)
        first = broker.client("double", version, will=WILL)
        second = broker.client("double", version)
        first.expect_end(0x8E)
        watcher.expect(publish("will/it", "last words", version=version))
        second.exchange(PINGREQ, PINGRESP)
        watcher.close()


def test_will_retained_flag_and_own_subscription(broker):
    """The will of a client does not reach its own subscription: the session is over."""
    watcher = broker.subscriber(("will/own", 8))
    client = broker.client("own", 5, will=("will/own", "x", 0, False, b""))
    client.exchange(subscribe(1, "will/own"), suback(1, 0))
    client.reset()
    watcher.expect(publish("will/own", "x"))


# -- takeover

@BOTH
def test_takeover_tells_the_old_connection(broker):
    """On one loop and across loops; the subscriptions of the old one are gone."""
    for version in VERSIONS:
        connections = [broker.client("taken", version)]
        connections[0].exchange(subscribe(1, "taken/x", version=version),
                                suback(1, 0, version=version))
        for _ in range(8):
            connections.append(broker.client("taken", version))
            connections[-2].expect_end(0x8E)
        last = connections[-1]
        last.exchange(subscribe(1, "taken/fence", version=version), suback(1, 0, version=version))
        other = broker.client("", version)
        other.send(publish("taken/x", version=version), publish("taken/fence", version=version))
        last.expect(publish("taken/fence", version=version))
    check(broker.logged("Client taken .*session taken over"), "it is in the log")


@BOTH
def test_takeover_by_many_at_once(broker):
    """Of 40 connections with one id that come together exactly one survives, each gets an end."""
    name = f"rival {broker.port} "  # of this run in the log
    rivals = [broker.socket(5) for _ in range(40)]
    for rival in rivals:
        rival.send(connect(name, 5))
    alive = []
    fence = broker.client("fence", 5)
    until(lambda: len(broker.logged(f"Client {name}.*taken over")) >= 39, "39 ends")
    fence.exchange(PINGREQ, PINGRESP)
    for rival in rivals:
        rival.send(PINGREQ)
        packets = []
        while True:
            data = rival.receive()
            if data is None or data == PINGRESP:
                break
            packets.append((data[0] >> 4, rival))
        if data:
            alive.append(rival)
    equal(len(alive), 1, "survivors")
    alive[0].exchange(PINGREQ, PINGRESP)


@BOTH
def test_takeover_between_versions(broker):
    old = broker.client("mixed", 4)
    new = broker.client("mixed", 5)
    old.expect_end()
    older = broker.client("mixed", 3)
    new.expect_end(0x8E)
    older.exchange(PINGREQ, PINGRESP)


# -- shared subscriptions

def taken(clients, wanted, acks=True):
    """Payloads by client, once `wanted` messages have come, which a fence on each proves."""
    got = []
    for client in clients:
        client.send(PINGREQ)
        mine = []
        while True:
            packet = client.next()
            if packet.data == PINGRESP:
                break
            mine.append(packet)
            if packet.qos and acks:
                client.send(puback(packet.packet_id))
        got.append(mine)
    missing = wanted - sum(map(len, got))
    if missing > 0:
        more = taken(clients, missing, acks)
        got = [a + b for a, b in zip(got, more)]
    return got


@BOTH
def test_shared_subscription_distributes(broker):
    for version in VERSIONS[1:]:
        members = [broker.subscriber(("$share/g/sh/+", 1), version=version) for _ in range(4)]
        plain = broker.subscriber(("sh/+", 0), version=version)
        other = broker.subscriber(("$share/h/sh/#", 1), version=version)
        publisher = broker.client("", version)
        for start in range(1, 401, 100):
            publisher.send(*(publish("sh/x", str(i), 1, i, version)
                             for i in range(start, start + 100)))
            publisher.expect(*(puback(i) for i in range(start, start + 100)))
        wanted = [str(i).encode() for i in range(1, 401)]
        got = taken(members, 400)
        all_of_group = [p.payload for packets in got for p in packets]
        equal(sorted(all_of_group), sorted(wanted), "each message to one member")
        for packets in got:
            check(20 <= len(packets) <= 200, f"a fair part: {[len(p) for p in got]}")
            numbers = [int(p.payload) for p in packets]
            equal(numbers, sorted(numbers), "order within a member")
        equal([p.payload for p in taken([other], 400)[0]], wanted, "the other group")
        equal([p.payload for p in taken([plain], 400)[0]], wanted, "not shared")
        for client in [*members, plain, other]:
            client.send(disconnect(version))
            client.expect_end()


@BOTH
def test_shared_subscription_of_one_client_and_its_plain_one(broker):
    """Both deliver: a shared subscription is not merged with others."""
    client = broker.client()
    client.exchange(subscribe(1, ("$share/g/both", 0), properties=prop(0x0B, 4)), suback(1, 0))
    client.exchange(subscribe(2, ("both", 0)), suback(2, 0))
    broker.client().send(publish("both", "x"))
    got = [client.next(), client.next()]
    equal([p.payload for p in got], [b"x", b"x"])


@BOTH
def test_shared_member_leaves(broker):
    """By UNSUBSCRIBE and by DISCONNECT; the rest get all."""
    stays = broker.subscriber(("$share/leave/lv", 1))
    leaves = broker.subscriber(("$share/leave/lv", 1))
    gone = broker.subscriber(("$share/leave/lv", 1))
    leaves.exchange(unsubscribe(2, "$share/leave/lv"), unsuback(2, 0))
    gone.send(disconnect())
    gone.expect_end()
    publisher = broker.client()
    for i in range(1, 31):
        publisher.ask(publish("lv", str(i), 1, i))
    got = taken([stays], 30)[0]
    equal([p.payload for p in got], [str(i).encode() for i in range(1, 31)])
    leaves.exchange(PINGREQ, PINGRESP)
    stays.exchange(unsubscribe(2, "$share/leave/lv"), unsuback(2, 0))
    publisher.exchange(publish("lv", "none", 1, 40), puback(40, 0x10))


@BOTH
def test_shared_unacked_message_goes_to_another_member(broker):
    for version in VERSIONS[1:]:
        first = broker.subscriber(("$share/redo/rd", 1), version=version)
        publisher = broker.client("", version)
        publisher.send(*(publish("rd", str(i), 1, i, version) for i in range(1, 11)))
        publisher.expect(*(puback(i) for i in range(1, 11)))
        packets = [first.next() for _ in range(10)]
        first.send(puback(packets[0].packet_id), PINGREQ)
        first.expect(PINGRESP)
        second = broker.subscriber(("$share/redo/rd", 1), version=version)
        first.reset()
        got = [second.next() for _ in range(9)]
        equal([p.payload for p in got], [str(i).encode() for i in range(2, 11)], "in order")
        second.send(*(puback(p.packet_id) for p in got), disconnect(version))
        second.expect_end()


@BOTH
def test_shared_qos_2_once_sent_belongs_to_its_member(broker):
    first = broker.subscriber(("$share/two/tw", 2))
    publisher = broker.client()
    publisher.exchange(publish("tw", "hers", 2, 1), pubrec(1))
    publisher.exchange(pubrel(1), pubcomp(1))
    equal(first.next().qos, 2)
    second = broker.subscriber(("$share/two/tw", 2))
    first.reset()
    until(lambda: publisher.ask(publish("tw", "fence", 1, 2)).reason == 0 and
          second.next().payload == b"fence", "a message for the second member")


@BOTH
def test_shared_subscription_ids_and_rap(broker):
    client = broker.client()
    client.exchange(subscribe(1, ("$share/ids/si", 1), properties=prop(0x0B, 77)), suback(1, 1))
    broker.client().ask(publish("si", "x", 1, 1))
    got = client.next()
    equal((got.payload, got.qos, got.retain), (b"x", 1, 0))
    equal(got.properties.get(0x0B), [77], "the identifier of a shared subscription")
    retains = broker.subscriber(("$share/rap/sr", 8))
    if retains.connack.properties.get(0x25, 1):
        broker.client().send(publish("sr", "x", retain=True), publish("sr", "", retain=True))
        retains.expect(publish("sr", "x", retain=True), publish("sr", "", retain=True))


# -- loops

@OWN
def test_suback_is_a_promise_across_loops():
    """1000 rounds: subscribe, wait for SUBACK, publish from connections of other loops at once."""
    with Broker(4) as broker:
        publishers = [broker.client(f"p{i}", 5) for i in range(4)]  # one on each loop
        subscriber = broker.client("s", 5)
        for i in range(1000):
            topic = f"promise/{i}"
            name = topic if i % 3 else f"+/{i}"
            subscriber.exchange(subscribe(1, name), suback(1, 0))
            publishers[i % 4].send(publish(topic, "now"))
            subscriber.expect(publish(topic, "now"))
            if i % 2:
                subscriber.exchange(unsubscribe(2, name), unsuback(2, 0))


@OWN
def test_unsuback_is_a_promise_across_loops():
    with Broker(4) as broker:
        publishers = [broker.client(f"p{i}", 5) for i in range(4)]
        subscriber = broker.client("s", 5)
        for i in range(200):
            subscriber.exchange(subscribe(1, "stop"), suback(1, 0))
            subscriber.exchange(unsubscribe(2, "stop"), unsuback(2, 0))
            publishers[i % 4].ask(publish("stop", "", 1, 1))
            subscriber.exchange(PINGREQ, PINGRESP)


@BOTH
def test_order_of_many_publishers(broker):
    """Each publisher's messages stay in order for every subscriber, on whatever loop it is."""
    receivers = [broker.subscriber("many/#", version=4) for _ in range(3)]
    publishers = [broker.client("", 4) for _ in range(6)]
    for start in range(0, 300, 50):
        for number, publisher in enumerate(publishers):
            publisher.send(*(publish(f"many/{number}", str(i), 0, version=4)
                             for i in range(start, start + 50)))
    for receiver in receivers:
        next_of = [0] * 6
        for _ in range(6 * 300):
            got = receiver.next()
            number = int(got.topic[5:])
            equal(int(got.payload), next_of[number], f"of publisher {number}")
            next_of[number] += 1


@BOTH
def test_ping_is_answered_ahead_of_a_backlog(broker):
    """What the kernel holds for a client that does not read comes before its PINGRESP, and a packet
    that has been begun; what the broker holds comes behind it."""
    slow = broker.socket(4, receive_buffer=4096)
    slow.exchange(connect("backlog", 4), "20 02 00 00")
    slow.exchange(subscribe(1, "backlog", version=4), suback(1, 0, version=4))
    # So many that each loop has one, which tells that the loop has done with a message.
    quick = [broker.subscriber("backlog", version=4) for _ in range(8)]
    publisher = broker.client("", 4)
    packet = publish("backlog", b"x" * 50_000, version=4)
    done = -1
    while done * len(packet) - in_kernel(broker, slow) < 2 * len(packet):
        publisher.send(packet)
        for client in quick:
            client.expect(packet)
        done += 1  # the one before: its loop has been round again since
    held = in_kernel(broker, slow)
    slow.send(PINGREQ)
    until(lambda: queues(broker.port, slow.port)[1] == 0, "the broker has read PINGREQ")
    before = 0
    while (data := slow.receive()) != PINGRESP:
        before += len(data)
    check(before <= held + len(packet), f"PINGRESP behind {before} bytes, {held} in the kernel")
    for _ in range(before // len(packet), done + 1):
        slow.expect(packet)


def queues(local, remote):
    """(bytes sent and not acked, bytes received and not read) of a TCP socket of this machine."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            row = line.split()
            if row[1].endswith(f":{local:04X}") and row[2].endswith(f":{remote:04X}"):
                return tuple(int(part, 16) for part in row[4].split(":"))
    raise WireError(f"no socket from port {local} to {remote}")


def in_kernel(broker, client):
    """On the way from the broker to a client that does not read; some of it may count twice."""
    return queues(broker.port, client.port)[0] + queues(client.port, broker.port)[1]


@OWN
def test_slow_reader_holds_others_up_for_a_bounded_time():
    """It blocks its publisher for slow_receiver_timeout_ms; then QoS 0 to it is dropped, memory
    stays where it is, and all others get everything in order."""
    for loops in (1, 4):
        with Broker(loops, {"mqtt.slow_receiver_timeout_ms": 1000}) as broker:
            slow = broker.socket(4, receive_buffer=4096)
            slow.exchange(connect("slow", 4), "20 02 00 00")
            slow.exchange(subscribe(1, "flood", version=4), suback(1, 0, version=4))
            quick = broker.subscriber("flood", version=4)
            bystander = broker.subscriber("calm", version=4)
            publisher = broker.client("", 4)
            payload = b"x" * 10_000
            before, started = broker.memory(), time.monotonic()
            for i in range(3000):
                publisher.send(publish("flood", str(i).encode() + b" " + payload, version=4))
                got = quick.next()
                equal(int(got.payload.split()[0]), i, "order of the quick one")
                if i % 500 == 0:
                    bystander.exchange(publish("calm", version=4), publish("calm", version=4))
            took = time.monotonic() - started
            grown = broker.memory() - before
            check(took < 20, f"{took:.1f} s for 30 MB beside one slow reader")
            check(grown < slack(32 * MB), f"{grown >> 20} MB more memory")
            until(lambda b=broker: b.alive(), "the node lives")


@BOTH
def test_slow_reader_gets_what_was_queued(broker):
    """A reader that was slow for less than the limit misses nothing."""
    slow = broker.socket(5, receive_buffer=4096)
    slow.send(connect("later", 5))
    slow.next()
    slow.exchange(subscribe(1, ("later", 1)), suback(1, 1))
    publisher = broker.client()
    payload = b"x" * 20_000
    out = [publish("later", str(i).encode() + b" " + payload, 1, i) for i in range(1, 101)]
    for packet in out:
        publisher.send(packet)
    for i in range(1, 101):
        got = slow.next()
        equal(int(got.payload.split()[0]), i)
        slow.send(puback(got.packet_id))
    publisher.expect(*(puback(i) for i in range(1, 101)))


if __name__ == "__main__":
    sys.exit(main(globals()))
