"""The process around the protocol: configuration, start, log, signals, many connections."""
import json
import os
import signal
import socket
import subprocess
import sys
import time

import harness
from harness import (MB, Broker, Bystander, brokers, check, equal, folder, main, slack,
                     until)
from mqtt import PINGREQ, PINGRESP, connect, prop, puback, publish, suback, subscribe, unhex

OWN = brokers(None)


def run(*arguments, env=None):
    """(exit code, stdout, stderr) of a command that is expected to end by itself."""
    settings = {k: v for k, v in os.environ.items() if not k.startswith("SKALD_")}
    done = subprocess.run([harness.NODE, *arguments], env={**settings, **(env or {})}, timeout=60,
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def run_config(text, *arguments):
    with folder() as place:
        path = os.path.join(place, "node.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        code, out, error = run("node", "--config", path, *arguments)
        return code, out, error, path


# -- configuration

@OWN
def test_config_errors_name_file_line_key_value_and_what_is_allowed():
    cases = [("[mqtt]\nreceive_maximum = 0\n", 2, ["receive_maximum", "0", "1 to 65535"]),
             ("[mqtt]\n\nmax_packet_size = -1\n", 3, ["max_packet_size", "-1", "256"]),
             ("[mqtt]\nmax_packet_size = 99999999999999999999\n", 2, ["max_packet_size"]),
             ("[mqtt]\nrecieve_maximum = 5\n", 2, ["recieve_maximum", "receive_maximum"]),
             ("[mqtt]\nretain_available = 3\n", 2, ["retain_available", "true or false"]),
             ("[[listener]]\nport = 70000\n", 2, ["port", "70000", "65535"]),
             ("[log]\nlevel = \"loud\"\n", 2, ["level", "loud", "warning"]),
             ("[nonsense]\nx = 1\n", 2, ["nonsense"]),
             ("[node]\nloops = \"two\"\n", 2, ["loops", "two", "integer"]),
             ("[node\nloops = 1\n", 1, [])]
    for text, line, words in cases:
        for arguments in ((), ("--check",)):
            code, _, error, path = run_config(text, *arguments)
            equal(code, 1, f"exit code of {text!r}")
            check(f"{path}:{line}" in error, f"file and line of {text!r}: {error!r}")
            for word in words:
                check(word in error, f"{word} in the message for {text!r}: {error!r}")


@OWN
def test_config_errors_of_environment_and_command_line():
    for env, arguments in (({"SKALD_MQTT__RECEIVE_MAXIMUM": "0"}, ()),
                           ({"SKALD_MQTT__NONSENSE": "0"}, ()), ({}, ("--port", "70000")),
                           ({}, ("--port", "x")), ({}, ("--config", "/nowhere/at.toml")),
                           ({}, ("--nonsense",))):
        code, _, error = run("node", *arguments, env=env)
        equal(code, 1, f"{env} {arguments}")
        for word in list(env) + [a for a in arguments if "no" in a]:
            check(word in error, f"{word} in {error!r}")


@OWN
def test_config_check_and_print():
    code, out, error, path = run_config("[mqtt]\nreceive_maximum = 7\n", "--print-config")
    equal(code, 0, error)
    line = [line for line in out.splitlines() if line.startswith("receive_maximum")]
    check(line and "7" in line[0] and path in line[0], f"value and its source: {line}")
    equal(run_config("[mqtt]\nreceive_maximum = 7\n", "--check")[0], 0)


@OWN
def test_config_of_limits_is_what_clients_are_told():
    env = {"mqtt.receive_maximum": 7, "mqtt.max_packet_size": 1000, "mqtt.topic_alias_maximum": 0,
           "mqtt.retain_available": "false", "mqtt.wildcard_subscription_available": "false",
           "mqtt.shared_subscription_available": "false", "mqtt.max_client_id_length": 23}
    with Broker(1, env) as broker:
        client = broker.client("limits", 5)
        told = client.connack.properties
        equal({k: told.get(k) for k in (0x21, 0x27, 0x22, 0x25, 0x28, 0x2A)},
              {0x21: 7, 0x27: 1000, 0x22: None, 0x25: 0, 0x28: 0, 0x2A: 0})
        client.exchange(subscribe(1, "a/+", "#", "$share/g/a", "a"),
                        suback(1, 0xA2, 0xA2, 0x9E, 0))
        client.send(publish("a", "x", properties=prop(0x23, 1)))
        client.expect_end(0x94)
        client = broker.client("limits", 5)
        client.send(publish("a", "x", retain=True))
        client.expect_end(0x9A)
        client = broker.client("limits", 5)
        client.send(publish("a", "x" * 1000))
        client.expect_end(0x95)
        client = broker.socket()
        client.send(connect("x" * 24, 5))
        client.expect_end(0x85)


@OWN
def test_config_smallest_values_serve():
    """The smallest allowed value of each limit, all at once: no division by it, no standstill."""
    env = {"mqtt.receive_maximum": 1, "mqtt.max_packet_size": 256, "mqtt.max_inflight": 20,
           "mqtt.topic_alias_maximum": 0, "mqtt.topic_alias_maximum_out": 0,
           "mqtt.max_queued_messages": 1, "mqtt.max_queued_bytes": 1024,
           "mqtt.max_filters_per_subscribe": 1, "mqtt.max_subscriptions": 1,
           "mqtt.write_buffer_high": 4096, "mqtt.write_buffer_low": 0,
           "mqtt.publisher_credit": 4096, "mqtt.slow_receiver_timeout_ms": 0,
           "mqtt.max_topic_levels": 1, "mqtt.max_topic_length": 1, "mqtt.max_client_id_length": 23}
    for loops in (1, 4):
        with Broker(loops, env) as broker:
            receiver = broker.subscriber(("t", 1))
            publisher = broker.client()
            for i in range(1, 200):
                publisher.exchange(publish("t", str(i), 1, 1), puback(1))
                got = receiver.next()
                equal(got.payload, str(i).encode())
                receiver.send(puback(got.packet_id))


@OWN
def test_port_in_use():
    """A second start does not take half of the clients: it fails, and says why."""
    with Broker(1) as broker:
        code, _, error = run("node", "--port", str(broker.port))
        equal(code, 1)
        check(str(broker.port) in error and "in use" in error, error)


# -- start and log

@OWN
def test_start_line_and_connection_lines():
    with Broker(2) as broker:
        line = broker.logged("listens on")[0]
        check(f"127.0.0.1:{broker.port} " in line and "file descriptors" in line, line)
        client = broker.client("logged", 4, keep_alive=30)
        local = client.socket.getsockname()[1]
        broker.wait_for_log(rf"New client connected from 127\.0\.0\.1:{local} as logged "
                            r"\(p4, c1, k30\)\.")
        client.send(unhex("e000"))
        broker.wait_for_log(r"Client logged .*disconnected\.")
        broker.client("logged", 4).send(unhex("00 00"))
        broker.wait_for_log(r"Client logged .*disconnected: malformed packet\.")


@OWN
def test_log_as_json():
    with Broker(1, {"log.format": "json", "log.level": "info"}) as broker:
        broker.client('quote"back\\slash', 4)
        broker.wait_for_log("quote")
        for line in broker.log:
            entry = json.loads(line)
            check({"time", "level", "message"} <= set(entry), line)


@OWN
def test_listens_on_loopback_only():
    with Broker(1) as broker:
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [row.split() for row in table.readlines()[1:]]
        ours = [row[1] for row in rows if row[3] == "0A" and
                int(row[1].split(":")[1], 16) == broker.port]
        equal(ours, [f"0100007F:{broker.port:04X}"])


# -- the end

@OWN
def test_sigterm_tells_clients_and_ends_with_0():
    for loops in (1, 4):
        for name in (signal.SIGTERM, signal.SIGINT):
            broker = Broker(loops)
            five = [broker.client(f"five{i}", 5) for i in range(8)]
            old = [broker.client(f"old{i}", 3 + i % 2) for i in range(4)]
            half = broker.socket()
            started = time.monotonic()
            broker.process.send_signal(name)
            for client in five:
                client.expect_end(0x8B)
            for client in [*old, half]:
                client.expect_end()
            equal(broker.ended(), 0, "exit code")
            check(time.monotonic() - started < 15, "within the grace")


@OWN
def test_sigterm_under_load():
    """A client that does not read, a flood, and a half-open socket do not hold the end up."""
    broker = Broker(2)
    stuck = broker.socket(4, receive_buffer=4096)
    stuck.exchange(connect("stuck", 4), "20 02 00 00")
    stuck.exchange(subscribe(1, "load", version=4), suback(1, 0, version=4))
    publisher = broker.client("", 4)
    packet = publish("load", b"x" * 50_000, version=4)
    sent = 0
    while sent < 100 * len(packet):
        wrote = publisher.send_some(packet)
        if wrote == 0:
            break
        sent += wrote
    broker.socket()
    started = time.monotonic()
    broker.process.send_signal(signal.SIGTERM)
    equal(broker.ended(40), 0, "exit code")
    check(time.monotonic() - started < 15, "within the grace")


@OWN
def test_sigterm_publishes_no_message_twice_and_new_clients_are_refused():
    broker = Broker(1)
    port = broker.port
    equal(broker.stop(), 0)
    probe = socket.socket()
    try:
        equal(probe.connect_ex(("127.0.0.1", port)) != 0, True, "nobody listens any more")
    finally:
        probe.close()


@OWN
def test_sighup_does_no_harm():
    with Broker(1) as broker:
        bystander = Bystander(broker)
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_for_log("reload:")
        bystander.well()


# -- many connections

@OWN
def test_connections_come_and_go():
    """3,000 at once, ten times 300 in turn: descriptors and memory come back."""
    with Broker(4, {"log.level": "notice"}) as broker:
        at_rest = broker.descriptors()
        clients = []
        for i in range(3000):
            client = broker.socket(4)
            client.send(connect(f"c{i}", 4) + subscribe(1, f"own/{i}", version=4))
            clients.append(client)
        for i, client in enumerate(clients):
            client.expect("20020000", suback(1, 0, version=4))
        check(2990 <= broker.descriptors() - at_rest <= 3001, "a descriptor a connection")
        for i in range(0, 3000, 100):
            clients[i].exchange(publish(f"own/{i}", "x", version=4),
                                publish(f"own/{i}", "x", version=4))
        broker.forget_clients()
        until(lambda: broker.descriptors() <= at_rest + 5, "all sockets are closed")
        full = broker.memory()
        for _ in range(10):
            clients = [broker.client(f"c{i}", 4) for i in range(300)]
            for client in clients:
                client.exchange(PINGREQ, PINGRESP)
            broker.forget_clients()
        until(lambda: broker.descriptors() <= at_rest + 5, "all sockets are closed")
        check(broker.memory() < full + slack(64 * MB), "no leak that shows")


if __name__ == "__main__":
    sys.exit(main(globals()))
