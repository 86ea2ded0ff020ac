"""Stock clients against the node: mosquitto_pub and mosquitto_sub, paho and node-mqtt as apt has
them, and those of other languages that `./dev clients` builds. One that is not there is a visible
skip."""
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

from harness import PATIENCE, Broker, Skip, brokers, check, equal, have, main, until
from mqtt import PINGREQ, PINGRESP, prop, publish

# Where apt puts it, also when another Python runs this.
sys.path.append("/usr/lib/python3/dist-packages")
try:
    import paho.mqtt.client as paho
    from paho.mqtt import __version__ as paho_version
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties
    from paho.mqtt.subscribeoptions import SubscribeOptions
except ImportError:
    paho = None

MOSQUITTO_VERSIONS = ("mqttv31", "mqttv311", "mqttv5")


class Subscriber:
    """mosquitto_sub of a test; lines of its output as they come."""

    def __init__(self, broker, *arguments):
        program = have("mosquitto_sub")
        self.lines, self.grants = [], []
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", program, "-h", "127.0.0.1", "-p", str(broker.port), "-d", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("Subscribed "):
                self.grants.append(line.rsplit(": ", 1)[1].strip())
            elif not line.startswith(("Client ", "Subscribed", " QoS")):
                self.lines.append(line.rstrip("\n"))

    def subscribed(self):
        until(lambda: self.grants or self.process.poll() is not None, "SUBACK for mosquitto_sub")
        check(self.grants, f"mosquitto_sub has ended: {self.lines}")
        return self

    def wait_for(self, count):
        until(lambda: len(self.lines) >= count, f"{count} messages: {self.lines}")
        return self.lines

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)


