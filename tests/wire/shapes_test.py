"""Clients in the shapes of well-known software: what they send, in its order and numbers, and what
they count on. The clients themselves: stock_test.py."""
import json
import struct
import sys
import time

from harness import Broker, brokers, check, equal, main, until
from mqtt import (PINGREQ, PINGRESP, connect, disconnect, prop, puback, publish, pubcomp, pubrec,
                  pubrel, suback, subscribe, unsuback, unsubscribe, user)
from retaining import retain, retained_now

BOTH = brokers(1, 4)
OWN = brokers(None)


def forget(broker, topic_filter):
    """Takes away what is retained."""
    client = broker.client("", 5)
    for topic in retained_now(broker, topic_filter):
        retain(client, topic, "")


# -- Home Assistant: 3.1.1, clean, keep alive 60, hundreds of filters in one SUBSCRIBE, discovery

DISCOVERED = 400


def home_devices(client):
    """Discovery messages over 1 KB and a state each, all retained, as a fleet of devices sends."""
    for start in range(0, DISCOVERED, 100):
        for i in range(start, start + 100):
            config = json.dumps({"name": f"Sensor {i}", "unique_id": f"dev{i}",
                                 "state_topic": f"dev/{i}/state",
                                 "availability_topic": f"dev/{i}/availability",
                                 "device": {"identifiers": [f"dev{i}"], "model": "x" * 1000}})
            kind = ("sensor", "light", "switch")[i % 3]
            node = f"/node{i}" if i % 2 else ""
            client.send(publish(f"homeassistant/{kind}{node}/dev{i}/config", config, 1, 1, 4,
                                retain=True),
                        publish(f"dev/{i}/state", str(i), 1, 2, 4, retain=True),
                        publish(f"dev/{i}/availability", "online", 1, 3, 4, retain=True))
        for _ in range(300):
            equal(client.next().type, 4, "PUBACK")


@BOTH
def test_home_assistant(broker):
    home_devices(broker.client("devices", 4))
    started = time.monotonic()
    home = broker.client("home-assistant", 4, keep_alive=60,
                         will=("homeassistant/status", "offline", 0, True, b""))
    # Wildcards one SUBSCRIBE each, all at once.
    home.send(subscribe(1, "homeassistant/+/+/config", version=4),
              subscribe(2, "homeassistant/+/+/+/config", version=4),
              publish("homeassistant/status", "online", 0, version=4, retain=True))
    configs, acks = {}, []
    while len(configs) < DISCOVERED or len(acks) < 2:
        got = home.next()
        if got.type == 9:
            acks.append(got.packet_id)
        else:
            equal(got.retain, 1)
            check(got.topic not in configs, "each once")
            configs[got.topic] = json.loads(got.payload)
    # Then what discovery named: two filters a device, 500 and 300 in one packet.
    filters = [topic for config in configs.values()
               for topic in (config["state_topic"], config["availability_topic"])]
    states = {}
    for packet_id, some in ((3, filters[:500]), (4, filters[500:])):
        home.send(subscribe(packet_id, *((name, 0) for name in some), version=4))
        waiting = len(some) + 1
        while waiting:
            got = home.next()
            waiting -= 1
            if got.type == 9:
                equal((got.packet_id, got.codes), (packet_id, [0] * len(some)))
            else:
                states[got.topic] = got.payload
    equal(len(states), 2 * DISCOVERED, "all states, whatever their number")
    took = time.monotonic() - started
    check(took < 10, f"{took:.1f} s; it gives up on a SUBACK after 10")
    # Its birth is seen by devices, and its will when it dies.
    watcher = broker.subscriber("homeassistant/status", version=4)
    watcher.expect(publish("homeassistant/status", "online", version=4, retain=True))
    home.reset()
    watcher.expect(publish("homeassistant/status", "offline", version=4))
    until(lambda: retained_now(broker, "homeassistant/status") ==
          {"homeassistant/status": b"offline"}, "the will is retained")
    forget(broker, "homeassistant/#")
    forget(broker, "dev/#")


