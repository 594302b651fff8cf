"""The keeper beside Debian's ZooKeeper 3.8, one server each: bench_zk_load sends both the same requests.

Equal: one server on the same machine, and every write is on stable storage before it is answered (cairn with --sync
always; ZooKeeper with forceSync, its default, and its log on the same disk).  ZooKeeper is as Debian ships it (a heap of at
most 1000 MB, a snapshot every 100,000 transactions) but for two settings in its favour: it logs errors only, and
maxClientCnxns is 0.  Both run every work once before anything is measured, for the sake of Java's compiler.  Not equal:
ZooKeeper has one tree in its heap; the keeper's is the state of functions, whose reads go past them.

WORKS are closed loops of 8 connections with 16 requests outstanding each, `connect + close` of 8 connections.  Nodes are
drawn from NODES of 1 KB (multi: of 100 B); their parent is the one whose children are listed.  The single client's set is
beside one synced append of as many bytes as cairn's log grows by for it (bench_append).  The watches are of one node, by
WATCHERS sessions: from the sending of the set to the last event.  Memory is that of fresh processes: when one session has
come and gone (idle), and then with FILL nodes of 100 B.
"""
import os
import shutil
import socket
import time

from . import etcd
from .base import Broken, Cairn, Process, free_ports, median

JARS = [f"/usr/share/java/{name}.jar" for name in ("zookeeper", "zookeeper-jute", "slf4j-simple")]
PEER = "ZooKeeper 3.8"
NODES, WATCHERS, FIRINGS, FILL = 1000, 10000, 3, 100000
WARM_UP, CALM = 0.2, 1  # seconds before what is measured, and before memory is looked at
MANY = {"connections": 8, "outstanding": 16}
SMALL = {"folder": "/small", "nodes": NODES, "bytes": 100}
WORKS = {  # name: (workload, its options, the goal: so many times the peer's rate)
    "set 1 KB": ("set", {"bytes": 1024, **MANY}, 5),
    "get 1 KB": ("get", MANY, 4),
    "90 % reads, 1 KB": ("mixed", {"bytes": 1024, **MANY}, 4),
    "create sequential, 100 B": ("sequential", {"bytes": 100, **MANY}, 5),
    "exists": ("exists", MANY, 4),
    "multi of 10 sets of 100 B": ("multi", {"parts": 10, **SMALL, **MANY}, 5),
    "getChildren of 1,000": ("children", MANY, 2),
    "connect + close": ("sessions", {"connections": 8}, 3),
}

ETCD_WORKS = {"set 1 KB": ("set", MANY), "get 1 KB": ("get", MANY), "90 % reads, 1 KB": ("mixed", MANY),
              "one set of 1 KB at a time": ("set", {})}


class Keeper(Cairn):
    def __init__(self, bench, name="keeper"):
        self.zk, = free_ports(1)
        super().__init__(bench, name, "--sync", "always", "--zk", f"127.0.0.1:{self.zk}")


