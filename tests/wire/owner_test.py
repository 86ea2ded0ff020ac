"""Rights and identity over the life of a session: whose a session is, and what a right that has
gone still does for what is queued, retained, taken or left as a will; also after kill -9."""
import sys
import time

from auth_test import NOT_AUTHORIZED, OWN, gets, quiet, sends, subscribes, user
from harness import check, equal, main
from mqtt import prop, puback, pubcomp, publish, pubrec, pubrel
from retaining import silent
from tenanted import Lasting, leave, publish_many, subscribe_all

WIDE = 'publish = ["home/#"]\nsubscribe = ["home/#", "news/#"]\n'
NARROW = 'publish = ["news/#"]\nsubscribe = ["news/#"]\n'
VERSIONS = (3, 4, 5)
ANYONE = "[mqtt]\nallow_anonymous = true\n"


def wide():
    return user("bob", rules=WIDE) + user("all")


def narrow():
    return user("bob", rules=NARROW) + user("all")


def owned(setting, more=""):
    return (f'[auth]\nforeign_session = "{setting}"\nmax_failures_address = 0\n' + ANYONE +
            user("bob") + user("eve") + user("acme/bob") + more)


# -- whose a session is

@OWN
def test_a_session_is_of_who_made_it():
    """foreign_session = refuse: nobody else gets it, by no version, with or without clean start,
    while it is online, offline, and after kill -9; what waits in it stays its owner's."""
    with Lasting(owned("refuse")) as broker:
        for version in VERSIONS:
            no = NOT_AUTHORIZED if version == 5 else 5
            client = f"device{version}"

            def nobody_else():
                for other in ("eve", None):
                    for clean in (False, True):
                        broker.refused(no, other, client=client, version=version, clean=clean)
                same = broker.resumes("acme/bob", client, 0, version)  # another tenant's
                leave(same, 0 if version == 5 else None)
                if version != 5:
                    leave(broker.user("acme/bob", client, version))
            bob = broker.resumes("bob", client, 0, version)
            subscribe_all(bob, ("bobs/#", 1), codes=[1])
            nobody_else()
            quiet(bob)
            leave(bob)
            nobody_else()
            sends(broker.user("eve", "writer"), "bobs/1", 0, b"for bob")
            broker.kill()
            nobody_else()
            bob = broker.resumes("bob", client, 0 if version == 3 else 1, version)
            got = bob.next()
            equal((got.topic, got.payload), ("bobs/1", b"for bob"))
            bob.send(puback(got.packet_id))
            quiet(bob)
            leave(bob)
            leave(broker.user("bob", client, version))
            quiet(broker.user("eve", client, version))  # it is nobody's now
            broker.forget_clients()


@OWN
def test_a_session_is_dropped_for_a_new_owner():
    """foreign_session = replace: the old one is told and gone, with its queue, subscriptions and
    places in groups; nothing of it is seen by the new one, also after kill -9."""
    with Lasting(owned("replace")) as broker:
        for version in VERSIONS:
            for online in (True, False):
                client = f"device{version}"
                bob = broker.resumes("bob", client, 0, version,
                                     will=("bobs/will", b"bob is gone", 0, False, b""))
                subscribe_all(bob, ("bobs/#", 1), ("$share/g/jobs", 1), codes=[1, 1])
                watch = broker.user("bob", "watch")
                subscribe_all(watch, "bobs/#", codes=[0])
                if not online:
                    leave(bob)
                    sends(broker.user("bob", "writer"), "bobs/1", 0, b"queued")
                    equal(watch.next().payload, b"queued")
                    broker.kill()
                    watch = broker.user("bob", "watch")
                    subscribe_all(watch, "bobs/#", codes=[0])
                eve = broker.resumes("eve", client, 0, version)
                if online:
                    bob.expect_end(0x8E)
                    equal(watch.next().payload, b"bob is gone")
                writer = broker.user("bob", "writer")
                for topic in ("bobs/2", "jobs"):
                    # Its routes go a moment after the session: 0x10 or 0x00.
                    check(publish_many(writer, topic, [b"not for eve"])[0] < 0x80, "ack")
                quiet(eve)
                subscribe_all(eve, ("eves", 1), codes=[1])
                leave(eve)
                sends(writer, "eves", 0, b"for eve")
                broker.kill()
                eve = broker.resumes("eve", client, 0 if version == 3 else 1, version)
                got = eve.next()
                equal((got.topic, got.payload), ("eves", b"for eve"))
                eve.send(puback(got.packet_id))
                check(publish_many(broker.user("bob", "writer"), "bobs/3", [b"x"])[0] < 0x80, "ack")
                quiet(eve)
                bob = broker.resumes("bob", client, 0, version)  # and back
                eve.expect_end(0x8E)
                quiet(bob)
                leave(bob)
                leave(broker.user("bob", client, version))
                broker.forget_clients()


@OWN
def test_the_setting_is_reloaded():
    with Lasting(owned("refuse")) as broker:
        leave(broker.resumes("bob", "device", 0))
        broker.refused(NOT_AUTHORIZED, "eve", client="device")
        broker.reload(owned("replace"))
        quiet(broker.resumes("eve", "device", 0))
        broker.reload(owned("refuse"))
        broker.refused(NOT_AUTHORIZED, "bob", client="device")


# -- rights that have gone

