"""What the CONNECT packets of clients in the field look like, and what they may ask for in them."""
import sys

from harness import Broker, brokers, check, equal, main
from mqtt import (PINGREQ, PINGRESP, block, connect, disconnect, frame, prop, puback, publish,
                  string, suback, subscribe, u16, unsubscribe, user)

BOTH = brokers(1, 4)
OWN = brokers(None)
VERSIONS = (3, 4, 5)
NEVER = 0xFFFFFFFF
ALL_WILL_PROPERTIES = (prop(0x18, 0) + prop(0x01, 1) + prop(0x02, 60) + prop(0x03, "text") +
                       prop(0x08, "answer") + prop(0x09, b"\0\1") + user("k", "v"))

# As their sources or a capture show them; what they let the user set is set to what is usual.
CONNECTS = {
    "paho C, 3.1": connect("paho-c-sync", 3, keep_alive=20),
    "paho Python, an id of 36 characters, 3.1": connect("x" * 36, 3, keep_alive=60),
    "mosquitto_pub -V mqttv31": connect("mosq-3rZ8XAlFbQW1dPMVuT", 3, keep_alive=60),
    "paho Python, 3.1.1": connect("", 4, keep_alive=60),
    "Home Assistant": connect("1jXpx8kXnWb4T5mVUOHNaS", 4, keep_alive=60, user_name="homeassistant",
                              password="x" * 64,
                              will=("homeassistant/status", "offline", 0, True, b"")),
    "PubSubClient": connect("ESP8266Client-1f3a", 4, keep_alive=15),
    "PubSubClient with empty credentials": connect("esp", 4, keep_alive=15, user_name="",
                                                   password=""),
    "Tasmota": connect("DVES_A1B2C3", 4, keep_alive=30, user_name="DVES_USER", password="DVES_PASS",
                       will=("tele/tasmota_A1B2C3/LWT", "Offline", 1, True, b"")),
    "ESP-IDF": connect("ESP32_a1b2c3", 4, keep_alive=120),
    "AWS SDK": connect("sdk", 4, keep_alive=1200, user_name="?SDK=Python&Version=1.4.9"),
    "a will of nothing": connect("empty-will", 4, will=("w", "", 2, True, b"")),
    "the longest keep alive": connect("patient", 4, keep_alive=0xFFFF),
    "paho Python, 5.0": connect("", 5, keep_alive=60),
    "mosquitto_sub, 5.0": connect("", 5, keep_alive=60, properties=prop(0x21, 20)),
    "mqtt.js, 5.0": connect("mqttjs_8f3c21aa", 5, keep_alive=60),
    "HiveMQ client": connect("hive", 5, keep_alive=60, properties=(
        prop(0x11, 0) + prop(0x21, 65535) + prop(0x27, 268435460) + prop(0x22, 0) +
        prop(0x19, 0) + prop(0x17, 1))),
    "paho Java, 5.0": connect("java", 5, keep_alive=60, properties=prop(0x21, 65535)),
    "MQTTX": connect("mqttx_0c668d0d", 5, keep_alive=60, user_name="u", password="p", properties=(
        prop(0x11, 7200) + prop(0x21, 100) + prop(0x27, 1 << 20) + prop(0x22, 100) +
        prop(0x19, 1) + prop(0x17, 1) + user("a", "b") + user("a", "b"))),
    "MQTTnet": connect("net", 5, keep_alive=15, properties=prop(0x11, NEVER) + prop(0x17, 0),
                       will=("w", "x", 1, False, ALL_WILL_PROPERTIES)),
    "rumqttc": connect("rumqtt-sync", 5, keep_alive=5, properties=prop(0x27, 10_240)),
    "a token for a password alone": connect("token", 5, password="eyJhbGciOiJIUzI1NiJ9.e30.x"),
    "all that may be asked for": connect("", 5, clean=False, keep_alive=1, properties=(
        prop(0x11, NEVER) + prop(0x21, 1) + prop(0x27, 256) + prop(0x22, 65535) +
        prop(0x19, 1) + prop(0x17, 0) + user("", "")),
        will=("w", "x", 2, True, ALL_WILL_PROPERTIES)),
}


@BOTH
def test_connects_of_clients_in_the_field(broker):
    """Each is taken, and serves: a message to itself and back."""
    for what, packet in CONNECTS.items():
        version = packet[4 + packet[3]] if packet[1] < 128 else packet[5 + packet[4]]
        client = broker.socket(version)
        client.send(packet)
        connack = client.next()
        equal((connack.type, connack.reason), (2, 0), what)
        topic = f"field/{version}"
        client.exchange(subscribe(1, (topic, 1), version=version), suback(1, 1, version=version))
        client.send(publish(topic, what, 1, 1, version))
        got = sorted([client.next(), client.next()], key=lambda packet: packet.type)
        equal([p.type for p in got], [3, 4], what)
        equal(got[0].payload, what.encode())
        client.send(puback(got[0].packet_id), disconnect(version))
        client.expect_end()


def test_names_and_levels_that_do_not_belong_together(broker):
    """0x01 in words of 3.1.1, as clients that fall back expect."""
    for name, level in (("MQTT", 3), ("MQIsdp", 4), ("MQIsdp", 5), ("mqtt", 4), ("MQTT", 0x83)):
        client = broker.socket(4)
        body = string(name) + bytes([level, 2]) + u16(60) + string("id")
        client.exchange(frame(0x10, body), "20 02 00 01")
        client.expect_end()