# -- zigbee2mqtt: long names with spaces and other scripts, expiry on retained, availability

@BOTH
def test_zigbee2mqtt(broker):
    names = ["Wohnzimmer/Stehlampe gro\u00df", "\u0160kolka/sv\u011btlo", "\u5ba2\u5385/\u706f",
             "0x00158d0001abcdef", "A name of a device that is rather long, with (brackets) & more"]
    for version in (4, 5):
        client = broker.client("mqttjs_12ab34cd", version, keep_alive=60,
                               will=("zigbee2mqtt/bridge/state", '{"state":"offline"}', 1, True,
                                     b""))
        client.exchange(subscribe(1, "zigbee2mqtt/#", version=version),
                        suback(1, 0, version=version))
        expiry = prop(0x02, 600) if version == 5 else b""
        for name in names:
            for topic, text in ((f"zigbee2mqtt/{name}", '{"linkquality":87}'),
                                (f"zigbee2mqtt/{name}/availability", '{"state":"online"}')):
                client.send(publish(topic, text, 1, 5, version, retain=True, properties=expiry))
                got = {client.next().type, client.next().type}  # PUBACK and its own message
                equal(got, {3, 4})
        stored = retained_now(broker, "zigbee2mqtt/#")
        equal(set(stored), {f"zigbee2mqtt/{n}{s}" for n in names for s in ("", "/availability")})
        asked = broker.client("", version)
        asked.send(publish(f"zigbee2mqtt/{names[0]}/set", '{"state":"ON"}', version=version))
        equal(client.next().payload, b'{"state":"ON"}')
        client.reset()
        until(lambda: "zigbee2mqtt/bridge/state" in retained_now(broker, "zigbee2mqtt/bridge/#"),
              "the bridge is offline")
        forget(broker, "zigbee2mqtt/#")


# -- Node-RED: v5 with subscription identifiers, the same filter from several nodes, unsubscribes

@BOTH
def test_node_red(broker):
    flow = broker.client("nodered_1", 5, keep_alive=60, clean=True,
                         will=("nodered/status", "gone", 0, False, b""))
    for number, (name, options) in enumerate((("sensors/+/temp", 2 | 8), ("sensors/#", 0 | 8),
                                              ("sensors/kitchen/temp", 1 | 4)), 1):
        flow.exchange(subscribe(number, (name, options), properties=prop(0x0B, number)),
                      suback(number, options & 3))
    source = broker.client("nodered_2", 5)
    sent = prop(0x03, "application/json") + prop(0x08, "reply/here") + prop(0x09, b"id") + user(
        "from", "flow")
    source.exchange(publish("sensors/kitchen/temp", '{"t":21}', 2, 7, properties=sent), pubrec(7))
    source.exchange(pubrel(7), pubcomp(7))
    got = flow.next()
    equal((got.qos, sorted(got.properties.pop(0x0B))), (2, [1, 2, 3]), "one copy for three nodes")
    equal(got.properties, {0x03: b"application/json", 0x08: b"reply/here", 0x09: b"id",
                           0x26: [(b"from", b"flow")]})
    flow.exchange(pubrec(got.packet_id), pubrel(got.packet_id))
    flow.send(pubcomp(got.packet_id))
    # A flow is deployed anew: unsubscribed, subscribed again, on the same connection.
    flow.exchange(unsubscribe(8, "sensors/+/temp", "sensors/#", "sensors/kitchen/temp"),
                  unsuback(8, 0, 0, 0))
    flow.exchange(subscribe(9, ("sensors/#", 1), properties=prop(0x0B, 4)), suback(9, 1))
    source.exchange(publish("sensors/hall", "x", 1, 8), puback(8))
    got = flow.next()
    equal(got.properties, {0x0B: [4]})
    flow.send(puback(got.packet_id), disconnect())
    flow.expect_end()


# -- MQTT Explorer: `#` and `$SYS/#` at once on a broker full of retained messages

