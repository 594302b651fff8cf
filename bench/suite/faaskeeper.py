"""FaaSKeeper's experiments on the keeper (docs/keeper.md): reads and writes by the size of a node, and growth.

READS and WRITES: one client, one request at a time (bench_zk_load), nodes of each size; of several rounds the least p50, as
what else a machine does makes it larger only.  Sides are the keeper with its
tree in memory and on an engine on disk, with all data in the blob store (a folder of the same disk; nothing kept in memory),
by size at 4 KiB, and Debian's ZooKeeper 3.8 as the benchmark `keeper` starts it.  All have every write on stable storage.
They take turns.

SHARES: where the time of a write goes, from the spans that the node itself writes (--trace file:): running in Session.write
(follower) and in Tree.commit (leader), the log, and queues: waiting for an object's turn, calls and results on their way.
What the client sees beyond that is the port, and, where the data goes to the blob store, the put.

GROWTH: the least p50 of requests against how many nodes the tree has (asked for in a folder of 1,000), and how many children one
folder has (asked for in that); one client, nodes of 100 B, trees of all sizes open at once, in turns.  Nothing is synced,
as the disk does not know how large a tree is.
"""
import json
import os
import statistics
import time

from .base import Broken, Cairn, free_ports
from .keeper import ZooKeeper, load

SIZES = [4, 1000, 4096, 16384, 65536, 131072, 250000, 400000]
NODES, WARM_UP = 16, 0.2
COUNTS = [1000, 10000, 100000, 1000000]
CHILDREN = [10, 100, 1000, 10000, 100000, 1000000]
TRACED, FILL_SECONDS = 150, 1800
GROWN = {"get": {}, "exists": {}, "set": {"bytes": 100}}


class Keeper(Cairn):
    def __init__(self, bench, name, *flags, sync="always"):
        self.zk, = free_ports(1)
        super().__init__(bench, name, "--sync", sync, "--zk", f"127.0.0.1:{self.zk}", *flags)

    def kill(self):
        self.process.kill()


SIDES = {
    "in memory": lambda bench: Keeper(bench, "memory"),
    "engine on disk": lambda bench: Keeper(bench, "engine", "--engine", "hybridlog"),
    "blob store": lambda bench: Keeper(bench, "blob", "--engine", "hybridlog", "--keeper-storage", "blob",
                                       "--keeper-cache", "0"),
    "hybrid": lambda bench: Keeper(bench, "hybrid", "--engine", "hybridlog", "--keeper-storage", "hybrid:4096",
                                   "--keeper-cache", "0"),
    "ZooKeeper 3.8": ZooKeeper,
}


def folder_of(size):
    return f"/s{size}"


def by_size(bench, rounds, seconds):
    """[{side, bytes, read_us, write_us}]"""
    sides = {name: make(bench) for name, make in SIDES.items()}
    found = []
    for size in SIZES:
        took = {name: {"get": [], "set": []} for name in sides}
        for server in sides.values():
            load(bench, server, "fill", folder=folder_of(size), nodes=NODES, bytes=size)
            for work in ("get", "set"):  # once unmeasured, for the sake of Java's compiler
                load(bench, server, work, folder=folder_of(size), nodes=NODES, bytes=size, seconds=seconds / 2)
        for turn in range(rounds):
            for name in list(sides) if turn % 2 == 0 else reversed(sides):
                for work in ("get", "set"):
                    one = load(bench, sides[name], work, folder=folder_of(size), nodes=NODES, bytes=size, seconds=seconds,
                               warm_up=WARM_UP)
                    took[name][work].append(one["p50_us"])
        for name in sides:
            found.append({"side": name, "bytes": size, "read_us": min(took[name]["get"]), "write_us": min(took[name]["set"])})
        bench.say(f"  {size} bytes: " + ", ".join(f"{one['side']} {one['read_us']:.0f}/{one['write_us']:.0f} us"
                                                  for one in found[-len(sides):]))
    for server in sides.values():
        server.kill()
    return found


# --- shares ---


