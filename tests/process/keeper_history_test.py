#!/usr/bin/env python3
"""Clients that read, write and watch while the node is killed, and what they were told: zkhistory.py checks it.

Catches a write that is lost or happens twice, an order of writes that is not that of their zxids, a session that goes
back, an event that comes behind what shows the change, a sequential number that is given twice, an ephemeral node that
does not outlive a SIGKILL with its session, or outlives its session; and a checker that cannot fail.
"""
import contextlib
import random
import threading
import time

import zkhistory
import zkwire
from cairnproc import Lost, Node, check, equal, main
from zkhistory import Again, Got, Sent, Told
from zkwire import OPEN_ACL, Event, Reply, Stat

PATHS = [f"/h{i}" for i in range(4)]


class Client(threading.Thread):
    """A session: connects again whenever the node is gone."""

    def __init__(self, node, number):
        super().__init__(daemon=True)
        self.node, self.number, self.random = node, number, random.Random(number)
        self.items, self.sent, self.stopping, self.failure = [], 0, False, None
        self.connection = zkwire.Connection(node.zk, 40000)
        self.own = f"/e{number}"
        equal(self.connection.call("create", self.own, b"", OPEN_ACL, 1)[0].error, 0, "an ephemeral node")

    def request(self):
        path, luck = self.random.choice(PATHS), self.random.random()
        if luck < 0.4:
            return "get", path, self.random.random() < 0.5
        if luck < 0.9:
            return "set", path, b"%d.%d" % (self.number, self.sent), self.random.choice([-1, -1, self.sent % 50])
        return "create", "/q/n-", b"", OPEN_ACL, 2

    def again(self):
        old = self.connection
        old.end()
        while not self.stopping:
            with contextlib.suppress(OSError, Lost):
                self.connection = zkwire.Connection(self.node.zk, 40000, old.session, old.seen)
                self.items.append(Again(time.monotonic_ns()))
                equal(self.connection.session[0], old.session[0], "the session after a SIGKILL")
                return
            time.sleep(0.05)

    def exchange(self):
        requests = []
        for _ in range(self.random.randint(1, 6)):
            self.sent += 1
            requests.append((self.sent, self.request()))
        moment = time.monotonic_ns()
        self.items += [Sent(moment, number, request) for number, request in requests]
        self.connection.send([request for _, request in requests])
        for number, _ in requests:
            while isinstance(got := self.connection.read(), Event):
                self.items.append(Told(time.monotonic_ns(), got))
            if got.error == -4:
                raise Lost("it may have happened")
            self.items.append(Got(time.monotonic_ns(), number, got))

    def run(self):
        try:
            while not self.stopping:
                try:
                    self.exchange()
                except (Lost, OSError):
                    self.again()
        except Exception as failure:  # told by the test
            self.failure = failure


def test_history(folder):
    with Node(folder, zk=0) as node:
        first = zkwire.Connection(node.zk)
        for path in [*PATHS, "/q"]:
            equal(first.call("create", path, b"0", OPEN_ACL, 0)[0].error, 0, path)
        clients = [Client(node, number) for number in range(5)]
        for client in clients:
            client.start()
        for _ in range(3):
            time.sleep(1.2)
            node.kill()
            node.start()
        time.sleep(1)
        for client in clients:
            client.stopping = True
        for client in clients:
            client.join(30)
            if client.failure:
                raise client.failure
        done, unanswered = zkhistory.check_history([client.items for client in clients])
        print(f"  {done} writes, and {unanswered} that were not answered")
        check(done > 300 and unanswered > 0, "there was little to check")
        last = zkwire.Connection(node.zk)
        created = [item.reply.body[0] for client in clients for item in client.items if isinstance(item, Got)
                   and not item.reply.error and len(item.reply.body) == 1 and isinstance(item.reply.body[0], str)]
        names = set(last.call("ls", "/q", False)[0].body[0])
        check(len(created) > 20 and {path[3:] for path in created} <= names, "a sequential node is lost")
        check({client.own[1:] for client in clients} <= set(last.call("ls", "/", False)[0].body[0]), "an ephemeral died")
        for client in clients:
            client.connection.end()
            closer = zkwire.Connection(node.zk, 40000, client.connection.session)
            equal(closer.call("close")[0].error, 0, "close")
        left = [name for name in last.call("ls", "/", False)[0].body[0] if name.startswith("e")]
        equal(left, [], "ephemerals of closed sessions")


