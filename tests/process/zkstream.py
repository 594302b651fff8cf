"""The same random stream of operations, watches and sessions against two servers of ZooKeeper's protocol.

Everything that comes back is compared: replies, stats, events, and their order on each connection.  What may differ is
mapped, and the mapping must hold both ways and in order: numbers of sessions, and zxids (a request that fails uses one
up in ZooKeeper).  Times are left out.  What differs otherwise must be one of LISTED, whose reasons are in docs/keeper.md.
"""
import bisect
import random

import zkwire
from cairnproc import Lost
from zkwire import OPEN_ACL, Event, Reply, Stat

NAMES = ["a", "b", "c", "d", "ä"]
ACLS = [OPEN_ACL] * 12 + [
    [(1, "world", "anyone")], [(31, "digest", "bob:ttt4KD2l/LR0Mpj5c6jU0hrwVdE="), (1, "world", "anyone")],
    [(31, "auth", "")], [(23, "ip", "127.0.0.0/8"), (23, "ip", "127.0.0.0/8")], [(31, "ip", "10.0.0.0/8"), (9, "world", "anyone")],
    [(31, "digest", "bob")], [(31, "x509", "cn")], [(31, "ip", "1.2.3.4/33")], [], None]
CONTAINER = "k"  # ends the name of each, and stands in no other
# reason: is it that?  (request, reply of ZooKeeper, reply of cairn)
LISTED = {}


class Different(AssertionError):
    """The servers do not agree."""


class Mapping:
    """What stands for what; one to one, and in order if `ordered`."""

    def __init__(self, ordered):
        self.ordered, self.there, self.back, self.keys = ordered, {0: 0, -1: -1}, {0: 0, -1: -1}, []

    def same(self, a, b):
        if self.there.get(a, b) != b or self.back.get(b, a) != a:
            return False
        if a not in self.there:
            at = bisect.bisect(self.keys, a)
            if self.ordered and not ((at == 0 or self.there[self.keys[at - 1]] < b) and
                                     (at == len(self.keys) or b < self.there[self.keys[at]])):
                return False
            self.there[a], self.back[b] = b, a
            self.keys.insert(at, a)
        return True


class Client:
    """A session with both servers."""

    def __init__(self, ports, timeout_ms=40000):
        self.ports = ports
        self.both = [zkwire.Connection(port, timeout_ms) for port in ports]
        self.stale, self.ephemerals = False, set()  # stale: it may have been told what nobody has looked at

    def again(self):
        """The same sessions over new connections."""
        for i, old in enumerate(self.both):
            old.end()
            self.both[i] = zkwire.Connection(self.ports[i], old.timeout_ms, old.session, old.seen)


