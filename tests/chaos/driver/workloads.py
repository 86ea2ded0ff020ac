"""The workloads of reliability.md 4.2 that one broker can be put under: W1, W2, W3, W5.

A World holds what they share. Each workload is a class with start() and, for the end of a run,
finish(); whatever it does is decided by the world's seeded random source and by the broker.
"""

import asyncio
import random

from .client import Connection, Store, Will, connect  # noqa: F401 (Connection: for readers)
from .history import now_us

PERSISTENT = 3600


class World:
    def __init__(self, history, address, seed, transient_only=False, rate=4000, avoid=()):
        self.history = history
        self.address = address
        self.random = random.Random(seed)
        self.transient_only = transient_only
        self.avoid = avoid  # see kill9 --avoid
        self.rate = rate  # publishes a second, of all publishers of W1
        self.paused = False
        self.stopping = False
        self.connections = set()  # all that are open
        self.tasks = []
        self.counts = {}  # what was done, for the sanity check at the end

    def count(self, what, n=1):
        self.counts[what] = self.counts.get(what, 0) + n

    def expiry(self, persistent):
        return PERSISTENT if persistent and not self.transient_only else 0

    def store(self, client, persistent, version=5):
        limit = 65535 if "receive-maximum" in self.avoid else 100
        return Store(client, self.expiry(persistent), version, limit)

    def run(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.append(task)
        return task

    async def connect(self, store, clean=None, will=None, prepare=None):
        """Raises OSError. `clean`: by default whenever the store is transient."""
        def wrap(connection):
            connection.on_closed = lambda: self.connections.discard(connection)
            if prepare:
                prepare(connection)
        if clean is None:
            clean = store.expiry == 0
        connection = await connect(self.history, self.address, store, clean, will, wrap)
        if connection.open:
            self.connections.add(connection)
        self.count("connects")
        return connection

    async def connect_until(self, store, prepare=None):
        """Tries until the broker is there; None when the run ends."""
        while not self.stopping:
            try:
                return await self.connect(store, prepare=prepare)
            except OSError:
                await asyncio.sleep(0.02 + self.random.random() * 0.05)
        return None

    async def quiet(self, milliseconds, at_most):
        """Waits until no connection has received anything for so long; False when it never did."""
        waited = 0.0
        while waited < at_most:
            limit = now_us() - milliseconds * 1000
            if all(c.last_received < limit for c in self.connections):
                return True
            await asyncio.sleep(0.05)
            waited += 0.05
        return False

    def drained(self, milliseconds):
        """Says of each open connection that it is drained. Requires: quiet() was just true."""
        limit = now_us() - milliseconds * 1000
        for connection in self.connections:
            if connection.open and connection.last_received < limit:
                self.history.log("drained c=%d quiet=%d" % (connection.number, milliseconds))
                self.count("drained")

    def check_tasks(self):
        """A workload that died silently would make the run look clean."""
        for task in self.tasks:
            if task.done() and not task.cancelled() and task.exception():
                raise task.exception()


class Subscriber:
    """Keeps a session with its subscriptions online, but for absences."""

    def __init__(self, world, client, filters, qos, persistent, version=5, absences=False):
        self.world = world
        self.store = world.store(client, persistent, version)
        self.filters = filters
        self.qos = qos
        self.absences = absences
        self.delivered = 0

    def start(self):
        self.world.run(self._run())

    def _prepare(self, connection):
        connection.on_delivered = self._delivered

    def _delivered(self, _message, _topic, _retain):
        self.delivered += 1
        self.world.count("deliveries")

    async def _run(self):
        world = self.world
        subscribed = False
        while not world.stopping:
            connection = await world.connect_until(self.store, self._prepare)
            if connection is None:
                return
            if not subscribed or not connection.accepted.result():
                subscribed = await self._subscribe(connection)
            if self.absences and not world.paused:
                done, _ = await asyncio.wait(
                    [connection.closed], timeout=0.3 + 2 * world.random.random())
                if not done and not world.paused:
                    if world.random.random() < 0.5:
                        connection.disconnect()
                    else:
                        connection.abort()
                    world.count("absences")
                    await asyncio.sleep(0.5 * world.random.random())
                    continue
            while not connection.closed.done() and not (self.absences and not world.paused):
                await asyncio.wait([connection.closed], timeout=0.5)

    async def _subscribe(self, connection):
        try:
            for topic_filter in self.filters:
                _, answer = connection.subscribe(topic_filter, self.qos, 2)
                await answer
                self.world.count("subscribes")
        except asyncio.CancelledError:
            if connection.open or self.world.stopping:
                raise
            return False
        return True


class Publisher:
    """Keeps up to `window` publishes in flight, as the tokens of its world allow."""

    def __init__(self, world, client, topics, qos, persistent, version=5, window=50,
                 absences=False):
        self.world = world
        self.absences = absences  # gone in the middle of its publishes, now and then
        self.store = world.store(client, persistent, version)
        self.topics = topics
        self.qos = qos
        self.window = window
        self.connection = None

    def start(self):
        self.world.run(self._run())

    def publish(self, n):
        """At most n; returns how many."""
        c = self.connection
        if c is None or not c.open:
            return 0
        room = min(self.window, c.window) - len(self.store.outgoing)
        n = min(n, room)
        rng = self.world.random
        for _ in range(n):
            expiry = 3600 if rng.random() < 0.05 else None
            c.publish(rng.choice(self.topics), rng.choice(self.qos), expiry=expiry)
        if n > 0:
            c.flush()
            self.world.count("publishes", n)
        return max(n, 0)

    async def _run(self):
        while not self.world.stopping:
            self.connection = await self.world.connect_until(self.store)
            if self.connection is None:
                return
            if self.absences:
                await asyncio.wait([self.connection.closed],
                                   timeout=0.5 + 3 * self.world.random.random())
                if self.connection.open and not self.world.paused:
                    self.connection.abort()
                    self.world.count("publisher absences")
            await self.connection.closed
            # A broker that throws the client out again and again must not get all of the load.
            await asyncio.sleep(0.02 + 0.1 * self.world.random.random())


class PubSub:
    """W1: QoS 0 to 2, transient and persistent on both sides, fan-in and fan-out, absences."""

    def __init__(self, world, publishers=8, topics=16):
        self.world = world
        names = ["w1/%d/%s" % (i % 4, i) for i in range(topics)]
        self.publishers = []
        for i in range(publishers):
            # Half persistent; one in four speaks 3.1.1.
            self.publishers.append(Publisher(
                world, "w1-pub-%d" % i, [names[j] for j in range(i % 2, topics, 2)],
                ([1], [2], [1, 2], [0, 1, 2])[i // 2 % 4], i % 2 == 0, 4 if i % 4 == 3 else 5,
                absences=i >= publishers // 2))
        self.subscribers = [
            Subscriber(world, "w1-sub-0", ["w1/0/+"], 1, True),
            Subscriber(world, "w1-sub-1", ["w1/1/+"], 2, True),
            Subscriber(world, "w1-sub-2", ["w1/2/#"], 2, True, absences=True),
            Subscriber(world, "w1-sub-3", ["w1/3/+"], 1, True, absences=True),
            Subscriber(world, "w1-sub-4", ["w1/0/0", "w1/1/1"], 2, True, version=4),
            Subscriber(world, "w1-sub-5", ["w1/2/2"], 1, False),
            Subscriber(world, "w1-sub-6", ["w1/3/3"], 2, False),
        ]

    def start(self):
        for subscriber in self.subscribers:
            subscriber.start()
        for publisher in self.publishers:
            publisher.start()
        self.world.run(self._pump())

    async def _pump(self):
        loop = asyncio.get_running_loop()
        last = loop.time()
        tokens = 0.0
        while not self.world.stopping:
            await asyncio.sleep(0.005)
            now = loop.time()
            tokens = min(tokens + (now - last) * self.world.rate, self.world.rate * 0.1)
            last = now
            if self.world.paused:
                continue
            self.world.random.shuffle(self.publishers)
            share = int(tokens) // len(self.publishers) + 1
            for publisher in self.publishers:
                tokens -= publisher.publish(min(share, max(0, int(tokens))))

    def in_flight(self):
        return sum(len(p.store.outgoing) for p in self.publishers if p.connection
                   and p.connection.open)


class Takeovers:
    """W2: contenders for one client id, each connecting while the one before is still there."""

    def __init__(self, world, clients=2):
        self.world = world
        self.stores = [world.store("w2-%d" % i, True) for i in range(clients)]
        self.watcher = Subscriber(world, "w2-watch", ["w2/#"], 2, True)

    def start(self):
        self.watcher.start()
        for store in self.stores:
            self.world.run(self._contend(store))

    async def _contend(self, store):
        world = self.world
        current = None
        while not world.stopping:
            await asyncio.sleep(0.05 + 0.3 * world.random.random())
            if world.paused and current and current.open:
                continue
            contended = current is not None and current.open
            try:
                connection = await world.connect(store)
            except OSError:
                continue
            if contended:
                world.count("takeovers")
            current = connection
            for _ in range(world.random.randrange(1, 6)):
                if world.paused or not connection.open or len(store.outgoing) > 50:
                    break
                connection.publish("w2/" + store.client, world.random.choice([1, 2]))
                connection.flush()
                await asyncio.sleep(0.02 * world.random.random())


class Retained:
    """W3: sets, clears and expiry of retained messages, read by subscribes, also with wildcards."""

    def __init__(self, world, writers=4, topics=40, scanners=12, with_expiry=True):
        self.world = world
        self.topics = ["w3/%d/%d" % (i % 4, i) for i in range(topics)]
        self.writers = writers
        self.scanners = scanners
        self.with_expiry = with_expiry

    def start(self):
        for i in range(self.writers):
            # Two writers for each topic, so that writes also compete.
            mine = [t for j, t in enumerate(self.topics) if j % self.writers in
                    (i, (i + 1) % self.writers)]
            self.world.run(self._write(i, mine))
        for i in range(self.scanners):
            self.world.run(self._scan(i))
        Subscriber(self.world, "w3-watch", ["w3/#"], 2, True, absences=True).start()

    async def _write(self, i, topics):
        world = self.world
        store = world.store("w3-pub-%d" % i, i % 2 == 0)
        while not world.stopping:
            connection = await world.connect_until(store)
            while connection and connection.open and not world.stopping:
                await asyncio.sleep(0.01 + 0.04 * world.random.random())
                if world.paused or len(store.outgoing) >= 4:
                    continue
                kind = world.random.random()
                expiry = 4 if self.with_expiry and kind > 0.95 else None
                # Most writes go to a few topics: on the others a subscribe can see that nothing is
                # there before the next write hides it.
                hot = world.random.random() < 0.9
                topic = world.random.choice(topics[:4] if hot else topics[4:])
                connection.publish(topic, world.random.choice([1, 2]), True, kind < 0.3, expiry)
                connection.flush()
                world.count("retained writes")

    async def _scan(self, i):
        world = self.world
        n = 0
        while not world.stopping:
            await asyncio.sleep(0.2 * world.random.random())
            if world.paused:
                continue
            n += 1
            kind = world.random.random()
            topic_filter = "w3/%d/+" % world.random.randrange(4) if kind < 0.4 else (
                "w3/#" if kind < 0.5 else world.random.choice(self.topics))
            try:
                await self.scan("w3-scan-%d-%d" % (i, n), topic_filter)
            except OSError:
                continue

    async def scan(self, client, topic_filter, quiet=1.5):
        """One clean session that subscribes and reads until nothing more comes."""
        world = self.world
        seen = []

        def prepare(connection):
            connection.on_delivered = lambda _m, topic, retain: seen.append((topic, retain))

        # A session that could stay gets its retained messages by its queue.
        expiry = 60 if world.random.random() < 0.3 and not world.transient_only else 0
        connection = await world.connect(Store(client, expiry), True, prepare=prepare)
        try:
            operation, answer = connection.subscribe(topic_filter, world.random.choice([0, 1, 2]))
            if await answer >= 0x80:
                return
            loop = asyncio.get_running_loop()
            end = loop.time() + quiet
            before = 0
            single = "+" not in topic_filter and "#" not in topic_filter
            while loop.time() < end and connection.open:
                await asyncio.sleep(0.05)
                retained = sum(1 for _, retain in seen if retain)
                if single and retained:
                    break
                if retained > before:
                    before = retained
                    end = loop.time() + quiet
            if connection.open:
                connection.read_end(operation)
                world.count("scans")
            connection.disconnect(0, 0 if expiry else None)
        except asyncio.CancelledError:
            if connection.open:
                raise
        finally:
            connection.abort()

    async def finish(self):
        """After the last fault each topic is read once more."""
        for n in range(4):
            await self.scan("w3-last-%d" % n, "w3/%d/+" % n, 2.5)
        await asyncio.gather(*[
            self.scan("w3-last-" + t.replace("/", "-"), t, 2.5) for t in self.topics])


class Wills:
    """W5: wills with and without delay; abort, clean end, takeover, kill, return in time."""

    def __init__(self, world, clients=6):
        self.world = world
        self.clients = clients
        self.watchers = [Subscriber(world, "w5-watch-1", ["w5/#"], 1, True),
                         Subscriber(world, "w5-watch-2", ["w5/+/will"], 2, True)]

    def start(self):
        for watcher in self.watchers:
            watcher.start()
        for i in range(self.clients):
            self.world.run(self._live(i))

    async def _live(self, i):
        world = self.world
        rng = world.random
        while not world.stopping:
            await asyncio.sleep(0.1 * rng.random())
            if world.paused:
                continue
            delay = rng.choice([0, 0, 2, 4])
            if delay and "will-delays" in world.avoid:
                delay = 2 if i == 0 and not world.transient_only else 0
            lasting = delay > 0 or "clean-start-wills" in world.avoid
            store = Store("w5-%d" % i, 30 if lasting and not world.transient_only else 0)
            will = Will(world.history.new_message(), "w5/%d/will" % i, rng.choice([1, 2]),
                        delay=delay)
            clean = rng.random() < 0.3 and "clean-start-wills" not in world.avoid
            try:
                connection = await world.connect(store, clean or None, will)
            except OSError:
                continue
            world.count("wills")
            await asyncio.wait([connection.closed], timeout=1.5 * rng.random())
            if connection.open:
                await self._end(store, connection)
            if delay:
                # Back before the delay, after it, or at an unlucky moment.
                await asyncio.sleep(rng.choice([0.1, 0.1, delay, delay + 2.5]))

    async def _end(self, store, connection):
        world = self.world
        way = world.random.randrange(3 if "takeover-wills" in world.avoid else 4)
        if way == 0:
            connection.disconnect()
        elif way == 1:
            connection.abort()
        elif way == 2:
            connection.disconnect(4 if store.version == 5 else 0)
        else:
            try:
                other = await world.connect(store, store.expiry == 0)
            except OSError:
                return
            world.count("takeovers")
            other.disconnect()
