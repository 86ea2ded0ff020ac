"""MQTT packets as bytes, and a client that is nothing but a socket: what goes out and what comes in
is compared byte by byte. It never answers by itself.

`version` is the protocol level: 3 (3.1), 4 (3.1.1) or 5.
"""
import select
import socket
import struct
import time

PATIENCE = 20  # seconds that something expected may take on a loaded machine


class WireError(Exception):
    """The broker did not do what the test expects."""


def unhex(text):
    return bytes.fromhex(text)


# -- parts of packets

def varint(number):
    out = b""
    while True:
        number, byte = number >> 7, number & 0x7F
        if not number:
            return out + bytes([byte])
        out += bytes([byte | 0x80])


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(data)) + data


def frame(first, body=b""):
    return bytes([first]) + varint(len(body)) + body


def u16(number):
    return struct.pack(">H", number)


def user(name, value):
    return b"\x26" + string(name) + string(value)


# Property identifier -> kind of its value (MQTT 5.0 table 2-4).
KINDS = {0x01: "B", 0x02: "I", 0x03: "s", 0x08: "s", 0x09: "s", 0x0B: "v", 0x11: "I", 0x12: "s",
         0x13: "H", 0x15: "s", 0x16: "s", 0x17: "B", 0x18: "I", 0x19: "B", 0x1A: "s", 0x1C: "s",
         0x1F: "s", 0x21: "H", 0x22: "H", 0x23: "H", 0x24: "B", 0x25: "B", 0x26: "p", 0x27: "I",
         0x28: "B", 0x29: "B", 0x2A: "B"}


def prop(identifier, value):
    kind = KINDS[identifier]
    if kind == "s":
        return bytes([identifier]) + string(value)
    if kind == "v":
        return bytes([identifier]) + varint(value)
    return bytes([identifier]) + struct.pack(">" + kind, value)


def block(properties):
    return varint(len(properties)) + properties


# -- packets

def connect(client="", version=5, clean=True, keep_alive=0, properties=b"", will=None,
            user_name=None, password=None, level=None):
    """`will`: (topic, payload, qos, retain, properties)."""
    flags = 2 if clean else 0
    rest = string(client)
    if will:
        topic, payload, qos, retain, will_properties = will
        flags |= 4 | qos << 3 | (0x20 if retain else 0)
        rest += (block(will_properties) if version == 5 else b"") + string(topic) + string(payload)
    if user_name is not None:
        flags |= 0x80
        rest += string(user_name)
    if password is not None:
        flags |= 0x40
        rest += string(password)
    head = string("MQIsdp" if version == 3 else "MQTT") + bytes([level or version, flags])
    head += u16(keep_alive) + (block(properties) if version == 5 else b"")
    return frame(0x10, head + rest)


