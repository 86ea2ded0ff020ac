"""100,000 retained messages: a subscription to # gets them all, and what a one-to-one probe waits
for meanwhile; how long a start with them takes.

    tests/bench/retained.py build/skald [count]
"""
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time


def packet(first, body):
    length, out = len(body), b""
    while True:
        length, digit = length >> 7, length & 127
        out += bytes([digit | (128 if length else 0)])
        if not length:
            return bytes([first]) + out + body


def text(value):
    return struct.pack(">H", len(value)) + value


def connect(port, name):
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(packet(0x10, text(b"MQTT") + bytes([4, 2]) + struct.pack(">H", 0) + text(name)))
    assert client.recv(4)[3] == 0
    return client


def start(program, data):
    began = time.monotonic()
    node = subprocess.Popen([program, "node", "--port", "0", "--data", data],
                            stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "SKALD_LOG__LEVEL": "info"})
    for line in node.stderr:
        found = re.search(r"listens on [\d.]+:(\d+) ", line)
        if found:
            return node, int(found.group(1)), time.monotonic() - began
    raise SystemExit("the node does not start")


def fill(port, count):
    client = connect(port, b"filler")
    began, window = time.monotonic(), 1000
    for first in range(0, count, window):
        number = min(window, count - first)
        client.sendall(b"".join(
            packet(0x33, text(b"retained/%d/%d" % (i % 1000, i)) +
                   struct.pack(">H", 1 + i - first) + b"x" * 64)
            for i in range(first, first + number)))
        left = 4 * number
        while left:
            left -= len(client.recv(left))
    client.close()
    return count / (time.monotonic() - began)


def take_all(port, count):
    """Reads what # gets; returns how many came and how long it took."""
    client = connect(port, b"taker")
    client.sendall(packet(0x82, struct.pack(">H", 1) + text(b"#") + b"\x00"))
    began, data, got = time.monotonic(), b"", 0
    client.settimeout(20)
    while got < count:
        data += client.recv(1 << 18)
        at = 0
        while at + 2 <= len(data):
            size, shift, head = 0, 0, at + 1
            while head < len(data):
                size |= (data[head] & 127) << shift
                shift += 7
                head += 1
                if data[head - 1] < 128:
                    break
            if head + size > len(data):
                break
            got += data[at] == 0x31  # PUBLISH with RETAIN
            at = head + size
        data = data[at:]
    client.close()
    return got, time.monotonic() - began


def main():
    program = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    with tempfile.TemporaryDirectory() as data:
        node, port, _ = start(program, data)
        print(f"stored {count} retained messages, QoS 1: {fill(port, count):.0f}/s")
        probe = subprocess.Popen(
            [program, "bench", "pair", "-n", "1", "-q", "1", "-r", "500", "-d", "4", "--quiet",
             "-p", str(port), "-t", "probe/%i"], stdout=subprocess.PIPE, text=True)
        time.sleep(1.0)  # the probe is under way; it measures for seconds
        got, took = take_all(port, count)
        print(f"# got {got} of {count} in {took:.2f} s")
        for line in probe.communicate()[0].splitlines():
            if line.startswith(("delivery", "checks")):
                print("probe", line)
        node.send_signal(signal.SIGKILL)
        node.wait()
        node, port, seconds = start(program, data)
        print(f"started again after kill -9 in {seconds:.2f} s")
        got, took = take_all(port, count)
        print(f"# got {got} of {count} in {took:.2f} s")
        with open(f"/proc/{node.pid}/status", encoding="ascii") as status:
            print(re.search(r"VmRSS:\s+(.*)", status.read()).group(0))
        node.terminate()
        node.wait()


main()
