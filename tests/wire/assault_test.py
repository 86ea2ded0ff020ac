"""More of what the internet sends, as in attack_test.py: what takes several clients, a node of its
own, or time."""
import signal
import sys
import threading
import time

from harness import (MB, Broker, Bystander, brokers, check, equal, main, memory, slack,
                     time_factor, until)
from mqtt import (PINGREQ, PINGRESP, block, connect, disconnect, frame, prop, puback, publish,
                  pubrec, suback, subscribe, unhex, unsubscribe, user)

BOTH = brokers(1, 4)
OWN = brokers(None)


# -- before authentication

@OWN
def test_02_connects_with_all_that_fits():
    """A CONNECT of nearly 256 KB with the longest of everything is served or refused, gives back
    what it took, and one byte more than is allowed ends the connection at its length."""
    with Broker(2) as broker:
        bystander = Bystander(broker)
        before = broker.memory()
        long = "x" * 65535
        for i in range(100):
            client = broker.client(f"{i}".ljust(65535, "x"), 5, user_name=long,
                                   will=("w/" + long[:65533], long[:60000], 0, False,
                                         b""))
            client.send(disconnect())
            client.expect_end()
        bystander.well()
        until(lambda: broker.memory() - before < slack(16 * MB), "memory is given back")
        client = broker.socket()
        client.send(unhex("10 81 80 10"))  # 256 KB and a byte
        client.expect_end()


@OWN
def test_03_bytes_before_connect_at_leisure():
    """Thousands of connections that send one byte of anything but CONNECT are closed by it."""
    with Broker(2) as broker:
        bystander = Bystander(broker)
        for first in (0x00, 0x30, 0xC0, 0xE0, 0xF0, 0x16, 0x47, 0x80):  # TLS and HTTP among them
            clients = [broker.socket() for _ in range(100)]
            for client in clients:
                client.send(bytes([first]))
            for client in clients:
                client.expect_end()
                client.close()
            bystander.well(f"after bytes {first:02x}", 5)
        until(lambda: broker.descriptors() < 60, "the sockets are closed")


def test_27_authentication_abuse(broker):
    """AUTH before CONNECT, endless AUTH behind a method nobody has, AUTH in each state: the end."""
    client = broker.socket()
    client.send(unhex("f0 09 18 07 15 00 04 53 41 53 4c"))
    client.expect_end()
    more = unhex("f0 09 18 07 15 00 04 53 41 53 4c") * 10_000
    for method in ("SASL", "", "x" * 65535, "SCRAM-SHA-1"):
        client = broker.socket()
        client.send(connect("auth", 5, properties=prop(0x15, method) + prop(0x16, b"\0" * 60000)) +
                    more[:1000])
        client.expect_end(0x8C)
    client = broker.client("auth", 5)
    client.send(more)
    client.expect_end(0x8C)
    for version in (3, 4):
        client = broker.client("auth", version)
        client.send(more[:100])
        client.expect_end()


# -- floods

@OWN
def test_30_answers_that_are_not_read():
    """A client that asks and does not read: pings, subscriptions, unknown acks, QoS 2 repeated.
    What waits for it is bounded, then it is put out."""
    asks = {"pings": PINGREQ * 5000,
            "subscriptions": subscribe(1, *(f"s/{i}" for i in range(100)), version=4) * 50,
            "unsubscriptions": unsubscribe(2, "s/1", version=4) * 2000,
            "unknown": b"".join(pubrec(i) for i in range(1, 3000)),
            "repeated": publish("t", "x", 2, 7, 4, dup=True) * 2000}
    with Broker(2) as broker:
        bystander = Bystander(broker)
        before = broker.memory()
        for what, packets in asks.items():
            client = broker.socket(4, receive_buffer=4096)
            client.exchange(connect("deaf", 4), "20020000")
            client.socket.setblocking(False)
            started, sent = time.monotonic(), 0
            while time.monotonic() - started < 2 * time_factor():
                try:
                    sent += client.socket.send(packets[sent % len(packets):])
                except BlockingIOError:
                    time.sleep(0.005)
                except ConnectionError:
                    break
            bystander.well(f"beside a client that reads no answers to {what}", 5)
            grown = broker.memory() - before
            check(grown < slack(32 * MB), f"{grown} bytes for answers to {what}")
            client.reset()


