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
    [(31, "auth", ""), (1, "world", "anyone")], [(23, "ip", "127.0.0.0/8"), (23, "ip", "127.0.0.0/8")], [(31, "ip", "10.0.0.0/8"), (9, "world", "anyone")],
    [(30, "world", "anyone"), (1, "digest", "bob:ttt4KD2l/LR0Mpj5c6jU0hrwVdE=")], [(31, "auth", "")],
    [(31, "digest", "bob")], [(31, "x509", "cn")], [(31, "ip", "1.2.3.4/33")], [], None]
CONTAINER = "k"  # ends the name of each, and stands in no other


def create2_in_multi(request, a, b):
    """What is left of both replies without the stats of a multi's create2."""
    if request[0] == "multi" and not a.error and len(a.body) == len(b.body) == len(request[1]):
        cut = [[("create2", slot[1]) if part[0] == "create2" and slot[0] in ("create", "create2") else slot
                for part, slot in zip(request[1], side.body)] for side in (a, b)]
        return a._replace(body=cut[0]), b._replace(body=cut[1])
    return None


def others_watch(request, a, b):
    """ZooKeeper 3.8 finds the watch of any session at the path, and a recursive one of any above it."""
    return (b, b) if request[0] == "checkwatches" and (a.error, b.error) == (0, -121) else None


EARLY = "an event comes before replies of writes that were sent before it"
HIDDEN = "setWatches tells of no node that the connection may not read"
READS = {"exists", "get", "ls", "ls2", "getacl", "sync", "number", "ephemerals", "multiread", "addwatch", "checkwatches",
         "removewatches", "setwatches", "setwatches2"}
