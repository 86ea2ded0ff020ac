"""How a node is seen from outside: metrics, health, $SYS, events, the service manager."""
import http.client
import json
import os
import re
import signal
import socket
import sys
import time

from harness import Broker, Bystander, brokers, check, equal, folder, main, until
from mqtt import (PINGREQ, PINGRESP, connect, prop, puback, publish, suback, subscribe, unsuback,
                  unsubscribe)

OWN = brokers(None)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FORBIDDEN = 0x87


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Seen(Broker):
    """A node with its HTTP endpoint, and a configuration of its own."""

    def __init__(self, config="", loops=2, data=False, **options):
        self.place = folder()
        path = os.path.join(self.place.name, "node.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[[listener]]\nport = 0\n" + config)
        self.admin = free_port()
        env = {"admin.port": self.admin, "admin.sys_interval_s": 1, **options.pop("env", {})}
        if data:
            env["node.data_dir"] = os.path.join(self.place.name, "data")
        super().__init__(loops, env=env, arguments=("--config", path), **options)

    def http(self, path, method="GET"):
        link = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
        try:
            link.request(method, path)
            answer = link.getresponse()
            return answer.status, answer.read().decode()
        finally:
            link.close()

    def metrics(self):
        """{name{labels}: value}, after a check of the format."""
        status, text = self.http("/metrics")
        equal(status, 200)
        values, typed = {}, set()
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                typed.add(line.split()[2])
            if line.startswith("#"):
                continue
            found = re.fullmatch(r'([a-z_]+)(\{.*\})? (\S+)', line)
            check(found, f"a metric: {line!r}")
            name = re.sub("_(bucket|sum|count)$", "", found.group(1))
            check(name in typed or found.group(1) in typed, f"a type before {line!r}")
            values[found.group(1) + (found.group(2) or "")] = float(found.group(3))
        return values

    def metric(self, name):
        return self.metrics().get(name, 0)

    def until_metric(self, name, wanted):
        until(lambda: self.metric(name) == wanted, f"{name} is {wanted}: {self.metric(name)}")

    def stop(self, *arguments):
        code = super().stop(*arguments)
        self.place.cleanup()
        return code


def of(name, tenant="default", **labels):
    labels = {"tenant": tenant, **labels}
    return name + "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"


def values_of(client, wanted):
    """Values that come until `wanted(values)`: {topic: (payload, retain)}."""
    got = {}
    while not wanted(got):
        packet = client.next()
        equal(packet.type, 3)
        equal(packet.qos, 0, packet.topic)
        got[packet.topic] = (packet.payload.decode(), packet.retain)
    return got


# -- metrics, health

@OWN
def test_metrics_count_what_clients_do():
    with Seen() as broker:
        client = broker.subscriber(("a/#", 1), name="secret-id")
        client.send(publish("a/secret-topic", "12345", 1, 1))
        equal({client.next().type, client.next().type}, {3, 4})
        broker.until_metric(of("skald_publishes_received_total"), 1)
        values = broker.metrics()
        for name, wanted in (("skald_clients_connected", 1), ("skald_client_connects_total", 1),
                             ("skald_publishes_sent_total", 1), ("skald_subscriptions", 1),
                             ("skald_publishes_received_payload_bytes_total", 5),
                             ("skald_publishes_sent_payload_bytes_total", 5)):
            equal(values[of(name)], wanted, name)
        check(values[of("skald_received_bytes_total")] > 30, "bytes received")
        check(values[of("skald_sent_bytes_total")] > 20, "bytes sent")
        equal(values["skald_ready"], 1)
        text = broker.http("/metrics")[1]
        check("secret" not in text, "a client id or a topic in the metrics")
        client.close()
        broker.until_metric(of("skald_clients_connected"), 0)
        broker.until_metric(of("skald_subscriptions"), 0)


