"""Totals of tenants that outlive connections: persistent sessions, their subscriptions and queues,
retained messages. Counted where they are stored, so also after kill -9."""
import sys
import time

from auth_test import OWN, gets, quiet, sends, user
from harness import WireError, check, equal, main, until
from mqtt import (PINGREQ, connect, disconnect, prop, puback, publish, subscribe, unsuback,
                  unsubscribe)
from tenanted import QUOTA, Lasting, gone_for_good, leave, publish_many, subscribe_all



# Client ids in topics: without what a topic name cannot hold.
PLAIN = str.maketrans("+#", "pn")


def users():
    return user("red/bob") + user("blue/bob")


def refused_of(version):
    return QUOTA if version == 5 else 3


@OWN
def test_persistent_sessions_are_counted_and_limited():
    """TotalPersistentSessions: a new one too many is refused at CONNECT; one that is there goes on,
    begins anew, ends and makes room; the same after kill -9."""
    with Lasting(users() + "[tenant.red]\nTotalPersistentSessions = 2\n") as broker:
        def is_full(version=5):
            before = len(broker.logged("OUT_OF_TENANT_RESOURCE.*persistent sessions"))
            one = broker.stays("red/bob", "three", version)
            equal(one.connack.reason, refused_of(version), "the third")
            one.expect_end()
            until(lambda: len(broker.logged("OUT_OF_TENANT_RESOURCE.*red.*persistent sessions")) >
                  before, "the event")
        for version in (5, 4):
            leave(broker.resumes("red/bob", "one", 0, version))
            quiet(broker.resumes("red/bob", "two", 0, version))
            is_full(version)
            quiet(broker.user("red/bob", "three", version))  # one that ends with its connection
            quiet(broker.resumes("blue/bob", "three", 0))
            quiet(broker.resumes("red/bob", "one", 1, version))
            if version == 5:
                quiet(broker.resumes("red/bob", "one", 0, clean=True))  # anew, in its own place
            is_full(version)
            broker.kill()
            is_full(version)
            quiet(broker.resumes("red/bob", "two", 1, version))
            gone_for_good(broker, "red/bob", "two", version)
            three = broker.resumes("red/bob", "three", 0, version)
            equal(broker.stays("red/bob", "two", version).connack.reason, refused_of(version))
            leave(three)
            for name in ("one", "three"):
                gone_for_good(broker, "red/bob", name, version)
            gone_for_good(broker, "blue/bob", "three")
        for name in ("short", "shorter"):
            leave(broker.resumes("red/bob", name, 0, expiry=1))
        is_full()
        until(lambda: broker.stays("red/bob", "three").connack.reason == 0, "they have expired")


@OWN
def test_many_persistent_sessions_at_once():
    """Exactly as many as are allowed, however many come together; and all of those come back
    together after a restart."""
    limit = 20
    with Lasting(users() + f"[tenant.red]\nTotalPersistentSessions = {limit}\n") as broker:
        def together(names):  # all ask before any answer is read
            sockets = []
            for name in names:
                one = broker.socket()
                one.send(connect(name, 5, False, user_name="red/bob", password="sesame",
                                 properties=prop(0x11, 600)))
                sockets.append((name, one))
            return {name: one.next() for name, one in sockets}
        answers = together([f"c{number}" for number in range(3 * limit)])
        inside = sorted(name for name, got in answers.items() if got.reason == 0)
        equal(len(inside), limit, "let in")
        equal({got.reason for got in answers.values()}, {0, QUOTA})
        broker.kill()
        answers = together(inside)
        equal([(got.reason, got.present) for got in answers.values()], [(0, 1)] * limit)
        equal(together(["other"])["other"].reason, QUOTA)
        broker.forget_clients()
        gone_for_good(broker, "red/bob", inside[0])
        equal(together(["other"])["other"].reason, 0, "room again")


