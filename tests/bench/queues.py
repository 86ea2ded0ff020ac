"""Queues of offline sessions: filled, drained in order with none lost, and the disk's space back.

    python3 tests/bench/queues.py build/skald [--sessions 100] [--messages 10000] [--bytes 100]

Prints the fill rate, the drain rate by tenths of each queue (the last within 20 % of the first, or
it fails), what the data directory takes before, full and a minute after, and how long a start with
full queues takes. The clients are Python: rates are theirs when the node is faster.
"""
import argparse
import json
import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time


class Node:
    def __init__(self, program, folder, settings):
        self.program, self.folder, self.settings = program, folder, settings
        self.process = None

    def start(self):
        """Seconds until it listens."""
        begun = time.monotonic()
        settings = {k: v for k, v in os.environ.items() if not k.startswith("SKALD_")}
        settings.update(self.settings)
        settings["SKALD_NODE__DATA_DIR"] = self.folder
        settings["SKALD_LOG__LEVEL"] = "info"
        self.process = subprocess.Popen([self.program, "node", "--port", "0"], env=settings,
                                        stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if " listens on " in line:
                self.port = int(line.split(" listens on ")[1].split(" ")[0].rsplit(":", 1)[1])
                break
        else:
            sys.exit("the node does not start")
        took = time.monotonic() - begun
        self.drain = multiprocessing.Process(target=self.forward, daemon=True)
        self.drain.start()
        return took

    def forward(self):
        for line in self.process.stderr:
            if " info New " not in line and " info Client " not in line:
                sys.stdout.write("  | " + line)
                sys.stdout.flush()

    def end(self, how=signal.SIGTERM):
        begun = time.monotonic()
        self.process.send_signal(how)
        code = self.process.wait()
        self.drain.join()
        if how == signal.SIGTERM and code != 0:
            sys.exit(f"exit code {code}")
        return time.monotonic() - begun

    def memory_mb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used_mb(folder):
    total, parts = 0, {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                size = os.stat(os.path.join(place, name)).st_blocks * 512
            except OSError:
                continue
            total += size
            part = os.path.relpath(place, folder)
            parts[part] = parts.get(part, 0) + size
    return total / 1e6, {k: round(v / 1e6, 1) for k, v in parts.items() if v > 1e5}


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def frame(first, body):
    return bytes([first]) + varint(len(body)) + body


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


def dial(port, name, clean):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.settimeout(60)
    s.sendall(frame(0x10, text("MQTT") + bytes([4, 2 if clean else 0]) + b"\0\0" + text(name)))
    answer = s.recv(4)
    if len(answer) != 4 or answer[3] != 0:
        sys.exit(f"CONNACK {answer.hex()}")
    return s, answer[2]


def publish_all(port, name, topics, window, acked, first=0x32):
    """`topics`: (topic, payload) in order, QoS 1; acked[0] counts."""
    s, _ = dial(port, name, True)
    sent = got = 0
    data = b""
    total = len(topics)
    while got < total:
        out = []
        while sent < total and sent - got < window and len(out) < 64:
            topic, payload = topics[sent]
            out.append(frame(first, text(topic) + struct.pack(">H", sent % 65535 + 1) + payload))
            sent += 1
        if out:
            s.sendall(b"".join(out))
            if sent - got < window and sent < total:
                continue
        data += s.recv(1 << 16)
        whole = len(data) // 4
        for i in range(whole):
            if data[4 * i] != 0x40:
                sys.exit(f"no PUBACK: {data[:8].hex()}")
        data = data[4 * whole:]
        got += whole
        acked.value += whole
    s.close()


def filler(arguments, port, worker, workers, acked):
    topics = [(f"q/{i}", struct.pack(">I", m).ljust(arguments.bytes, b"x"))
              for m in range(arguments.messages)
              for i in range(worker, arguments.sessions, workers)]
    publish_all(port, f"fill{worker}", topics, 500, acked)


def take_queue(port, name, messages):
    """Connects and takes `messages`: when each tenth was there, in seconds since CONNECT."""
    begun = time.monotonic()
    s, present = dial(port, name, False)
    if not present:
        sys.exit(f"{name}: the session is gone")
    tenths, wanted, data = [], 0, b""
    while wanted < messages:
        data += s.recv(1 << 18)
        at, acks = 0, []
        while at + 2 <= len(data):
            size, shift, p = 0, 0, at + 1
            while p < len(data):
                size |= (data[p] & 127) << shift
                shift += 7
                p += 1
                if data[p - 1] < 128:
                    break
            else:
                break
            if p + size > len(data):
                break
            topic = struct.unpack_from(">H", data, p)[0]
            number = struct.unpack_from(">I", data, p + 4 + topic)[0]
            if number != wanted or data[at] & 0xF6 != 0x32:
                sys.exit(f"{name}: message {number} (first byte {data[at]:02x}), not {wanted}")
            wanted += 1
            if wanted * 10 % messages == 0:
                tenths.append(time.monotonic() - begun)
            acks.append(b"\x40\x02" + data[p + 2 + topic:p + 4 + topic])
            at = p + size
        data = data[at:]
        s.sendall(b"".join(acks))
    s.sendall(b"\xc0\0")  # answered behind the acks
    if s.recv(2) != b"\xd0\0":
        sys.exit(f"{name}: more than was sent")
    s.sendall(b"\xe0\0")
    s.close()
    return tenths


def drainer(arguments, port, worker, workers, results):
    sums = [0.0] * 10
    for i in range(worker, arguments.sessions, workers):
        before = 0.0
        for tenth, at in enumerate(take_queue(port, f"sub{i}", arguments.messages)):
            sums[tenth] += at - before
            before = at
    results.put(sums)


def in_parallel(target, arguments, port, extra):
    workers = [multiprocessing.Process(target=target,
                                       args=(arguments, port, w, arguments.workers, extra[w]))
               for w in range(arguments.workers)]
    for worker in workers:
        worker.start()
    return workers


def joined(workers):
    for worker in workers:
        worker.join()
        if worker.exitcode:
            sys.exit("a client failed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--messages", type=int, default=10000)
    parser.add_argument("--bytes", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="skald-queues-") as folder:
        node = Node(arguments.program, folder + "/data",
                    {"SKALD_MQTT__MAX_QUEUED_MESSAGES": str(arguments.messages),
                     "SKALD_MQTT__MAX_QUEUED_BYTES": str(1 << 30)})
        print(f"start, empty: {node.start():.2f} s, {node.memory_mb():.0f} MB")
        for i in range(arguments.sessions):
            s, _ = dial(node.port, f"sub{i}", False)
            s.sendall(frame(0x82, b"\0\1" + text(f"q/{i}") + b"\1"))
            if s.recv(5)[-1] != 1:
                sys.exit("SUBACK")
            s.sendall(b"\xe0\0")
            s.close()
        before, _ = used_mb(folder)
        total = arguments.sessions * arguments.messages
        counts = [multiprocessing.Value("q", 0) for _ in range(arguments.workers)]
        begun, cpu, tenths = time.monotonic(), node.cpu(), []
        peak = 0.0
        workers = in_parallel(filler, arguments, node.port, counts)
        while any(w.is_alive() for w in workers):
            time.sleep(0.02)
            if sum(c.value for c in counts) >= total * (len(tenths) + 1) / 10:
                tenths.append(time.monotonic() - begun)
                peak = max(peak, used_mb(folder)[0])
        joined(workers)
        took = time.monotonic() - begun
        rates = [total / 10 / (b - a) for a, b in zip([0] + tenths, tenths)]
        full, parts = used_mb(folder)
        print(f"fill: {total / took:.0f}/s, tenths {[round(r) for r in rates]}, "
              f"{(node.cpu() - cpu) / total * 1e6:.1f} us CPU a message, "
              f"{node.memory_mb():.0f} MB resident, disk {before:.0f} -> {full:.0f} MB "
              f"(at most {peak:.0f}) {json.dumps(parts)}")
        print(f"stop: {node.end():.2f} s; start, full: {node.start():.2f} s, "
              f"{node.memory_mb():.0f} MB")
        results = multiprocessing.Queue()
        begun, cpu = time.monotonic(), node.cpu()
        workers = in_parallel(drainer, arguments, node.port, [results] * arguments.workers)
        sums = [0.0] * 10
        for _ in workers:
            sums = [a + b for a, b in zip(sums, results.get())]
        joined(workers)
        took = time.monotonic() - begun
        rates = [total / 10 / one * arguments.workers for one in sums]
        print(f"drain: {total / took:.0f}/s, tenths of a queue {[round(r) for r in rates]}, "
              f"{(node.cpu() - cpu) / total * 1e6:.1f} us CPU a message, "
              f"{node.memory_mb():.0f} MB, disk {used_mb(folder)[0]:.0f} MB")
        for seconds in (10, 20, 30, 60):
            time.sleep(seconds - (time.monotonic() - begun - took))
            print(f"  after {seconds} s: disk {used_mb(folder)[0]:.1f} MB {used_mb(folder)[1]}")
            if used_mb(folder)[0] < before + 10:
                break
        print(f"stop: {node.end():.2f} s; start, drained: {node.start():.2f} s, "
              f"{node.memory_mb():.0f} MB")
        node.end()
        bad = rates[9] < 0.8 * rates[0] or used_mb(folder)[0] > before + 20
        print("FAILED" if bad else "passed")
        return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
