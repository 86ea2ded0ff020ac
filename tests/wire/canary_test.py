"""Two tenants with equal client ids, topics, groups, retained messages, wills and persistent
sessions, under load, over kill -9 and restart: nothing of one is seen by the other. Each tenant's
canary bytes are looked for in every packet to the other, $SYS values too, in the metrics and in
every line of the log about it; figures are those of one's own doing."""
import json
import select
import sys
import time
import urllib.request

from auth_test import OWN, user
from harness import check, equal, main, until
from monitor_test import free_port
from mqtt import (PATIENCE, PINGREQ, Packet, WireError, connect, prop, puback, pubcomp, publish,
                  pubrec, pubrel, subscribe)
from mqtt import user as user_property
from tenanted import Lasting

# One name begins with the other, and topics with both.
CANARIES = {"acme": b"canary-ALPHA-7f3a91", "acme-b": b"canary-BETA-c05e42"}
TOPICS = ("t/1", "t/2", "acme/bob/x", "acme-b/bob/x", "acme", "-b/t/1", "/", "jobs/1", "jobs/2")
ROUNDS, BURST = 4, 90
EXPIRY = prop(0x11, 3600)


class Device:
    """A client that acknowledges what it gets, and remembers it."""

    def __init__(self, side, client_id, version=5, lasting=False, filters=(), will=None):
        self.side, self.client_id, self.version, self.lasting = side, client_id, version, lasting
        self.filters, self.will = filters, will
        self.got, self.acked, self.open = [], set(), {}
        self.link, self.present, self.next_id, self.suback = None, False, 1, True

    def begin(self, broker):
        self.link = broker.socket(self.version)
        five = self.version == 5
        will = self.will and (*self.will, 1, True, prop(0x18, 0) if five else b"")
        self.open = {}
        self.link.send(connect(self.client_id, self.version, not self.lasting,
                               properties=EXPIRY if five and self.lasting else b"", will=will,
                               user_name=f"{self.side.tenant}/bob", password="sesame"))
        self.take(self.link.receive())
        if self.filters and not self.present:
            self.suback = False
            self.link.send(subscribe(65535, *self.filters, version=self.version))

    def send(self, topic, payload, qos, retain):
        packet_id = 0
        if qos:
            packet_id = self.next_id
            self.next_id = self.next_id % 60000 + 1
            self.open[packet_id] = payload
        own = user_property(b"from", self.side.canary) if self.version == 5 else b""
        self.link.send(publish(topic, payload, qos, packet_id, self.version, retain=retain,
                               properties=own))

    def take(self, data):
        """A packet came, or the end of the connection."""
        who = f"{self.side.tenant}/{self.client_id}"
        check(data is not None, f"{who}: its connection ended")
        check(self.side.other not in data, f"{who}: the other's canary in {data!r}")
        packet = Packet(data, self.version)
        if packet.type == 2:
            equal(packet.reason, 0, f"CONNACK for {who}")
            self.present = packet.present == 1
        elif packet.type == 3:
            if packet.topic.startswith("$SYS/"):
                self.side.sys[packet.topic.removeprefix("$SYS/broker/")] = packet.payload
                check(b"canary" not in data, f"{who}: {packet.topic} {packet.payload!r}")
            else:
                check(packet.payload.startswith(self.side.canary), f"{who}: nobody's {data!r}")
                self.got.append((packet.topic, packet.payload))
            if packet.qos:
                self.link.send((puback if packet.qos == 1 else pubrec)(packet.packet_id))
        elif packet.type == 4 or packet.type == 7:
            check(packet.reason < 0x80, f"{who}: {packet.data!r}")
            self.acked.add(self.open.pop(packet.packet_id))
        elif packet.type == 5:
            check(packet.reason < 0x80, f"{who}: {packet.data!r}")
            self.link.send(pubrel(packet.packet_id))
        elif packet.type == 6:
            self.link.send(pubcomp(packet.packet_id))
        elif packet.type == 9:
            check(set(packet.codes) <= {0, 1, 2}, f"{who}: {packet.codes}")
            self.suback = True
        else:
            check(packet.type == 13, f"{who}: {packet.data!r}")


