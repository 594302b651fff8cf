"""The third job: processes that coordinate through ZooKeeper's service, and the node is killed in between.

Four processes, each with kazoo, a ZooKeeper client of others, unmodified, meet at a barrier, count under a lock, and
elect a leader again and again, when the node is killed with SIGKILL and started again.  Afterwards each must have its
session and its ephemeral node, the same as before; the count must be exact, though it is read and written in two steps,
so that the lock alone keeps it right; two leaders may never have been at once; and one that watches must have been told
of changes in their order, with nothing missed at the end.  kazoo is fetched once; where it cannot be, this part is
skipped, aloud.

As a program, `keeper.py PORT NAME TURNS`, it is one of the processes.
"""
import json
import os
import subprocess
import sys
import threading
import time

from node import SOURCE, Broken, say

PROCESSES, TURNS, SECONDS = 4, 40, 60
TIMEOUT = 20  # of a session, in seconds: the node is away for less


# --- one of the processes ---

def connect(port):
    from kazoo.client import KazooClient
    from kazoo.retry import KazooRetry

    zk = KazooClient(hosts=f"127.0.0.1:{port}", timeout=TIMEOUT,
                     connection_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2),
                     command_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2))
    zk.start(timeout=TIMEOUT)
    return zk


def again(call):
    """Until the connection holds; `call` looks itself at what a lost one has left."""
    from kazoo.exceptions import CancelledError, ConnectionClosedError, ConnectionLoss
    from kazoo.handlers.threading import KazooTimeoutError

    while True:
        try:
            return call()
        except (ConnectionLoss, ConnectionClosedError, CancelledError, KazooTimeoutError):
            time.sleep(0.1)


def count_once(zk, name, turn):
    """Adds one to the count, which remembers each process's last turn: so a write of which the answer was lost is known."""
    with zk.Lock("/demo/lock", name):
        counts = json.loads(zk.retry(zk.get, "/demo/count")[0])
        if counts.get(name, 0) < turn:
            counts[name] = turn
            counts["total"] = counts.get("total", 0) + 1
            zk.retry(zk.set, "/demo/count", json.dumps(counts).encode())


def lead_once(zk, name, turn):
    """What only a leader does: two at once would find each other's mark."""
    from kazoo.exceptions import NodeExistsError, NoNodeError

    def lead():
        mark = json.dumps([name, turn]).encode()
        try:
            zk.retry(zk.create, "/demo/leads", mark)
        except NodeExistsError:
            if zk.retry(zk.get, "/demo/leads")[0] != mark:  # not mine, of which the answer was lost
                zk.retry(zk.create, "/demo/two-leaders", mark)
        try:
            zk.retry(zk.delete, "/demo/leads")
        except NoNodeError:
            pass

    zk.Election("/demo/election", name).run(lead)


def work(port, name, turns):
    zk = connect(port)
    session = zk.client_id[0]
    zk.create(f"/demo/members/{name}", b"", ephemeral=True)
    created = zk.exists(f"/demo/members/{name}")
    zk.DoubleBarrier("/demo/barrier", PROCESSES, name).enter()
    for turn in range(1, turns + 1):
        again(lambda turn=turn: count_once(zk, name, turn))
        if turn % 10 == 0:
            again(lambda turn=turn: lead_once(zk, name, turn))
    stat = zk.retry(zk.exists, f"/demo/members/{name}")
    good = zk.client_id[0] == session and stat and stat.czxid == created.czxid and stat.ephemeralOwner == session
    print(json.dumps({"name": name, "session": f"0x{session:x}", "survived": bool(good)}), flush=True)
    sys.stdin.readline()  # until all are done: the members are counted
    zk.stop()
    zk.close()


# --- the job ---