@BOTH
def test_mqtt_explorer(broker):
    """It sees all that is retained, then all that passes, on a broker that others keep busy."""
    publisher = broker.client("p", 5)
    for start in range(0, 3000, 500):
        publisher.send(*(publish(f"tree/{i // 100}/{i}", f"v{i}", 1, i - start + 1, retain=True)
                         for i in range(start, start + 500)))
        for _ in range(500):
            equal(publisher.next().type, 4)
    explorer = broker.client("mqtt-explorer-0a1b", 4, keep_alive=60)
    explorer.send(subscribe(1, "#", version=4) + subscribe(2, "$SYS/#", version=4))
    seen, acks = {}, 0
    while len(seen) < 3000 or acks < 2:
        got = explorer.next()
        if got.type == 9:
            acks += 1
            equal(got.codes, [0])
        elif not got.topic.startswith("$SYS/"):
            seen[got.topic] = got.payload
    equal(seen["tree/7/777"], b"v777")
    for i in range(2000):
        publisher.send(publish(f"live/{i % 50}", b"x" * (20_000 if i % 100 == 0 else 50)))
    count = 0
    while count < 2000:
        count += explorer.next().topic.startswith("live/")
    explorer.send(PINGREQ)
    while explorer.next().type == 3:
        pass  # what is left of $SYS
    explorer.close()
    for i in range(3000):
        publisher.send(publish(f"tree/{i // 100}/{i}", "", retain=True))
    publisher.exchange(PINGREQ, PINGRESP)


# -- Telegraf: a persistent session, and no SUBSCRIBE when the broker says that it has one

@BOTH
def test_telegraf(broker):
    """Session present is never claimed without the subscriptions of the session."""
    for version in (4, 5):
        expiry = prop(0x11, 3600) if version == 5 else b""
        broker.client("telegraf", 5).close()
        for turn in range(4):
            telegraf = broker.client("telegraf", version, clean=False, properties=expiry)
            if not telegraf.connack.present:
                telegraf.exchange(subscribe(1, ("telegraf/+/cpu", 1), version=version),
                                  suback(1, 1, version=version))
            broker.client("", 5).ask(publish("telegraf/host/cpu", str(turn), 1, 1))
            got = telegraf.next()
            equal(got.payload, str(turn).encode(), "the subscription is there, told or made")
            telegraf.send(puback(got.packet_id))
            telegraf.exchange(PINGREQ, PINGRESP)
            if turn % 2:
                telegraf.reset()
            else:
                telegraf.send(disconnect(version))
                telegraf.expect_end()


# -- Sparkplug B: NDEATH as will with bdSeq, births in sequence, a primary host with STATE

def births(sequence, metrics):
    """A stand-in for the protobuf payload: binary, with a sequence number."""
    return struct.pack(">BQ", sequence, 0x7A00 + metrics) + bytes(range(256)) * metrics


@BOTH
def test_sparkplug(broker):
    host = broker.client("host", 4, will=("spBv1.0/STATE/host", '{"online":false}', 1, True, b""))
    host.exchange(subscribe(1, ("spBv1.0/#", 1), version=4), suback(1, 1, version=4))
    host.send(publish("spBv1.0/STATE/host", '{"online":true}', 1, 2, 4, retain=True))
    equal({host.next().type, host.next().type}, {3, 4})
    for session in range(3):  # bdSeq of the death is that of the birth
        death = struct.pack(">BQ", 0, session)
        edge = broker.client("edge1", 4, keep_alive=5,
                             will=("spBv1.0/group/NDEATH/edge1", death, 1, False, b""))
        edge.exchange(subscribe(1, ("spBv1.0/group/NCMD/edge1/#", 1), ("spBv1.0/STATE/host", 1),
                                ("spBv1.0/group/DCMD/edge1/#", 1), version=4),
                      suback(1, 1, 1, 1, version=4))
        state = edge.next()
        equal((state.topic, state.payload, state.retain),
              ("spBv1.0/STATE/host", b'{"online":true}', 1), "the host is there")
        edge.send(puback(state.packet_id), publish("spBv1.0/group/NBIRTH/edge1",
                                                   births(0, 40), 0, version=4))
        for device in range(20):
            edge.send(publish(f"spBv1.0/group/DBIRTH/edge1/d{device}", births(device + 1, 10), 0,
                              version=4))
        for sequence in range(21, 256):
            edge.send(publish(f"spBv1.0/group/DDATA/edge1/d{sequence % 20}",
                              births(sequence, 1), 0, version=4))
        for sequence in range(256):  # no gap, or the host asks for all births again
            got = host.next()
            equal((got.payload[0], got.qos, got.retain), (sequence, 0, 0))
        host.send(publish("spBv1.0/group/NCMD/edge1", "rebirth", 0, version=4))
        equal(host.next().topic, "spBv1.0/group/NCMD/edge1", "its own filter matches too")
        edge.expect(publish("spBv1.0/group/NCMD/edge1", "rebirth", version=4))
        edge.reset()
        got = host.next()
        equal((got.topic, got.payload, got.retain), ("spBv1.0/group/NDEATH/edge1", death, 0))
        host.send(puback(got.packet_id))
    forget(broker, "spBv1.0/#")


