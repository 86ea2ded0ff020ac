"""Attacks on identity and rights: what is under way when a right goes, other people's client ids,
and ways around a password."""
import re
import sys

from auth_test import BAD_PASSWORD, NOT_AUTHORIZED, SEVEN, Guarded, quiet, sends, subscribes, user
from harness import WireError, brokers, check, equal, main, until
from mqtt import (connect, disconnect, prop, puback, pubcomp, publish, pubrec, pubrel, suback,
                  subscribe)
from retaining import silent

OWN = brokers(None)
WIDE = 'publish = ["home/#"]\nsubscribe = ["home/#", "news/#"]\n'
NARROW = 'publish = ["news/#"]\nsubscribe = ["news/#"]\n'


@OWN
def test_22_retained_messages_of_who_lost_the_right():
    """They stay, as what was allowed when it was published; who may not read them any more does not
    get them; who lost the right can neither replace nor clear them."""
    with Guarded(user("bob", rules=WIDE) + user("all")) as broker:
        bob = broker.user("bob", "bob")
        sends(bob, "home/kept", 0x10, retain=True)
        broker.reload(user("bob", rules=NARROW) + user("all"))
        sends(bob, "home/kept", NOT_AUTHORIZED, b"evil", retain=True)
        sends(bob, "home/kept", NOT_AUTHORIZED, b"", retain=True)
        subscribes(bob, "home/#", NOT_AUTHORIZED)
        reader = broker.user("all", "reader")
        subscribes(reader, "home/#", 0)
        got = reader.next()
        equal((got.payload, got.retain), (b"x", 1))
        silent(reader)


@OWN
def test_22_retained_messages_on_their_way():
    """A feed of retained messages ends where the right to receive ends."""
    with Guarded(user("bob", rules=WIDE) + user("all")) as broker:
        writer = broker.user("all", "writer")
        for i in range(50):
            sends(writer, f"home/{i}", 0x10, retain=True)
        bob = broker.user("bob", "bob", properties=prop(0x21, 1))
        bob.exchange(subscribe(1, ("home/#", 1)), suback(1, 1))
        first = bob.next()
        broker.reload(user("bob", rules=NARROW) + user("all"))
        bob.send(puback(first.packet_id))
        silent(bob)


@OWN
def test_23_subscriptions_of_who_lost_the_right():
    """Plain and shared, live and waiting in the queue: nothing more is delivered."""
    with Guarded(user("bob", rules=WIDE) + user("all")) as broker:
        writer = broker.user("all", "writer")
        bob = broker.user("bob", "bob", properties=prop(0x21, 1))
        for packet_id, name in ((1, "home/#"), (2, "$share/g/home/+"), (3, "news/#")):
            bob.exchange(subscribe(packet_id, (name, 1)), suback(packet_id, 1))
        sends(writer, "home/a", 0, b"first")
        held = bob.next()
        for i in range(5):
            sends(writer, "home/a", 0, b"queued")
        broker.reload(user("bob", rules=NARROW) + user("all"))
        sends(writer, "home/a", 0x00, b"after")
        bob.send(puback(held.packet_id))
        silent(bob)
        sends(writer, "news/a", 0, b"still")
        equal(bob.next().payload, b"still")


@OWN
def test_23_sessions_that_are_away_when_the_right_goes():
    """What waits in the queue of a session and what comes later are not delivered when its client
    returns; the rest is, and nothing of it is stuck."""
    with Guarded(user("bob", rules=WIDE) + user("all")) as broker:
        writer = broker.user("all", "writer")
        bob = stays(broker, "bob", "device")
        for packet_id, name in ((1, "home/#"), (2, "$share/g/home/+"), (3, "news/#")):
            bob.exchange(subscribe(packet_id, (name, 1)), suback(packet_id, 1))
        leave(bob)
        for i in range(50):
            sends(writer, "home/a", 0, b"queued")
        sends(writer, "news/a", 0, b"first")
        broker.reload(user("bob", rules=NARROW) + user("all"))
        sends(writer, "home/a", 0, b"after")
        sends(writer, "news/a", 0, b"second")
        bob = stays(broker, "bob", "device")
        equal(bob.connack.present, 1)
        for payload in (b"first", b"second"):
            got = bob.next()
            equal((got.topic, got.payload), ("news/a", payload))
            bob.send(puback(got.packet_id))
        silent(bob)
        leave(bob)
        bob = stays(broker, "bob", "device")
        silent(bob)  # and nothing of it is left in the queue


