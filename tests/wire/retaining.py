"""What the cases about retained messages share."""
import time

from harness import check, equal
from mqtt import PINGREQ, PINGRESP, pubcomp, publish, pubrel


def retain(client, topic, payload, qos=1, properties=b"", reason=None):
    """Stored when it returns."""
    out = publish(topic, payload, qos, 1 if qos else 0, client.version, retain=True,
                  properties=properties)
    if qos == 0:
        # Nobody acknowledges it; but what comes behind it is acknowledged after it.
        got = client.ask(out + publish("retaining/behind", "", 1, 1, client.version))
        equal((got.type, got.packet_id), (4, 1), "ack of what came behind")
        return
    got = client.ask(out)
    equal((got.type, got.packet_id), (4 if qos == 1 else 5, 1), "ack")
    if reason is not None:
        equal(got.reason, reason, "reason")
    if qos == 2 and got.reason < 0x80:
        client.exchange(pubrel(1), pubcomp(1))


def retain_many(client, prefix, count, payload="x"):
    for start in range(0, count, 500):
        client.send(*[publish(f"{prefix}/{i}", payload, 1, 1 + i - start, client.version,
                              retain=True) for i in range(start, min(count, start + 500))])
        for _ in range(start, min(count, start + 500)):
            equal(client.next().type, 4, "PUBACK")


def retained_now(broker, topic_filter, version=5):
    """What a new subscription gets: {topic: payload}; a ping marks the end of a small feed."""
    client = broker.subscriber((topic_filter, 0), version=version)
    found = drain(client)
    client.close()
    return found


def drain(client):
    """What comes before two pings in a row are answered and nothing else; for small feeds, of which
    a round of the loop gives everything."""
    found, quiet = {}, 0
    while quiet < 2:
        got = client.ask(PINGREQ)
        quiet += 1
        while got.type == 3:
            check(got.topic not in found, f"{got.topic} came twice")
            found[got.topic] = got.payload
            got, quiet = client.next(), 0
        equal(got.type, 13, "PINGRESP")
    return found


def silent(client):
    """Nothing is on the way: a feed would have come in the rounds of several pings."""
    for _ in range(3):
        client.exchange(PINGREQ, PINGRESP)
        time.sleep(0.02)
    client.exchange(PINGREQ, PINGRESP)
