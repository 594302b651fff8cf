#!/usr/bin/env python3
"""kazoo, a ZooKeeper client in Python, unmodified, against the real port.

Catches replies, stats and events that only our own tests understand; ephemerals that outlive their session or die before
it; a session, or something acknowledged, that a SIGKILL of the node loses; recipes (locks, elections, barriers, queues)
that do not work; four-letter words that tools cannot read.  What cannot be fetched here is skipped, aloud.
"""
import contextlib
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))

from cairnproc import Node, check, equal, main  # noqa: E402
from clients import from_pip  # noqa: E402

sys.path.insert(0, from_pip("kazoo", "2.11.0"))
sys.dont_write_bytecode = True

from kazoo.client import KazooClient, KazooState  # noqa: E402
from kazoo.exceptions import (BadArgumentsError, BadVersionError, InvalidACLError, NoAuthError,  # noqa: E402
                              NoChildrenForEphemeralsError, NodeExistsError, NoNodeError, NotEmptyError,
                              RolledBackError, RuntimeInconsistency)
from kazoo.protocol.states import EventType  # noqa: E402
from kazoo.retry import KazooRetry  # noqa: E402
from kazoo.security import make_acl, make_digest_acl  # noqa: E402

WAIT = 20


@contextlib.contextmanager
def client(node, timeout=6.0, **options):
    zk = KazooClient(hosts=f"127.0.0.1:{node.zk}", timeout=timeout,
                     connection_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2), **options)
    zk.start(timeout=WAIT)
    try:
        yield zk
    finally:
        zk.stop()
        zk.close()


def raises(kind, call, *args, **options):
    try:
        got = call(*args, **options)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}, but {got!r}")


def eventually(what, condition, seconds=WAIT):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Events:
    """A watch that keeps what it is told."""

    def __init__(self):
        self.seen = []
        self.lock = threading.Lock()

    def __call__(self, event):
        if event.type == "NONE":
            return  # of the connection; kazoo forgets its watches then
        with self.lock:
            self.seen.append((event.type, event.path))

    def wait(self, want):
        eventually(f"events {want}", lambda: len(self.seen) >= len(want))
        equal(self.seen, want, "events")


# --- nodes ---

def test_nodes(folder):
    with Node(folder, zk=0) as node, client(node) as zk:
        equal(sorted(zk.get_children("/")), ["zookeeper"], "a fresh tree")
        equal(zk.create("/a", b"one"), "/a")
        data, stat = zk.get("/a")
        equal((data, stat.version, stat.dataLength, stat.numChildren, stat.cversion, stat.ephemeralOwner),
              (b"one", 0, 3, 0, 0, 0))
        equal(stat.czxid, stat.mzxid)
        check(abs(stat.ctime / 1000 - time.time()) < 60, f"ctime {stat.ctime}")
        changed = zk.set("/a", b"two!")
        equal((changed.version, changed.dataLength), (1, 4))
        check(changed.mzxid > stat.mzxid, "mzxid goes up")
        equal(zk.get("/a")[0], b"two!")
        raises(BadVersionError, zk.set, "/a", b"three", version=0)
        raises(NodeExistsError, zk.create, "/a")
        raises(NoNodeError, zk.get, "/b")
        raises(NoNodeError, zk.create, "/b/c")
        equal(zk.exists("/b"), None)
        zk.create("/a/b", b"")
        zk.create("/a/c", b"x" * 100000)
        equal(sorted(zk.get_children("/a")), ["b", "c"])
        names, stat = zk.get_children("/a", include_data=True)
        equal((sorted(names), stat.numChildren, stat.cversion), (["b", "c"], 2, 2))
        raises(NotEmptyError, zk.delete, "/a")
        zk.delete("/a/b")
        equal(zk.exists("/a").cversion, 3)
        equal(zk.get("/a/c")[0], b"x" * 100000)
        raises(BadVersionError, zk.delete, "/a/c", version=3)
        zk.delete("/a", recursive=True)
        equal(zk.exists("/a"), None)
        path, stat = zk.create("/with", b"12", include_data=True)
        equal((path, stat.dataLength), ("/with", 2))
        equal(zk.sync("/with"), "/with")
        zk.ensure_path("/deep/er/still")
        check(zk.exists("/deep/er/still"), "ensure_path")
        raises(BadArgumentsError, zk.delete, "/zookeeper")