@OWN
def test_queues_of_who_lost_the_right():
    """What waits in a persistent session is judged when it is delivered: by SIGHUP, and by another
    configuration at the next start. What may still be read comes, in order, and nothing stays
    behind to come later."""
    for restart in (False, True):
        for version in VERSIONS:
            with Lasting(wide()) as broker:
                bob = broker.resumes("bob", "bob", 0, version)
                subscribe_all(bob, ("home/#", 1), ("news/#", 2), ("$share/g/home/+", 1),
                              codes=[1, 2, 1])
                leave(bob)
                writer = broker.user("all", "writer")
                for number in range(10):
                    sends(writer, f"home/{number}", 0, b"secret")
                    sends(writer, "news/x", 0, str(number).encode())
                if restart:
                    broker.write(narrow())
                    broker.kill()
                else:
                    broker.reload(narrow())
                bob = broker.resumes("bob", "bob", 0 if version == 3 else 1, version)
                for number in range(10):
                    got = bob.next()
                    equal((got.topic, got.payload), ("news/x", str(number).encode()))
                    bob.send(puback(got.packet_id))
                silent(bob)
                subscribes(bob, "home/#", NOT_AUTHORIZED if version == 5 else 0x80)
                sends(broker.user("all", "writer"), "home/later", 0, b"secret")
                silent(bob)
                broker.reload(wide())
                sends(broker.user("all", "writer"), "home/now", 0, b"allowed")
                got = {bob.next().payload}  # the subscription and the place in the group are there
                equal(got, {b"allowed"})


@OWN
def test_retained_messages_by_way_of_a_queue():
    """A persistent session's retained messages wait in its queue: the rest of them is not delivered
    when the right has gone, also when the node was killed in between."""
    for restart in (False, True):
        with Lasting(wide()) as broker:
            writer = broker.user("all", "writer")
            for number in range(30):
                sends(writer, f"home/{number}", 0x10, b"secret", retain=True)
            bob = broker.resumes("bob", "bob", 0, properties=prop(0x21, 1))
            subscribe_all(bob, ("home/#", 1), codes=[1])
            first = bob.next()
            equal(first.retain, 1)
            if restart:
                broker.write(narrow())
                broker.kill()
                bob = broker.resumes("bob", "bob", 1)
            else:
                broker.reload(narrow())
                bob.send(puback(first.packet_id))
            silent(bob)


@OWN
def test_wills_of_who_lost_the_right():
    """Judged again when they are published, however long after the connection and in whichever life
    of the node: by SIGHUP before the delay is over, and after kill -9, plain and retained."""
    def left(broker):
        """Clients with wills, gone; one of them keeps the right."""
        watch = broker.user("all", "watch")
        subscribe_all(watch, "#", codes=[0])
        for number, (name, topic) in enumerate((("bob", "home/will"), ("gone", "home/gone"),
                                                ("all", "home/good"))):
            for retain in (False, True):
                broker.user(name, f"w{number}{retain}", properties=prop(0x11, 600), will=(
                    f"{topic}/{retain}", b"w", 1, retain, prop(0x18, 2)))
        return watch
    for restart in (False, True):
        with Lasting(wide() + user("gone")) as broker:
            watch = left(broker)
            if restart:
                broker.write(narrow())
                broker.kill()
                watch = broker.user("all", "watch")
                subscribe_all(watch, "#", codes=[0])
            else:
                for one in broker.clients:
                    if one is not watch:
                        one.reset()
                broker.reload(narrow())
            got = [watch.next().topic, watch.next().topic]
            equal(sorted(got), ["home/good/False", "home/good/True"])
            time.sleep(0.5)
            quiet(watch)
            late = broker.user("all", "late")
            subscribe_all(late, "#", codes=[0])
            gets(late, "home/good/True")


@OWN
def test_publishes_of_who_lost_the_right():
    """Judged at each PUBLISH: not by what an alias was once good for; QoS 2 that was taken comes to
    its end after kill -9, not judged and not delivered again, and the next is refused."""
    with Lasting(wide()) as broker:
        watch = broker.resumes("all", "watch", 0)
        subscribe_all(watch, ("#", 1), codes=[1])
        bob = broker.resumes("bob", "bob", 0)
        bob.exchange(publish("home/x", b"1", 1, 1, properties=prop(0x23, 1)), puback(1))
        equal(watch.next().payload, b"1")
        bob.exchange(publish("home/x", b"taken", 2, 5), pubrec(5))
        got = watch.next()
        equal(got.payload, b"taken")
        broker.reload(narrow())
        bob.exchange(publish("", b"2", 1, 2, properties=prop(0x23, 1)), puback(2, NOT_AUTHORIZED))
        bob.exchange(publish("home/x", b"3", 2, 6), pubrec(6, NOT_AUTHORIZED))
        quiet(watch)
        broker.kill()
        bob = broker.resumes("bob", "bob", 1)
        bob.exchange(publish("home/x", b"taken", 2, 5, dup=True), pubrec(5))
        bob.exchange(pubrel(5), pubcomp(5))
        bob.exchange(publish("home/x", b"4", 2, 5), pubrec(5, NOT_AUTHORIZED))
        watch = broker.resumes("all", "watch", 1)
        again = [watch.next().payload, watch.next().payload]  # never acknowledged
        equal(again, [b"1", b"taken"])
        silent(watch)


@OWN
def test_a_user_that_is_there_no_longer():
    """Its connections end, it does not come back, its session gets nothing meanwhile that it could
    read later with other rights than its new ones."""
    with Lasting(wide() + user("gone")) as broker:
        gone = broker.resumes("gone", "gone", 0)
        subscribe_all(gone, ("home/#", 1), codes=[1])
        broker.reload(wide())
        gone.expect_end(NOT_AUTHORIZED)
        sends(broker.user("all", "writer"), "home/secret", 0, b"secret")
        broker.kill()
        broker.refused(0x86, "gone", client="gone")
        broker.reload(wide() + user("gone", rules='subscribe = ["news/#"]\n'))
        gone = broker.resumes("gone", "gone", 1)
        silent(gone)


if __name__ == "__main__":
    sys.exit(main(globals()))
