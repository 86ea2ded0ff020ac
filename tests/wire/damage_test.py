"""A data directory that cannot be what was acknowledged: the node refuses to start, with exit
code 1 and a message that names the file and the choices."""
import os
import re
import shutil
import signal
import subprocess
import sys

import harness
from harness import Broker, brokers, check, equal, folder, main
from mqtt import disconnect, publish, suback, subscribe

OWN = brokers(None)
COUNT = 1500


def load(data, end):
    """Queued and retained messages, all acknowledged, by a node that then goes `end`."""
    broker = Broker(env={"node.data_dir": data, "mqtt.max_queued_messages": 100_000})
    keeper = broker.client("keeper", 4, clean=False)
    keeper.exchange(subscribe(1, ("kept/#", 1), version=4), suback(1, 1, version=4))
    keeper.send(disconnect(4))
    keeper.expect_end()
    writer = broker.client("writer", 4)
    for number in range(COUNT):
        payload = os.urandom(100) + str(number).encode()
        writer.send(publish(f"kept/{number}", payload, 1, number + 1, 4, retain=number % 3 == 0))
        answer = writer.next()
        equal((answer.type, answer.packet_id), (4, number + 1))
    broker.process.send_signal(end)
    broker.ended()


def starts(data):
    broker = Broker(env={"node.data_dir": data})
    keeper = broker.client("keeper", 4, clean=False)
    equal(keeper.connack.present, 1)
    equal(keeper.next().topic, "kept/0")
    equal(broker.stop(), 0)


def refused(data, *words, choices="Choices: "):
    settings = {k: v for k, v in os.environ.items() if not k.startswith("SKALD_")}
    settings["SKALD_NODE__DATA_DIR"] = data
    ended = subprocess.run([harness.NODE, "node", "--port", "0"], env=settings, text=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60,
                           check=False)
    equal(ended.returncode, 1, f"exit code; it said {ended.stderr}")
    for word in (*words, choices):
        check(word in ended.stderr, f"{word!r} is not in {ended.stderr!r}")
    check("listens" not in ended.stderr, "it listened")


def named(path, pattern):
    """The largest file of that kind."""
    found = [f"{path}/{name}" for name in os.listdir(path) if re.search(pattern, name)]
    check(found, f"no {pattern} in {path}: {os.listdir(path)}")
    return max(found, key=os.path.getsize)


def flip(path, part=0.5):
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        file.seek(int(size * part))
        byte = file.read(1)[0]
        file.seek(int(size * part))
        file.write(bytes([byte ^ 0x10]))


def copies(data, scratch):
    """A fresh copy each time."""
    number = 0
    while True:
        number += 1
        copy = f"{scratch}/copy{number}"
        shutil.copytree(data, copy)
        yield copy


@OWN
def test_after_kill():
    """What kill -9 leaves is the log; a bit of it flipped, or part of it gone, is no torn tail."""
    with folder() as scratch:
        data = scratch + "/data"
        load(data, signal.SIGKILL)
        fresh = copies(data, scratch)
        starts(next(fresh))
        for part in (0.1, 0.5, 0.9):
            copy = next(fresh)
            log = named(copy + "/log", r"\.log$")
            flip(log, part)
            refused(copy, log)
        copy = next(fresh)
        os.remove(named(copy + "/log", r"\.log$"))
        refused(copy, copy + "/log")
        copy = next(fresh)
        log = named(copy + "/log", r"\.log$")
        os.truncate(log, os.path.getsize(log) // 2)
        refused(copy, copy + "/log", "was synced")


@OWN
def test_after_stop():
    """What a clean stop leaves are tables."""
    with folder() as scratch:
        data = scratch + "/data"
        load(data, signal.SIGTERM)
        fresh = copies(data, scratch)
        starts(next(fresh))
        for store in ("inbox", "retain"):
            place = f"/stores/{store}"
            copy = next(fresh)
            table = named(copy + place, r"\.ldb$")
            flip(table)
            refused(copy, copy + place, os.path.basename(table))
            copy = next(fresh)
            table = named(copy + place, r"\.ldb$")
            os.remove(table)
            refused(copy, copy + place, os.path.basename(table))
            copy = next(fresh)
            flip(named(copy + place, "^MANIFEST"), 0.3)
            refused(copy, copy + place + "/MANIFEST")
            copy = next(fresh)
            os.remove(named(copy + place, "^MANIFEST"))
            refused(copy, copy + place, "MANIFEST")


@OWN
def test_missing_parts():
    with folder() as scratch:
        data = scratch + "/data"
        load(data, signal.SIGTERM)
        fresh = copies(data, scratch)
        for gone in ("/log/CURRENT", "/stores/inbox/CURRENT", "/NODE", "/FORMAT", "/log.synced"):
            copy = next(fresh)
            os.remove(copy + gone)
            refused(copy, copy + gone)
        for gone in ("/stores/dist", "/stores/inbox", "/stores/retain", "/stores", "/log"):
            copy = next(fresh)
            shutil.rmtree(copy + gone)
            refused(copy, copy + gone)


@OWN
def test_formats():
    """A later release's directory is refused, and a damaged word about it."""
    with folder() as scratch:
        data = scratch + "/data"
        load(data, signal.SIGTERM)
        fresh = copies(data, scratch)
        copy = next(fresh)
        with open(copy + "/FORMAT", "r+", encoding="ascii") as file:
            text = file.read()
            file.seek(0)
            file.write(text.replace("skald-data-directory 1", "skald-data-directory 2"))
        refused(copy, copy + "/FORMAT", "format 2")
        for name in ("/FORMAT", "/NODE"):
            copy = next(fresh)
            flip(copy + name, 0.6)
            refused(copy, copy + name)


if __name__ == "__main__":
    sys.exit(main(globals()))
