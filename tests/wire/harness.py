"""Runs test cases against a real node: `python3 <file> <skald> [WORD]`, the cases being the
functions test_* of the file. Prints `N passed, N failed, N skipped` last; WORD picks cases by name.

A case takes a Broker. @brokers says which configurations it runs on, each one a test of its own.
What the node's memory peaks at during each case is printed, and bounded: see @memory.
"""
import functools
import mmap
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from mqtt import (PATIENCE, PINGREQ, PINGRESP, Client, WireError, connect, publish, suback,
                  subscribe)

NODE = None  # the program under test
MB = 1 << 20
MEMORY = 32 * MB  # that the peak of a node's memory may be above what it was before a case


class Skip(Exception):
    """What a case needs is not there."""


def check(condition, what):
    if not condition:
        raise WireError(what)


def equal(got, wanted, what=""):
    check(got == wanted, f"{what}: got {got!r}, expected {wanted!r}")


def until(condition, what, patience=PATIENCE):
    """Polls for something that the broker does not announce on a socket."""
    deadline = time.monotonic() + patience
    while not condition():
        check(time.monotonic() < deadline, f"not within {patience} s: {what}")
        time.sleep(0.01)


@functools.cache
def sanitized():
    with open(NODE, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(b"__asan_init") >= 0


def slack(bytes_allowed):
    """What memory may grow by. ASan keeps up to 256 MB of what was freed in its quarantine, puts
    red zones around blocks, and a byte of shadow beside every 8: there a bound shows only what
    grows without one. The exact bounds are those of an ordinary build."""
    return bytes_allowed * 4 + 320 * MB if sanitized() else bytes_allowed


def time_factor():
    """Instructions take several times as long under ASan."""
    return 5 if sanitized() else 1


class Broker:
    """A node of its own process on a free port of loopback."""

    started = []  # what a failing case may leave behind

    def __init__(self, loops=2, env=None, arguments=(), descriptors=None):
        self.clients, self.log = [], []
        settings = {k: v for k, v in os.environ.items() if not k.startswith("SKALD_")}
        settings["SKALD_NODE__LOOPS"] = str(loops)
        settings["SKALD_LOG__LEVEL"] = "info"
        for key, value in (env or {}).items():
            settings["SKALD_" + key.upper().replace(".", "__")] = str(value)

        command = [NODE, "node", *(arguments or ("--port", "0"))]
        if descriptors:
            command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
        if shutil.which("setpriv"):  # a runner that is killed leaves no node behind
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        self.process = subprocess.Popen(command, env=settings, stderr=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, text=True,
                                        errors="surrogateescape")
        self.pid = self.process.pid
        Broker.started.append(self)
        self.port = None
        self.listening = threading.Event()
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        if not self.listening.wait(PATIENCE * 2) or self.port is None:
            self.stop()
            raise WireError("the node does not start: " + "".join(self.log[-5:]))
        self.costs = Costs(self)

    def read_log(self):
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"listens on [\d.:a-f]+:(\d+) ", line)
            if found:
                self.port = int(found.group(1))
                self.listening.set()
        self.listening.set()

    def socket(self, version=5, **options):
        client = Client(self.port, version, **options)
        self.clients.append(client)
        return client

    def client(self, name="", version=5, **options):
        """A client whose CONNECT was accepted; its CONNACK is in `connack`."""
        client = self.socket(version)
        client.name = name
        client.send(connect(name, version, **options))
        client.connack = client.next()
        equal((client.connack.type, client.connack.reason), (2, 0), "CONNACK")
        return client

    def subscriber(self, *filters, version=5, name="", properties=b"", **options):
        client = self.client(name, version, **options)
        wanted = suback(1, *[(f[1] & 3 if isinstance(f, tuple) else 0) for f in filters],
                        version=version)
        client.send(subscribe(1, *filters, version=version, properties=properties))
        early = []  # what is live may come before the ack [MQTT-3.8.4]
        while (got := client.receive()) is not None and got[0] >> 4 == 3:
            early.append(got)
        check(got == wanted, f"SUBACK: got {got}")
        client.data = bytearray(b"".join(early)) + client.data
        return client

    def forget_clients(self):
        for client in self.clients:
            client.close()
        self.clients = []

    def status(self, field):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            found = re.search(rf"{field}:\s+(\d+)", status.read())
        check(found, "the node has ended")
        return int(found.group(1)) * 1024

    def memory(self):
        """Resident bytes."""
        return self.status("VmRSS")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def logged(self, pattern):
        return [line for line in self.log if re.search(pattern, line)]

    def accusation(self):
        """What a sanitizer said."""
        for at, line in enumerate(self.log):
            if re.search(r"runtime error:|ERROR: \w+Sanitizer", line):
                return "".join(self.log[at:at + 25])
        return ""

    def wait_for_log(self, pattern):
        until(lambda: self.logged(pattern), f"a log line with {pattern}")

    def alive(self):
        return self.process.poll() is None

    def stop(self, patience=PATIENCE):
        """SIGTERM; the exit code."""
        if self.alive() and getattr(self, "costs", None):
            self.costs.note()
        self.forget_clients()
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.ended(patience)

    def ended(self, patience=PATIENCE):
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.reader.join(PATIENCE)
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        code = self.stop()
        if kind is None:
            equal(code, 0, "exit code after SIGTERM")


def brokers(*configurations):
    """The case runs once on each: a number of loops, or None for a case that starts its own."""
    def mark(function):
        function.configurations = configurations
        return function
    return mark


def memory(megabytes):
    """What a node may need for the case more than before it, at its peak."""
    def mark(function):
        function.memory = megabytes * MB
        return function
    return mark