def test_sequences(folder):
    with Node(folder, zk=0) as node, client(node) as zk:
        zk.create("/q")
        equal([zk.create("/q/n-", sequence=True) for _ in range(3)],
              ["/q/n-0000000000", "/q/n-0000000001", "/q/n-0000000002"])
        zk.delete("/q/n-0000000001")
        equal(zk.create("/q/other", sequence=True), "/q/other0000000003")
        asked = [zk.create_async("/q/many-", sequence=True) for _ in range(500)]
        equal([one.get(timeout=WAIT) for one in asked], [f"/q/many-{n:010d}" for n in range(4, 504)],
              "pipelined creates, in their order")


def test_many(folder):
    """Writes and reads of one client, all at once: a read behind a write sees it."""
    with Node(folder, zk=0) as node, client(node) as zk:
        zk.create("/n", b"")
        asked = []
        for number in range(1000):
            asked.append((zk.set_async("/n", str(number).encode()), zk.get_async("/n")))
        for number, (written, read) in enumerate(asked):
            equal(written.get(timeout=WAIT).version, number + 1)
            data, stat = read.get(timeout=WAIT)
            check(int(data) >= number, f"the read behind write {number} saw {data}")
            check(stat.version >= number + 1, "its stat too")


def test_multi(folder):
    with Node(folder, zk=0) as node, client(node) as zk:
        zk.create("/m", b"0")
        change = zk.transaction()
        change.check("/m", 0)
        change.create("/m/a", b"1")
        change.set_data("/m", b"2")
        change.delete("/m/a")
        results = change.commit()
        equal(results[1], "/m/a")
        equal((results[2].version, zk.get("/m")[0]), (1, b"2"))
        check(all(not isinstance(one, Exception) for one in results), results)
        change = zk.transaction()
        change.create("/m/b")
        change.check("/m", 77)
        change.create("/m/c")
        results = change.commit()
        equal([type(one) for one in results], [RolledBackError, BadVersionError, RuntimeInconsistency])
        equal(zk.get_children("/m"), [], "nothing of it has happened")


# --- watches ---

def test_watches(folder):
    with Node(folder, zk=0) as node, client(node) as zk, client(node) as other:
        watch = Events()
        equal(zk.exists("/w", watch=watch), None)
        other.create("/w", b"")
        watch.wait([(EventType.CREATED, "/w")])
        zk.get("/w", watch=watch)
        other.set("/w", b"1")
        other.set("/w", b"2")  # fires no more
        watch.wait([(EventType.CREATED, "/w"), (EventType.CHANGED, "/w")])
        children, data = Events(), Events()
        zk.get_children("/w", watch=children)
        other.create("/w/a")
        children.wait([(EventType.CHILD, "/w")])
        zk.get("/w/a", watch=data)
        other.delete("/w/a")
        data.wait([(EventType.DELETED, "/w/a")])
        zk.get_children("/w", watch=children)
        other.delete("/w")
        children.wait([(EventType.CHILD, "/w"), (EventType.DELETED, "/w")])
        time.sleep(0.2)
        equal(len(watch.seen), 2, "each fires once")


def test_event_before_reply(folder):
    """An event is told before any reply that shows the change."""
    with Node(folder, zk=0) as node, client(node) as zk, client(node) as other:
        zk.create("/flag", b"0")
        for turn in range(200):
            told = threading.Event()
            zk.get("/flag", watch=lambda _: told.set())
            asked = [zk.get_async("/flag") for _ in range(10)]
            other.set_async("/flag", str(turn + 1).encode())
            asked += [zk.get_async("/flag") for _ in range(10)]
            while not told.is_set():
                data = zk.get("/flag")[0]
                # kazoo hands out events and replies on different threads, in the order of the wire
                if data != str(turn).encode():
                    check(told.wait(WAIT), "the event never came")
            for one in asked:
                one.get(timeout=WAIT)
            eventually("the write", lambda: zk.get("/flag")[0] == str(turn + 1).encode())


# --- sessions ---