# -- cloned devices: two with one client id, each putting the other out

@OWN
def test_cloned_client_ids():
    """The log names both addresses, so that an operator finds the clones."""
    with Broker(2) as broker:
        def address(client):
            return "{}:{}".format(*client.socket.getsockname())
        clones = [broker.client("clone", 4)]
        for _ in range(6):
            clones.append(broker.client("clone", 4))
            clones[-2].expect_end()
        for old, new in zip(clones, clones[1:]):
            broker.wait_for_log(rf"New client connected from {address(new)} as clone ")
            broker.wait_for_log(rf"Client clone \[{address(old)}\] disconnected: "
                                r"session taken over\.")
        clones[-1].exchange(PINGREQ, PINGRESP)


# -- cameras: large payloads beside small ones

@OWN
def test_camera_frames():
    """Frames of 100 KB to nearly 1 MB, ten a second from several cameras; buttons stay quick."""
    with Broker(2) as broker:
        viewers = [broker.subscriber("frigate/#", version=4) for _ in range(3)]
        button = broker.subscriber("button", version=5, name="button")
        cameras = [broker.client(f"camera{i}", 4) for i in range(3)]
        sizes = [100_000, 400_000, (1 << 20) - 100]
        slowest = 0.0
        for turn in range(10):
            for i, camera in enumerate(cameras):
                camera.send(publish(f"frigate/{i}", bytes([turn]) * sizes[(turn + i) % 3], 0,
                                    version=4))
            started = time.monotonic()
            button.exchange(publish("button", "pressed"), publish("button", "pressed"))
            slowest = max(slowest, time.monotonic() - started)
            for viewer in viewers:
                got = [viewer.next() for _ in cameras]
                equal({p.topic: (len(p.payload), set(p.payload)) for p in got},
                      {f"frigate/{i}": (sizes[(turn + i) % 3], {turn}) for i in range(3)})
        check(slowest < 2, f"a button took {slowest:.2f} s")


# -- those who try again: 3.1 after 3.1.1, a bridge without its bit, ESPHome with its id

@BOTH
def test_fall_back_to_what_is_spoken(broker):
    """A client that is told 0x01 tries the version below; a bridge that is taken keeps its bit."""
    for level in (6, 0x86, 0x85):
        client = broker.socket(4)
        client.exchange(connect("falls back", 4, level=level), "20020001")
        client.expect_end()
    broker.client("falls back", 4).exchange(PINGREQ, PINGRESP)
    for version in (3, 4):
        client = broker.client("esp_home:12-ab", version, clean=False, keep_alive=15,
                               will=("esp/status", "offline", 0, True, b""))
        client.send(publish("esp/status", "online", 0, version=version, retain=True))
        client.exchange(PINGREQ, PINGRESP)
        client.send(disconnect(version))
        client.expect_end()
    equal(retained_now(broker, "esp/#"), {"esp/status": b"online"}, "no will after DISCONNECT")
    forget(broker, "esp/#")


if __name__ == "__main__":
    sys.exit(main(globals()))
