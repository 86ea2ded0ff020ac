"""Workloads about who has which session: W4 shared groups, W6 short lives, W7 a second tenant."""

import asyncio

from .client import Store
from .workloads import Publisher, Subscriber


class Groups:
    """W4: shared groups of persistent members, of transient ones, and of both, coming and going."""

    def __init__(self, world, topics=6):
        self.world = world
        names = ["w4/%d" % i for i in range(topics)]
        self.publishers = [
            Publisher(world, "w4-pub-%d" % i, names, qos, i % 2 == 0, window=20)
            for i, qos in enumerate(([1], [1], [1, 2], [2]))]
        self.members = []
        for group, kinds, qos in (("p", [True] * 3, 1), ("t", [False] * 3, 1),
                                  ("m", [True, True, False, False], 1), ("q", [True] * 2, 2)):
            for i, persistent in enumerate(kinds):
                self.members.append(Subscriber(
                    world, "w4-%s-%d" % (group, i), ["$share/%s/w4/+" % group], qos, persistent,
                    absences=i > 0))

    def start(self):
        for one in self.members + self.publishers:
            one.start()
        self.world.run(trickle(self.world, self.publishers, "shared publishes"))


async def trickle(world, publishers, what, n=3):
    """A few publishes all the time, beside the load of W1."""
    while not world.stopping:
        await asyncio.sleep(0.02)
        if not world.paused:
            world.count(what, sum(publisher.publish(n) for publisher in publishers))


class Lives:
    """W6: sessions that end, by expiry, clean start or a changed expiry, and subscriptions that
    come and go; on topics of its own, some retained, so that a feed goes by the queue as well."""

    def __init__(self, world, clients=6, topics=8):
        self.world = world
        self.clients = clients
        self.topics = ["w6/%d" % i for i in range(topics)]
        self.publishers = [Publisher(world, "w6-pub-%d" % i, self.topics, [1, 2], i == 0, window=20)
                           for i in range(2)]

    def start(self):
        for publisher in self.publishers:
            publisher.start()
        self.world.run(trickle(self.world, self.publishers, "publishes to short lives", 2))
        for i in range(self.clients):
            self.world.run(self._live(i))

    async def _live(self, i):
        world = self.world
        rng = world.random
        store = world.store("w6-%d" % i, True, 4 if i == 0 else 5)
        filters = set()
        while not world.stopping:
            await asyncio.sleep(0.1 * rng.random())
            if world.paused:
                continue
            if store.version == 5 and not world.transient_only:
                store.expiry = rng.choice([1, 3, 3600, 3600, 3600])
            try:
                connection = await world.connect(store, rng.random() < 0.1)
            except OSError:
                continue
            if not connection.accepted.result():
                filters.clear()
            try:
                await self._use(connection, filters)
            except asyncio.CancelledError:
                if connection.open or world.stopping:
                    raise
            if connection.open and not world.paused:
                await self._end(store, connection)

    async def _use(self, connection, filters):
        rng = self.world.random
        for _ in range(rng.randrange(1, 5)):
            name = rng.choice(self.topics + ["w6/+"])
            if name in filters and rng.random() < 0.6:
                filters.discard(name)
                await connection.unsubscribe(name)
                self.world.count("unsubscribes")
            else:
                _, answer = connection.subscribe(name, rng.choice([1, 2]), 2)
                if await answer < 0x80:
                    filters.add(name)
                self.world.count("subscribes")
            await asyncio.wait([connection.closed], timeout=0.4 * rng.random())
        while self.world.paused and not connection.closed.done():
            await asyncio.wait([connection.closed], timeout=0.2)

    async def _end(self, store, connection):
        rng = self.world.random
        if rng.random() < 0.3:
            connection.abort()
        elif store.expiry and rng.random() < 0.3:
            connection.disconnect(0, rng.choice([0, 1, 3600]))
        else:
            connection.disconnect()
        await connection.closed
        await asyncio.sleep(rng.choice([0, 0.1, 0.5, 1.5, 4]) * rng.random())


class Canaries:
    """W7: another tenant with the client ids and topics of W1; nothing may cross."""

    def __init__(self, world, login):
        self.world = world
        user, _, password = login.partition(":")
        tenant = user.partition("/")[0]
        names = ["w1/%d/%d" % (i % 4, i) for i in range(16)]
        self.publisher = Publisher(world, "w1-pub-0", names, [1, 2], True, window=20)
        self.subscriber = Subscriber(world, "w1-sub-0", ["w1/#"], 2, True, absences=True)
        for one in (self.publisher, self.subscriber):
            one.store = Store(one.store.client, one.store.expiry, login=(tenant, user, password))

    def start(self):
        self.publisher.start()
        self.subscriber.start()
        self.world.run(trickle(self.world, [self.publisher], "publishes of the other tenant", 2))