class ZooKeeper:
    def __init__(self, bench, name="zookeeper"):
        self.zk, = free_ports(1)
        folder = bench.new_folder(name)
        config = os.path.join(folder, "zoo.cfg")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"tickTime=2000\ndataDir={folder}/data\nclientPort={self.zk}\nclientPortAddress=127.0.0.1\n"
                       "maxClientCnxns=0\nadmin.enableServer=false\n")
        self.process = Process(bench, ["java", "-Xmx1000m", "-cp", ":".join(JARS), "-Dzookeeper.jmx.log4j.disable=true",
                                       "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                                       "org.apache.zookeeper.server.ZooKeeperServerMain", config], name)
        self.process.wait_for_port(self.zk)
        end = time.monotonic() + 30
        while not self.serves():  # it listens before it does
            if time.monotonic() > end:
                raise Broken("ZooKeeper did not serve within 30 s")
            time.sleep(0.05)

    def serves(self):
        self.process.check()
        with socket.create_connection(("127.0.0.1", self.zk), timeout=5) as probe:
            probe.sendall(b"srvr")
            return probe.recv(100).startswith(b"Zookeeper version")

    def kill(self):
        self.process.kill()


def load(bench, server, workload, **options):
    command = [bench.program("zk_load"), "--port", str(server.zk), "--workload", workload]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    return bench.run(command, 120)


def works(bench, sides):
    """Name -> side -> the medians of rate and p99."""
    for side in sides:
        load(bench, side, "fill", nodes=NODES, bytes=1024, **MANY)
        load(bench, side, "fill", **SMALL, **MANY)
    found = {name: {side: [] for side in sides} for name in WORKS}
    for name, (workload, options, _) in WORKS.items():
        if workload == "sequential":
            options = dict(options, folder="/sequence")
        for side in sides:
            load(bench, side, workload, **options, seconds=bench.seconds)
        for _, side in bench.turns(sides):
            found[name][side].append(load(bench, side, workload, **options, seconds=bench.seconds, warm_up=WARM_UP))
    return {name: {side: [median([one[what] for one in all_of]) for what in ("throughput", "p99_us")]
                   for side, all_of in by_side.items()} for name, by_side in found.items()}


def one_at_a_time(bench, cairn, peer):
    """p50 in us of cairn's, the peer's, and one synced append."""
    before = cairn.metrics()["cairn_log_appended_bytes_total"]
    done = load(bench, cairn, "set", bytes=1024, count=300)
    size = int((cairn.metrics()["cairn_log_appended_bytes_total"] - before) / done["replies"])
    bench.note(f"keeper: a set of 1 KB is {size} bytes of log")
    file = os.path.join(bench.new_folder("append"), "file")
    found = {cairn: [], peer: [], "append": []}
    for _, side in bench.turns([cairn, "append", peer]):
        if side == "append":
            one = bench.run([bench.program("append"), "--file", file, "--bytes", str(size), "--seconds",
                             str(bench.seconds)])
        else:
            one = load(bench, side, "set", bytes=1024, seconds=bench.seconds, warm_up=WARM_UP)
        found[side].append(one["p50_us"])
    return [median(found[side]) for side in (cairn, peer, "append")]


def watches(bench, sides):
    """ms until the last event, of each side."""
    found = {side: [] for side in sides}
    for _, side in bench.turns(sides):
        found[side].append(load(bench, side, "watches", folder="/watched", sessions=WATCHERS, count=FIRINGS)["p50_us"])
    return [median(found[side]) / 1e3 for side in sides]


def memory(bench):
    """[idle, filled] of each side, in MB."""
    found = {Keeper: [], ZooKeeper: []}
    for _, kind in bench.turns([Keeper, ZooKeeper]):
        server = kind(bench, "memory")
        sizes = []
        load(bench, server, "sessions", count=1)
        time.sleep(CALM)
        sizes.append(server.process.rss_bytes() / 1e6)
        load(bench, server, "fill", nodes=FILL, bytes=100, **MANY)
        time.sleep(CALM)
        sizes.append(server.process.rss_bytes() / 1e6)
        server.kill()
        found[kind].append(sizes)
    return [[median(column) for column in zip(*rounds)] for rounds in found.values()]


def beside_etcd(bench):
    try:
        peer = etcd.Etcd(bench)
    except etcd.Missing as why:
        bench.say(f"  SKIPPED beside etcd: {why}")
        bench.note(f"keeper: not beside etcd: {why}")
        return
    cairn = Keeper(bench)
    bench.note("keeper: etcd as Debian has it, by its Go client; reads are serializable")
    load(bench, cairn, "fill", nodes=NODES, bytes=1024, **MANY)
    peer.load(bench, "fill", nodes=NODES, bytes=1024)
    for name, (workload, options) in ETCD_WORKS.items():
        options = dict(options, bytes=1024, seconds=bench.seconds, warm_up=WARM_UP)
        found = {cairn: [], peer: []}
        for _, side in bench.turns([cairn, peer]):
            found[side].append(load(bench, cairn, workload, **options) if side is cairn
                               else peer.load(bench, workload, **options))
        for what, unit in (("throughput", "requests/s"), ("p50_us", "us"), ("p99_us", "us")):
            bench.row(f"keeper and etcd: {name}, {what.split('_', maxsplit=1)[0]}", unit,
                      *(median([one[what] for one in found[side]]) for side in (cairn, peer)), etcd.PEER)
    for side in (cairn, peer):
        side.kill()


def run(bench):
    beside_etcd(bench)
    if not shutil.which("java") or not all(map(os.path.exists, JARS)):
        bench.say("  SKIPPED: Debian's ZooKeeper is not installed (apt-get install zookeeper)")
        bench.note("keeper: skipped, ZooKeeper is not installed")
        return
    cairn, peer = sides = [Keeper(bench), ZooKeeper(bench)]
    bench.note("keeper: cairn with --sync always; Debian's ZooKeeper 3.8 with forceSync, -Xmx1000m, maxClientCnxns=0; "
               "8 connections with 16 requests outstanding each")
    for name, by_side in works(bench, sides).items():
        goal = ("ratio", ">=", WORKS[name][2])
        bench.row(f"keeper: {name}", "requests/s", by_side[cairn][0], by_side[peer][0], PEER, goal=goal)
        bench.row(f"keeper: {name}, p99", "ms", by_side[cairn][1] / 1e3, by_side[peer][1] / 1e3, PEER,
                  goal=("ratio", "<=", 0.2) if name == "set 1 KB" else None)
    ours, theirs, append = one_at_a_time(bench, cairn, peer)
    bench.row("keeper: one set of 1 KB at a time, p50", "us", ours, append, "one synced append", goal=("ratio", "<=", 2.5))
    bench.row("keeper: one set of 1 KB at a time, p50", "us", ours, theirs, PEER, goal=("ratio", "<=", 1))
    bench.row(f"keeper: {WATCHERS:,} watches fired by one set, last event", "ms", *watches(bench, sides), PEER,
              goal=("ratio", "<=", 1 / 3))
    for side in sides:
        side.kill()
    ours, theirs = memory(bench)
    bench.row("keeper: memory, idle", "MB", ours[0], theirs[0], PEER, goal=("ratio", "<=", 0.2))
    bench.row(f"keeper: memory, {FILL:,} nodes of 100 B", "MB", ours[1], theirs[1], PEER, goal=("ratio", "<=", 0.2))
