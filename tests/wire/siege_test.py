"""Attacks that need masses of sessions, a clock of their own, or the first bytes of protocols that
are not spoken; as in attack_test.py."""
import os
import socket
import subprocess
import sys
import threading
import time

from auth_test import Guarded
from harness import (Broker, Bystander, brokers, check, equal, folder, have, main, memory,
                     sanitized, slack, time_factor, until)
from monitor_test import Seen
from mqtt import (PINGREQ, PINGRESP, connect, disconnect, prop, puback, publish, suback, subscribe,
                  unhex)
from retaining import retain

OWN = brokers(None)
NEVER = 0xFFFFFFFF


def stays(broker, name, expiry=NEVER, **options):
    return broker.client(name, 5, clean=False, properties=prop(0x11, expiry), **options)


def leave(client):
    client.send(disconnect(client.version))
    client.expect_end()


# -- sessions

def leave_sessions(broker, names, expiry):
    """Makes them, each with a subscription and a will, by connections that end at once."""
    for name in names:
        client = broker.socket()
        client.send(connect(name, 5, clean=False, properties=prop(0x11, expiry),
                            will=("gone", name, 0, False, prop(0x18, NEVER))) +
                    subscribe(1, (f"mine/{name}", 1)))
        while client.next().type != 9:  # what waited for an older one of that name comes first
            pass
        leave(client)
        client.close()
        broker.clients.remove(client)


@OWN
@memory(48)
def test_34_masses_of_sessions_that_stay():
    """Thousands of sessions for ever, each costs little, others do not notice, and all are gone
    once their ids have come for the last time."""
    count, threads = 600 if sanitized() else 3000, 4
    with Broker(2, {"log.level": "notice"}) as broker:
        bystander = Bystander(broker)
        before = broker.memory()
        names = [f"mass{i}" for i in range(count)]
        done = []

        def some(number, expiry):
            leave_sessions(broker, names[number::threads], expiry)
            done.append(number)

        def all_threads(expiry):
            running = [threading.Thread(target=some, args=(n, expiry)) for n in range(threads)]
            for thread in running:
                thread.start()
            while any(thread.is_alive() for thread in running):
                bystander.well("beside a flood of sessions", 5 * time_factor())
            equal(sorted(done), list(range(threads)), "the test itself")
            done.clear()
        all_threads(NEVER)
        grown = broker.memory() - before
        check(grown < slack(count * 5000), f"{grown // count} bytes a session")
        until(lambda: broker.descriptors() < 60, "the sockets are closed")
        publisher = broker.client()
        publisher.exchange(publish("mine/mass77", "waits", 1, 1), puback(1))
        again = stays(broker, "mass77")
        equal((again.connack.present, again.next().payload), (1, b"waits"))
        again.close()
        all_threads(1)
        until(lambda: publisher.ask(publish(f"mine/{names[-1]}", "", 1, 1)).reason == 0x10,
              "the sessions have expired")
        all_threads(1)
        check(broker.memory() - before < slack(count * 5000), "what has expired is given back")
        bystander.well()


@OWN
def test_34_sessions_last_as_long_as_is_allowed():
    """Whatever a client asks for; what it is granted is told, and of 3.x too nothing is left."""
    with Guarded("[tenant.default]\nMaxSessionExpirySeconds = 2\n") as broker:
        equal(stays(broker, "asks").connack.properties[0x11], 2)
        names = [f"short{i}" for i in range(200)]
        leave_sessions(broker, names, NEVER)
        old = broker.client("old", 4, clean=False)
        old.exchange(subscribe(1, ("mine/old", 1), version=4), suback(1, 1, version=4))
        leave(old)
        publisher = broker.client()
        for name in (names[0], names[-1], "old"):
            until(lambda n=name: publisher.ask(publish(f"mine/{n}", "", 1, 1)).reason == 0x10,
                  f"the session of {name} has expired")
        equal(broker.client("old", 4, clean=False).connack.present, 0)


# -- other protocols

OTHERS = {
    "TLS 1.2 ClientHello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 505,
    "SSL 2 ClientHello": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\0" * 37,
    "HTTP/1.1": b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nX: " + b"h" * 60_000 + b"\r\n\r\n",
    "WebSocket": b"GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n"
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "WebSocket frame": b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "PROXY 1": b"PROXY TCP4 10.1.1.1 10.1.1.2 1000 1883\r\n" + connect("proxied", 4),
    "PROXY 1 without an end": b"PROXY " + b"x" * 4000,
    "PROXY 2": unhex("0d0a0d0a000d0a515549540a 2111ffff") + b"\0" * 65535 + connect("proxied", 4),
    "PROXY 2 LOCAL": unhex("0d0a0d0a000d0a515549540a 20000000") + connect("proxied", 4),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMB": unhex("00000085ff534d4272"),
    "RPC with many segments": b"\xff\xff\xff\xff" + b"\xff" * 4096,
    "zeros": b"\0" * 100_000,
}


def test_35_first_bytes_of_other_protocols(broker):
    """Not a byte in answer, the end at once, no address taken from a PROXY header; what came is not
    in the log."""
    for what, data in OTHERS.items():
        for size in (1, 12, len(data)):
            client = broker.socket()
            client.send(data[:size])
            if size > 1 or data[:1] != b"\x10":
                client.expect_end()
            client.close()
        check(broker.alive(), what)
    check(not broker.logged("10\\.1\\.1\\.1|passwd|OpenSSH|proxied"), "bytes of others in the log")


HTTP = [b"", b"G", b"GET /metrics HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nX: " + b"h" * 60_000,
        b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
        b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100_000,
        b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", b"GET //metrics/../x HTTP/1.1\r\n\r\n",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n", b"\0" * 1000,
        b"GET http://other:99999/livez HTTP/1.1\r\n\r\n", b"CONNECT other:25 HTTP/1.1\r\n\r\n"]