def publish(topic, payload=b"", qos=0, packet_id=0, version=5, retain=False, dup=False,
            properties=b""):
    first = 0x30 | (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    body = string(topic) + (u16(packet_id) if qos else b"")
    body += block(properties) if version == 5 else b""
    return frame(first, body + (payload.encode() if isinstance(payload, str) else payload))


def ack(first, packet_id, reason=None):
    return frame(first, u16(packet_id) + (b"" if reason is None else bytes([reason])))


def puback(packet_id, reason=None):
    return ack(0x40, packet_id, reason)


def pubrec(packet_id, reason=None):
    return ack(0x50, packet_id, reason)


def pubrel(packet_id, reason=None):
    return ack(0x62, packet_id, reason)


def pubcomp(packet_id, reason=None):
    return ack(0x70, packet_id, reason)


def subscribe(packet_id, *filters, version=5, properties=b""):
    """`filters`: (filter, options) or a filter for QoS 0."""
    body = u16(packet_id) + (block(properties) if version == 5 else b"")
    for entry in filters:
        name, options = entry if isinstance(entry, tuple) else (entry, 0)
        body += string(name) + bytes([options])
    return frame(0x82, body)


def suback(packet_id, *codes, version=5):
    return frame(0x90, u16(packet_id) + (b"\0" if version == 5 else b"") + bytes(codes))


def unsubscribe(packet_id, *filters, version=5):
    body = u16(packet_id) + (b"\0" if version == 5 else b"")
    return frame(0xA2, body + b"".join(string(name) for name in filters))


def unsuback(packet_id, *codes, version=5):
    return frame(0xB0, u16(packet_id) + (b"\0" + bytes(codes) if version == 5 else b""))


PINGREQ = unhex("c000")
PINGRESP = unhex("d000")


def disconnect(version=5, reason=None):
    return frame(0xE0, b"" if reason is None or version != 5 else bytes([reason]))


# -- reading

def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return number, at


def read_properties(data, at):
    """({identifier: value, 0x26: [(name, value), ...], 0x0B: [...]}, where they end)."""
    size, at = read_varint(data, at)
    end, found = at + size, {}

    def text():
        nonlocal at
        size = struct.unpack_from(">H", data, at)[0]
        at += 2 + size
        return data[at - size:at]
    while at < end:
        identifier, at = data[at], at + 1
        kind = KINDS[identifier]
        if kind == "s":
            found[identifier] = text()
        elif kind == "p":
            found.setdefault(identifier, []).append((text(), text()))
        elif kind == "v":
            number, at = read_varint(data, at)
            found.setdefault(identifier, []).append(number)
        else:
            found[identifier] = struct.unpack_from(">" + kind, data, at)[0]
            at += struct.calcsize(">" + kind)
    if at != end:
        raise WireError(f"properties end at {at}, not at {end}: {data.hex()}")
    return found, end


class Packet:
    """A packet of the broker, taken apart: type, flags, and what its type has."""

    def __init__(self, data, version):
        self.data, self.type, self.flags = data, data[0] >> 4, data[0] & 15
        self.packet_id, self.reason, self.codes, self.properties = 0, 0, [], {}
        _, at = read_varint(data, 1)
        five = version == 5
        if self.type == 2:
            self.present, self.reason = data[at], data[at + 1]
            if five:
                self.properties, _ = read_properties(data, at + 2)
        elif self.type == 3:
            self.qos, self.retain, self.dup = data[0] >> 1 & 3, data[0] & 1, data[0] >> 3 & 1
            size = struct.unpack_from(">H", data, at)[0]
            self.topic, at = data[at + 2:at + 2 + size].decode(), at + 2 + size
            if self.qos:
                self.packet_id, at = struct.unpack_from(">H", data, at)[0], at + 2
            if five:
                self.properties, at = read_properties(data, at)
            self.payload = data[at:]
        elif self.type in (4, 5, 6, 7, 9, 11):
            self.packet_id, at = struct.unpack_from(">H", data, at)[0], at + 2
            if self.type in (9, 11):
                if five:
                    self.properties, at = read_properties(data, at)
                self.codes = list(data[at:])
            elif at < len(data):
                self.reason, at = data[at], at + 1
                if at < len(data):
                    self.properties, _ = read_properties(data, at)
        elif self.type == 14 and at < len(data):
            self.reason, at = data[at], at + 1
            if at < len(data):
                self.properties, _ = read_properties(data, at)


class Client:
    """A socket to the broker. Every wait has a deadline; running out of it is a WireError."""

    def __init__(self, port, version=5, receive_buffer=None):
        self.version, self.data, self.ended = version, bytearray(), False
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.socket.getsockname()[1]

    def send(self, *packets):
        """False when the broker has closed the connection meanwhile."""
        try:
            self.socket.sendall(b"".join(packets))
        except (ConnectionError, BrokenPipeError):
            return False
        except socket.timeout:
            raise WireError("the broker does not read") from None
        return True

    def send_some(self, data):
        """As much of `data` as goes without waiting: the number of bytes."""
        self.socket.setblocking(False)
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        finally:
            self.socket.settimeout(PATIENCE)

    def take(self):
        """A whole packet out of what has come; None when there is none."""
        size, at = 0, 1
        while at < len(self.data):
            byte = self.data[at]
            size |= (byte & 0x7F) << 7 * (at - 1)
            at += 1
            if not byte & 0x80:
                if len(self.data) < at + size:
                    return None
                packet = bytes(self.data[:at + size])
                del self.data[:at + size]
                return packet
        return None

    def readable(self, seconds):
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return poll.poll(seconds * 1000)

    def receive(self, patience=PATIENCE):
        """The next packet's bytes; None at the end of the connection."""
        deadline = time.monotonic() + patience
        while True:
            packet = self.take()
            if packet:
                return packet
            if self.ended:
                if self.data:
                    raise WireError(f"the connection ended inside a packet: {self.data.hex()}")
                return None
            left = deadline - time.monotonic()
            if left <= 0 or not self.readable(left):
                raise WireError(f"nothing came within {patience} s")
            try:
                got = self.socket.recv(1 << 18)
            except ConnectionError:
                got = b""
            self.data += got
            self.ended = not got

    def next(self, patience=PATIENCE):
        """The next packet, taken apart."""
        data = self.receive(patience)
        if data is None:
            raise WireError("the broker closed the connection")
        return Packet(data, self.version)

    def expect(self, *packets):
        """Exactly these packets come next: bytes, or their hex."""
        for wanted in packets:
            wanted = unhex(wanted) if isinstance(wanted, str) else wanted
            got = self.receive()
            if got != wanted:
                shown = "the end" if got is None else got[:64].hex(" ")
                raise WireError(f"expected {wanted[:64].hex(' ')}, got {shown}")

    def expect_end(self, reason=None):
        """The connection ends; for v5 and a `reason`, after DISCONNECT (or CONNACK) with it."""
        if reason is not None and self.version == 5:
            last = self.next()
            if last.type not in (2, 14) or last.reason != reason:
                got = last.data[:64].hex(" ")
                raise WireError(f"expected the end with {reason:02x}, got {got}")
        got = self.receive()
        if got is not None:
            raise WireError(f"expected the end, got {got[:64].hex(' ')}")

    def ask(self, *packets):
        """Sends, and takes the next packet apart."""
        self.send(*packets)
        return self.next()

    def exchange(self, out, back):
        self.send(unhex(out) if isinstance(out, str) else out)
        self.expect(back)

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
