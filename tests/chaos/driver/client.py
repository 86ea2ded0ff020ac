"""An honest MQTT client: a store that outlives connections, and connections that log what they see.

Honest means: unacked messages are resent in order with DUP after a resumed session and forgotten
after a lost one; packet ids of QoS 2 are kept until the PUBREL; every delivery is acked.
"""

import asyncio

from . import packets as mqtt
from .history import escape, make_payload, now_us, read_payload

NEVER = 0xFFFFFFFF


class Will:
    def __init__(self, message, topic, qos=1, retain=False, delay=0, expiry=None):
        self.message = message
        self.topic = topic
        self.payload = make_payload(message)
        self.qos = qos
        self.retain = retain
        self.delay = delay
        self.expiry = expiry


class Outgoing:
    """A publish that is not done. `released`: PUBREC came, PUBREL was sent."""

    __slots__ = ("message", "topic", "payload", "qos", "retain", "expiry", "released")

    def __init__(self, message, topic, payload, qos, retain, expiry):
        self.message = message
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.expiry = expiry
        self.released = False


class Store:
    """What a client keeps of its session, whatever becomes of its connections."""

    def __init__(self, client, expiry, version=5, receive_maximum=100, login=None):
        self.client = client
        self.version = version
        self.expiry = expiry if version == 5 else (NEVER if expiry else 0)
        self.receive_maximum = receive_maximum if version == 5 else 65535
        self.login = login  # None or (tenant, user, password)
        self.outgoing = {}  # packet id -> Outgoing, in the order of sending
        self.unreleased = set()  # packet ids of QoS 2 received
        self._packet_id = 0

    def packet_id(self):
        while True:
            self._packet_id = self._packet_id % 65535 + 1
            if self._packet_id not in self.outgoing:
                return self._packet_id

    def forget(self):
        self.outgoing.clear()
        self.unreleased.clear()