class Side:
    """The devices of one tenant. They have the same names in each."""

    def __init__(self, tenant):
        self.tenant, self.canary, self.sys = tenant, CANARIES[tenant], {}
        [self.other] = [canary for canary in CANARIES.values() if canary != self.canary]
        self.load = BURST + 20 * list(CANARIES).index(tenant)  # so that figures differ
        name = self.canary.decode()
        everything = [("#", 2), ("$share/g/jobs/#", 1), ("$SYS/#", 0)]
        self.all = Device(self, "all", filters=[("#", 1), ("acme/#", 0), ("$SYS/#", 1)])
        self.kept = Device(self, "kept", lasting=True, filters=everything)
        self.kept4 = Device(self, "kept4", 4, True, [("+/#", 1)])
        self.members = [Device(self, "m1", filters=[("$share/g/jobs/#", 1)]),
                        Device(self, "m2", 4, True, [("$share/g/jobs/+", 2)])]
        self.writers = [Device(self, "w1", lasting=True), Device(self, "w2", 4),
                        Device(self, "w-" + name)]  # its id is told in the log
        self.leaver = Device(self, "leaver", lasting=True, will=("wills/x", self.canary + b" will"))
        self.devices = [self.all, self.kept, self.kept4, *self.members, *self.writers, self.leaver]
        self.count, self.sent = 0, 0  # the latter in this life of the node

    def burst(self):
        for number in range(self.load):
            self.sent += 1
            self.count += 1
            topic = TOPICS[self.count % len(TOPICS)]
            payload = self.canary + f" {self.count}".encode() + b"." * (self.count % 700)
            if number == 30:
                topic = "own/" + self.canary.decode()
            writer = self.writers[number % len(self.writers)]
            writer.send(topic, payload, number // 3 % 3, number % 4 == 0)

    def acked(self):
        return {payload for writer in self.writers for payload in writer.acked}


def pump(devices, until_all, patience=PATIENCE):
    """Takes what comes until `until_all()`."""
    poll = select.poll()
    by_fd = {device.link.socket.fileno(): device for device in devices}
    for number in by_fd:
        poll.register(number, select.POLLIN)
    deadline = time.monotonic() + patience
    while not until_all():
        check(time.monotonic() < deadline, "the load does not come to rest")
        for number, _ in poll.poll(20):
            device = by_fd[number]
            link = device.link
            got = link.socket.recv(1 << 18)
            link.data += got
            if not got:
                device.take(None)
            while packet := link.take():
                device.take(packet)


def rest(sides):
    """Everything is acknowledged, and what the persistent ones must have is there."""
    devices = [device for side in sides for device in side.devices]

    def done():
        return all(device.suback and not device.open for device in devices)
    pump(devices, done)

    def complete():
        return all(side.acked() <= {payload for _, payload in side.kept.got} for side in sides)
    pump(devices, complete)


def restart(broker, sides, in_the_middle):
    if in_the_middle:
        for side in sides:
            side.burst()
        end = time.monotonic() + 0.03
        pump([d for s in sides for d in s.devices], lambda: time.monotonic() > end)
    for side in sides:
        for device in side.devices:
            device.link.close()
    broker.kill()


def leave_and_come_back(broker, side):
    """Its connection breaks: its will is published, its name stays its own."""
    side.leaver.link.reset()
    before = side.all.got.count(("wills/x", side.canary + b" will"))
    pump([side.all], lambda: side.all.got.count(("wills/x", side.canary + b" will")) > before)
    side.leaver.begin(broker)


def retained_of(broker, side):
    late = Device(side, "late", filters=[("#", 0), ("wills/#", 0)])
    late.begin(broker)
    pump([late], lambda: late.suback)
    for _ in range(3):
        time.sleep(0.05)
        late.link.send(PINGREQ)
        late.take(late.link.receive())
    while (packet := late.link.take()) or late.link.readable(0.1):
        late.take(packet or late.link.receive())
    late.link.close()
    return dict(late.got)


def clear(device, topic):
    device.link.send(publish(topic, b"", 1, 60001, device.version, retain=True))
    device.open[60001] = device.side.canary


def figures_are_apart(broker, sides):
    """At rest $SYS and the metrics tell each tenant what it has done itself, and nothing of what it
    said."""
    devices = [device for side in sides for device in side.devices]
    url = f"http://127.0.0.1:{broker.admin}/metrics"
    text = ""

    def values(side):
        """Of $SYS, and of the metrics."""
        label = '{tenant="' + side.tenant + '"}'
        metrics = dict(line.rsplit(" ", 1) for line in text.splitlines() if label in line)
        return [(int(side.sys.get("publish/messages/received", -1)), side.sent),
                (int(side.sys.get("clients/connected", -1)), len(side.devices)),
                (float(metrics.get("skald_publishes_received_total" + label, -1)), side.sent),
                (float(metrics.get("skald_clients_connected" + label, -1)), len(side.devices)),
                (int(side.sys.get("retained messages/count", -1)),
                 float(metrics.get("skald_retained_messages" + label, -2)))]

    def right():
        nonlocal text
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        check("canary" not in text, "a canary in the metrics")
        return all(got == wanted for side in sides for got, wanted in values(side))
    try:
        pump(devices, right)
    except WireError as error:
        raise WireError(f"{error}: {[values(side) for side in sides]}") from None


def whole_log_is_apart(broker):
    """Lines are JSON: what names a client names its tenant."""
    lines = broker.whole_log()
    for tenant, canary in CANARIES.items():
        own = [line for line in lines if canary.decode() in line]
        check(own, f"{tenant}: no line about it: nothing was looked at")
        for line in own:
            equal(json.loads(line).get("tenant"), tenant, line)
            for other in CANARIES.values():
                check(other == canary or other.decode() not in line, f"of both: {line}")
    check(not [line for line in lines if "canary" in line and "w-canary" not in line],
          "what clients publish is in the log")


@OWN
def test_46_two_tenants_with_everything_equal():
    admin = free_port()
    config = (f'[log]\nformat = "json"\n[admin]\nport = {admin}\nsys_interval_s = 1\n' +
              "".join(user(f"{tenant}/bob") for tenant in CANARIES))
    with Lasting(config) as broker:
        broker.admin = admin
        sides = [Side(tenant) for tenant in CANARIES]
        for life in range(4):
            for side in sides:
                side.sent, side.sys = 0, {}
                for device in side.devices:
                    device.begin(broker)
                    equal(device.present, life > 0 and device.lasting, device.client_id)
            rest(sides)
            for _ in range(ROUNDS):
                for side in sides:
                    side.burst()
                rest(sides)
                for side in sides:
                    leave_and_come_back(broker, side)
            figures_are_apart(broker, sides)
            if life < 3:
                restart(broker, sides, life != 1)
        for side in sides:
            topics = retained_of(broker, side)
            check(len(topics) >= 8 and "wills/x" in topics, f"retained: {sorted(topics)}")
            for device in (side.all, side.kept, side.kept4, *side.members):
                check(len(device.got) > 100, f"{device.client_id} got {len(device.got)}")
        # What one clears stays for the other.
        clear(sides[0].writers[0], "wills/x")
        rest_of_acks = [sides[0].writers[0]]
        pump(rest_of_acks, lambda: not rest_of_acks[0].open)
        check("wills/x" not in retained_of(broker, sides[0]), "cleared")
        check("wills/x" in retained_of(broker, sides[1]), "cleared by the other tenant")
        broker.forget_clients()
        whole_log_is_apart(broker)


if __name__ == "__main__":
    sys.exit(main(globals()))