def mosquitto_pub(broker, *arguments, text=None):
    done = subprocess.run([have("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(broker.port),
                           *arguments], input=text, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    equal(done.returncode, 0, f"mosquitto_pub {arguments}: {done.stdout} {done.stderr}")


# -- mosquitto_pub, mosquitto_sub

def test_mosquitto_all_versions_and_qos(broker):
    for version in MOSQUITTO_VERSIONS:
        with Subscriber(broker, "-V", version, "-q", "2", "-t", "m/#", "-v") as subscriber:
            equal(subscriber.subscribed().grants, ["2"])
            count = 0
            for sender in MOSQUITTO_VERSIONS:
                for qos in "012":
                    mosquitto_pub(broker, "-V", sender, "-q", qos, "-t", f"m/{sender}", "-m",
                                  f"hello {qos}")
                    count += 1
                    equal(subscriber.wait_for(count)[-1], f"m/{sender} hello {qos}")


def test_mosquitto_lines_in_order(broker):
    """-l sends a line each; QoS 2 both ways."""
    with Subscriber(broker, "-V", "mqttv5", "-q", "2", "-t", "lines") as subscriber:
        subscriber.subscribed()
        wanted = [f"line {i}" for i in range(500)]
        mosquitto_pub(broker, "-V", "mqttv5", "-q", "2", "-t", "lines", "-l",
                      text="\n".join(wanted) + "\n")
        equal(subscriber.wait_for(500), wanted)


def test_mosquitto_properties(broker):
    """-D both ways."""
    with Subscriber(broker, "-V", "mqttv5", "-q", "1", "-t", "props", "-F",
                    "%P|%C|%R|%D|%E|%F|%p", "-D", "subscribe", "subscription-identifier", "5",
                    "-D", "connect", "receive-maximum", "2") as subscriber:
        subscriber.subscribed()
        mosquitto_pub(broker, "-V", "mqttv5", "-q", "1", "-t", "props", "-m", "body",
                      "-D", "publish", "user-property", "b", "1",
                      "-D", "publish", "user-property", "a", "2",
                      "-D", "publish", "content-type", "text/plain",
                      "-D", "publish", "response-topic", "answer",
                      "-D", "publish", "correlation-data", "c0",
                      "-D", "publish", "payload-format-indicator", "1",
                      "-D", "publish", "message-expiry-interval", "100",
                      "-D", "publish", "topic-alias", "1")
        line = subscriber.wait_for(1)[0].split("|")
        check("b:1" in line[0] and "a:2" in line[0] and line[0].index("b:1") < line[0].index("a:2"),
              f"user properties in order: {line}")
        equal(line[1:4] + line[5:], ["text/plain", "answer", "c0", "1", "body"])
        check(98 <= int(line[4]) <= 100, f"expiry {line[4]}")


def test_mosquitto_will(broker):
    watcher = broker.subscriber("mosquitto/will")
    with Subscriber(broker, "-V", "mqttv5", "-t", "x", "-i", "mosquitto-will", "--will-topic",
                    "mosquitto/will", "--will-payload", "gone", "--will-qos", "1") as subscriber:
        subscriber.subscribed()
        subscriber.process.send_signal(signal.SIGKILL)
        watcher.expect(publish("mosquitto/will", "gone"))


def test_mosquitto_large_payload(broker):
    with Subscriber(broker, "-t", "large", "-F", "%l") as subscriber:
        subscriber.subscribed()
        mosquitto_pub(broker, "-t", "large", "-s", text="x" * 900_000)
        equal(subscriber.wait_for(1), ["900000"])


def test_mosquitto_shared_subscription(broker):
    for version in MOSQUITTO_VERSIONS[1:]:
        share = f"$share/{version}/sh/{version}"
        with Subscriber(broker, "-V", version, "-q", "1", "-t", share) as one, \
                Subscriber(broker, "-V", version, "-q", "1", "-t", share) as two:
            one.subscribed()
            two.subscribed()
            mosquitto_pub(broker, "-V", version, "-q", "1", "-t", f"sh/{version}", "-l",
                          text="".join(f"{i}\n" for i in range(100)))
            until(lambda: len(one.lines) + len(two.lines) >= 100, "all have come")
            equal(sorted(map(int, one.lines + two.lines)), list(range(100)))
            check(one.lines and two.lines, "both had some")


def test_mosquitto_is_refused_in_words(broker):
    """An invalid filter: mosquitto_sub sees 128, or 143 in v5."""
    with Subscriber(broker, "-V", "mqttv5", "-t", "$share/g") as subscriber:
        until(lambda: subscriber.process.poll() is not None or subscriber.grants, "an answer")
        equal(subscriber.grants[:1] or ["143"], ["143"])


def test_mosquitto_sees_the_shutdown():
    """After SIGTERM a v5 client is told; it ends, or tries again."""
    with Broker(1) as broker:
        with Subscriber(broker, "-V", "mqttv5", "-t", "x") as subscriber:
            subscriber.subscribed()
            equal(broker.stop(), 0)


test_mosquitto_sees_the_shutdown = brokers(None)(test_mosquitto_sees_the_shutdown)


# -- paho for Python

class Paho:
    """A paho client on its own thread, with what its callbacks said."""

    def __init__(self, broker, name="", version=4, clean=True, setup=None):
        if paho is None:
            raise Skip("python3-paho-mqtt is not installed")
        options = {} if version == 5 else {"clean_session": clean}
        if hasattr(paho, "CallbackAPIVersion"):  # paho 2, as on Debian 13: the callbacks of paho 1
            options["callback_api_version"] = paho.CallbackAPIVersion.VERSION1
        self.client = paho.Client(client_id=name, protocol=version, **options)
        self.connects, self.messages, self.acked, self.granted, self.ends = [], [], [], [], []
        self.client.on_connect = lambda c, u, *told: self.connects.append(told)
        self.client.on_message = lambda c, u, message: self.messages.append(message)
        self.client.on_publish = lambda c, u, mid: self.acked.append(mid)
        self.client.on_subscribe = lambda c, u, mid, granted, *p: self.granted.append(granted)
        self.client.on_disconnect = lambda c, u, code, *p: self.ends.append(code)
        if setup:
            setup(self.client)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", broker.port, keepalive=30)
        self.client.loop_start()
        until(lambda: self.connects, "paho is connected")

    def subscribe(self, *arguments, **options):
        before = len(self.granted)
        self.client.subscribe(*arguments, **options)
        until(lambda: len(self.granted) > before, "paho's SUBACK")
        return self.granted[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()


def test_paho_callbacks_and_qos(broker):
    for version in (3, 4):
        with Paho(broker, f"paho{version}", version) as client:
            equal(client.subscribe([(f"paho/{version}/{q}", q) for q in range(3)]), (0, 1, 2))
            for qos in range(3):
                done = client.client.publish(f"paho/{version}/{qos}", f"ü{qos}", qos)
                done.wait_for_publish(PATIENCE)
            until(lambda: len(client.messages) == 3, "three messages")
            equal(sorted((m.topic, m.payload.decode(), m.qos) for m in client.messages),
                  [(f"paho/{version}/{q}", f"ü{q}", q) for q in range(3)])
            equal(len(client.acked), 3)


def test_paho_thousand_qos_2(broker):
    def window(client):
        client.max_inflight_messages_set(50)

    with Paho(broker, "paho-two", setup=window) as client:
        client.subscribe("paho/two", 2)
        for i in range(1000):
            client.client.publish("paho/two", str(i), 2)
        until(lambda: len(client.messages) >= 1000 and len(client.acked) >= 1000, "all of them")
        equal([int(m.payload) for m in client.messages], list(range(1000)), "once, in order")


def test_paho_v5(broker):
    def setup(client):
        will = Properties(PacketTypes.WILLMESSAGE)
        will.UserProperty = [("why", "test")]
        client.will_set("paho/will", "gone", 1, properties=will)
    with Paho(broker, "paho-watch", 5) as watcher:
        watcher.subscribe("paho/will", 1)
        with Paho(broker, "paho-five", 5, setup=setup) as client:
            equal(client.connects[0][2].ReceiveMaximum, 1024)
            properties = Properties(PacketTypes.SUBSCRIBE)
            properties.SubscriptionIdentifier = 9
            granted = client.subscribe("paho/#", options=SubscribeOptions(qos=2, noLocal=True),
                                       properties=properties)
            equal([code.value for code in granted], [2])
            sent = Properties(PacketTypes.PUBLISH)
            sent.UserProperty = [("z", "1"), ("a", "2")]
            sent.ResponseTopic, sent.CorrelationData = "answer", b"\0\1"
            client.client.publish("paho/five", "own", 2).wait_for_publish(PATIENCE)
            watcher.client.publish("paho/five", "other", 2, properties=sent)
            until(lambda: client.messages, "a message")
            message = client.messages[0]
            equal((message.payload, message.qos), (b"other", 2), "not its own")
            got = message.properties
            equal((got.UserProperty, got.ResponseTopic, got.CorrelationData,
                   got.SubscriptionIdentifier),
                  ([("z", "1"), ("a", "2")], "answer", b"\0\1", [9]))
            client.client._sock_close()  # noqa: SLF001: an abrupt end
            until(lambda: watcher.messages, "the will")
            equal(watcher.messages[0].properties.UserProperty, [("why", "test")])


@brokers(None)
def test_paho_reconnects_to_a_restarted_node():
    """The QoS 1 message that was published while the node was away arrives."""
    broker = Broker(1)
    port = broker.port
    with Paho(broker, "paho-again") as client:
        client.client.on_connect = lambda c, u, f, code: (client.connects.append(code),
                                                           c.subscribe("again", 1))
        client.subscribe("again", 1)
        equal(broker.stop(), 0)
        until(lambda: client.ends, "paho sees the end")
        client.client.publish("again", "kept", 1)
        with Broker(1, arguments=("--port", str(port))):
            until(lambda: len(client.connects) > 1 and len(client.acked) == 1, "it is back")
            client.client.publish("again", "then", 1)
            until(lambda: any(m.payload == b"then" for m in client.messages), "it is subscribed")
            client.client.disconnect()
            client.client.loop_stop()


# -- node-mqtt

SCRIPT = """
const mqtt = require('mqtt');
const [port, version] = process.argv.slice(1).map(Number);
const five = version === 5;
const options = {protocolVersion: version, clientId: 'node-mqtt-' + version, keepalive: 5,
                 protocolId: version === 3 ? 'MQIsdp' : 'MQTT', reconnectPeriod: 0};
const client = mqtt.connect('mqtt://127.0.0.1:' + port, options);
const got = [];
client.on('error', error => { console.error(error); process.exit(1); });
client.on('connect', connack => {
  client.subscribe({['js/' + version]: {qos: 2}, 'js/more': {qos: 1}}, (error, granted) => {
    if (error) throw error;
    const properties = five ? {userProperties: {a: 'b'}, contentType: 'text'} : undefined;
    for (let i = 0; i < 300; ++i) {
      client.publish('js/' + version, String(i), {qos: i % 3, properties});
    }
    client.publish('js/more', Buffer.alloc(200000, 1), {qos: 2});
  });
});
client.on('message', (topic, message, packet) => {
  got.push({topic, qos: packet.qos, size: message.length, text: message.length < 9 ?
            message.toString() : '', properties: packet.properties});
  if (got.length === 301) {
    client.unsubscribe('js/more', () => client.end(false, {}, () => {
      console.log(JSON.stringify(got));
    }));
  }
});
"""


def stream_is_whole(name, version, got):
    """What all of these clients send themselves: 300 small messages and a large one."""
    small = [m for m in got if m["topic"] == f"{name}/{version}"]
    for qos in range(3):
        mine = [int(m["text"]) for m in small if m["qos"] == qos]
        equal(mine, list(range(qos, 300, 3)), f"QoS {qos} in order")
    equal([(m["size"], m["qos"]) for m in got if m["topic"] == f"{name}/more"], [(200_000, 1)])


def test_node_mqtt(broker):
    environment = {**os.environ, "NODE_PATH": "/usr/share/nodejs"}
    if subprocess.run([have("node"), "-e", "require('mqtt')"], env=environment, check=False,
                      capture_output=True).returncode != 0:
        raise Skip("node-mqtt is not installed")
    for version in (3, 4, 5):
        done = subprocess.run(["node", "-e", SCRIPT, "--", str(broker.port), str(version)],
                              env=environment, capture_output=True, text=True,
                              timeout=PATIENCE * 2, check=False)
        equal(done.returncode, 0, done.stderr[-500:])
        got = json.loads(done.stdout)
        stream_is_whole("js", version, got)
        if version == 5:
            small = next(m for m in got if m["topic"] == "js/5")
            equal(small["properties"].get("userProperties"), {"a": "b"})


# -- clients of other languages, built by `./dev clients`

BUILT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build-clients")


def built_client(broker, name, version, file):
    command = [os.path.join(BUILT, file)]
    if not os.path.exists(command[0]):
        raise Skip(f"{file} is not there: ./dev clients builds it")
    if name == "java":
        folder = os.path.join(BUILT, "java")
        command = ["java", "-cp", f"{folder}:{folder}/*", "Client"]
    done = subprocess.run([*command, str(broker.port)], capture_output=True, text=True,
                          timeout=PATIENCE * 3, check=False)
    equal(done.returncode, 0, done.stderr[-500:])
    stream_is_whole(name, version, json.loads(done.stdout))


def test_paho_for_go(broker):
    built_client(broker, "go", 4, "go")


def test_rumqttc_for_rust(broker):
    built_client(broker, "rust", 5, "rust")


def test_paho_for_java(broker):
    built_client(broker, "java", 5, "java/Client.class")


# -- all together

def test_clients_of_all_kinds_together(broker):
    """A raw v5 client, mosquitto_sub 3.1 and paho see the same stream in the same order."""
    raw = broker.subscriber("together")
    with Subscriber(broker, "-V", "mqttv31", "-q", "1", "-t", "together") as old, \
            Paho(broker, "paho-together") as client:
        old.subscribed()
        client.subscribe("together", 1)
        started = time.monotonic()
        mosquitto_pub(broker, "-V", "mqttv5", "-q", "1", "-t", "together", "-l",
                      "-D", "publish", "content-type", "t",
                      text="".join(f"{i}\n" for i in range(200)))
        wanted = [str(i) for i in range(200)]
        equal(old.wait_for(200), wanted)
        until(lambda: len(client.messages) == 200, "paho has all")
        equal([m.payload.decode() for m in client.messages], wanted)
        for text in wanted:
            raw.expect(publish("together", text, properties=prop(0x03, "t")))
        raw.exchange(PINGREQ, PINGRESP)
        check(time.monotonic() - started < PATIENCE, "in time")


def versions():
    """For the record: what the clients of apt call themselves."""
    if shutil.which("mosquitto_sub"):
        said = subprocess.run(["mosquitto_sub", "--help"], capture_output=True, text=True,
                              check=False).stdout.splitlines()
        print("client: " + next((line for line in said if "version" in line), "mosquitto_sub"))
    if paho:
        print(f"client: paho for Python {paho_version}")
    package = "/usr/share/nodejs/mqtt/package.json"
    if os.path.exists(package):
        with open(package, encoding="utf-8") as file:
            print(f"client: node-mqtt {json.load(file)['version']}")


if __name__ == "__main__":
    versions()
    sys.exit(main(globals()))
