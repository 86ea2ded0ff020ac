"""What `./dev bench` measures, and what must hold: the table of gates in one place."""
import dataclasses

# Broker CPU for a delivery relative to Mosquitto's; at full speed half of each is the aim.


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    arguments: tuple          # of `skald bench`
    gate: float | None        # CPU for a delivery, Skald over Mosquitto; None: told only
    latency_gate: float | None = None  # p50 and p99, Skald over Mosquitto


PUBLISHERS = ("--publishers", "50", "--size", "64")

SCENARIOS = (
    Scenario("fan-in QoS 0", ("fanin", "--qos", "0", *PUBLISHERS), 0.09),
    Scenario("one-to-one QoS 0", ("pair", "--qos", "0", *PUBLISHERS), 0.10),
    Scenario("one-to-one QoS 1", ("pair", "--qos", "1", *PUBLISHERS), 0.13),
    Scenario("one-to-one QoS 1 v5", ("pair", "--qos", "1", "-V", "5", *PUBLISHERS), 0.15),
    Scenario("one-to-one QoS 2", ("pair", "--qos", "2", *PUBLISHERS), 0.08),
    Scenario("fan-out 1:100 QoS 0", ("fanout", "--qos", "0", "-n", "1", "-m", "100"), 0.06),
    Scenario("fan-out 1:100 QoS 1", ("fanout", "--qos", "1", "-n", "1", "-m", "100"), 0.15),
    Scenario("shared group of 4 QoS 1", ("shared", "--qos", "1", "-m", "4", *PUBLISHERS), 0.12),
    Scenario("paced 5000/s QoS 1", ("pair", "--qos", "1", "--rate", "5000", *PUBLISHERS), 1.1, 1.2),
)

# Two loops are told beside one for these.
TWO_LOOPS = ("one-to-one QoS 0", "one-to-one QoS 1", "fan-out 1:100 QoS 0")

CONNECTIONS = 18_000
# From several addresses: from one, the kernel searches long for a free port once half are taken.
SOURCES = "127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4"
RESERVED_FILES = 500            # of the limit, for the broker's own
BYTES_PER_CONNECTION = 3 * 1024
IDLE_SECONDS = 10
IDLE_SHARE = 0.01               # of a core, without traffic
SLOW_RATE = 100                 # messages/s
SLOW_SHARE = 0.03               # of a core at SLOW_RATE