class Bystander:
    """A client that has nothing to do with a case and must not notice it."""

    def __init__(self, broker):
        self.client = broker.subscriber("bystander", name="bystander")
        broker.clients.remove(self.client)
        self.count = 0

    def well(self, what="the bystander", patience=PATIENCE):
        self.count += 1
        payload = str(self.count).encode()
        self.client.send(publish("bystander", payload), PINGREQ)
        wanted = [publish("bystander", payload), PINGRESP]
        got = [self.client.receive(patience), self.client.receive(patience)]
        check(sorted(got) == sorted(wanted), f"{what} is disturbed: {got}")


class Costs:
    """What cases cost a node: memory, and for tests/conformance also how long a client that pings
    all the time waits."""

    notes = []  # of the nodes of a case

    def __init__(self, broker):
        self.broker, self.refused = broker, "SKALD_WIRE_COSTS" not in os.environ
        self.reset()
        if not self.refused:
            threading.Thread(target=self.ping, daemon=True).start()

    def reset(self):
        try:
            with open(f"/proc/{self.broker.pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5")  # the peak begins anew
        except OSError:
            pass  # where that is not allowed it is the peak since the start: more, never less
        self.before, self.longest = self.broker.memory(), 0.0

    def ping(self):
        client = Client(self.broker.port, 4)
        client.send(connect("pings", 4))
        if client.receive() != b"\x20\x02\0\0":
            self.refused = True  # where users are configured
            return
        try:
            while True:
                started = time.monotonic()
                client.exchange(PINGREQ, PINGRESP)
                self.longest = max(self.longest, time.monotonic() - started)
                time.sleep(0.02)
        except (WireError, OSError):
            client.close()  # the node is gone

    def note(self):
        try:
            peak = self.broker.status("VmHWM")
        except (WireError, OSError):
            return  # it has ended, which the case tells
        longest = -1 if self.refused else self.longest * 1000
        Costs.notes.append((peak, max(0, peak - self.before), longest))

    @classmethod
    def take(cls, case, name, limit):
        """Prints the worst of the case's nodes; whether it is within `limit`."""
        notes, cls.notes = cls.notes, []
        # No note: a case whose nodes do not start.
        peak, growth, longest = map(max, zip(*notes or [(0, 0, -1)]))
        if notes:
            print(f"{name}: peak {peak / MB:.1f} MB, {growth / MB:.1f} more of "
                  f"{slack(limit) / MB:.0f}")
        if "SKALD_WIRE_COSTS" in os.environ:
            with open(os.environ["SKALD_WIRE_COSTS"], "a", encoding="ascii") as file:
                file.write(f"{case} {peak} {growth} {limit} {longest:.1f}\n")
        return growth <= slack(limit)


class Runner:
    def __init__(self):
        self.shared, self.bystanders = {}, {}
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def broker(self, loops):
        if loops not in self.shared or not self.shared[loops].alive():
            self.shared[loops] = Broker(loops)
            self.bystanders[loops] = Bystander(self.shared[loops])
        return self.shared[loops]

    def run(self, name, function, loops):
        broker = None
        started = time.monotonic()
        try:
            if loops is None:
                function()
            else:
                broker = self.broker(loops)
                broker.costs.reset()
                function(broker)
                broker.costs.note()
                broker.forget_clients()
                self.bystanders[loops].well()
            outcome = "passed"
        except Skip as why:
            print(f"skipped {name}: {why}")
            outcome = "skipped"
        except Exception:  # noqa: BLE001: a case may fail in any way
            print(f"failed {name}")
            traceback.print_exc(limit=-6, file=sys.stdout)
            if broker:
                print("log: " + "     ".join(broker.log[-5:]))
            outcome = "failed"
        if broker:
            broker.forget_clients()
            if not broker.alive():
                print(f"the node is dead after {name}: {broker.ended()}\n{broker.accusation()}")
                outcome = "failed"
        for left in [b for b in Broker.started if b not in self.shared.values()]:
            left.stop()
            print(left.accusation(), end="")
            Broker.started.remove(left)
        file = os.path.basename(sys.argv[0]).removesuffix("_test.py")
        limit = getattr(function, "memory", MEMORY)
        if not Costs.take(f"wire {file}: {name.split(' ')[0]}", name, limit):
            print(f"failed {name}: too much memory")
            outcome = "failed"
        took = time.monotonic() - started
        if took > 2:
            print(f"{took:.1f} s {name}")
        self.counts[outcome] += 1
        sys.stdout.flush()

    def finish(self):
        for loops, broker in self.shared.items():
            code = broker.stop()
            if code != 0:
                print(f"failed: the node with {loops} loops ended with {code}")
                print(broker.accusation() or "".join(broker.log[-20:]))
                self.counts["failed"] += 1


def main(cases):
    global NODE
    NODE = os.path.abspath(sys.argv[1])
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    runner = Runner()
    for name, function in list(cases.items()):
        if not name.startswith("test_") or word not in name:
            continue
        for loops in getattr(function, "configurations", (2,)):
            suffix = "" if loops is None else f" ({loops} loops)"
            runner.run(name[5:] + suffix, function, loops)
    runner.finish()
    counts = runner.counts
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


def have(program):
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not path:
        raise Skip(f"{program} is not installed")
    return path


def folder():
    return tempfile.TemporaryDirectory(prefix="skald-wire-")


__all__ = ["Broker", "Bystander", "Client", "MB", "PATIENCE", "Skip", "WireError", "brokers",
           "check", "equal", "folder", "have", "main", "memory", "sanitized", "slack",
           "time_factor", "until"]