# A GET may have a body (RFC 9110, 9.3.1): it is answered, and the body is nobody's.
WITH_BODY = b"GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx"


@OWN
def test_38_requests_to_the_endpoint_of_the_operator():
    """Cut, endless, huge and false ones from hundreds of connections: memory is bounded, all are
    closed in time, and clients of MQTT and of the endpoint are served meanwhile."""
    with Seen() as broker:
        bystander = Bystander(broker)
        at_rest = broker.descriptors()
        links = []
        for data in (*HTTP, WITH_BODY) * 30:
            link = socket.create_connection(("127.0.0.1", broker.admin))
            link.setblocking(False)
            links.append((link, data))
            try:
                link.send(data)
            except (BlockingIOError, ConnectionError):
                pass
        bystander.well("beside a flood of requests", 5)
        equal(broker.http("/livez"), (200, "ok\n"))
        until(lambda: broker.descriptors() <= at_rest, "what is idle is closed", 30)
        for link, data in links:
            try:
                answer = link.recv(100)
                check(answer[9:12] != b"200" or data == WITH_BODY,
                      f"an answer to what is no request: {answer}")
            except ConnectionError:
                pass
            link.close()
        bystander.well()


# -- clocks

SHIM = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
/* Steps of the wall clock alone: seconds in the file $WALL_STEP. */
int clock_gettime(clockid_t clock, struct timespec* now) {
  static int (*real)(clockid_t, struct timespec*);
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "clock_gettime");
  int status = real(clock, now);
  FILE* file = clock == CLOCK_REALTIME ? fopen(getenv("WALL_STEP"), "r") : NULL;
  long step = 0;
  if (file) {
    if (fscanf(file, "%ld", &step) == 1) now->tv_sec += step;
    fclose(file);
  }
  return status;
}
"""


class WallClock:
    """A node's wall clock that can be stepped: a library put before libc."""

    def __init__(self, place):
        self.file = os.path.join(place, "step")
        self.library = os.path.join(place, "wall.so")
        self.step(0)
        subprocess.run([have("c++"), "-x", "c", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o",
                        self.library, "-", "-ldl"], input=SHIM.encode(), check=True)

    def step(self, seconds):
        with open(self.file + ".new", "w", encoding="ascii") as file:
            file.write(str(seconds))
        os.replace(self.file + ".new", self.file)

    def broker(self, data):
        os.environ.update(LD_PRELOAD=self.library, WALL_STEP=self.file)
        options = os.environ.get("ASAN_OPTIONS", "")
        if sanitized():  # ASan wants to be the first library
            os.environ["ASAN_OPTIONS"] = options + ":verify_asan_link_order=0"
        try:
            return Broker(2, {"node.data_dir": data})
        finally:
            for name in ("LD_PRELOAD", "WALL_STEP"):
                del os.environ[name]
            if options or sanitized():
                os.environ["ASAN_OPTIONS"] = options


DAY = 86_400


@OWN
def test_41_the_wall_clock_steps():
    """A day ahead, and a day back: nothing expires early, nothing late, nobody is put out."""
    with folder() as place:
        clock = WallClock(place)
        with clock.broker(place + "/data") as broker:
            busy = broker.client("busy", 5, keep_alive=2)
            watcher = broker.subscriber(("will/#", 0))
            publisher = broker.client()
            for step in (DAY, -DAY, 0):
                leave_sessions(broker, ["long"], 3600)
                leave_sessions(broker, ["short"], 1)
                dying = stays(broker, "dying", 3600,
                              will=("will/dying", "x", 0, False, prop(0x18, 1)))
                publisher.exchange(publish("mine/long", "x", 1, 1, properties=prop(0x02, 3600)),
                                   puback(1))
                retain(publisher, "kept", str(step), properties=prop(0x02, 3600))
                dying.reset()
                started = time.monotonic()
                clock.step(step)
                watcher.expect(publish("will/dying", "x"))
                check(0.8 < time.monotonic() - started < 5, "the will's delay")
                busy.exchange(PINGREQ, PINGRESP)
                until(lambda: publisher.ask(publish("mine/short", "", 1, 1)).reason == 0x10,
                      "a session of 1 s has expired", 5)
                busy.exchange(PINGREQ, PINGRESP)
                back = stays(broker, "long")
                equal((back.connack.present, back.next().payload), (1, b"x"))
                left = back_to(broker, "kept").properties[0x02]
                check(3590 <= left <= 3600, f"{left} s left of 3600")
                back.close()


def back_to(broker, topic):
    """What is retained there."""
    return broker.subscriber(topic).next()


@OWN
def test_41_the_wall_clock_is_back_at_the_next_start():
    """A node that starts with a clock a day behind has all it had, and goes on counting."""
    with folder() as place:
        clock = WallClock(place)
        with clock.broker(place + "/data") as broker:
            leave_sessions(broker, ["long"], 3600)
            broker.client().exchange(publish("mine/long", "x", 1, 1), puback(1))
            retain(broker.client(), "kept", "x")
        clock.step(-DAY)
        with clock.broker(place + "/data") as broker:
            equal(back_to(broker, "kept").payload, b"x")
            back = stays(broker, "long", 2)
            equal((back.connack.present, back.next().payload), (1, b"x"))
            leave(back)
            publisher = broker.client()
            until(lambda: publisher.ask(publish("mine/long", "", 1, 1)).reason == 0x10,
                  "a session of 2 s has expired", 8)


if __name__ == "__main__":
    sys.exit(main(globals()))
