"""Who is let in and what they may do: passwords, permissions, tenants, failures, reload."""
import functools
import os
import signal
import subprocess
import time

import harness
from harness import Broker, brokers, check, equal, folder, main, memory, until
from mqtt import (PINGREQ, PINGRESP, connect, prop, publish, puback, suback, subscribe, unsuback,
                  unsubscribe)

OWN = brokers(None)
BAD_PASSWORD, NOT_AUTHORIZED, BUSY, LIMITED, QUOTA = 0x86, 0x87, 0x89, 0x9F, 0x97
# mosquitto_passwd 2.0.11, for "sesame".
SEVEN = ("$7$101$HsBAvOGMPSTEsNsY$KpsDxtx9iwYTQJoJoMJ7P1W2CeqAt4YWsqkHTigBwsKQTDCvkBOdYncgB4IfdA7"
         "enG0xvynhbXcQ9rjMncsnow==")


def passwd(*arguments, password=""):
    """(exit code, stdout, stderr) of `skald passwd`."""
    done = subprocess.run([harness.NODE, "passwd", *arguments], input=password + "\n", timeout=60,
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@functools.cache
def entry_of(name, password):
    code, out, error = passwd(name, "--memory", "64", "--passes", "1", password=password)
    equal((code, error), (0, ""), "skald passwd")
    return out


def user(name, password="sesame", rules=""):
    """A [[user]] table with a cheap hash."""
    return entry_of(name, password) + rules + "\n"


class Guarded(Broker):
    """A node with a configuration of its own that can be changed while it runs."""

    def __init__(self, config, loops=2, **files):
        self.context = folder()
        self.place = self.context.__enter__()
        self.files, self.loops = files, loops
        self.write(config, **files)
        try:
            self.start()
        except BaseException:
            self.context.__exit__(None, None, None)
            raise

    def start(self):
        super().__init__(self.loops, arguments=("--config", self.path("node.toml")))

    def path(self, name):
        return os.path.join(self.place, name)

    def write(self, config, **files):
        head = "[[listener]]\nport = 0\n"
        keys = {"passwords": "password_file", "acl": "acl_file"}
        limits = "" if "max_failures" in config else "max_failures_address = 0\n"
        section = "" if "[auth]" in config else "[auth]\n" + limits
        for name, text in files.items():
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
            section += f'{keys[name]} = "{self.path(name)}"\n'
        with open(self.path("node.toml"), "w", encoding="utf-8") as file:
            file.write(head + section + config)

    def reload(self, config, outcome="reload: \\d+ users", **files):
        self.write(config, **files)
        before = len(self.logged(outcome))
        self.process.send_signal(signal.SIGHUP)
        until(lambda: len(self.logged(outcome)) > before, f"log line {outcome}")

    def login(self, name=None, password="sesame", version=5, client="", **options):
        """The socket and its CONNACK."""
        one = self.socket(version)
        one.early = []
        one.send(connect(client, version, user_name=name,
                         password=password if name is not None else None, **options))
        one.connack = one.next()
        return one

    def user(self, name, client="", version=5, **options):
        one = self.login(name, client=client, version=version, **options)
        equal(one.connack.reason, 0, f"CONNACK for {name}")
        return one

    def refused(self, reason, *arguments, **options):
        one = self.login(*arguments, **options)
        equal(one.connack.reason, reason, f"CONNACK for {arguments}")
        one.expect_end()

    def stop(self, *arguments):
        code = super().stop(*arguments)
        self.context.__exit__(None, None, None)
        return code


def sends(client, topic, reason, payload=b"x", retain=False, properties=b""):
    """A QoS 1 publish is answered by `reason`."""
    client.send(publish(topic, payload, 1, 7, client.version, retain=retain, properties=properties))
    while (packet := client.next()).type == 3:  # its own message may come first
        client.early.append(packet)
    wanted = puback(7, reason or None) if client.version == 5 else puback(7)
    equal(packet.data, wanted, f"PUBACK for {topic}")


def subscribes(client, topic, code):
    client.exchange(subscribe(3, topic, version=client.version),
                    suback(3, code, version=client.version))


def gets(client, *topics):
    """Exactly these topics arrive."""
    got = []
    for _ in topics:
        packet = client.early.pop(0) if client.early else client.next()
        equal(packet.type, 3, f"a publish after {got}, of {topics}")
        got.append(packet.topic)
    equal(sorted(got), sorted(topics))
    quiet(client)


def quiet(client):
    client.exchange(PINGREQ, PINGRESP)


# -- who is let in

@OWN
def test_right_and_wrong_passwords_and_unknown_names():
    with Guarded(user("bob") + user("acme/eve", "other"), passwords=f"kim:{SEVEN}\n") as broker:
        for version, bad, anonymous in ((5, BAD_PASSWORD, NOT_AUTHORIZED), (4, 4, 5), (3, 4, 5)):
            quiet(broker.user("bob", "b", version))
            quiet(broker.user("acme/eve", "e", version, password="other"))
            quiet(broker.user("kim", "k", version))
            broker.refused(bad, "bob", "Sesame", version, "b")
            broker.refused(bad, "bob", "", version, "b")
            broker.refused(bad, "kim", "sesam", version, "b")
            broker.refused(bad, "acme/eve", "sesame", version, "b")
            for unknown in ("eve", "acme/bob", "nobody", "", "bob/", "/bob", "bob\u0001"):
                broker.refused(bad, unknown, "sesame", version, "b")
            broker.refused(anonymous, None, "", version, "b")
            one = broker.socket(version)
            if version != 3:
                one.send(connect("b", version, user_name="bob"))
                equal(one.next().reason, bad, "a name without a password")
        check(not broker.logged("sesam|Sesame|argon2"), "no secret in the log")


@OWN
@memory(128)
def test_a_stranger_takes_as_long_as_a_friend():
    code, entry, _ = passwd("bob", "--memory", "65536", password="sesame")
    equal(code, 0)
    with Guarded(entry) as broker:
        def took(name):
            started = time.monotonic()
            broker.refused(BAD_PASSWORD, name, "wrong")
            return time.monotonic() - started
        # In turns, and the best of each: what else the machine does hits both alike.
        pairs = [(took("bob"), took("mallory")) for _ in range(8)]
        known, unknown = (min(times) for times in zip(*pairs))
        check(0.4 < known / unknown < 2.5, f"{known} s for a known name, {unknown} s for another")


@OWN
@memory(384)
def test_hashing_holds_up_nobody_and_its_queue_is_bounded():
    code, entry, _ = passwd("bob", "--memory", "262144", password="sesame")
    equal(code, 0)
    config = "[auth]\nhash_threads = 1\nhash_queue = 3\nmax_failures_address = 0\n" + entry
    rest = "[mqtt]\nallow_anonymous = true\nconnect_timeout_ms = 60000\n"
    with Guarded(config + rest, loops=1) as broker:
        other = broker.subscriber("t", name="other")
        logins = [broker.socket() for _ in range(12)]
        for number, one in enumerate(logins):
            one.send(connect(f"c{number}", user_name="bob", password="sesame"))
        for _ in range(20):
            started = time.monotonic()
            other.send(publish("t", b"x"))
            equal(other.next().topic, "t")
            check(time.monotonic() - started < 1, "the loop waits for a hash")
        results = sorted(one.next(60).reason for one in logins)
        equal(set(results), {0, BUSY}, "outcomes")
        check(results.count(0) >= 3, f"some are let in: {results}")


@OWN
def test_failures_are_limited_by_name_and_address():
    config = "[auth]\nmax_failures_user = 100\nmax_failures_address = 4\n" + user("bob")
    with Guarded(config) as broker:
        for _ in range(4):
            broker.refused(BAD_PASSWORD, "bob", "wrong")
        broker.refused(LIMITED, "bob", "sesame")
        broker.refused(5, "bob", "sesame", 4)
        until(lambda: broker.login("bob").connack.reason == 0, "it may try again")
    config = "[auth]\nmax_failures_user = 3\nmax_failures_address = 0\n" + user("bob") + user("kim")
    with Guarded(config) as broker:
        for _ in range(3):
            broker.refused(BAD_PASSWORD, "bob", "wrong")
        broker.refused(LIMITED, "bob", "sesame")
        quiet(broker.user("kim"))
        for name in ("kim", "default/kim", "kim"):  # one user, whatever it calls itself
            broker.refused(BAD_PASSWORD, name, "wrong")
        broker.refused(LIMITED, "default/kim", "sesame")
        broker.refused(LIMITED, "kim", "sesame")


# -- what they may do

RULES = '''publish = ["home/#", "!home/secret/#"]
subscribe = ["home/#", "news/+", "!home/secret/#"]
'''


@OWN
def test_rights_to_publish_and_subscribe():
    with Guarded(user("bob", rules=RULES) + user("all")) as broker:
        watch = broker.user("all", "watch")
        subscribes(watch, "#", 0)
        for version in (5, 4):
            bob = broker.user("bob", "bob", version)
            sends(bob, "home/x", 0)
            gets(watch, "home/x")
            for topic in ("away", "home/secret/x", "news/x", "$other"):
                sends(bob, topic, NOT_AUTHORIZED)
                bob.send(publish(topic, b"0", version=version))
            quiet(bob)
            quiet(watch)
            refused = NOT_AUTHORIZED if version == 5 else 0x80
            for topic in ("#", "+/x", "away", "home/secret/#", "$SYS/#", "news/#",
                          "$share/g/away", "$share/g/#"):
                subscribes(bob, topic, refused)
            for topic in ("home/#", "home/+/x", "news/+", "$share/g/news/a"):
                subscribes(bob, topic, 0)


@OWN
def test_what_may_be_subscribed_to_in_part_is_delivered_in_part():
    with Guarded(user("bob", rules=RULES) + user("all")) as broker:
        everything = broker.user("all", "writer")
        for topic in ("home/a", "home/secret/a"):
            sends(everything, topic, 0x10, retain=True)
        bob = broker.user("bob", "bob")
        subscribes(bob, "home/#", 0)
        gets(bob, "home/a")  # what is retained
        for topic in ("home/secret/b", "home/b"):
            sends(everything, topic, 0)
        gets(bob, "home/b")


@OWN
def test_wills_are_judged_at_connect():
    with Guarded(user("bob", rules=RULES)) as broker:
        for version, reason in ((5, NOT_AUTHORIZED), (4, 5)):
            broker.refused(reason, "bob", version=version, client="w",
                           will=("home/secret/w", b"x", 0, False, b""))
            quiet(broker.user("bob", "w", version, will=("home/w", b"x", 0, False, b"")))


ACL = """topic read news/#

user bob
topic readwrite bob/#
topic deny bob/private/#

pattern write dev/%c/up
pattern read dev/%c/down
pattern readwrite u/%u/#
"""


@OWN
def test_mosquittos_acl_file():
    config = "[mqtt]\nallow_anonymous = true\n" + user("all", rules='publish = ["#"]\n')
    with Guarded(config, passwords=f"bob:{SEVEN}\nacme/kim:{SEVEN}\n", acl=ACL) as broker:
        writer = broker.user("all", "writer")
        bob = broker.user("bob", "b1")
        sends(bob, "bob/x", 0x10)
        sends(bob, "dev/b1/up", 0x10)
        sends(bob, "u/bob/x", 0x10)
        for topic in ("bob/private/x", "dev/b2/up", "dev/b1/down", "u/kim/x", "news/x"):
            sends(bob, topic, NOT_AUTHORIZED)
        subscribes(bob, "#", 0)  # and gets what it may read
        for topic in ("news/1", "bob/1", "dev/b1/down", "dev/b2/down", "bob/private/1", "u/bob/1"):
            sends(writer, topic, 0)
        gets(bob, "bob/1", "dev/b1/down", "u/bob/1")
        subscribes(bob, "news/#", NOT_AUTHORIZED)
        guest = broker.login(client="guest")
        subscribes(guest, "news/#", 0)
        sends(guest, "news/x", NOT_AUTHORIZED)
        sends(guest, "u//x", NOT_AUTHORIZED)
        kim = broker.user("acme/kim", "k")
        sends(kim, "u/kim/x", 0x10)
        sends(kim, "u/acme/kim/x", NOT_AUTHORIZED)


@OWN
def test_an_empty_acl_file_allows_nothing():
    with Guarded("[mqtt]\nallow_anonymous = true\n", passwords=f"bob:{SEVEN}\n",
                 acl="# nothing\n") as broker:
        for one in (broker.login(client="guest"), broker.user("bob")):
            sends(one, "a", NOT_AUTHORIZED)
            subscribes(one, "a", NOT_AUTHORIZED)
            subscribes(one, "#", NOT_AUTHORIZED)


@OWN
def test_names_do_not_widen_permissions():
    rules = 'publish = ["dev/%c/#", "%c/#", "%u/x"]\nsubscribe = ["dev/%c/#", "%c/#"]\n'
    names = ("u+", "#", "+", "a/b", "$SYS", "%c")
    config = user("bob", rules=rules) + "".join(user("t/" + name, rules=rules) for name in names)
    with Guarded(config) as broker:
        victim = broker.user("bob", "victim")
        subscribes(victim, "dev/victim/#", 0)
        sends(victim, "dev/victim/a", 0)
        gets(victim, "dev/victim/a")
        for client in ("#", "+", "victim/#", "+/#", "vic+", "$SYS", "victim/a", "/", "%c", "%u"):
            one = broker.user("bob", client)
            for topic in ("dev/victim/a", "dev/victim", "dev/x/a", "$SYS/a",
                          "victim/a", "dev//a"):
                sends(one, topic, NOT_AUTHORIZED)
            for topic in ("dev/+/#", "dev/#", "#", "+/#", "dev/victim/#", "$SYS/#", "victim/#"):
                subscribes(one, topic, NOT_AUTHORIZED)
        for number, name in enumerate(names):
            one = broker.user("t/" + name, f"c{number}")  # a client id belongs to one user
            broker.refused(NOT_AUTHORIZED, "t/" + names[number - 1], client=f"c{number}")
            sends(one, f"c{number}/../x", 0x10)  # its own
            for topic in ("bob/x", "a/b/x", "x", "u/x"):
                sends(one, topic, NOT_AUTHORIZED)
        quiet(victim)


# -- reload

@OWN
def test_a_reload_takes_rights_away_at_once():
    with Guarded(user("bob", rules=RULES) + user("all") + user("gone")) as broker:
        bob = broker.user("bob", "bob", will=("home/will", b"w", 0, False, b""))
        subscribes(bob, "home/#", 0)
        everything = broker.user("all", "all")
        subscribes(everything, "#", 0)
        gone = broker.user("gone", "gone")
        narrow = 'publish = ["news/#"]\nsubscribe = ["news/#"]\n'
        broker.reload(user("bob", rules=narrow) + user("all"))
        gone.expect_end(NOT_AUTHORIZED)
        broker.refused(BAD_PASSWORD, "gone")
        sends(bob, "home/x", NOT_AUTHORIZED)
        sends(bob, "news/x", 0)
        gets(everything, "news/x")
        sends(everything, "home/x", 0)  # to itself; bob's subscription is still there
        gets(everything, "home/x")
        quiet(bob)
        bob.reset()  # its will may not go out any more
        until(lambda: broker.logged("Client bob .* disconnected"), "the end of bob")
        quiet(everything)
        broker.reload(user("bob", "changed") + user("all"))
        broker.refused(BAD_PASSWORD, "bob", "sesame")
        quiet(broker.login("bob", "changed"))


@OWN
def test_a_broken_reload_changes_nothing():
    good = user("bob", rules=RULES)
    with Guarded(good, acl=ACL) as broker:
        bob = broker.user("bob", "bob")
        cases = [(good + user("bob"), ACL, "the name is that of"),
                 (good + "[[user]]\nname = 'x'\npassword = 'plain-secret'\n", ACL, "password hash"),
                 (good + "[tenant.a]\nMaximumQoS = 9\n", ACL, "MaximumQoS"),
                 (good + "[mqtt]\nmax_inflight = 1\n", ACL, "max_inflight"),
                 (good + "[[user\n", ACL, "node.toml:"),
                 ("", "user x\ntopic sing a\n", "acl:2: access"),
                 (good + "[[user]]\nname = 'y'\npassword = '" + SEVEN + "'\npublish = ['a#']\n",
                  ACL, "publish a#")]
        for config, acl, words in cases:
            broker.reload(config, "old configuration is kept: .*" + words, acl=acl)
            sends(bob, "home/x", 0x10)
            quiet(broker.user("bob", "again"))
        os.unlink(broker.path("acl"))
        before = len(broker.logged("is kept"))
        broker.process.send_signal(signal.SIGHUP)
        until(lambda: len(broker.logged("is kept")) > before, "a missing file")
        sends(bob, "home/x", 0x10)
        check(not broker.logged("plain-secret"), "no secret in the log")


@OWN
def test_the_log_level_is_reloaded():
    with Guarded(user("bob")) as broker:
        broker.write(user("bob") + '[log]\nlevel = "error"\n')
        # The environment of the harness sets the level and wins.
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_for_log("reload: 1 users")
        quiet(broker.user("bob"))


# -- tenants

@OWN
def test_tenants_never_meet():
    config = "".join(user(f"{tenant}/bob") for tenant in ("red", "blue"))
    for loops in (1, 2):
        with Guarded(config, loops) as broker:
            def pair(client):
                return [broker.user(f"{t}/bob", client) for t in ("red", "blue")]
            red, blue = pair("same")
            quiet(red)  # not taken over
            for one in (red, blue):
                subscribes(one, "#", 0)
            members = pair("member")
            for one in members:
                subscribes(one, "$share/g/jobs/+", 0)
            writers = pair("writer")
            for number in range(20):
                sends(writers[0], f"t/{number}", 0, b"RED")
                sends(writers[1], f"t/{number}", 0, b"BLUE")
                sends(writers[0], f"jobs/{number}", 0, b"RED")
            sends(writers[0], "kept", 0, b"RED", retain=True)
            sends(writers[1], "kept", 0, b"BLUE", retain=True)
            for one, colour, count in ((red, b"RED", 41), (blue, b"BLUE", 21),
                                       (members[0], b"RED", 20), (members[1], b"BLUE", 0)):
                for _ in range(count):
                    equal(one.next().payload, colour)
                quiet(one)
            late = pair("late")
            for one, colour in zip(late, (b"RED", b"BLUE")):
                subscribes(one, "kept", 0)
                equal(one.next().payload, colour)
            sends(writers[0], "kept", 0, b"", retain=True)  # cleared for one tenant only
            for one in (late[0], red):
                equal(one.next().payload, b"")
            again = broker.user("blue/bob", "again")
            subscribes(again, "kept", 0)
            equal(again.next().payload, b"BLUE")
            red.exchange(unsubscribe(9, "#"), unsuback(9, 0))
            sends(writers[1], "t/x", 0, b"BLUE")
            equal(blue.next().topic, "t/x")


@OWN
def test_settings_of_a_tenant_hold_for_it_alone():
    config = user("red/bob") + user("blue/bob") + """[tenant.red]
MaximumQoS = 1
MaxTopicLevels = 3
MaxTopicLevelLength = 5
MaxUserPayloadBytes = 10
MaxLastWillBytes = 8
MaxTopicFiltersPerSub = 2
MaxTopicFiltersPerInbox = 3
SubscriptionIdentifierEnabled = false
MQTT3Enabled = false
MinKeepAliveSeconds = 50
PayloadFormatValidationEnabled = false
"""
    with Guarded(config) as broker:
        red, blue = (broker.user(f"{t}/bob", "c", keep_alive=10) for t in ("red", "blue"))
        equal((red.connack.properties.get(0x24), blue.connack.properties.get(0x24)), (1, None))
        equal((red.connack.properties.get(0x29), blue.connack.properties.get(0x29)), (0, None))
        equal((red.connack.properties.get(0x13), blue.connack.properties.get(0x13)), (50, None))
        for topic in ("a/b/c/d", "sixsix/a"):
            sends(red, topic, 0x90)
            sends(blue, topic, 0x10)
        sends(red, "utf8", 0x10, b"\xff", properties=prop(1, 1))
        sends(blue, "utf8", 0x99, b"\xff", properties=prop(1, 1))
        red.exchange(subscribe(1, ("a", 2)), suback(1, 1))
        blue.exchange(subscribe(1, ("a", 2)), suback(1, 2))
        red.exchange(subscribe(2, "b", "c", "d"), suback(2, *[QUOTA] * 3))
        red.exchange(subscribe(3, "b", "c"), suback(3, 0, 0))
        red.exchange(subscribe(4, "d"), suback(4, QUOTA))
        red.exchange(subscribe(5, "a", properties=prop(0x0B, 7)), suback(5, 0xA1))
        blue.exchange(subscribe(5, "a", properties=prop(0x0B, 7)), suback(5, 0))
        sends(blue, "a", 0, b"x" * 11)
        red.send(publish("a", b"x" * 11))
        red.expect_end(0x95)
        two = broker.user("red/bob", "two")
        two.send(publish("a", b"x", 2, 1))
        two.expect_end(0x9B)
        broker.refused(QUOTA, "red/bob", will=("will", b"12345", 0, False, b""))
        broker.refused(0x9B, "red/bob", will=("will", b"1", 2, False, b""))
        quiet(broker.user("blue/bob", will=("will", b"12345", 2, False, b"")))
        broker.refused(1, "red/bob", version=3, client="c3")
        quiet(broker.user("blue/bob", version=3, client="c3"))


@OWN
def test_totals_of_a_tenant_are_kept_and_given_back():
    config = user("red/bob") + user("blue/bob")
    limits = """[tenant.red]
TotalConnections = 2
TotalTransientSubscriptions = 3
TotalSharedSubscriptions = 1
"""
    with Guarded(config + limits) as broker:
        for _ in range(3):
            one, two = broker.user("red/bob", "one"), broker.user("red/bob", "two")
            broker.refused(QUOTA, "red/bob", client="three")
            quiet(broker.user("blue/bob"))
            one.exchange(subscribe(1, "a", "b"), suback(1, 0, 0))
            two.exchange(subscribe(1, "a", "b"), suback(1, 0, QUOTA))
            two.exchange(subscribe(2, "a"), suback(2, 0))  # again: not one more
            one.exchange(unsubscribe(2, "a"), unsuback(2, 0))
            two.exchange(subscribe(3, "b"), suback(3, 0))
            one.exchange(subscribe(4, "$share/g/a"), suback(4, 0))
            two.exchange(subscribe(4, "$share/g/a"), suback(4, QUOTA))
            one.exchange(unsubscribe(5, "$share/g/a"), unsuback(5, 0))
            two.exchange(subscribe(5, "$share/g/a"), suback(5, 0))
            before = len(broker.logged("Client (one|two) .* disconnected"))
            for client in (one, two):
                client.reset()
            until(lambda: len(broker.logged("Client (one|two) .* disconnected")) >= before + 2,
                  "both are gone")
        broker.reload(config)
        for name in ("one", "two", "three"):
            quiet(broker.user("red/bob", name))


@OWN
def test_rates_of_a_tenant():
    config = user("red/bob") + user("slow/bob") + user("blue/bob") + """[tenant.red]
TotalInboundBytesPerSecond = 1000
TotalConnectPerSecond = 3
[tenant.slow]
MsgPubPerSec = 5
"""
    with Guarded(config) as broker:
        red, blue = broker.user("red/bob", "r"), broker.user("blue/bob", "b")
        for one in (red, blue):
            one.send(*(publish("t", b"x" * 100, 1, number) for number in range(1, 41)))
        reasons = [red.next().reason for _ in range(40)]
        check(8 <= reasons.count(0x10) <= 25, f"let through: {reasons.count(0x10)}")
        equal(set(reasons), {0x10, QUOTA})
        equal({blue.next().reason for _ in range(40)}, {0x10}, "the other tenant")
        results = [broker.login("red/bob", client=f"c{n}").connack.reason for n in range(12)]
        check(LIMITED in results and 0 in results, f"{results}")
        slow = broker.user("slow/bob", "s")
        slow.send(*(publish("t", b"x") for _ in range(50)))
        slow.expect_end(0x96)


@OWN
def test_settings_without_effect_are_told_at_the_start():
    with Guarded(user("bob") + '[tenant.acme]\nprofile = "bifromq"\n') as broker:
        broker.wait_for_log(r"\[tenant.acme\]: not honoured, by design: .*ByPassPermCheckError")
        quiet(broker.user("bob"))


# -- skald passwd

@OWN
def test_the_passwd_command_keeps_a_file():
    with folder() as place:
        path = os.path.join(place, "passwords")
        fast = ("--file", path, "--memory", "64", "--passes", "1")
        equal(passwd("bob", *fast, password="one")[0], 0)
        equal(os.stat(path).st_mode & 0o777, 0o600, "its mode")
        os.chmod(path, 0o640)
        equal(passwd("acme/eve", *fast, password="two")[0], 0)
        equal(passwd("bob", *fast, "--pbkdf2", password="three")[0], 0)
        equal(os.stat(path).st_mode & 0o777, 0o640, "its mode stays")
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        equal([line.split(":")[0] for line in lines], ["acme/eve", "bob"])
        check(lines[1].startswith("bob:$7$"), lines[1])
        with Guarded("", passwords="\n".join(lines)) as broker:
            quiet(broker.login("bob", "three"))
            quiet(broker.login("acme/eve", "two"))
            broker.refused(BAD_PASSWORD, "bob", "one")
        equal(passwd("bob", "--file", path, "--delete")[0], 0)
        code, _, error = passwd("bob", "--file", path, "--delete")
        equal(code, 1)
        check("no user bob" in error, error)
        for name, password in (("", "x"), ("a:b", "x"), ("bad tenant/x", "x"), ("ok", "")):
            code, out, error = passwd(name, *fast, password=password)
            equal((code, out), (1, ""), f"{name!r}")
            check(error, "a reason")


if __name__ == "__main__":
    main(globals())