def a_stat(version, mzxid):
    return Stat(1, mzxid, 0, 0, version, 0, 0, 0, 1, 0, 1)


def a_set(moment, number, path, data, version, zxid, took=1):
    return [Sent(moment, number, ("set", path, data, -1)),
            Got(moment + took, number, Reply(number, zxid, 0, [a_stat(version, zxid)]))]


def a_get(moment, number, path, data, version, mzxid, zxid, watch=False):
    return [Sent(moment, number, ("get", path, watch)),
            Got(moment + 1, number, Reply(number, zxid, 0, [data, a_stat(version, mzxid)]))]


def a_name(moment, number, name, zxid):
    return [Sent(moment, number, ("create", "/q/n-", b"", OPEN_ACL, 2)),
            Got(moment + 1, number, Reply(number, zxid, 0, [name]))]


def test_checker():
    """What is well passes; each guarantee that is broken is told."""
    well = [a_set(0, 1, "/a", b"x", 1, 10) + a_get(5, 2, "/a", b"x", 1, 10, 11, True) +
            [Told(9, Event(-1, 3, 3, "/a"))] + a_get(10, 3, "/a", b"y", 2, 12, 13), a_set(6, 1, "/a", b"y", 2, 12, 2),
            [Sent(7, 1, ("set", "/a", b"lost", -1))]]
    equal(zkhistory.check_history(well), (2, 1), "a history that is well")
    broken = {
        "two writes with one zxid": [a_set(0, 1, "/a", b"x", 1, 10), a_set(0, 1, "/b", b"y", 1, 10)],
        "zxids against real time": [a_set(0, 1, "/a", b"x", 1, 20), a_set(9, 1, "/b", b"y", 1, 10)],
        "zxids against the session's order": [a_set(0, 1, "/a", b"x", 1, 20, 50) + a_set(9, 2, "/b", b"y", 1, 10, 50)],
        "one version twice": [a_set(0, 1, "/a", b"x", 1, 10), a_set(0, 1, "/a", b"y", 1, 11)],
        "a lost write": [a_set(0, 1, "/a", b"x", 1, 10), a_set(0, 1, "/a", b"y", 3, 11)],
        "what nobody wrote": [a_set(0, 1, "/a", b"x", 1, 10), a_get(5, 1, "/a", b"z", 2, 11, 11)],
        "versions against zxids": [a_set(0, 1, "/a", b"x", 2, 10, 9), a_set(0, 1, "/a", b"y", 1, 11, 9)],
        "a session that goes back": [a_set(0, 1, "/a", b"x", 1, 10), a_set(3, 1, "/a", b"y", 2, 11),
                                     a_get(9, 1, "/a", b"y", 2, 11, 12) + a_get(11, 2, "/a", b"x", 1, 10, 12)],
        "an older state": [a_get(0, 1, "/a", b"0", 0, 5, 12) + a_get(5, 2, "/b", b"0", 0, 5, 11)],
        "an own write that is not seen": [a_get(0, 1, "/a", b"0", 0, 5, 6) + a_set(4, 2, "/a", b"x", 1, 10) +
                                          a_get(9, 3, "/a", b"0", 0, 5, 10)],
        "an event that does not come": [well[0][:4] + well[0][5:], *well[1:]],
        "a number given twice": [a_name(0, 1, "/q/n-1", 10) + a_name(3, 2, "/q/n-1", 11)],
    }
    for what, sessions in broken.items():
        try:
            zkhistory.check_history(sessions)
        except zkhistory.Broken:
            continue
        raise AssertionError(f"the checker does not see {what}")


if __name__ == "__main__":
    main([test_checker, test_history])