@OWN
def test_subscriptions_of_persistent_sessions_are_limited():
    """TotalPersistentSubscriptions, TotalSharedSubscriptions: 0x97 (3.1.1: 0x80) for each too many,
    replacing is free, the end of a session gives all of its own back; the same after kill -9."""
    limits = "[tenant.red]\nTotalPersistentSubscriptions = 4\nTotalSharedSubscriptions = 2\n"
    with Lasting(users() + limits) as broker:
        for version in (5, 4):
            no = QUOTA if version == 5 else 0x80
            one = broker.resumes("red/bob", "one", 0, version)
            two = broker.resumes("red/bob", "two", 0, version)
            subscribe_all(one, "a", "b", codes=[0, 0])
            subscribe_all(two, *(f"t{n}" for n in range(500)), codes=[0, 0] + [no] * 498)
            subscribe_all(one, ("a", 1), ("b", 2), codes=[1, 2])
            before = len(broker.logged("OUT_OF_TENANT_RESOURCE.*red.*subscriptions"))
            subscribe_all(one, "c", codes=[no])
            until(lambda: len(broker.logged("OUT_OF_TENANT_RESOURCE.*red.*subscriptions")) > before,
                  "the event")
            one.exchange(unsubscribe(5, "a", version=version), unsuback(5, 0, version=version))
            subscribe_all(two, "c", codes=[0])
            subscribe_all(one, "a", codes=[no])
            # Shared ones count by themselves, with those of other sessions.
            other = broker.user("red/bob", "other", version)
            subscribe_all(one, "$share/g/x", codes=[0])
            subscribe_all(other, "$share/g/x", "$share/g/y", codes=[0, no])
            subscribe_all(two, "$share/g/x", codes=[no])
            subscribe_all(other, "x", "y", "z", codes=[0, 0, 0])  # a session that ends counts not
            blue = broker.resumes("blue/bob", "one", 0)
            subscribe_all(blue, *(f"t{n}" for n in range(10)), codes=[0] * 10)
            gone_for_good(broker, "blue/bob", "one")
            broker.kill()
            one = broker.resumes("red/bob", "one", 1, version)
            subscribe_all(one, "a", codes=[no])
            subscribe_all(one, "b", codes=[0])
            subscribe_all(one, "$share/g/x", "$share/g/y", "$share/g/z", codes=[0, 0, no])
            gone_for_good(broker, "red/bob", "two", version)
            subscribe_all(one, "a", "d", "e", "f", codes=[0, 0, 0, no])
            gone_for_good(broker, "red/bob", "one", version)


@OWN
def test_subscriptions_a_second_of_persistent_sessions():
    config = users() + "[tenant.red]\nTotalPersistentSubscribePerSecond = 10\n"
    with Lasting(config) as broker:
        for name, least, most in (("red", 10, 30), ("blue", 100, 100)):
            one = broker.resumes(f"{name}/bob", "one", 0)
            one.send(subscribe(1, *(f"t{n}" for n in range(100))))
            codes = one.next().codes
            check(least <= codes.count(0) <= most, f"{name}: {codes}")
            check(set(codes) <= {0, QUOTA}, f"{codes}")


