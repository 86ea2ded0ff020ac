"""What the cases about tenants share: nodes with users that keep their data over kill -9, and
sessions that outlive their connection."""
import os

from auth_test import Guarded
from harness import Broker, equal
from mqtt import disconnect, prop, publish, suback, subscribe

QUOTA = 0x97


class Lasting(Guarded):
    """A node with users and a data directory."""

    def __init__(self, *arguments, **options):
        self.lives = []  # the logs of those before
        super().__init__(*arguments, **options)

    def start(self):
        Broker.__init__(self, self.loops, env={"node.data_dir": os.path.join(self.place, "data")},
                        arguments=("--config", self.path("node.toml")))

    def kill(self):
        """kill -9, and another start on what is left."""
        self.forget_clients()
        self.process.kill()
        self.ended()
        self.lives.append(self.log)
        Broker.started.remove(self)
        self.start()

    def whole_log(self):
        return [line for log in (*self.lives, self.log) for line in log]

    def stays(self, name, client, version=5, expiry=600, **options):
        """A connection of a session that outlives it, whatever CONNACK says."""
        properties = options.pop("properties", b"") + (prop(0x11, expiry) if version == 5 else b"")
        options.setdefault("clean", False)
        return self.login(name, client=client, version=version, properties=properties, **options)

    def resumes(self, name, client, present, version=5, **options):
        one = self.stays(name, client, version, **options)
        equal((one.connack.reason, one.connack.present), (0, present), f"CONNACK for {client}")
        return one


def leave(client, expiry=None):
    """A clean end; `expiry` 0 ends the session too."""
    if expiry is None:
        client.send(disconnect(client.version))
    else:
        client.send(b"\xe0\x07\x00\x05" + prop(0x11, expiry))
    client.expect_end()


def gone_for_good(broker, name, client, version=5):
    leave(broker.user(name, client, version))


def subscribe_all(client, *filters, codes):
    client.exchange(subscribe(9, *filters, version=client.version),
                    suback(9, *codes, version=client.version))


def publish_many(client, topic, payloads, qos=1, retain=False):
    """The reasons of the acks."""
    reasons = []
    for packet_id, payload in enumerate(payloads, 1):
        client.send(publish(topic, payload, qos, packet_id, client.version, retain=retain))
        reasons.append(client.next().reason)
    return reasons