def test_ephemerals(folder):
    with Node(folder, zk=0) as node, client(node) as watcher:
        with client(node, timeout=4.0) as zk:
            zk.create("/e", b"", ephemeral=True)
            equal(watcher.exists("/e").ephemeralOwner, zk.client_id[0])
            raises(NoChildrenForEphemeralsError, zk.create, "/e/child")
            watch = Events()
            watcher.exists("/e", watch=watch)
        watch.wait([(EventType.DELETED, "/e")])  # closed: at once
        equal(watcher.exists("/e"), None)

        zk = KazooClient(hosts=f"127.0.0.1:{node.zk}", timeout=4.0)
        zk.start(timeout=WAIT)
        zk.create("/f", b"", ephemeral=True)
        begin = time.monotonic()
        zk._connection._socket.shutdown(socket.SHUT_RDWR)  # kazoo connects again by itself
        time.sleep(2)
        check(watcher.exists("/f"), "a lost connection does not end a session")
        equal(zk.exists("/f").ephemeralOwner, zk.client_id[0], "the same session")
        zk.stop()
        check(time.monotonic() - begin < 60, "in time")


def receive(sock):
    """The body of one frame."""
    body = b""
    want = 4
    while len(body) < want:
        more = sock.recv(65536)
        check(more, f"the connection ended within a frame, behind {body!r}")
        body += more
        if len(body) >= 4:
            want = 4 + struct.unpack(">i", body[:4])[0]
    equal(len(body), want, "one frame")
    return body[4:]


def test_expiry(folder):
    """A session that is silent for its timeout ends, and with it its nodes; its client hears of it."""
    with Node(folder, zk=0) as node, client(node) as watcher:
        raw = socket.create_connection(("127.0.0.1", node.zk), timeout=WAIT)
        raw.sendall(struct.pack(">i", 45) + struct.pack(">iqiqi", 0, 0, 4000, 0, 16) + b"\0" * 17)
        answer = receive(raw)
        _, timeout, session, _ = struct.unpack(">iiqi", answer[:20])
        equal(timeout, 4000)
        check(session != 0, "a session")
        acl = struct.pack(">iii", 1, 31, 5) + b"world" + struct.pack(">i", 6) + b"anyone"
        body = struct.pack(">iii", 1, 1, 2) + b"/x" + struct.pack(">i", 0) + acl + struct.pack(">i", 1)
        raw.sendall(struct.pack(">i", len(body)) + body)
        begin = time.monotonic()
        eventually("the ephemeral", lambda: watcher.exists("/x"))
        eventually("its end", lambda: not watcher.exists("/x"), 15)
        check(3.5 < time.monotonic() - begin < 10, f"after {time.monotonic() - begin:.1f} s")
        raw.close()
        again = socket.create_connection(("127.0.0.1", node.zk), timeout=WAIT)
        again.sendall(struct.pack(">i", 45) + struct.pack(">iqiqi", 0, 0, 4000, session, 16) + answer[20:36] + b"\0")
        _, timeout, session, _ = struct.unpack(">iiqi", receive(again)[:20])
        equal((timeout, session), (0, 0), "an expired session")
        equal(again.recv(100), b"", "and the end")
        again.close()


def test_kill(folder):
    """SIGKILL: what was acknowledged is there, sessions go on with their ephemerals, and zxids go up."""
    node = Node(folder, zk=0).start()
    try:
        with client(node, timeout=20.0) as zk, client(node, timeout=20.0) as other:
            states = []
            zk.add_listener(states.append)
            zk.create("/k", b"0")
            zk.create("/k/e", b"", ephemeral=True)
            session = zk.client_id[0]
            watch = Events()
            for turn in range(3):
                zk.set("/k", str(turn).encode())
                before = zk.exists("/k")
                states.clear()
                node.kill()
                eventually("the loss is seen", lambda: KazooState.SUSPENDED in states)
                node.start()
                eventually("connected again", lambda: KazooState.CONNECTED in states, 30)
                equal(KazooState.LOST in states, False, "the session lives")
                equal(zk.client_id[0], session)
                data, stat = zk.retry(zk.get, "/k")
                equal((data, stat), (str(turn).encode(), before), "what was acknowledged")
                equal(zk.retry(zk.exists, "/k/e").ephemeralOwner, session)
                watch.seen.clear()
                zk.get("/k", watch=watch)
                changed = other.retry(other.set, "/k", b"other")
                check(changed.mzxid > stat.mzxid, "zxids go up")
                watch.wait([(EventType.CHANGED, "/k")])
    finally:
        node.kill()


# --- who may what ---

