#!/usr/bin/env python3
"""What a ZooKeeper is asked for at its worst, against the real node: a million children, a hundred thousand ephemerals that
go at once, a hundred thousand events for a client that takes none, watches of thousands of connections on one node, a
full disk.

Catches a node that makes others wait meanwhile, that grows beyond a bound, that loses or repeats an event, that refuses
reads for want of room, or does not heal.
"""
import resource
import socket
import threading
import time

import zkwire
from cairnproc import Lost, Node, Skip, check, equal, main
from disk_full import HEALS_SECONDS, Disk, with_mounts
from zkwire import OPEN_ACL, Connection, Event

MIB = 1 << 20


def resident(node):
    with open(f"/proc/{node.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def create_many(connection, count, path, flags, batch=500):
    """Sequential nodes, in multis of which four are under way."""
    sent = done = 0
    while done < count:
        while sent < count and sent - done < 4 * batch:
            connection.send([("multi", [("create", path, b"", OPEN_ACL, flags)] * min(batch, count - sent))])
            sent += min(batch, count - sent)
        reply = connection.read()
        check(not reply.error and all(slot[0] == "create" for slot in reply.body), f"creating: {reply.error}")
        done += len(reply.body)


class Other(threading.Thread):
    """Somebody else's reads and writes, and how long each takes."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.connection, self.took, self.stopping = Connection(node.zk), [], False
        equal(self.connection.call("create", "/other", b"", OPEN_ACL, 0)[0].error, 0, "a node of another's")

    def run(self):
        while not self.stopping:
            for request in (("set", "/other", b"x", -1), ("get", "/other", False)):
                begin = time.monotonic()
                equal(self.connection.call(*request)[0].error, 0, "another's request")
                self.took.append(time.monotonic() - begin)
            time.sleep(0.005)

    def end(self, what):
        self.stopping = True
        self.join(60)
        took = sorted(self.took)
        p99 = took[len(took) * 99 // 100]
        print(f"    {what}: {len(took)} requests of another's, p50 {took[len(took) // 2] * 1000:.1f} ms, "
              f"p99 {p99 * 1000:.1f} ms, slowest {took[-1] * 1000:.1f} ms")
        check(p99 < 1, f"others wait while {what}: p99 {p99:.2f} s")  # a machine that is shared; the goal is 20 ms


def test_ephemerals(folder):
    """A hundred thousand go with their session."""
    count = 100_000
    with Node(folder, zk=0) as node:
        owner, watcher = Connection(node.zk), Connection(node.zk)
        equal(owner.call("create", "/p", b"", OPEN_ACL, 0)[0].error, 0, "the parent")
        create_many(owner, count, "/p/n-", 3)
        equal(watcher.call("addwatch", "/p", 1)[0].error, 0, "a recursive watch")
        other, before = Other(node), resident(node)
        other.start()
        begin = time.monotonic()
        equal(owner.call("close")[0].error, 0, "close")
        closed = time.monotonic() - begin
        watcher.socket.settimeout(60)
        paths = []
        while len(paths) < count:
            event = watcher.read()
            check(isinstance(event, Event) and event.type == 2, f"{event}")
            paths.append(event.path)
        equal(len(set(paths)), count, "events, each once")
        print(f"    closed in {closed * 1000:.0f} ms, told in {time.monotonic() - begin:.1f} s")
        reply, events = watcher.call("ls2", "/p", False)
        equal((reply.body[0], events), ([], []), "children that are left")
        end = time.monotonic() + 60
        while node.metrics().get("cairn_mailbox_waiting", 0) and time.monotonic() < end:
            time.sleep(0.1)
        other.end("100,000 ephemerals go")
        grown = resident(node) - before
        check(grown < 256 * MIB, f"100,000 ephemerals that go make it grow by {grown // MIB} MiB")


def test_children(folder):
    """A million; the list is sent whole."""
    count = 1_000_000
    with Node(folder, zk=0) as node:
        maker = Connection(node.zk)
        maker.socket.settimeout(120)
        equal(maker.call("create", "/p", b"", OPEN_ACL, 0)[0].error, 0, "the parent")
        begin = time.monotonic()
        create_many(maker, count, "/p/n-", 2)
        print(f"    a million children in {time.monotonic() - begin:.0f} s")
        other, before = Other(node), resident(node)
        other.start()
        reply, _ = maker.call("ls2", "/p", False)
        names, stat = reply.body
        equal((len(names), stat.children, names[0], names[-1]), (count, count, "n-0000000000", "n-0000999999"), "the list")
        other.end("a million names are listed")
        grown = resident(node) - before
        check(grown < 256 * MIB, f"a list of a million names makes it grow by {grown // MIB} MiB")
        equal(maker.call("create", "/p/n-", b"", OPEN_ACL, 2)[0].body, ["/p/n-0001000000"], "the next")


def test_events(folder):
    """A hundred thousand for a client that takes none."""
    with Node(folder, zk=0) as node:
        other, slow = Connection(node.zk), Connection(node.zk)
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        equal(other.call("create", "/w", b"", OPEN_ACL, 0)[0].error, 0, "a node")
        equal(slow.call("addwatch", "/w", 0)[0].error, 0, "a watch")
        before = resident(node)
        for _ in range(100):
            other.send([("set", "/w", b"x", -1)] * 1000)
            for _ in range(1000):
                equal(other.read().error, 0, "a write")
        grown = resident(node) - before
        check(grown < 64 * MIB, f"100,000 events for a client that takes none: {grown // MIB} MiB more")
        again = Connection(node.zk, 40000, slow.session)
        equal(again.session[0], slow.session[0], "its session lives")


def test_watches(folder):
    """Of thousands of connections on one node, each of four kinds: one change tells each connection once."""
    want = 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < want + 200:
        raise Skip(f"at most {hard} files may be open here, and this needs {want + 200}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (want + 200, hard))
    try:
        with Node(folder, zk=0) as node:
            writer = Connection(node.zk)
            equal(writer.call("create", "/w", b"", OPEN_ACL, 0)[0].error, 0, "a node")
            other = Other(node)
            watchers = [Connection(node.zk) for _ in range(want)]
            for watcher in watchers:
                watcher.send([("get", "/w", True), ("ls", "/w", True), ("addwatch", "/w", 1)])
            for watcher in watchers:
                for _ in range(3):
                    equal(watcher.read().error, 0, "a watch")
            other.start()
            begin = time.monotonic()
            equal(writer.call("set", "/w", b"x", -1)[0].error, 0, "a write")
            answered = time.monotonic() - begin
            for watcher in watchers:
                event = watcher.read()
                check(isinstance(event, Event) and (event.type, event.path) == (3, "/w"), f"{event}")
            print(f"    answered in {answered * 1000:.0f} ms, the last of {want} events in "
                  f"{(time.monotonic() - begin) * 1000:.0f} ms")
            other.end(f"{want} are told")
            equal(writer.call("delete", "/w", -1)[0].error, 0, "a deletion")
            for watcher in watchers:
                check(isinstance(event := watcher.read(), Event) and event.type == 2, f"{event}")
                watcher.send([("ping",)])
            for watcher in watchers:
                check(not isinstance(watcher.read(), Event), "an event comes twice")
                watcher.end()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_full_disk(folder):
    """Writes are refused, reads go on, sessions live, and it heals."""
    with Disk(folder, "tmpfs") as disk, Node(folder, data=disk.data, zk=0) as node:
        one = Connection(node.zk)
        one.socket.settimeout(60)
        equal(one.call("create", "/a", b"kept", OPEN_ACL, 0)[0].error, 0, "a node")
        equal(one.call("create", "/e", b"", OPEN_ACL, 1)[0].error, 0, "an ephemeral node")
        disk.fill()
        written, error = 0, 0
        for size in (200_000, 2_000, 0):
            error = 0
            for number in range(20_000):
                error = one.call("create", f"/f{size}-{number}", bytes(size), OPEN_ACL, 0)[0].error
                if error:
                    break
                written += 1
            equal(error, -1, "the error of a write without room")
            disk.fill()
        equal(one.call("get", "/a", False)[0].body[0], b"kept", "a read without room")
        equal(one.call("number", "/")[0].body, [written + 5], "nodes, and nothing that was refused")
        check("No space" in node.output() or "full" in node.output(), "the log says nothing of the disk")
        disk.give_back()
        end = time.monotonic() + HEALS_SECONDS
        while (error := one.call("set", "/a", b"again", -1)[0].error) and time.monotonic() < end:
            equal(error, -1, "the error until it heals")
            time.sleep(0.05)
        equal(error, 0, f"a write {HEALS_SECONDS} s after there is room")
        node.kill()
        node.start()
        back = Connection(node.zk, 40000, one.session)
        equal(back.session[0], one.session[0], "the session")
        equal(back.call("get", "/a", False)[0].body[0], b"again", "what was written last")
        equal(back.call("exists", "/e", False)[0].error, 0, "the ephemeral node")


if __name__ == "__main__":
    with_mounts(lambda: main([test_ephemerals, test_children, test_events, test_watches, test_full_disk]))