@OWN
def test_bytes_in_queues_are_limited():
    """TotalPersistentSessionSpaceBytes: acked, and dropped by every queue without room; there is
    room again for what a client has taken; the same after kill -9."""
    limit, size = 20_000, 500
    with Lasting(users() + f"[tenant.red]\nTotalPersistentSessionSpaceBytes = {limit}\n") as broker:
        for tenant in ("red", "blue"):
            for name in ("one", "two"):
                one = broker.resumes(f"{tenant}/bob", name, 0)
                subscribe_all(one, (name, 1), codes=[1])
                leave(one)

        def fill(tenant, topic, count):
            writer = broker.user(f"{tenant}/bob", "writer")
            payloads = [f"{number:5}".encode() + b"x" * size for number in range(count)]
            equal(set(publish_many(writer, topic, payloads)), {0}, "acks")

        def take(tenant, name, count=None):
            """How many messages came, in their order; the client finishes `count` of them."""
            one = broker.resumes(f"{tenant}/bob", name, 1)
            got, before = [], -1
            while len(got) != before:
                before = len(got)
                time.sleep(0.05)
                one.send(PINGREQ)
                packet = one.next()
                while packet.type == 3:
                    got.append(int(packet.payload[:5]))
                    if count is None or len(got) <= count:
                        one.send(puback(packet.packet_id))
                    packet = one.next()
                equal(packet.type, 13)
            leave(one)
            return len(got)
        fill("red", "one", 30)
        broker.kill()
        fill("red", "one", 60)
        fill("red", "two", 10)
        fill("blue", "one", 90)
        held = take("red", "one", 10)
        check(limit // (size + 200) <= held <= limit // size, f"{held} messages were kept")
        equal(take("red", "two"), 0, "no room for it")
        equal(take("blue", "one"), 90, "the other tenant")
        fill("red", "two", 20)
        second = take("red", "two")
        check(8 <= second <= 12, f"{second} messages in the place of 10")


@OWN
def test_retained_messages_are_limited():
    """TotalRetainTopics, TotalRetainMessageSpaceBytes: 0x97 (3.x: closed), nobody gets what is
    refused; replacing and clearing are free; after kill -9 and by SIGHUP."""
    few = users() + "[tenant.red]\nTotalRetainTopics = 3\n"
    with Lasting(few) as broker:
        red, blue = broker.user("red/bob", "r"), broker.user("blue/bob", "b")
        watch = broker.user("red/bob", "watch")
        subscribe_all(watch, "#", codes=[0])
        for one in (red, blue):
            for number in range(3):
                sends(one, f"t/{number}", 0 if one is red else 0x10, retain=True)
        gets(watch, "t/0", "t/1", "t/2")
        broker.kill()
        red, blue = broker.user("red/bob", "r"), broker.user("blue/bob", "b")
        watch = broker.user("red/bob", "watch")
        sends(red, "t/3", QUOTA, retain=True)
        sends(blue, "t/3", 0x10, retain=True)
        old = broker.user("red/bob", "old", 4)
        old.send(publish("t/3", b"x", 1, 1, 4, retain=True))
        old.expect_end()
        sends(red, "t/2", 0x10, b"again", retain=True)
        sends(red, "t/1", 0x10, b"", retain=True)
        sends(red, "t/3", 0x10, b"now", retain=True)
        sends(red, "t/4", QUOTA, retain=True)
        quiet(watch)
        late = broker.user("red/bob", "late")
        subscribe_all(late, "#", codes=[0])
        gets(late, "t/0", "t/2", "t/3")
        broker.reload(few.replace("= 3", "= 4"))
        sends(red, "t/4", 0, b"fits", retain=True)
        sends(red, "t/5", QUOTA, retain=True)
        broker.reload(users() + "[tenant.red]\nTotalRetainMessageSpaceBytes = 4000\n")
        sends(red, "large", QUOTA, b"x" * 4000, retain=True)
        sends(blue, "large", 0x10, b"x" * 4000, retain=True)
        sends(red, "half", 0, b"x" * 2000, retain=True)
        sends(red, "half", QUOTA, b"x" * 3990, retain=True)
        sends(red, "half", 0, b"x" * 2100, retain=True)
        broker.kill()
        red = broker.user("red/bob", "r")
        sends(red, "rest", QUOTA, b"x" * 2000, retain=True)
        sends(red, "half", 0x10, b"", retain=True)
        sends(red, "rest", 0x10, b"x" * 2000, retain=True)


# -- names that might be taken for each other

TENANTS = ("a", "A", "a-b", "a.b", "ab", "b")
CLIENT_IDS = ("a", "ab", "a/b", "b", "/b", "-b", "a-b/b", "\x01", "\x01\x01", "a\x01", "\u00ff",
              "\x7f", "\ufffd", "auto-1", "$share/g/x", "+", "#", "%c", "a b", " a",
              "a ", "x" * 2000)


@OWN
def test_names_that_look_alike():
    """Every tenant with every client id is a session of its own, with its own queue, group and
    retained message, also after kill -9: names are not glued together anywhere."""
    config = "".join(user(f"{tenant}/u/{tenant}") for tenant in TENANTS)
    with Lasting(config) as broker:
        def each():
            for tenant in TENANTS:
                for client_id in CLIENT_IDS:
                    yield tenant, client_id, f"{tenant}|{client_id}".encode()
        for tenant, client_id, _ in each():
            one = broker.resumes(f"{tenant}/u/{tenant}", client_id, 0)
            subscribe_all(one, (tenant, 1), ("same/" + client_id.translate(PLAIN), 1),
                          (f"$share/{tenant}/s/{client_id.translate(PLAIN)}", 1), codes=[1, 1, 1])
            leave(one)
        writers = {t: broker.user(f"{t}/u/{t}", "writer") for t in TENANTS}
        for tenant, client_id, name in each():
            for topic in ("same/", "s/"):
                equal(publish_many(writers[tenant], topic + client_id.translate(PLAIN), [name],
                                   retain=topic == "same/"), [0])
        for tenant, writer in writers.items():
            for other in TENANTS:  # topics begin with names of tenants
                equal(publish_many(writer, other, [tenant]), [0 if other == tenant else 0x10])
        broker.kill()
        for tenant, client_id, name in each():
            one = broker.resumes(f"{tenant}/u/{tenant}", client_id, 1)
            equal(got_by(one, 3), [name, name, tenant.encode()], f"{tenant} {client_id!r}")
            one.close()
        for tenant in TENANTS:
            late = broker.user(f"{tenant}/u/{tenant}", "late")
            subscribe_all(late, "#", codes=[0])
            equal(sorted(got_by(late)), sorted(n for t, _, n in each() if t == tenant))


@OWN
def test_names_that_no_tenant_has():
    """A NUL, a separator or a wildcard in the tenant: the node does not start with it, and nobody
    comes in by it."""
    entry = user("a/u")
    for name in ("a b/u", "../u", "-a/u", ".a/u", "a+/u", "#/u", "a\\u0001/u", "\u00e4/u", "a*/u",
                 '{a=\\"b\\"}/u', "a\\nb/u", "x" * 65 + "/u"):
        try:
            with Lasting(entry + entry.replace('"a/u"', f'"{name}"')):
                raise AssertionError(f"{name!r} is a tenant")
        except WireError as error:
            check("does not start" in str(error), f"{name!r}: {error}")
    with Lasting(entry + entry.replace('"a/u"', '"b/u"')) as broker:
        for name in ("a/u/", "/a/u", "a//u", "b/../a/u", "a/u\x01", "A/u", "a\x01/u", "a"):
            broker.refused(0x86, name)


# -- what one message or one second may take

def got_by(client, count=None):
    """What waits for a session: payloads in order; of `count`, or until nothing more comes."""
    got, before = [], -1
    while len(got) < count if count else len(got) != before:
        before = len(got)
        time.sleep(0 if count else 0.05)
        packet = client.ask(PINGREQ)
        while packet.type == 3:
            got.append(packet.payload)
            if packet.qos:
                client.send(puback(packet.packet_id))
            packet = client.next()
        equal(packet.type, 13)
    return got


@OWN
def test_fan_out_to_persistent_sessions():
    """MaxPersistentFanout, MaxPersistentFanoutBytes, TotalPersistentFanOutBytesPerSeconds: acked,
    and lost to those that are over."""
    cases = (("MaxPersistentFanout = 2", 10, 2, 2), ("MaxPersistentFanout = 0", 10, 0, 0),
             ("MaxPersistentFanoutBytes = 3500", 1000, 2, 3),
             ("TotalPersistentFanOutBytesPerSeconds = 10000", 2000, 1, 4))
    for setting, size, least, most in cases:
        with Lasting(users() + f"[tenant.red]\n{setting}\n") as broker:
            for tenant in ("red", "blue"):
                for name in range(4):
                    one = broker.resumes(f"{tenant}/bob", f"s{name}", 0)
                    subscribe_all(one, ("t", 1), codes=[1])
                    leave(one)
                live = broker.user(f"{tenant}/bob", "live")  # of these there may be any number
                subscribe_all(live, ("t", 1), codes=[1])
                writer = broker.user(f"{tenant}/bob", "writer")
                payloads = [bytes([65 + number]) * size for number in range(5)]
                equal(publish_many(writer, "t", payloads), [0] * 5, setting)
                equal(got_by(live), payloads)
                kept = [len(got_by(broker.resumes(f"{tenant}/bob", f"s{name}", 1)))
                        for name in range(4)]
                if tenant == "blue":
                    equal(kept, [5] * 4)
                else:
                    check(5 * least <= sum(kept) <= 5 * most, f"{setting}: {kept}")
                broker.forget_clients()


@OWN
def test_retained_messages_for_a_new_subscription():
    """RetainMessageMatchLimit, TotalRetainMatchPerSeconds, TotalRetainMatchBytesPerSecond."""
    def retained(broker):
        for tenant in ("red", "blue"):
            writer = broker.user(f"{tenant}/bob", "writer")
            writer.send(*(publish(f"t/{n}", b"x" * 500, 1, n + 1, retain=True) for n in range(30)))
            equal([writer.next().reason for _ in range(30)], [0x10] * 30)

    def gets_of(broker, tenant, patience=0):
        for lasting in (False, True):
            one = broker.stays(f"{tenant}/bob", f"s{lasting}", expiry=600 if lasting else 0,
                               clean=True)
            subscribe_all(one, ("t/#", 1), codes=[1])
            got, end = got_by(one), time.monotonic() + patience
            while time.monotonic() < end and len(got) < 30:
                got += got_by(one)
            yield len(got)
    with Lasting(users() + "[tenant.red]\nRetainMessageMatchLimit = 7\n") as broker:
        retained(broker)
        equal(list(gets_of(broker, "red")), [7, 7])
        equal(list(gets_of(broker, "blue")), [30, 30])
        again = broker.user("red/bob", "again")
        for topic in ("t/#", "t/+"):  # each subscription
            subscribe_all(again, topic, codes=[0])
            equal(len(got_by(again)), 7)
        broker.reload(users() + "[tenant.red]\nTotalRetainMatchPerSeconds = 2\n")
        counts = [count for _ in range(4) for count in gets_of(broker, "red")]
        check({0, 30} == set(counts), f"{counts}")
        broker.reload(users() + "[tenant.red]\nTotalRetainMatchBytesPerSecond = 8000\n")
        started = time.monotonic()
        equal(list(gets_of(broker, "red", 20)), [30, 30])  # late, and all of them
        check(time.monotonic() - started > 1.5, "at once")


@OWN
def test_shortest_session_expiry():
    config = users() + "[tenant.red]\nMinSessionExpirySeconds = 60\n"
    with Lasting(config) as broker:
        for wish, granted in ((1, 60), (59, 60), (61, None), (0, None)):
            one = broker.stays("red/bob", "one", expiry=wish, clean=True)
            equal((one.connack.reason, one.connack.properties.get(0x11)), (0, granted), wish)
        equal(broker.stays("blue/bob", "one", expiry=1).connack.properties.get(0x11), None)


# -- groups, bandwidth, what connected sessions get

@OWN
def test_members_of_a_shared_group_are_limited():
    """MaxSharedGroupMembers: 0x97 (3.1.1: 0x80) for each too many, of whatever kind; replacing is
    free, who leaves makes room; the same after kill -9."""
    with Lasting(users() + "[tenant.red]\nMaxSharedGroupMembers = 2\n") as broker:
        for version in (5, 4):
            no, group = QUOTA if version == 5 else 0x80, f"$share/g{version}/t"
            one = broker.resumes("red/bob", "one", 0, version)
            four = broker.resumes("red/bob", "four", 0, version)
            two, three = (broker.user("red/bob", name, version) for name in ("two", "three"))
            subscribe_all(one, group, codes=[0])
            subscribe_all(two, group, codes=[0])
            subscribe_all(three, group, "$share/h/t", "$share/g/u", "t", codes=[no, 0, 0, 0])
            subscribe_all(four, group, "t", codes=[no, 0])
            subscribe_all(one, (group, 1), codes=[1])
            subscribe_all(two, (group, 1), codes=[1])
            for number in range(5):
                subscribe_all(broker.user("blue/bob", f"b{number}"), group, codes=[0])
            equal(publish_many(three, "u", [b"x"]), [0])
            two.exchange(unsubscribe(5, group, version=version),
                         unsuback(5, 0, version=version))
            subscribe_all(four, group, codes=[0])
            subscribe_all(two, group, codes=[no])
            broker.kill()
            broker.resumes("red/bob", "four", 1, version)
            two = broker.user("red/bob", "two", version)
            subscribe_all(two, group, codes=[no])
            gone_for_good(broker, "red/bob", "one", version)

            def is_in():
                two.send(subscribe(6, group, version=version))
                return two.next().codes == [0]
            until(is_in, "the place of a session that is gone")
            gone_for_good(broker, "red/bob", "four", version)


@OWN
def test_bandwidth_of_a_client():
    """InBoundBandWidth, OutBoundBandWidth: what is over comes later, all of it and in order; nobody
    is taken for dead meanwhile."""
    payloads = [bytes([65 + number]) * 2000 for number in range(20)] + [b"z" * 60_000]
    for setting in ("InBoundBandWidth", "OutBoundBandWidth"):
        with Lasting(users() + f"[tenant.red]\n{setting} = 25000\n") as broker:
            def takes(tenant):
                watch = broker.user(f"{tenant}/bob", "watch", keep_alive=1)
                subscribe_all(watch, "t", codes=[0])
                writer = broker.user(f"{tenant}/bob", "writer", keep_alive=1)
                started = time.monotonic()
                writer.send(*(publish("t", payload) for payload in payloads))
                got = []
                while len(got) < len(payloads):
                    if watch.readable(0.3):
                        packet = watch.next()
                        if packet.type == 3:
                            got.append(packet.payload)
                    else:
                        watch.send(PINGREQ)
                    if setting == "OutBoundBandWidth":  # else it is alive by what it has sent
                        writer.send(PINGREQ)
                equal(got, payloads)
                took = time.monotonic() - started
                writer.send(PINGREQ)
                equal(writer.next().type, 13)
                return took
            red, blue = takes("red"), takes("blue")
            # A second is saved up, and the last second's worth comes at its beginning.
            check(red > 1.8, f"{setting}: 100 kB of 25 kB/s took {red} s")
            check(blue < red, f"{setting}: the other tenant took {blue} s")


@OWN
def test_who_leaves_does_not_wait_for_its_bandwidth():
    config = users() + "[tenant.red]\nInBoundBandWidth = 1000\nOutBoundBandWidth = 1000\n"
    with Lasting(config) as broker:
        watch = broker.user("red/bob", "watch")
        subscribe_all(watch, "t", codes=[0])
        writer = broker.user("red/bob", "writer")
        writer.send(publish("t", b"x" * 900), publish("t", b"y" * 900))
        equal(watch.next().payload, b"x" * 900)
        writer.send(publish("t", b"z" * 30_000))
        writer.close()
        watch.send(disconnect())
        while watch.receive() is not None:
            pass
        quiet(broker.user("red/bob", "watch"))  # its name is free
        quiet(broker.user("red/bob", "writer"))


@OWN
def test_fan_out_to_connected_sessions():
    """TotalTransientFanOutBytesPerSeconds: acked, and lost to those that are over, until the second
    is over; members of groups count too."""
    config = users() + "[tenant.red]\nTotalTransientFanOutBytesPerSeconds = 10000\n"
    with Lasting(config) as broker:
        for filter in ("t", "$share/g/t"):
            for tenant in ("red", "blue"):
                readers = [broker.user(f"{tenant}/bob", f"s{number}") for number in range(4)]
                for reader in readers:
                    subscribe_all(reader, (filter, 1), codes=[1])
                lasting = broker.resumes(f"{tenant}/bob", "lasting", 0)
                subscribe_all(lasting, ("t", 1), codes=[1])
                writer = broker.user(f"{tenant}/bob", "writer")
                payloads = [bytes([65 + number]) * 2000 for number in range(20)]
                equal(publish_many(writer, "t", payloads), [0] * 20)
                got = sum(len(got_by(reader)) for reader in readers)
                most = 20 if "g" in filter else 80
                if tenant == "blue":
                    equal(got, most, filter)
                else:
                    check(4 <= got <= most * 3 // 4, f"{filter}: {got} of {most}")
                equal(got_by(lasting, 20), payloads, "a persistent session")
                gone_for_good(broker, f"{tenant}/bob", "lasting")

                def comes_again():
                    equal(publish_many(writer, "t", [b"late"]), [0])
                    return any([got_by(reader) for reader in readers])
                until(comes_again, "a message after the second")
                for reader in readers:
                    leave(reader)
        broker.wait_for_log("OVERFLOWED tenant=red reason=fan_out count=")


@OWN
def test_groups_that_get_one_message():
    """MaxGroupFanout: the first groups by name, whoever publishes and wherever members are."""
    limit = users() + "[tenant.red]\nMaxGroupFanout = 2\n"
    with Lasting(limit) as broker:
        def counts(tenant):
            members = [broker.user(f"{tenant}/bob", f"m{number}") for number in range(4)]
            for name, member in zip("dbca", members):
                subscribe_all(member, (f"$share/{name}/t", 1), codes=[1])
            for number in range(3):
                writer = broker.user(f"{tenant}/bob", f"w{number}")
                equal(publish_many(writer, "t", [b"x"] * 2), [0] * 2)
            got = [len(got_by(member)) for member in members]
            for member in members:
                leave(member)
            return got
        equal(counts("red"), [0, 6, 0, 6])
        equal(counts("blue"), [6, 6, 6, 6])
        broker.wait_for_log("OVERFLOWED tenant=red reason=fan_out count=")
        broker.reload(limit.replace("= 2", "= 3"))
        equal(counts("red"), [0, 6, 6, 6])
        broker.reload(limit.replace("= 2", "= 0"))
        equal(counts("red"), [6, 6, 6, 6])


if __name__ == "__main__":
    sys.exit(main(globals()))