def test_acls(folder):
    with Node(folder, zk=0) as node, client(node) as anyone:
        with client(node, auth_data=[("digest", "joe:secret")]) as joe:
            joe.create("/private", b"mine", acl=[make_digest_acl("joe", "secret", all=True)])
            equal(joe.get("/private")[0], b"mine")
            raises(NoAuthError, anyone.get, "/private")
            raises(NoAuthError, anyone.set, "/private", b"")
            raises(NoAuthError, anyone.create, "/private/child")
            raises(InvalidACLError, anyone.create, "/none", acl=[make_acl("world", "somebody", all=True)])
            acls, stat = joe.get_acls("/private")
            equal((acls[0].id.scheme, acls[0].perms, stat.aversion), ("digest", 31, 0))
            anyone.add_auth("digest", "joe:secret")
            equal(anyone.get("/private")[0], b"mine")


# --- recipes ---

def test_recipes(folder):
    with Node(folder, zk=0) as node, client(node) as one, client(node) as two:
        order = []
        lock_one, lock_two = one.Lock("/lock", "one"), two.Lock("/lock", "two")
        check(lock_one.acquire(timeout=WAIT), "the lock")
        equal(lock_two.acquire(blocking=False), False, "is taken")
        waiter = threading.Thread(target=lambda: (lock_two.acquire(timeout=WAIT), order.append("two")))
        waiter.start()
        eventually("two waits", lambda: len(one.get_children("/lock")) == 2)
        order.append("one")
        lock_one.release()
        waiter.join(WAIT)
        equal(order, ["one", "two"])
        lock_two.release()

        leaders = []
        first, second = one.Election("/election", "one"), two.Election("/election", "two")
        threads = [threading.Thread(target=lambda e=e, n=n: e.run(leaders.append, n))
                   for e, n in ((first, "one"), (second, "two"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        equal(sorted(leaders), ["one", "two"])

        done = []
        barriers = [zk.DoubleBarrier("/barrier", 2, name) for zk, name in ((one, "one"), (two, "two"))]

        def through(barrier):
            barrier.enter()
            done.append(1)
            barrier.leave()

        threads = [threading.Thread(target=through, args=(barrier,)) for barrier in barriers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        equal(done, [1, 1])

        queue = one.Queue("/queue")
        for number in range(20):
            queue.put(str(number).encode())
        equal([two.Queue("/queue").get() for _ in range(20)], [str(number).encode() for number in range(20)])
        counter = one.Counter("/counter")
        counter += 5
        equal(two.Counter("/counter").value, 5)


# --- words ---

def word(node, text):
    with socket.create_connection(("127.0.0.1", node.zk), timeout=WAIT) as sock:
        sock.sendall(text)
        said = b""
        while True:
            more = sock.recv(65536)
            if not more:
                return said.decode()
            said += more


def test_words(folder):
    with Node(folder, "--zk-words", "*", zk=0) as node, client(node) as zk:
        equal(word(node, b"ruok"), "imok")
        equal(word(node, b"isro\n"), "rw")
        zk.create("/e", b"12345", ephemeral=True)
        zk.get("/e", watch=lambda _: None)
        numbers = dict(line.split("\t", 1) for line in word(node, b"mntr").splitlines())
        equal((numbers["zk_server_state"], numbers["zk_ephemerals_count"], numbers["zk_znode_count"],
               numbers["zk_watch_count"], numbers["zk_global_sessions"]), ("standalone", "1", "5", "1", "1"))
        check(int(numbers["zk_packets_received"]) >= 3, numbers)
        stat = word(node, b"stat")
        check("Zookeeper version: 3." in stat and "\nMode: standalone\n" in stat and "\nNode count: 5\n" in stat, stat)
        check(" /127.0.0.1:" in stat, stat)
        session = f"0x{zk.client_id[0]:x}"
        check(f"sid={session}" in word(node, b"cons"), "cons")
        dump = word(node, b"dump")
        check("Sessions with Ephemerals (1):" in dump and f"{session}:\n\t/e\n" in dump, dump)
        equal(word(node, b"wchs"), "1 connections watching 1 paths\nTotal watches:1\n")
        equal(word(node, b"wchc"), f"{session}\n\t/e\n\n")
        equal(word(node, b"wchp"), f"/e\n\t{session}\n\n")
        check(f"clientPort={node.zk}\n" in word(node, b"conf"), "conf")
        check("datadir_size: " in word(node, b"dirs"), "dirs")
        equal(word(node, b"srst"), "Server stats reset.\n")
        equal(zk.server_version()[0], 3)
        check(zk.exists("/e"), "and clients go on")


if __name__ == "__main__":
    main([test_nodes, test_sequences, test_many, test_multi, test_watches, test_event_before_reply, test_ephemerals,
          test_expiry, test_kill, test_acls, test_recipes, test_words])