@OWN
def test_31_flapping_clients():
    """Clients that connect, subscribe with a will and die, all the time: nothing stays."""
    with Broker(4, {"log.level": "notice"}) as broker:
        bystander = Bystander(broker)
        at_rest = broker.descriptors()

        def flap(number, turns):
            for i in range(turns):
                client = broker.socket(4)
                client.send(connect(f"flap{number}", 4, will=(f"w/{number}", "x", 0, False, b"")) +
                            subscribe(1, f"f/{i}/#", version=4) +
                            publish("f/x", "x", 1, 1, 4))
                client.receive()
                client.reset()
        flap(0, 50)
        before = broker.memory()
        threads = [threading.Thread(target=flap, args=(n % 3, 300)) for n in range(6)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            bystander.well("beside flapping clients", 5)
        broker.forget_clients()
        until(lambda: broker.descriptors() <= at_rest + 2, "all sockets are closed")
        check(broker.memory() - before < slack(8 * MB), f"{broker.memory() - before} bytes more")


@OWN
def test_32_wildcards_that_multiply():
    """Filters of ten levels, each a name or `+` in every combination: one copy, in no time."""
    with Broker(2) as broker:
        bystander = Bystander(broker)
        client = broker.client("multiply", 5)
        names = ["/".join("a" if i >> k & 1 else "+" for k in range(10)) for i in range(1024)]
        for start in range(0, 1024, 256):
            client.exchange(subscribe(1, *names[start:start + 256]), suback(1, *[0] * 256))
        topic = "/".join("a" * 10)
        publisher = broker.client()
        started = time.monotonic()
        for i in range(100):
            # Distinct topics defeat the cache of matches.
            publisher.send(publish(topic, str(i)), publish(topic[:-1] + str(i), str(i)))
            client.expect(publish(topic, str(i)), publish(topic[:-1] + str(i), str(i)))
        took = time.monotonic() - started
        check(took < 4 * time_factor(), f"{took:.2f} s for 200 publishes")
        deep = "/".join("b" * 128)
        publisher.exchange(publish(deep, "", 1, 1), puback(1, 0x10))
        bystander.well("beside a thousand wildcards", 5)


@OWN
def test_32_deep_wildcards():
    """Filters as deep as allowed, of wildcards only, under topics as deep."""
    with Broker(1) as broker:
        client = broker.client("deep", 5)
        for depth in range(1, 128):
            client.exchange(subscribe(1, "+/" * depth + "#"), suback(1, 0))
        publisher = broker.client()
        started = time.monotonic()
        for i in range(50):
            topic = "/".join([str(i)] * 128)
            publisher.send(publish(topic, "x"))
            client.expect(publish(topic, "x"))
        took = time.monotonic() - started
        check(took < 3 * time_factor(), f"{took:.2f} s")


@OWN
@memory(48)
def test_33_retained_under_one_wildcard():
    """20,000 retained messages asked for again and again by one client, which reads nothing: the
    node's memory and the others do not suffer."""
    with Broker(2) as broker:
        bystander = Bystander(broker)
        publisher = broker.client("p", 5)
        for start in range(0, 20_000, 500):
            publisher.send(*(publish(f"r/{i}", b"x" * 200, 1, i - start + 1, retain=True)
                             for i in range(start, start + 500)))
            for _ in range(500):
                publisher.receive()
        before = broker.memory()
        greedy = [broker.socket(4, receive_buffer=4096) for _ in range(10)]
        for client in greedy:
            client.exchange(connect("", 4), "20020000")
            client.send(*(subscribe(1, "r/#", version=4) for _ in range(50)))
        for _ in range(20):
            bystander.well("beside greedy subscribers", 5)
        grown = broker.memory() - before
        check(grown < slack(24 * MB), f"{grown} bytes more")


# -- resources of the process

@OWN
def test_28_sighup_without_descriptors():
    """SIGHUP while no file can be opened: what was in force stays, who is in is served."""
    with Broker(2, descriptors=64) as broker:
        bystander = Bystander(broker)
        crowd = [broker.socket(4) for _ in range(100)]
        for client in crowd:
            client.send(connect("", 4))
        for _ in range(5):
            broker.process.send_signal(signal.SIGHUP)
            bystander.well("at SIGHUP without descriptors", 5)
        check(broker.alive(), "the node lives")
        for client in crowd:
            client.close()
        until(lambda: broker.descriptors() < 40, "descriptors are free")
        broker.client("later", 4).exchange(PINGREQ, PINGRESP)


@OWN
def test_41_the_node_stands_still():
    """Stopped for longer than keep alives and connect timeouts, and woken: clients that have
    written meanwhile are served, those that have not are put out."""
    with Broker(2, {"mqtt.connect_timeout_ms": 1000}) as broker:
        silent = broker.client("silent", 4, keep_alive=1)
        busy = broker.client("busy", 4, keep_alive=1)
        free = broker.client("free", 4)
        late = broker.socket(4)
        broker.process.send_signal(signal.SIGSTOP)
        try:
            busy.send(PINGREQ)
            late.send(connect("late", 4))
            time.sleep(2.5)
        finally:
            broker.process.send_signal(signal.SIGCONT)
        busy.expect(PINGRESP)
        busy.exchange(PINGREQ, PINGRESP)
        late.expect("20020000")
        free.exchange(PINGREQ, PINGRESP)
        silent.expect_end()


# -- all at once

@OWN
def test_43_everything_with_one_client_id():
    """Takeover, subscribe, unsubscribe, publish and shared groups on a few ids from many threads at
    once, for seconds; under ASan too."""
    with Broker(4, {"log.level": "notice"}) as broker:
        bystander = Bystander(broker)
        stop = time.monotonic() + 4
        errors = []

        def churn(number):
            turn = 0
            while time.monotonic() < stop:
                turn += 1
                version = (3, 4, 5)[turn % 3]
                client = broker.socket(version)
                will = ("churn/will", "x", turn % 3, bool(turn % 2), b"")
                name = f"churn{(number + turn) % 4}"
                client.send(connect(name, version, will=will) +
                            subscribe(1, ("churn/#", turn % 3), version=version) +
                            (subscribe(2, ("$share/g/churn/+", 1), version=version)
                             if version > 3 else b"") +
                            b"".join(publish("churn/x", str(turn), k % 3, k, version)
                                     for k in range(1, 10)) +
                            unsubscribe(3, "churn/#", version=version) +
                            (publish("churn/kept", str(turn), 1, 11, version, retain=True)))
                try:
                    client.readable(0.01 * (turn % 3))
                    client.socket.setblocking(False)
                    client.socket.recv(1 << 16)
                except (BlockingIOError, ConnectionError):
                    pass
                if turn % 2:
                    client.reset()
                else:
                    client.close()

        def guarded(number):
            try:
                churn(number)
            except Exception as error:  # noqa: BLE001: told in the main thread
                errors.append(error)
        threads = [threading.Thread(target=guarded, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            bystander.well("beside the churn", 10)
        equal(errors, [], "the test itself")
        broker.forget_clients()
        until(lambda: broker.descriptors() < 60, "the sockets are closed")
        last = broker.subscriber(("churn/kept", 0), version=4)
        check(last.next().topic == "churn/kept", "the node still works")


def test_46_log_lines_of_hostile_names(broker):
    """Names, topics and reasons that end lines, colour terminals or break JSON: one line an event,
    nothing raw."""
    names = ["a\nb", "a\rb", "a\x1b]0;title\x07b", "a\u2028b", "a\u202eb", "a\x9bb", "a'b", 'a"b',
             "a\\nb", "{}", "%s%n", "a\tb"]
    for name in names:
        for version in (4, 5):
            client = broker.client(name, version, user_name=name)
            client.send(publish("a/#" + name, version=version))
            client.receive()
            client.close()
    with Broker(1, {"log.format": "json"}) as other:
        for name in names:
            other.client(name, 5, user_name=name).send(frame(0xE0, b"\0" + block(user(name, name))))
        other.wait_for_log("disconnected")
    for log in (broker.log, other.log):
        for line in log:
            check(line.count("\n") == 1 and line.endswith("\n"), f"one line: {line!r}")
            check(not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in line[:-1]),
                  f"a control character: {line!r}")


if __name__ == "__main__":
    sys.exit(main(globals()))
