"""Writes the history that tests/chaos/checker reads; the format is defined in its history.h."""

import time
import zlib


def now_us():
    return time.monotonic_ns() // 1000


def escape(text):
    out = []
    for char in text:
        if char <= " " or char in "\x7f%":
            out.append("%%%02x" % ord(char))
        else:
            out.append(char)
    return "".join(out)


class History:
    """One file of one process. Numbers of connections and messages are unique within it.

    `acked` counts the operations that the broker answered with success; by kind, a retained write
    counts once more.
    """

    def __init__(self, path, first_number=1):
        self._file = open(path, "w", encoding="utf-8", buffering=1 << 20)
        self.write = self._file.write
        self.path = path
        self.acked = 0
        self.acked_by_kind = {}
        self._message = first_number
        self._connection = first_number

    def log(self, text):
        self.write("%d %s\n" % (now_us(), text))

    def ack(self, kind, n=1):
        self.acked += n
        self.acked_by_kind[kind] = self.acked_by_kind.get(kind, 0) + 1

    def new_message(self):
        self._message += 1
        return self._message - 1

    def new_connection(self):
        self._connection += 1
        return self._connection - 1

    def close(self):
        self._file.close()


def make_payload(message, padding=b""):
    """The message number, padding and a checksum, so that no damage goes unseen."""
    body = b"%d %s" % (message, padding)
    return b"%s %08x" % (body, zlib.crc32(body))


def read_payload(payload):
    """The message number, or 0 for a payload that no driver made."""
    body, _, checksum = payload.rpartition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(body):
            return 0
        return int(body.partition(b" ")[0])
    except ValueError:
        return 0
