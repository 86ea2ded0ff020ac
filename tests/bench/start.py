"""What a million retained messages, or routes of persistent sessions, cost: memory, disk, a start.

    python3 tests/bench/start.py build/skald [--retained 1000000] [--routes 1000000] [--bytes 32]

Everything goes in through clients, QoS 1. Prints one line for each step.
"""
import argparse
import multiprocessing
import signal
import struct
import sys
import tempfile
import time

from queues import Node, dial, frame, publish_all, text, used_mb

PER_SESSION, PER_SUBSCRIBE = 10_000, 500


def put_retained(port, worker, workers, count, size):
    acked = multiprocessing.Value("q", 0)
    topics = [(f"site/{i % 1000}/device/{i}", b"x" * size)
              for i in range(worker, count, workers)]
    publish_all(port, f"put{worker}", topics, 500, acked, 0x33)


def put_routes(port, worker, workers, sessions):
    for i in range(worker, sessions, workers):
        s, _ = dial(port, f"sub{i}", False)
        for first in range(0, PER_SESSION, PER_SUBSCRIBE):
            filters = b"".join(text(f"site/{i}/+/{n}") + b"\1"
                               for n in range(first, first + PER_SUBSCRIBE))
            s.sendall(frame(0x82, struct.pack(">H", first // PER_SUBSCRIBE + 1) + filters))
            got = b""
            while len(got) < 5 + PER_SUBSCRIBE:
                got += s.recv(4096)
            if got[5:] != b"\1" * PER_SUBSCRIBE:
                sys.exit("SUBACK")
        s.sendall(b"\xe0\0")
        s.close()


def measure(program, what, count, put, *arguments):
    with tempfile.TemporaryDirectory(prefix="skald-start-") as folder:
        settings = {"SKALD_MQTT__MAX_RETAINED_MESSAGES": str(2 * count)}
        node = Node(program, folder + "/data", settings)
        node.start()
        empty, begun, cpu = node.memory_mb(), time.monotonic(), node.cpu()
        workers = [multiprocessing.Process(target=put, args=(node.port, w, 2, *arguments))
                   for w in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            if worker.exitcode:
                sys.exit("a client failed")
        took = time.monotonic() - begun
        print(f"{count} {what}: {count / took:.0f}/s, "
              f"{(node.cpu() - cpu) / count * 1e6:.1f} us CPU each, {node.memory_mb():.0f} MB "
              f"({empty:.0f} empty), disk {used_mb(folder)[0]:.0f} MB")
        time.sleep(12)
        print(f"  quiet: {node.memory_mb():.0f} MB, disk {used_mb(folder)[0]:.0f} MB")
        node.end(signal.SIGKILL)
        print(f"  start after kill -9: {node.start():.2f} s, {node.memory_mb():.0f} MB")
        print(f"  stop: {node.end():.2f} s")
        took = node.start()
        memory = node.memory_mb()
        print(f"  start after a stop: {took:.2f} s ({took / count * 1e6:.2f} us each), "
              f"{memory:.0f} MB ({(memory - empty) * 1048576 / count:.0f} bytes each)")
        node.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--retained", type=int, default=1_000_000)
    parser.add_argument("--routes", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=32)
    arguments = parser.parse_args()
    if arguments.retained:
        measure(arguments.program, "retained messages", arguments.retained, put_retained,
                arguments.retained, arguments.bytes)
    if arguments.routes:
        sessions = arguments.routes // PER_SESSION
        measure(arguments.program, "routes", sessions * PER_SESSION, put_routes, sessions)


if __name__ == "__main__":
    main()