class Watcher:
    """Follows the count by data watches, one after the other, as a client would."""

    def __init__(self, zk):
        self.zk, self.versions, self.told = zk, [], threading.Event()
        self.ended = False
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        while not self.ended:
            self.told.clear()
            version = again(lambda: self.zk.get("/demo/count", watch=lambda _: self.told.set()))[1].version
            if not self.versions or version != self.versions[-1]:
                self.versions.append(version)
            self.told.wait(SECONDS)

    def end(self):
        self.ended = True
        self.told.set()
        self.thread.join(10)


def kazoo_path():
    """What stands before PYTHONPATH, or None."""
    sys.path.insert(0, os.path.join(SOURCE, "tests", "wire"))
    try:
        from clients import Skip, from_pip
    except ImportError:
        return None
    try:
        return from_pip("kazoo", "2.11.0")
    except Skip as reason:
        say(f"keeper: skipped, {reason}")
        return None


def wait_for_count(zk, least, processes):
    deadline = time.monotonic() + SECONDS
    while json.loads(again(lambda: zk.get("/demo/count"))[0]).get("total", 0) < least:
        if time.monotonic() > deadline or any(one.poll() is not None for one in processes):
            raise Broken(f"the count does not come to {least}")
        time.sleep(0.02)


def run(node):
    path = kazoo_path()
    if not path:
        return
    sys.path.insert(0, path)
    logging_off()
    zk = connect(node.zk)
    for name in ("/demo", "/demo/members"):
        zk.create(name)
    zk.create("/demo/count", b"{}")
    watcher = Watcher(zk)
    processes = [subprocess.Popen([sys.executable, os.path.abspath(__file__), str(node.zk), f"worker{i}", str(TURNS)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env=dict(os.environ, PYTHONPATH=path)) for i in range(PROCESSES)]
    try:
        follow(node, zk, watcher, processes)
    finally:
        for one in processes:
            one.kill()
            one.wait()
        watcher.end()
    zk.stop()
    zk.close()


def follow(node, zk, watcher, processes):
    wait_for_count(zk, PROCESSES * TURNS // 3, processes)
    begin = time.monotonic()
    node.kill()
    node.process.wait(timeout=30)
    node.start()
    say(f"keeper: {PROCESSES} processes counted under a lock when the node was killed; it was away for "
        f"{time.monotonic() - begin:.2f} s")
    outcomes = [json.loads(one.stdout.readline() or "{}") for one in processes]
    if not all(outcome.get("survived") for outcome in outcomes):
        raise Broken(f"keeper: a session, or its ephemeral node, did not survive: {outcomes}")
    members = again(lambda: zk.get_children("/demo/members"))
    counts, stat = again(lambda: zk.get("/demo/count"))
    counts = json.loads(counts)
    if len(members) != PROCESSES or counts["total"] != PROCESSES * TURNS:
        raise Broken(f"keeper: members {members}, count {counts} instead of {PROCESSES * TURNS}")
    if again(lambda: zk.exists("/demo/two-leaders")):
        raise Broken("keeper: there were two leaders at once")
    deadline = time.monotonic() + 10
    while watcher.versions[-1] != stat.version and time.monotonic() < deadline:
        time.sleep(0.02)
    if watcher.versions != sorted(set(watcher.versions)) or watcher.versions[-1] != stat.version:
        raise Broken(f"keeper: the watcher saw versions {watcher.versions[-10:]}, the last is {stat.version}")
    for one in processes:
        one.communicate("done\n", timeout=30)
    if again(lambda: zk.get_children("/demo/members")):
        raise Broken("keeper: ephemeral nodes are left of sessions that were closed")
    say(f"keeper: count exact at {counts['total']}, {PROCESSES} sessions and their ephemerals survived, "
        f"{len(watcher.versions)} changes were seen in order")
    say(f"cairn keeper ls /demo: {' '.join(node.command('keeper', 'ls', '/demo').split())}")


def logging_off():
    """kazoo tells of each lost connection, and they are meant to be."""
    import logging

    logging.disable(logging.CRITICAL)


if __name__ == "__main__":
    logging_off()
    work(sys.argv[1], sys.argv[2], int(sys.argv[3]))