def stays(broker, name, client, version=5, clean=False, **options):
    return broker.user(name, client, version, clean=clean,
                       properties=prop(0x11, 600) if version == 5 else b"", **options)


def leave(client):
    client.send(disconnect(client.version))
    client.expect_end()


@OWN
def test_24_qos_2_of_a_session_that_comes_back_without_the_right():
    """Taken before the right went: finished after the return, and not delivered again, whichever
    packet of it the client repeats."""
    with Guarded(user("bob", rules=WIDE) + user("all")) as broker:
        watcher = broker.user("all", "watcher")
        subscribes(watcher, "home/#", 0)
        bob = stays(broker, "bob", "device")
        bob.exchange(publish("home/x", "taken", 2, 5), pubrec(5))
        bob.exchange(publish("home/x", "too", 2, 6), pubrec(6))
        watcher.expect(publish("home/x", "taken"), publish("home/x", "too"))
        bob.reset()
        broker.reload(user("bob", rules=NARROW) + user("all"))
        bob = stays(broker, "bob", "device")
        bob.exchange(publish("home/x", "taken", 2, 5, dup=True), pubrec(5))
        bob.exchange(pubrel(5), pubcomp(5))
        bob.exchange(pubrel(6), pubcomp(6))
        bob.exchange(publish("home/x", "again", 2, 5), pubrec(5, NOT_AUTHORIZED))
        quiet(watcher)


@OWN
def test_24_delayed_wills_of_who_lost_the_right():
    """Judged when they are due, however long ago their client went."""
    both = WIDE.replace("home/#", "home/#\", \"news/#", 1)
    with Guarded(user("bob", rules=both) + user("all")) as broker:
        watcher = broker.user("all", "watcher")
        subscribes(watcher, "home/#", 0)
        for name, topic in (("evil", "home/will"), ("fine", "news/will")):
            bob = broker.user("bob", name, clean=False, properties=prop(0x11, 600),
                              will=(topic, b"w", 0, True, prop(0x18, 1)))
            bob.reset()
        broker.reload(user("bob", rules=NARROW) + user("all"))
        fine = broker.user("all", "fine watcher")
        subscribes(fine, "news/will", 0)
        equal(fine.next().payload, b"w", "the will that may be published")
        subscribes(fine, "home/will", 0)
        silent(fine)
        quiet(watcher)


@OWN
def test_24_qos_2_under_way_when_the_right_goes():
    """Judged at PUBLISH: what was taken then is finished, its repetition not delivered again, and
    the next one refused."""
    with Guarded(user("bob", rules=WIDE) + user("all")) as broker:
        watcher = broker.user("all", "watcher")
        subscribes(watcher, "home/#", 0)
        bob = broker.user("bob", "bob")
        bob.exchange(publish("home/x", "taken", 2, 5), pubrec(5))
        watcher.expect(publish("home/x", "taken"))
        broker.reload(user("bob", rules=NARROW) + user("all"))
        bob.exchange(publish("home/x", "taken", 2, 5, dup=True), pubrec(5))
        bob.exchange(pubrel(5), pubcomp(5))
        bob.exchange(publish("home/x", "again", 2, 5), pubrec(5, NOT_AUTHORIZED))
        bob.exchange(pubrel(5), pubcomp(5, 0x92))
        quiet(watcher)


@OWN
def test_24_wills_of_who_lost_the_right():
    """At connect and again when it would be published."""
    with Guarded(user("bob", rules=WIDE) + user("all")) as broker:
        watcher = broker.user("all", "watcher")
        subscribes(watcher, "home/#", 0)
        bob = broker.user("bob", "bob", will=("home/will", b"w", 0, True, b""))
        broker.reload(user("bob", rules=NARROW) + user("all"))
        bob.reset()
        until(lambda: broker.logged("Client bob .* disconnected"), "the end of bob")
        quiet(watcher)
        broker.refused(NOT_AUTHORIZED, "bob", client="bob",
                       will=("home/will", b"w", 0, True, b""))