# What differs, and what makes of ZooKeeper's reply and cairn's two that must be equal.
LISTED = {"a create2 in a multi is answered with its stat": create2_in_multi,
          "checkWatches knows the connection's own watches alone": others_watch}


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
        self.persistent = False  # its watches are of addWatch alone: ZooKeeper 3.8 mixes those of one path up

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
        client.persistent = self.random.random() < 0.3
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
        lists = [[self.path() for _ in range(self.random.randrange(3))] for _ in range(3)]
        seen = [0 if self.random.random() < 0.3 else 1] * 2
        seen = [connection.seen * all_of for connection, all_of in zip(client.both, seen)]
        if client.persistent:
            name, lists = "setwatches2", [[], [], [], *([path for path in lists[0] if self.mode(path) == mode]
                                                       for mode in range(2))]
        else:
            name = self.random.choice(["setwatches", "setwatches2"])
            lists += [[], []] if name == "setwatches2" else []
        self.exchange(client, [[(name, zxid, *lists) for zxid in seen]])

    @staticmethod
    def mode(path):
        """Of an addWatch: for each path always the same."""
        return sum(path.encode()) % 2

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
        """ZooKeeper takes what a part creates by its flags, whatever its type: here they agree."""
        while True:
            request = ("check", self.path(), self.version()) if self.random.random() < 0.2 else self.write()
            if request[0] != "setacl" and not (request[0] == "ttl" and request[4] == 0):
                return request

    def read(self, client):
        kind = self.random.choices(
            ["exists", "get", "ls", "ls2", "getacl", "sync", "ping", "number", "ephemerals", "whoami", "addwatch",
             "checkwatches", "removewatches", "multiread"], [8, 8, 5, 5, 3, 1, 1, 1, 1, 1, 2, 1, 1, 2])[0]
        if kind in ("exists", "get", "ls", "ls2"):
            return kind, self.path(), not client.persistent and self.random.random() < 0.4
        if kind in ("ping", "whoami"):
            return (kind,)
        if kind == "addwatch":
            path = self.path()
            return (kind, path, self.mode(path)) if client.persistent else ("exists", path, True)
        if kind in ("checkwatches", "removewatches"):
            return kind, self.path(), self.random.randint(1, 3)
        if kind == "multiread":
            return kind, [(self.random.choice(["get", "ls"]), self.path(), False)
                          for _ in range(self.random.randrange(4))]
        return kind, self.path()

    def request(self, client):
        luck = self.random.random()
        if luck < 0.1:
            return "multi", [self.part() for _ in range(self.random.randrange(5))]
        return self.write() if luck < 0.5 else self.read(client)

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
                requests = []
                for _ in range(self.random.randint(1, self.depth)):
                    requests.append(self.request(client))
                    if requests[-1][0] == "setacl":  # what ZooKeeper has prepared but not applied has the old ACL
                        break
                self.exchange(client, requests)

    def exchange(self, client, requests, loose=False):
        """Sends requests at once; a list of two is one for each server.  Connections that others' writes may have told
        of changes are looked at before they are used, and all of them when a session is closed (loose)."""
        others = [other for other in self.clients if other is not client]
        self.look([*others, client] if loose else [client])
        for i in range(2):
            client.both[i].send([request[i] if isinstance(request, list) else request for request in requests])
        got = [self.gather(connection, len(requests)) for connection in client.both]
        if isinstance(requests[0], list):
            got[0] = self.without_hidden(client, *got)
        if loose:  # a session that closes is told by ZooKeeper alone of its own nodes
            got = [[one for one in side if isinstance(one, Reply)] for side in got]
        self.compare(client, requests, got, loose)
        self.done += len(requests)
        for other in others:
            other.stale = True
        if loose:
            self.look(others, loose)

    def without_hidden(self, client, a, b):
        """setWatches: what ZooKeeper tells, and a node does not, of nodes that the connection may not read."""
        hidden = {one for one in a if isinstance(one, Event) and one not in b and
                  all(connection.call("get", one.path, False)[0].error == -102 for connection in client.both)}
        if hidden:
            self.listed[HIDDEN] = self.listed.get(HIDDEN, 0) + len(hidden)
        return [one for one in a if not (isinstance(one, Event) and one in hidden)]

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
        else:
            ordered = [self.early(requests, side) for side in got]
            if any(later > sooner for sooner, later in zip(self.places(got[0]), self.places(got[1]))):
                raise self.different(client, requests, got, "an event comes late")
            if self.places(got[0]) != self.places(got[1]) and self.places(ordered[0]) == self.places(ordered[1]):
                self.listed[EARLY] = self.listed.get(EARLY, 0) + 1
                got = ordered
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
            for reason, alike in LISTED.items() if wrong else ():
                if (both := alike(request, a, b)) and not self.compare_reply(request, *both):
                    self.listed[reason], wrong = self.listed.get(reason, 0) + 1, None
                    break
            if wrong:
                raise self.different(client, requests, got, f"{request}: {wrong}\n {a}\n {b}")
            self.learn(client, request, a)
        if len(got[0]) != len(got[1]):
            raise self.different(client, requests, got, "one has sent more")

    def different(self, client, requests, got, text):
        lines = [f"step {self.step}, session {self.clients.index(client) if client in self.clients else '-'}: {text}"]
        lines += [f"sent: {request}" for request in requests]
        lines += [f"{name}: {one}" for name, side in zip("AB", got) for one in side]
        return Different("\n".join(lines))

    @staticmethod
    def places(side):
        """Before each event: how many replies."""
        return [sum(isinstance(one, Reply) for one in side[:at]) for at, event in enumerate(side)
                if isinstance(event, Event)]

    @staticmethod
    def early(requests, side):
        """Each event as early as it may come: behind the last reply of a read before it."""
        requests = iter([request[0] if isinstance(request, list) else request for request in requests])
        ordered, held = [], []
        for one in side:
            if isinstance(one, Event):
                ordered.append(one)
            elif (request := next(requests))[0] in READS and request != ("multiread", []):  # which shows nothing
                ordered += held + [one]
                held = []
            else:
                held.append(one)
        return ordered + held

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
            if name == "getacl" and all(isinstance(x, tuple) and len(x) == 3 for x in a):
                a, b = sorted(a), sorted(b)  # ZooKeeper has a connection's identities in no order, and `auth` is them
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