class Connection(asyncio.Protocol):
    """One connection, from CONNECT to its close. Callbacks may be set after it was made.

    on_acked(Outgoing, reason), on_delivered(message, topic, retain), on_closed() are called after
    the event is in the history.
    """

    def __init__(self, history, store, clean, will=None):
        self.history = history
        self.store = store
        self.clean = clean
        self.will = will
        self.number = history.new_connection()
        loop = asyncio.get_running_loop()
        self.accepted = loop.create_future()  # session present, or an exception
        self.closed = loop.create_future()
        self.open = False
        self.last_received = 0
        self.window = 65535  # the broker's receive maximum
        self.on_acked = None
        self.on_delivered = None
        self.on_closed = None
        self._transport = None
        self._buffer = b""
        self._out = []
        self._operations = {}  # packet id -> (s, filter future)
        self._next_operation = 1
        self._ours = False
        self._server_reason = 0

    # -- the socket

    def connection_made(self, transport):
        self._transport = transport
        s = self.store
        # In 3.1.1 a clean session ends with its connection.
        expiry = 0 if self.clean and s.version < 5 else s.expiry
        text = "connect c=%d id=%s v=%d clean=%d exp=%d rm=%d" % (
            self.number, escape(s.client), s.version, self.clean, expiry, s.receive_maximum)
        if s.login:
            text += " tn=" + escape(s.login[0])
        will = self.will
        if will:
            text += " will=%d wt=%s wq=%d wr=%d wd=%d" % (
                will.message, escape(will.topic), will.qos, will.retain, will.delay)
            if will.expiry is not None:
                text += " wx=%d" % will.expiry
        self.history.log(text)
        transport.write(mqtt.connect(
            s.version, s.client, self.clean, s.expiry, s.receive_maximum, will,
            login=s.login and s.login[1:]))

    def connection_lost(self, _error):
        self.open = False
        self.history.log("close c=%d srv=%d rc=%d" % (
            self.number, not self._ours, self._server_reason))
        if not self.accepted.done():
            self.accepted.set_exception(ConnectionError("closed before CONNACK"))
            self.accepted.exception()  # looked at, so that asyncio does not complain
        for _, future in self._operations.values():
            if not future.done():
                future.cancel()
        if self.on_closed:
            self.on_closed()
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data):
        if self._buffer:
            data = self._buffer + data
        self.last_received = now_us()
        at = 0
        size = len(data)
        while at + 2 <= size:
            length = data[at + 1]
            start = at + 2
            if length >= 128:
                try:
                    length, start = mqtt.read_varint(data, at + 1)
                except IndexError:
                    break
            end = start + length
            if end > size:
                break
            self._packet(data[at], data[start:end])
            at = end
        self._buffer = data[at:]
        self._flush()

    def _flush(self):
        if self._out and self._transport and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()

    # -- what comes in

    def _packet(self, first, body):
        kind = first >> 4
        if kind == mqtt.PUBLISH:
            self._publish(first, body)
        elif kind in (mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP):
            reason = body[2] if len(body) > 2 else 0
            self._publish_answer(kind, body[0] << 8 | body[1], reason)
        elif kind == mqtt.PUBREL:
            packet_id = body[0] << 8 | body[1]
            self.store.unreleased.discard(packet_id)
            now = now_us()
            self.history.write("%d rel c=%d p=%d\n%d comp c=%d p=%d\n" % (
                now, self.number, packet_id, now, self.number, packet_id))
            self._out.append(mqtt.ack(mqtt.PUBCOMP, packet_id))
        elif kind == mqtt.CONNACK:
            self._connack(body)
        elif kind == mqtt.SUBACK or kind == mqtt.UNSUBACK:
            self._operation_answer(kind, body)
        elif kind == mqtt.DISCONNECT:
            self._server_reason = body[0] if body else 0
        elif kind != mqtt.PINGRESP:
            raise mqtt.Malformed("packet type %d" % kind)

    def _publish(self, first, body):
        qos = first >> 1 & 3
        at = 2 + (body[0] << 8 | body[1])
        topic = body[2:at].decode()
        packet_id = 0
        extra = ""
        if qos:
            packet_id = body[at] << 8 | body[at + 1]
            at += 2
            extra = " p=%d" % packet_id
        if self.store.version == 5:
            if body[at] == 0:
                at += 1
            else:
                found, at = mqtt.read_properties(body, at)
                if mqtt.MESSAGE_EXPIRY in found:
                    extra += " x=%d" % found[mqtt.MESSAGE_EXPIRY]
        if first & 8:
            extra += " d=1"
        if first & 1:
            extra += " r=1"
        message = 0
        if at == len(body):
            extra += " e=1"
        else:
            message = read_payload(body[at:])
        now = now_us()
        c = self.number
        self.history.write("%d deliver c=%d m=%d t=%s q=%d%s\n" % (
            now, c, message, escape(topic), qos, extra))
        if qos == 1:
            self.history.write("%d ack c=%d p=%d\n" % (now, c, packet_id))
            self._out.append(mqtt.ack(mqtt.PUBACK, packet_id))
        elif qos == 2:
            self.store.unreleased.add(packet_id)
            self.history.write("%d rec c=%d p=%d\n" % (now, c, packet_id))
            self._out.append(mqtt.ack(mqtt.PUBREC, packet_id))
        if self.on_delivered:
            self.on_delivered(message, topic, bool(first & 1))

    def _publish_answer(self, kind, packet_id, reason):
        out = self.store.outgoing.get(packet_id)
        if out is None:
            return
        name = {mqtt.PUBACK: "puback", mqtt.PUBREC: "pubrec", mqtt.PUBCOMP: "pubcomp"}[kind]
        self.history.write("%d %s c=%d m=%d rc=%d\n" % (
            now_us(), name, self.number, out.message, reason))
        if kind == mqtt.PUBREC and reason < 0x80:
            out.released = True
            self._release(packet_id, out)
            return
        del self.store.outgoing[packet_id]
        if reason < 0x80:
            self.history.ack("QoS %d publishes" % out.qos)
            if out.retain:
                self.history.ack("retained writes", 0)
        if self.on_acked:
            self.on_acked(out, reason)

    def _release(self, packet_id, out):
        self.history.write("%d pubrel c=%d m=%d\n" % (now_us(), self.number, out.message))
        self._out.append(mqtt.ack(mqtt.PUBREL, packet_id))

    def _connack(self, body):
        present = bool(body[0] & 1)
        reason = body[1]
        extra = ""
        if self.store.version == 5:
            found, _ = mqtt.read_properties(body, 2)
            self.window = found.get(mqtt.RECEIVE_MAXIMUM, 65535)
            if mqtt.SESSION_EXPIRY in found:
                extra = " exp=%d" % found[mqtt.SESSION_EXPIRY]
        self.history.log("connack c=%d rc=%d sp=%d%s" % (self.number, reason, present, extra))
        if reason:
            if not self.accepted.done():
                self.accepted.set_exception(ConnectionError("refused: %d" % reason))
            return
        self.open = True
        self.history.ack("connects")
        if present:
            self._resume()
        else:
            self.store.forget()
        if not self.accepted.done():
            self.accepted.set_result(present)

    def _resume(self):
        """[MQTT-4.4.0-1]: what is not acked again, in the order in which it was first sent."""
        for packet_id, out in self.store.outgoing.items():
            if out.released:
                self._release(packet_id, out)
                continue
            self.history.log("repub c=%d m=%d p=%d" % (self.number, out.message, packet_id))
            self._out.append(mqtt.publish(
                self.store.version, out.topic, out.payload, out.qos, out.retain, True, packet_id,
                out.expiry))

    def _operation_answer(self, kind, body):
        packet_id = body[0] << 8 | body[1]
        found = self._operations.pop(packet_id, None)
        if found is None:
            return
        operation, future = found
        at = 2
        if self.store.version == 5:
            _, at = mqtt.read_properties(body, 2)
        reason = body[at] if at < len(body) else 0
        name = "suback" if kind == mqtt.SUBACK else "unsuback"
        self.history.log("%s c=%d s=%d rc=%d" % (name, self.number, operation, reason))
        if reason < 0x80:
            self.history.ack("subscribes" if kind == mqtt.SUBACK else "unsubscribes")
        if not future.done():
            future.set_result(reason)

    # -- what goes out

    def publish(self, topic, qos, retain=False, empty=False, expiry=None, padding=b""):
        """Sends at the next flush(). Returns the message number."""
        message = self.history.new_message()
        payload = b"" if empty else make_payload(message, padding)
        if self.store.version < 5:
            expiry = None
        packet_id = 0
        extra = ""
        if qos:
            packet_id = self.store.packet_id()
            self.store.outgoing[packet_id] = Outgoing(message, topic, payload, qos, retain, expiry)
            extra = " p=%d" % packet_id
        if retain:
            extra += " r=1 e=1" if empty else " r=1"
        if expiry is not None:
            extra += " x=%d" % expiry
        self.history.write("%d pub c=%d m=%d t=%s q=%d%s\n" % (
            now_us(), self.number, message, escape(topic), qos, extra))
        self._out.append(mqtt.publish(
            self.store.version, topic, payload, qos, retain, False, packet_id, expiry))
        return message

    def flush(self):
        self._flush()

    def _operation(self):
        # The ids of subscribes stay out of the way of publishes: those grow from 1.
        operation = self._next_operation
        self._next_operation += 1
        packet_id = 65535 - operation % 20000
        while packet_id in self.store.outgoing or packet_id in self._operations:
            packet_id -= 1
        future = asyncio.get_running_loop().create_future()
        self._operations[packet_id] = (operation, future)
        return operation, packet_id, future

    def subscribe(self, topic_filter, qos, retain_handling=0):
        """Returns the operation's number and a future of its reason code."""
        operation, packet_id, future = self._operation()
        if self.store.version < 5:
            retain_handling = 0
        self.history.log("sub c=%d s=%d f=%s q=%d rh=%d" % (
            self.number, operation, escape(topic_filter), qos, retain_handling))
        self._out.append(mqtt.subscribe(
            self.store.version, packet_id, topic_filter, qos | retain_handling << 4))
        self._flush()
        return operation, future

    def unsubscribe(self, topic_filter):
        operation, packet_id, future = self._operation()
        self.history.log("unsub c=%d s=%d f=%s" % (
            self.number, operation, escape(topic_filter)))
        self._out.append(mqtt.unsubscribe(self.store.version, packet_id, topic_filter))
        self._flush()
        return future

    def read_end(self, operation):
        self.history.log("readend c=%d s=%d" % (self.number, operation))

    def ping(self):
        if self._transport and not self._transport.is_closing():
            self._transport.write(b"\xc0\x00")

    def disconnect(self, reason=0, expiry=None):
        if not self.open:
            self.abort()
            return
        text = "disconnect c=%d rc=%d" % (self.number, reason)
        if expiry is not None and self.store.version == 5:
            text += " exp=%d" % expiry
        self.history.log(text)
        self._flush()
        self._ours = True
        self._transport.write(mqtt.disconnect(self.store.version, reason, expiry))
        self.open = False
        self._transport.close()

    def abort(self):
        """Ends the connection without a word."""
        self._ours = True
        self.open = False
        if self._transport:
            self._transport.abort()


async def connect(history, address, store, clean, will=None, prepare=None, timeout=10):
    """A connection after its CONNACK; raises OSError. `prepare` may set callbacks."""
    loop = asyncio.get_running_loop()

    def make():
        connection = Connection(history, store, clean, will)
        if prepare:
            prepare(connection)
        return connection

    _, connection = await loop.create_connection(make, *address)
    try:
        await asyncio.wait_for(asyncio.shield(connection.accepted), timeout)
    except (asyncio.TimeoutError, ConnectionError) as error:
        connection.abort()
        raise ConnectionError(str(error)) from error
    connection.flush()
    return connection