@OWN
def test_metrics_of_persistent_sessions_and_retained_messages():
    with Seen(data=True) as broker:
        expiry = prop(0x11, 1000)
        keeper = broker.client("keeper", properties=expiry)
        keeper.exchange(subscribe(1, ("q/#", 1)), suback(1, 1))
        keeper.close()
        broker.until_metric(of("skald_sessions_online"), 0)
        sender = broker.client("sender")
        sender.exchange(publish("q/1", "x", 1, 1, retain=True), puback(1))
        broker.until_metric(of("skald_queued_messages"), 1)
        values = broker.metrics()
        equal(values[of("skald_sessions")], 2, "the sender's and the one kept")
        equal(values[of("skald_retained_messages")], 1)
        check(values[of("skald_retained_bytes")] > 0, "bytes of retained messages")


@OWN
def test_http_health_and_what_it_refuses():
    with Seen() as broker:
        until(lambda: broker.http("/readyz") == (200, "ok\n"), "ready")
        equal(broker.http("/livez"), (200, "ok\n"))
        equal(broker.http("/")[0], 404)
        equal(broker.http("/metrics?x=1")[0], 200)
        equal(broker.http("/metrics", "HEAD"), (200, ""))
        check(broker.http("/metrics", "POST")[0] in (405, 501), "POST")
        equal(broker.http("/" + "a" * 9000)[0] // 100, 4, "a long path")
        for junk in (b"\x10\x0c\x00\x04MQTT\x05\x02\0\0\0\0", b"GET\r\n\r\n", b"\xff" * 100):
            with socket.create_connection(("127.0.0.1", broker.admin)) as link:
                link.sendall(junk)
        broker.subscriber("still")
        equal(broker.http("/livez")[0], 200)


@OWN
def test_http_clients_that_are_slow_or_many():
    """They are closed after 10 s however they trickle, and never keep out who asks at once; clients
    of the broker notice nothing."""
    with Seen() as broker:
        until(lambda: broker.http("/readyz") == (200, "ok\n"), "ready")
        bystander = Bystander(broker)
        before = broker.descriptors()
        crowd = []
        for number in range(500):
            crowd.append(socket.create_connection(("127.0.0.1", broker.admin)))
            end = b"Host: " if number % 2 else b"\r\n"  # half a head, or an answer is not taken
            crowd[-1].sendall(b"GET /metrics HTTP/1.1\r\n" + end)
        begun = time.monotonic()
        equal(broker.http("/livez"), (200, "ok\n"))
        check(time.monotonic() < begun + 5, "one who asks at once waits for a crowd")
        check(broker.descriptors() <= before + 33, "connections to the endpoint")
        bystander.well("a client beside 500 connections to the endpoint")
        while time.monotonic() < begun + 9:
            for link in crowd[-9::2]:
                link.sendall(b"x")
            time.sleep(0.5)
        until(lambda: broker.descriptors() <= before + 1, "they are closed")
        text = broker.http("/metrics")[1]

        def count(name):
            return float(re.search(rf"skald_http_{name}_total (\d+)", text).group(1))
        check(count("displaced") >= 460, "displaced")
        check(count("timeouts") >= 5, "timeouts")


@OWN
def test_every_metric_is_in_the_readme():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        told = set(re.findall(r"`((?:skald|process)_[a-z0-9_]+)`", file.read()))
    limited = "[tenant.t]\nTotalConnections = 5\n"
    with Seen(limited, data=True) as broker:
        broker.client("c").close()
        broker.until_metric(of("skald_client_connects_total"), 1)
        there = {line.split()[2] for line in broker.http("/metrics")[1].splitlines()
                 if line.startswith("# TYPE")}
        check(not there - told, f"not in README.md: {sorted(there - told)}")
        check(not told - there, f"only in README.md: {sorted(told - there)}")


@OWN
def test_http_is_off_unless_asked_for():
    with Broker() as broker:
        check(not broker.logged("metrics"), "no endpoint")


# -- $SYS

@OWN
def test_sys_values_for_a_new_subscriber_and_their_updates():
    names = ("version", "uptime", "clients/total", "clients/connected", "clients/disconnected",
             "clients/active", "clients/inactive", "clients/maximum", "messages/received",
             "messages/sent", "messages/stored", "store/messages/count", "store/messages/bytes",
             "publish/messages/received", "publish/messages/sent", "publish/messages/dropped",
             "publish/bytes/received", "publish/bytes/sent", "bytes/received", "bytes/sent",
             "subscriptions/count", "retained messages/count", "load/messages/received/1min",
             "load/connections/15min")
    for version in (4, 5):
        with Seen() as broker:
            first = broker.client("first", version)
            broker.until_metric(of("skald_clients_connected"), 1)
            first.exchange(publish("r", "x", 1, 1, version, retain=True),
                           puback(1, 0x10 if version == 5 else None))
            # Its values are there once the monitor has seen the tenant.
            watcher = broker.subscriber(("$SYS/#", 2), version=version)
            got = values_of(watcher, lambda got: all(f"$SYS/broker/{n}" in got for n in names)
                            and got["$SYS/broker/clients/connected"][0] == "2"
                            and got["$SYS/broker/retained messages/count"][0] == "1")
            check(re.fullmatch(r"skald \d+\.\d+\.\d+", got["$SYS/broker/version"][0]), "version")
            check(re.fullmatch(r"\d+ seconds", got["$SYS/broker/uptime"][0]), "uptime")
            late = broker.subscriber("$SYS/broker/uptime", "$SYS/+/clients/connected",
                                     version=version)
            got = values_of(late, lambda got: len(got) == 2)
            equal(got["$SYS/broker/clients/connected"][1], 1, "RETAIN of a first value")
            values_of(late, lambda got: got.get("$SYS/broker/clients/connected") == ("3", 0)
                      and "$SYS/broker/uptime" in got)


@OWN
def test_sys_is_of_no_wildcard_and_nobody_publishes_to_it():
    with Seen() as broker:
        wild = broker.subscriber("#", "+/broker/uptime", "+/#")
        watcher = broker.subscriber("$SYS/broker/uptime")
        values_of(watcher, lambda got: len(got) == 1)
        values_of(watcher, lambda got: len(got) == 1)
        wild.exchange(PINGREQ, PINGRESP)
        wild.exchange(publish("$SYS/broker/uptime", "evil", 1, 1), puback(1, FORBIDDEN))
        wild.exchange(publish("$SYS/broker/uptime", "evil", 1, 2, retain=True),
                      puback(2, FORBIDDEN))
        fresh = broker.subscriber("$SYS/broker/uptime")
        for value, _ in values_of(fresh, lambda got: len(got) == 1).values():
            check(value.endswith("seconds"), value)
        equal(broker.client().ask(subscribe(1, "$share/g/$SYS/#")).codes, [0x83])


@OWN
def test_sys_ends_with_unsubscribe_and_heeds_retain_handling():
    with Seen() as broker:
        watcher = broker.subscriber("$SYS/broker/uptime")
        values_of(watcher, lambda got: len(got) == 1)
        watcher.send(unsubscribe(2, "$SYS/broker/uptime"))
        while watcher.next().type != 11:
            pass
        for each in [broker.subscriber("$SYS/broker/version") for _ in range(2)]:
            values_of(each, lambda got: len(got) == 1)  # now both loops have been told
        never = broker.subscriber(("$SYS/broker/version", 0x20))  # retain handling 2
        other = broker.subscriber("$SYS/broker/uptime")
        for _ in range(3):
            other.next()
        watcher.exchange(PINGREQ, PINGRESP)
        never.exchange(PINGREQ, PINGRESP)


@OWN
def test_sys_reaches_persistent_sessions_also_after_they_return():
    with Seen(data=True) as broker:
        expiry = prop(0x11, 1000)
        client = broker.client("p", properties=expiry)
        client.exchange(subscribe(1, ("$SYS/broker/uptime", 1)), suback(1, 1))
        values_of(client, lambda got: len(got) == 1)
        values_of(client, lambda got: len(got) == 1)
        client.close()
        client = broker.client("p", clean=False, properties=expiry)
        equal(client.connack.present, 1)
        values_of(client, lambda got: len(got) == 1)
        client.send(unsubscribe(2, "$SYS/broker/uptime"))
        while (packet := client.next()).type != 11:
            pass
        equal(packet.data, unsuback(2, 0))
        other = broker.subscriber("$SYS/broker/uptime")
        for _ in range(3):
            other.next()
        client.exchange(PINGREQ, PINGRESP)
        equal(broker.metric(of("skald_queued_messages")), 0, "$SYS in a queue")


TENANTS = """
[auth]
max_failures_user = 0
max_failures_address = 0
[[user]]
name = "red/u"
password = "%s"
[[user]]
name = "blue/u"
password = "%s"
publish = ["free"]
subscribe = ["free", "$SYS/#"]
[tenant.blue]
TotalTransientSubscriptions = 2
"""


def hashed():
    """`sesame` as `mosquitto_passwd` would hash it, cheaply."""
    import base64
    import hashlib
    salt = b"0123456789ab"
    key = hashlib.pbkdf2_hmac("sha512", b"sesame", salt, 101)
    return "$7$101$" + base64.b64encode(salt).decode() + "$" + base64.b64encode(key).decode()


def two_tenants(**options):
    return Seen(TENANTS % (hashed(), hashed()), **options)


def user(broker, name, client="", password="sesame", reason=0):
    one = broker.socket()
    one.send(connect(client, 5, user_name=name, password=password))
    equal(one.next().reason, reason, f"CONNACK for {name}")
    return one


@OWN
def test_figures_are_a_tenants_own():
    with two_tenants() as broker:
        for number in range(5):
            user(broker, "red/u", f"canary-{number}").send(publish("canary-topic", "canary"))
        blue = user(broker, "blue/u", "x")
        broker.until_metric(of("skald_publishes_received_total", "red"), 5)
        equal(broker.metric(of("skald_publishes_received_total", "blue")), 0)
        blue.send(subscribe(1, "$SYS/#"))
        equal(blue.next().codes, [0])
        got = values_of(blue, lambda got: len(got) > 40 and "$SYS/broker/uptime" in got)
        equal(got["$SYS/broker/clients/connected"][0], "1")
        equal(got["$SYS/broker/publish/messages/received"][0], "0")
        check("canary" not in str(got) + broker.http("/metrics")[1], "a canary in sight")


# -- events

@OWN
def test_events_are_counted_and_written_as_json():
    with two_tenants(env={"log.format": "json", "log.level": "info"}) as broker:
        user(broker, "blue/u", "b", "wrong", 0x86)
        blue = user(broker, "blue/u", "b\"\\\x01")
        blue.exchange(publish("for/bidden", "x", 1, 1), puback(1, FORBIDDEN))
        equal(blue.ask(subscribe(1, "no")).codes, [FORBIDDEN])
        old = user(broker, "red/u", "same")
        user(broker, "red/u", "same")
        old.expect_end(0x8E)
        kinds = ("UNAUTHENTICATED_CLIENT", "CLIENT_CONNECTED", "PUB_ACTION_DISALLOW",
                 "SUB_ACTION_DISALLOW", "KICKED")

        def events():
            lines = [json.loads(line) for line in list(broker.log)]
            return {line["event"]: line for line in lines if "event" in line}
        until(lambda: set(kinds) <= set(events()), f"{kinds}: {events()}")
        refused = events()["PUB_ACTION_DISALLOW"]
        equal((refused["tenant"], refused["client_id"], refused["what"]),
              ("blue", "b\"\\x5c\\x01", "for/bidden"))
        kicked = events()["KICKED"]
        equal((kicked["tenant"], kicked["client_id"], kicked["address"]),
              ("red", "same", "127.0.0.1"))
        check("session taken over" in kicked["message"], "Mosquitto's words")
        for kind in kinds:
            name = f'skald_events_total{{kind="{kind}"}}'
            until(lambda: broker.metric(name) >= 1, f"{name}")


@OWN
def test_events_of_limits_and_drops():
    env = {"mqtt.max_queued_messages": 1, "mqtt.max_inflight": 20}
    with two_tenants(env=env) as broker:
        blue = user(broker, "blue/u", "b")
        blue.exchange(subscribe(1, "free"), suback(1, 0))
        blue.exchange(subscribe(1, "$SYS/x"), suback(1, 0))
        blue.exchange(subscribe(1, "$SYS/y"), suback(1, 0x97))
        broker.wait_for_log("OUT_OF_TENANT_RESOURCE tenant=blue client_id=b .*what=subscriptions")
        red = user(broker, "red/u", "r")
        red.exchange(subscribe(1, ("t", 1)), suback(1, 1))
        sender = user(broker, "red/u", "s")
        for number in range(1, 41):  # 20 are sent, 1 waits
            sender.exchange(publish("t", "x", 1, number), puback(number))
        broker.wait_for_log(r"OVERFLOWED tenant=red reason=queue_full count=\d+")
        broker.until_metric(of("skald_messages_dropped_total", "red", reason="queue_full"), 19)
        equal(broker.metric(of("skald_messages_dropped_total", "blue", reason="queue_full")), 0)
        equal(broker.metric('skald_events_total{kind="OVERFLOWED"}'), 19)


@OWN
def test_events_of_what_is_done():
    with Seen(env={"log.level": "debug"}) as broker:
        client = broker.client("c", will=("gone", b"", 0, False, b""))
        client.exchange(subscribe(1, ("a", 1)), suback(1, 1))
        client.send(unsubscribe(2, "a"))
        equal(client.next().type, 11)
        client.send(publish("kept\n", "x", retain=True), publish("kept\n", "", retain=True))
        client.exchange(PINGREQ, PINGRESP)
        client.reset()
        for kind in ("SUB_ACKED", "UNSUB_ACKED", "MSG_RETAINED", "RETAIN_MSG_CLEARED",
                     "WILL_DISTED"):
            name = f'skald_events_total{{kind="{kind}"}}'
            until(lambda name=name: broker.metric(name) == 1, kind)
            check(broker.logged(f" {kind} tenant="), kind)
        check(broker.logged(r"MSG_RETAINED tenant=\S+ what=kept\\x0a"), "an escaped topic")


@OWN
def test_events_of_one_kind_are_limited_a_second():
    with two_tenants() as broker:
        client = user(broker, "blue/u", "flood")
        client.send(b"".join(publish("for/bidden", "x") for _ in range(8000)))
        client.exchange(PINGREQ, PINGRESP)
        until(lambda: broker.metric('skald_events_total{kind="PUB_ACTION_DISALLOW"}') == 8000,
              "events")
        until(lambda: broker.logged("more were not written"), "what was left out")
        check(len(broker.logged("for/bidden")) <= 3000, "lines of at most three seconds")


# -- the service manager

@OWN
def test_service_manager_is_told():
    with folder() as place:
        path = os.path.join(place, "notify")
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(path)
        manager.settimeout(10)
        os.environ.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="600000")
        try:
            broker = Broker()
        finally:
            del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]

        def told(word):
            while word not in manager.recv(999).split(b"\n"):
                pass
        with broker:
            told(b"READY=1")
            for _ in range(3):
                told(b"WATCHDOG=1")
            broker.process.send_signal(signal.SIGHUP)
            told(b"RELOADING=1")
            told(b"READY=1")
            broker.process.send_signal(signal.SIGTERM)
            told(b"STOPPING=1")
        manager.close()


if __name__ == "__main__":
    sys.exit(main(globals()))