def spans_of(path, at):
    """What was written to the file behind `at`: {trace: {span: (name, us, {phase: us})}}, and where it ends."""
    found, phases = {}, []
    with open(path, encoding="utf-8") as file:
        file.seek(at)
        while (line := file.readline()).endswith("\n"):
            at = file.tell()
            for span in json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]:
                us = (int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e3
                if "." in span["name"]:
                    found.setdefault(span["traceId"], {})[span["spanId"]] = (span["name"], us, {})
                else:
                    phases.append((span, us))
    for span, us in phases:
        of = found.get(span["traceId"], {}).get(span["parentSpanId"])
        if of:
            of[2][span["name"]] = of[2].get(span["name"], 0) + us
    return found, at


def parts_of(spans):
    """{part: us} of one write; None: it is none."""
    by_name = {name: (us, phases) for name, us, phases in spans.values()}
    if "Session.write" not in by_name or "Tree.commit" not in by_name:
        return None
    (total, above), (_, below) = by_name["Session.write"], by_name["Tree.commit"]
    parts = {"follower": above.get("running", 0), "leader": below.get("running", 0),
             "log": above.get("log", 0) + below.get("log", 0)}
    parts["queues"] = max(0, total - sum(parts.values()))
    return parts


def traced(path, at):
    """The parts of all writes whose spans come to the file behind `at`, once there are enough."""
    end, all_of, to = time.monotonic() + 60, [], at
    while len(all_of) < TRACED * 0.9:
        if time.monotonic() > end:
            raise Broken(f"of {TRACED} writes {len(all_of)} were traced")
        time.sleep(0.5)
        found, to = spans_of(path, at)
        all_of = [parts for parts in map(parts_of, found.values()) if parts]
    return all_of, to


def middle(parts):
    """{part: us}, the means of the middle half of the writes, by how long they took."""
    parts = sorted(parts, key=lambda one: sum(one.values()))
    half = parts[len(parts) // 4:len(parts) - len(parts) // 4]
    return {name: statistics.mean(one[name] for one in half) for name in half[0]}


def shares(bench):
    """[{storage, bytes, follower, leader, log, queues, rest: us}] of the traced writes."""
    found = []
    for storage in ("engine", "blob"):
        path = os.path.join(bench.new_folder("spans"), "spans")
        server = Keeper(bench, f"traced-{storage}", "--engine", "hybridlog", "--trace", f"file:{path}",
                        "--keeper-storage", storage)
        for size in SIZES:
            load(bench, server, "fill", folder=folder_of(size), nodes=NODES, bytes=size)
            time.sleep(3)  # what was traced of that is written
            at = os.path.getsize(path)
            one = load(bench, server, "set", folder=folder_of(size), nodes=NODES, bytes=size, count=TRACED)
            parts, at = traced(path, at)
            row = middle(parts)
            row["rest"] = max(0, one["p50_us"] - sum(row.values()))
            found.append({"storage": storage, "bytes": size, **row})
            bench.say(f"  {storage}, {size} bytes: " + ", ".join(f"{name} {us:.0f}" for name, us in row.items()))
        server.kill()
    return found


# --- growth ---


def fill(bench, server, folder, count):
    bench.run([bench.program("zk_load"), "--port", str(server.zk), "--workload", "fill", "--folder", folder, "--nodes",
               str(count), "--bytes", "100", "--connections", "4", "--outstanding", "64"], FILL_SECONDS)


def grown(bench, rounds, seconds, sizes, is_children):
    """[{count, work, us}]: trees of all sizes, in turns."""
    servers = {}
    for count in sizes:
        servers[count] = server = Keeper(bench, f"grown-{count}", sync="none")
        fill(bench, server, "/all", count)
        if not is_children:
            fill(bench, server, "/small", 1000)
    took = {}
    where = {count: {"folder": "/all", "nodes": count} if is_children else {"folder": "/small", "nodes": 1000}
             for count in sizes}
    for turn in range(rounds + 1):  # the first warms up
        for count in sizes if turn % 2 else reversed(sizes):
            for work, options in GROWN.items():
                one = load(bench, servers[count], work, **where[count], **options, seconds=seconds, warm_up=WARM_UP)
                if turn:
                    took.setdefault((count, work), []).append(one["p50_us"])
    for server in servers.values():
        server.kill()
    return [{"count": count, "work": work, "us": min(all_of)} for (count, work), all_of in took.items()]


def growth(bench, rounds, seconds, largest=COUNTS[-1]):
    return {"nodes": grown(bench, rounds, seconds, [count for count in COUNTS if count <= largest], False),
            "children": grown(bench, rounds, seconds, [count for count in CHILDREN if count <= largest], True)}


def run_growth(bench):
    """The benchmark `keeper-growth`."""
    begin = time.monotonic()
    for what, points in growth(bench, bench.rounds, bench.seconds).items():
        for work in GROWN:
            of = {point["count"]: point["us"] for point in points if point["work"] == work}
            bench.row(f"keeper: {work}, {max(of):,} {what}", "us", of[max(of)], of[min(of)], f"{min(of):,} {what}",
                      goal=("ratio", "within", 0.25))
    bench.note(f"keeper-growth: {time.monotonic() - begin:.0f} s, nodes of 100 B, one client, the least p50 of the rounds")


EXPERIMENTS = {
    "sizes": lambda bench, rounds, seconds, _: by_size(bench, rounds, seconds),
    "shares": lambda bench, rounds, seconds, _: shares(bench),
    "growth": growth,
}