@OWN
def test_25_client_ids_of_others_in_the_tenant():
    """With `foreign_session` refuse another user does not get the id, whatever it says, and whoever
    has it goes on; with replace the old one is told."""
    users = user("bob") + user("eve")
    limits = "max_failures_address = 0\n"
    with Guarded('foreign_session = "refuse"\n' + limits + users) as broker:
        bob = broker.user("bob", "device")
        subscribes(bob, "bobs", 0)
        for version in (3, 4, 5):
            reason = NOT_AUTHORIZED if version == 5 else 5
            broker.refused(reason, "eve", client="device", version=version)
            broker.refused(reason, "eve", client="device", version=version, clean=False)
        quiet(bob)
        again = broker.user("bob", "device")
        bob.expect_end(0x8E)
        quiet(again)
    with Guarded('foreign_session = "replace"\n' + limits + users) as broker:
        bob = broker.user("bob", "device")
        subscribes(bob, "bobs", 0)
        eve = broker.user("eve", "device")
        equal(eve.connack.present, 0, "nothing of bob's session")
        bob.expect_end(0x8E)
        sends(broker.user("bob", "other"), "bobs", 0x10)
        quiet(eve)


@OWN
def test_25_sessions_of_others_in_the_tenant():
    """A session whose client is away: with `foreign_session` refuse nobody else gets it, or makes
    an end of it; with replace whoever takes the id gets nothing of it."""
    users = user("bob") + user("eve")
    for policy in ("refuse", "replace"):
        with Guarded(f'foreign_session = "{policy}"\nmax_failures_address = 0\n' +
                     users) as broker:
            bob = stays(broker, "bob", "device")
            bob.exchange(subscribe(1, ("bobs/#", 2)), suback(1, 2))
            bob.exchange(publish("half", "done", 2, 9), pubrec(9, 0x10))
            leave(bob)
            sends(broker.user("bob", "other"), "bobs/a", 0, b"secret")
            if policy == "replace":
                eve = stays(broker, "eve", "device")
                equal(eve.connack.present, 0)
                eve.exchange(pubrel(9), pubcomp(9, 0x92))
                sends(broker.user("bob", "other"), "bobs/a", 0x10, b"secret")
                quiet(eve)
                leave(eve)
                equal(stays(broker, "bob", "device").connack.present, 0)
                continue
            for version in (3, 4, 5):
                for clean in (False, True):
                    broker.refused(NOT_AUTHORIZED if version == 5 else 5, "eve", client="device",
                                   version=version, clean=clean)
            bob = stays(broker, "bob", "device")
            equal(bob.connack.present, 1)
            equal(bob.next().payload, b"secret")
            bob.exchange(pubrel(9), pubcomp(9))


@OWN
def test_26_ways_around_a_password():
    """No name, a name alone, an empty password, the hash itself, other cases and white space, the
    name of a tenant: refused, by each version."""
    with Guarded("max_failures_address = 0\nmax_failures_user = 0\n" + user("bob") +
                 user("acme/eve"), passwords=f"kim:{SEVEN}\n") as broker:
        hashed = re.search(r"\$argon2id\$[^\"']*", user("bob")).group()
        tries = [("bob", None), ("bob", ""), ("bob", "sesame "), ("bob", "Sesame"),
                 ("bob", "sesame\0"), ("BOB", "sesame"), (" bob", "sesame"), ("bob ", "sesame"),
                 ("bob/", "sesame"), ("/bob", "sesame"), ("acme/bob", "sesame"), ("", "sesame"),
                 ("eve", "sesame"), ("default/eve", "sesame"), ("kim", SEVEN), ("bob", hashed),
                 ("#", "sesame"), ("+", "sesame"), ("*", "sesame"), ("bob", b"\xff\xfe")]
        for version in (3, 4, 5):
            for name, password in tries:
                client = broker.socket(version)
                client.send(connect("x", version, user_name=name, password=password))
                data = client.receive()
                check(data is None or (data[0] == 0x20 and data[3] != 0),
                      f"v{version} {name!r} {password!r} is let in")
                if data is not None:
                    client.expect_end()
                client.close()
        for name in ("bob", "acme/eve", "kim"):
            quiet(broker.user(name, "ok-" + name.replace("/", "-")))


@OWN
def test_26_no_users_where_users_are_meant():
    """A password file that cannot be read or understood: the node does not start, rather than let
    anyone in."""
    for passwords in ("bob\n", "bob:\n", "bob:plain\n", ":" + SEVEN + "\n", "bob:$7$101$short\n",
                      "bob:$9$x$y\n", f"bob:{SEVEN}\nbob:{SEVEN}\n"):
        try:
            with Guarded("", passwords=passwords) as broker:
                broker.refused(BAD_PASSWORD, "bob")
        except WireError as error:
            check("does not start" in str(error), f"{passwords!r}: {error}")


if __name__ == "__main__":
    sys.exit(main(globals()))