@BOTH
def test_an_assigned_id_has_a_session_like_any_other(broker):
    """Empty id, clean start 0, an expiry: the id that is told brings the session back."""
    lasting = prop(0x11, NEVER)
    client = broker.client("", 5, clean=False, properties=lasting)
    name = client.connack.properties[0x12].decode()
    check(0x11 not in client.connack.properties, "an expiry that is granted goes without saying")
    equal(client.connack.present, 0)
    client.exchange(subscribe(1, ("assigned", 1)), suback(1, 1))
    client.send(disconnect())
    client.expect_end()
    broker.client().exchange(publish("assigned", "waits", 1, 1), puback(1))
    client = broker.client(name, 5, clean=False, properties=lasting)
    equal((client.connack.present, client.next().payload), (1, b"waits"))
    check(0x12 not in client.connack.properties, "it is the client's own now")
    broker.client(name, 5).close()


@BOTH
def test_request_problem_information(broker):
    """Without: no reason string and no user property but in PUBLISH, CONNACK and DISCONNECT."""
    client = broker.client("", 5, properties=prop(0x17, 0))
    for packet in (subscribe(1, "a/#/b", "$share/g", "ok"), unsubscribe(2, "none", "a/#/b"),
                   publish("$SYS/x", "", 1, 3), publish("$SYS/x", "", 2, 4),
                   frame(0x62, u16(9)), frame(0x50, u16(8))):
        got = client.ask(packet)
        equal(got.properties, {}, f"properties of the answer to {packet.hex(' ')}")
    client.exchange(publish("ok", "x", properties=user("k", "v")),
                    publish("ok", "x", properties=user("k", "v")))


@OWN
def test_response_information():
    """Where a prefix is set: told to who asks, with the client's own id; topics below it serve."""
    with Broker(1, {"mqtt.response_information": "answers/"}) as broker:
        asks = broker.client("asks", 5, properties=prop(0x19, 1))
        equal(asks.connack.properties.get(0x1A), b"answers/asks")
        for properties in (b"", prop(0x19, 0)):
            silent = broker.client("silent", 5, properties=properties)
            check(0x1A not in silent.connack.properties, "not asked for")
        assigned = broker.client("", 5, properties=prop(0x19, 1)).connack.properties
        equal(assigned[0x1A], b"answers/" + assigned[0x12])
        topic = asks.connack.properties[0x1A].decode()
        asks.exchange(subscribe(1, topic), suback(1, 0))
        serves = broker.subscriber("serve")
        asks.send(publish("serve", "?", properties=prop(0x08, topic) + prop(0x09, b"\x07")))
        question = serves.next().properties
        serves.send(publish(question[0x08].decode(), "!", properties=prop(0x09, question[0x09])))
        asks.expect(publish(topic, "!", properties=prop(0x09, b"\x07")))


@BOTH
def test_smallest_packets(broker):
    """Maximum packet sizes in which hardly anything fits: nothing larger is sent [MQTT-3.1.2-24],
    what cannot be said otherwise ends the connection."""
    for size in range(1, 64):
        client = broker.socket()
        client.send(connect("small", 5, properties=prop(0x27, size)) +
                    subscribe(1, *(f"small/{i}" for i in range(20))) +
                    publish("small/1", "x" * 20) + publish("small/1", "y") + PINGREQ +
                    frame(0xC1))
        while (got := client.receive()) is not None:
            check(len(got) <= size, f"{len(got)} bytes to a client of {size}: {got.hex(' ')}")
            if got[0] >> 4 == 2:
                equal(got[3], 0, "CONNACK")
        client.close()


@BOTH
def test_topic_aliases_of_many_clients(broker):
    """The client's maximum is its own, up to 65,535, and the broker's use of it ends with the
    connection."""
    for maximum in (0, 1, 65535):
        client = broker.client("aliases", 5, properties=prop(0x22, maximum))
        client.exchange(subscribe(1, "al/#"), suback(1, 0))
        publisher = broker.client()
        known = {}
        for i in range(60):
            publisher.send(publish(f"al/{i % 3}", str(i)))
            got = client.next()
            alias = got.properties.get(0x23)
            check(alias is None or alias <= maximum, f"alias {alias} of {maximum}")
            if alias and got.topic:
                known[alias] = got.topic
            equal((got.topic or known[alias], got.payload), (f"al/{i % 3}", str(i).encode()))
        client.reset()


def test_properties_of_subscribe_and_unsubscribe(broker):
    """User properties of any packet of the client are read over."""
    client = broker.client("", 5, properties=user("a", "b"))
    more = user("k", "v") * 3
    client.exchange(subscribe(1, ("props", 1), properties=more + prop(0x0B, 5) + more),
                    suback(1, 1))
    client.send(publish("props", "x", 1, 2, properties=more))
    got = sorted([client.next(), client.next()], key=lambda packet: packet.type)
    equal(got[0].properties, {0x0B: [5], 0x26: [(b"k", b"v")] * 3})
    client.send(frame(0x40, u16(got[0].packet_id) + b"\0" + block(more)))
    client.send(frame(0xA2, u16(3) + block(more) + string("props")))
    equal(client.next().codes, [0])
    client.exchange(PINGREQ, PINGRESP)
    client.send(frame(0xE0, b"\0" + block(more + prop(0x11, 0))))
    client.expect_end()


if __name__ == "__main__":
    sys.exit(main(globals()))
