"""The MQTT 3.1.1 and 5.0 packets that the driver needs, written for it alone."""

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14

# Property id -> size of its value; 0: string or binary, -1: two strings, -2: variable byte integer.
PROPERTY_SIZES = {
    0x01: 1, 0x02: 4, 0x03: 0, 0x08: 0, 0x09: 0, 0x0B: -2, 0x11: 4, 0x12: 0, 0x13: 2, 0x15: 0,
    0x16: 0, 0x17: 1, 0x18: 4, 0x19: 1, 0x1A: 0, 0x1C: 0, 0x1F: 0, 0x21: 2, 0x22: 2, 0x23: 2,
    0x24: 1, 0x25: 1, 0x26: -1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}
SESSION_EXPIRY, RECEIVE_MAXIMUM, MESSAGE_EXPIRY, WILL_DELAY = 0x11, 0x21, 0x02, 0x18


class Malformed(Exception):
    """The broker sent bytes that are no MQTT."""


def varint(value):
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        out.append(byte | 0x80 if value else byte)
        if not value:
            return bytes(out)


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return len(data).to_bytes(2, "big") + data


def frame(first, body):
    size = len(body)
    if size < 128:
        return bytes((first, size)) + body
    return bytes((first,)) + varint(size) + body


def properties(values):
    body = b"".join(
        bytes((key,)) + value.to_bytes(PROPERTY_SIZES[key], "big") for key, value in values)
    return varint(len(body)) + body


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 21:
            raise Malformed("variable byte integer")


def read_properties(data, at):
    """The fixed-size properties, by id, and where they end."""
    length, at = read_varint(data, at)
    end = at + length
    found = {}
    while at < end:
        key = data[at]
        at += 1
        size = PROPERTY_SIZES.get(key)
        if size is None:
            raise Malformed("property %d" % key)
        if size > 0:
            found[key] = int.from_bytes(data[at:at + size], "big")
            at += size
        elif size == -2:
            found[key], at = read_varint(data, at)
        else:
            for _ in range(1 if size == 0 else 2):
                at += 2 + int.from_bytes(data[at:at + 2], "big")
    if at != end:
        raise Malformed("properties do not fit")
    return found, end


def connect(version, client, clean, expiry, receive_maximum, will, keep_alive=60, login=None):
    """`will`: None or with topic, payload, qos, retain, delay, expiry; `login`: user, password."""
    flags = (2 if clean else 0) | (0xC0 if login else 0)
    if will:
        flags |= 4 | (will.qos << 3) | (32 if will.retain else 0)
    body = string("MQTT") + bytes((version, flags)) + keep_alive.to_bytes(2, "big")
    if version == 5:
        body += properties([(SESSION_EXPIRY, expiry), (RECEIVE_MAXIMUM, receive_maximum)])
    body += string(client)
    if will:
        if version == 5:
            values = [(WILL_DELAY, will.delay)] if will.delay else []
            if will.expiry is not None:
                values.append((MESSAGE_EXPIRY, will.expiry))
            body += properties(values)
        body += string(will.topic) + string(will.payload)
    if login:
        body += string(login[0]) + string(login[1])
    return frame(CONNECT << 4, body)


def publish(version, topic, payload, qos, retain, dup, packet_id, expiry):
    first = (PUBLISH << 4) | (qos << 1) | (1 if retain else 0) | (8 if dup else 0)
    body = string(topic)
    if qos:
        body += packet_id.to_bytes(2, "big")
    if version == 5:
        body += b"\0" if expiry is None else properties([(MESSAGE_EXPIRY, expiry)])
    return frame(first, body + payload)


def ack(kind, packet_id):
    first = (kind << 4) | (2 if kind == PUBREL else 0)
    return bytes((first, 2, packet_id >> 8, packet_id & 255))


def subscribe(version, packet_id, topic_filter, options):
    body = packet_id.to_bytes(2, "big") + (b"\0" if version == 5 else b"")
    return frame((SUBSCRIBE << 4) | 2, body + string(topic_filter) + bytes((options,)))


def unsubscribe(version, packet_id, topic_filter):
    body = packet_id.to_bytes(2, "big") + (b"\0" if version == 5 else b"")
    return frame((UNSUBSCRIBE << 4) | 2, body + string(topic_filter))


def disconnect(version, reason, expiry):
    if version < 5:
        return frame(DISCONNECT << 4, b"")
    body = bytes((reason,))
    if expiry is not None:
        body += properties([(SESSION_EXPIRY, expiry)])
    return frame(DISCONNECT << 4, body)