class Stream:
    def __init__(self, ports, seed, sessions=4, depth=8, say=lambda text: None):
        self.random, self.ports, self.say, self.depth = random.Random(seed), ports, say, depth
        self.zxids, self.owners = Mapping(True), Mapping(False)
        self.paths, self.clients, self.listed, self.done, self.step = {"/"}, [], {}, 0, 0
        self.gone = []
        for _ in range(sessions):
            self.open()

    # --- sessions ---

    def open(self):
        client = Client(self.ports)
        if not self.owners.same(client.both[0].session[0], client.both[1].session[0]) or not client.both[0].session[0]:
            raise Different("sessions are numbered twice")
        self.clients.append(client)

    def close(self):
        client = self.clients.pop(self.random.randrange(len(self.clients)))
        self.exchange(client, [("close",)], loose=True)
        for connection in client.both:
            connection.end()
        self.paths -= client.ephemerals
        self.open()

    def drop(self):
        client = self.random.choice(self.clients)
        client.again()
        back = self.random.choice([0, 0, 1, 5])
        lists = [[self.path() for _ in range(self.random.randrange(3))] for _ in range(5)]
        seen = [max(0, connection.seen - (1 << 62 if back else 0)) for connection in client.both]
        name, count = self.random.choice([("setwatches", 3), ("setwatches2", 5)])
        self.exchange(client, [[(name, zxid, *lists[:count]) for zxid in seen]])

    # --- requests ---

    def path(self):
        if self.random.random() < 0.7:
            return self.random.choice(self.sorted_paths())
        return "/" + "/".join(self.random.choice(NAMES) for _ in range(self.random.randint(1, 3)))

    def sorted_paths(self):
        if len(self.gone) != len(self.paths):
            self.gone = sorted(self.paths)
        return self.gone

    def version(self):
        return self.random.choice([-1, -1, -1, 0, 1, 2])

    def data(self):
        return self.random.choice([None, b"", b"x" * self.random.randrange(300), self.random.randbytes(20)])

    def new_path(self):
        if self.random.random() < 0.6:
            parent = self.random.choice(self.sorted_paths())
            if parent.count("/") < 4:
                return parent.rstrip("/") + "/" + self.random.choice(NAMES)
        return self.path()

    def create(self):
        kind = self.random.choices(["create", "create2", "container", "ttl"], [10, 6, 1, 1])[0]
        flags = {"container": [4], "ttl": [5, 6, 0]}.get(kind, [0, 0, 0, 1, 1, 2, 3, 7] if self.random.random() < 0.2
                                                         else [0, 0, 0, 1, 1, 2, 3])
        path, flag = self.new_path(), self.random.choice(flags)
        if kind == "container":
            path += CONTAINER
        elif CONTAINER in path and flag in (1, 3):
            flag = 0
        request = (kind, path, self.data(), self.random.choice(ACLS), flag)
        if kind == "ttl":  # without its flag and with a TTL below 0 ZooKeeper 3.8 fails within, and ends
            request += (self.random.choice([10 ** 9, 10 ** 9, 0, -1] if flag else [1000]),)
        return request

    def victim(self):
        """A path to delete: not below a container, which is reaped when it has lost its children."""
        while CONTAINER in (path := self.path())[:-1]:
            pass
        return path

    def write(self):
        kind = self.random.choices(["create", "delete", "set", "setacl"], [10, 6 if len(self.paths) < 200 else 30, 8, 2])[0]
        if kind == "create":
            return self.create()
        if kind == "delete":
            return kind, self.victim(), self.version()
        if kind == "set":
            return kind, self.path(), self.data(), self.version()
        return kind, self.path(), self.random.choice(ACLS), self.version()

    def part(self):
        while (request := ("check", self.path(), self.version()) if self.random.random() < 0.2
               else self.write())[0] == "setacl":
            pass
        return request

    def read(self):
        kind = self.random.choices(
            ["exists", "get", "ls", "ls2", "getacl", "sync", "ping", "number", "ephemerals", "whoami", "addwatch",
             "checkwatches", "removewatches", "multiread"], [8, 8, 5, 5, 3, 1, 1, 1, 1, 1, 2, 1, 1, 2])[0]
        if kind in ("exists", "get", "ls", "ls2"):
            return kind, self.path(), self.random.random() < 0.4
        if kind in ("ping", "whoami"):
            return (kind,)
        if kind == "addwatch":
            return kind, self.path(), self.random.randrange(2)
        if kind in ("checkwatches", "removewatches"):
            return kind, self.path(), self.random.randint(1, 3)
        if kind == "multiread":
            return kind, [(self.random.choice(["get", "ls"]), self.path(), False)
                          for _ in range(self.random.randrange(4))]
        return kind, self.path()

    def request(self):
        luck = self.random.random()
        if luck < 0.1:
            return "multi", [self.part() for _ in range(self.random.randrange(5))]
        return self.write() if luck < 0.5 else self.read()

    # --- one step on both ---

    def run(self, operations):
        while self.done < operations:
            self.step += 1
            luck = self.random.random()
            if luck < 0.004:
                self.close()
            elif luck < 0.008:
                self.drop()
            elif luck < 0.012:
                client = self.random.choice(self.clients)
                self.exchange(client, [("auth", 0, "digest", self.random.choice([b"bob:x", b"bob:x", b"super:test"]))])
            else:
                client = self.random.choice(self.clients)
                self.exchange(client, [self.request() for _ in range(self.random.randint(1, self.depth))])

    def exchange(self, client, requests, loose=False):
        """Sends requests at once; a list of two is one for each server.  Connections that others' writes may have told
        of changes are looked at before they are used, and all of them when a session is closed (loose)."""
        others = [other for other in self.clients if other is not client]
        self.look([*others, client] if loose else [client])
        for i in range(2):
            client.both[i].send([request[i] if isinstance(request, list) else request for request in requests])
        got = [self.gather(connection, len(requests)) for connection in client.both]
        self.compare(client, requests, got, loose)
        self.done += len(requests)
        for other in others:
            other.stale = True
        if loose:
            self.look(others, loose)

    def look(self, clients, loose=False):
        """A read through the tree comes behind every event of what was written before it."""
        clients = [client for client in clients if client.stale]
        for client in clients:
            for connection in client.both:
                connection.send([("exists", "/", False)])
        for client in clients:
            client.stale = False
            self.compare(client, [("exists", "/", False)],
                         [self.gather(connection, 1) for connection in client.both], loose)

    @staticmethod
    def gather(connection, replies):
        got = []
        while replies:
            got.append(connection.read())
            replies -= isinstance(got[-1], Reply)
        return got

    # --- comparing ---

    def compare(self, client, requests, got, loose):
        if loose:  # the order in which nodes of a session are removed is no promise
            got = [sorted((one for one in side if isinstance(one, Event)), key=repr) +
                   [one for one in side if isinstance(one, Reply)] for side in got]
        left = list(requests)
        for a, b in zip(*got):
            if type(a) is not type(b):
                raise self.different(client, requests, got, f"{a}\n and {b}")
            if isinstance(a, Event):
                if a != b:
                    raise self.different(client, requests, got, f"{a}\n and {b}")
                continue
            request = left.pop(0)
            request = request[0] if isinstance(request, list) else request
            wrong = self.compare_reply(request, a, b)
            reason = wrong and next((reason for reason, fits in LISTED.items() if fits(request, a, b)), None)
            if wrong and not reason:
                raise self.different(client, requests, got, f"{request}: {wrong}\n {a}\n {b}")
            if reason:
                self.listed[reason] = self.listed.get(reason, 0) + 1
            else:
                self.learn(client, request, a)
        if len(got[0]) != len(got[1]):
            raise self.different(client, requests, got, "one has sent more")

    def different(self, client, requests, got, text):
        lines = [f"step {self.step}, session {self.clients.index(client) if client in self.clients else '-'}: {text}"]
        lines += [f"sent: {request}" for request in requests]
        lines += [f"{name}: {one}" for name, side in zip("AB", got) for one in side]
        return Different("\n".join(lines))

    def compare_reply(self, request, a, b):
        if (a.xid, a.error) != (b.xid, b.error):
            return "another error"
        writes = request[0] in ("create", "create2", "container", "ttl", "delete", "set", "setacl", "multi")
        failed = a.error or any(slot[0] == "error" for slot in a.body if isinstance(slot, tuple))
        if writes and not failed and a.body != [] and not self.zxids.same(a.zxid, b.zxid):
            return "zxids in another order"
        return self.compare_value(a.body, b.body, request[0])

    def compare_value(self, a, b, name):
        if type(a) is not type(b):
            return "another kind"
        if isinstance(a, Stat):
            for field in ("czxid", "mzxid", "pzxid"):
                if not self.zxids.same(getattr(a, field), getattr(b, field)):
                    return field
            if a.owner != b.owner and not self.owners.same(a.owner, b.owner):
                return "owner"
            for field in ("version", "cversion", "aversion", "bytes", "children"):
                if getattr(a, field) != getattr(b, field):
                    return field
            return None if (b.ctime <= b.mtime) and (a.ctime == 0) == (b.ctime == 0) else "times"
        if isinstance(a, list | tuple):
            if name in ("ls", "ls2", "ephemerals", "whoami", "multiread") and all(isinstance(x, str) or name == "whoami" for x in a):
                a, b = sorted(a), sorted(b)
            if len(a) != len(b):
                return f"{len(a)} and {len(b)}"
            return next(filter(None, (self.compare_value(x, y, name) for x, y in zip(a, b))), None)
        return None if a == b else f"{a!r} and {b!r}"

    def learn(self, client, request, reply):
        if reply.error:
            return
        parts = [(request, ("", *reply.body))]
        if request[0] == "multi":
            if any(slot[0] == "error" for slot in reply.body):
                return
            parts = list(zip(request[1], reply.body))
        for part, slot in parts:
            if part[0] in ("create", "create2", "container", "ttl"):
                self.paths.add(slot[1])
                if part[0] in ("create", "create2") and part[4] in (1, 3):
                    client.ephemerals.add(slot[1])
            elif part[0] == "delete":
                self.paths.discard(part[1])
                client.ephemerals.discard(part[1])
        self.gone = []
