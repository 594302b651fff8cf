"""A durable method of three steps, which a crash does not end: its journal is on stable storage before it is answered.

32 clients over HTTP, 10,000 jobs drawn at random:
- cairn: Job.run of bench/guests/courier.c, --sync always; a step is a call of another object that writes
- Restate, from npm, its defaults (its RocksDB syncs its log): Job.run of peers/restate/courier.mjs; a step is ctx.run of a
  function that does nothing
Equal: the load generator, the number of steps, and that each is journalled.  Not equal: JavaScript there; cairn's steps do
more.  The median is also put beside what the disk takes for it at the least, one synced append of as many bytes as the log
grows by (bench_append), with 32 clients and with one.
"""
import os

from .base import Cairn, median
from .platforms import Restate, install, version

CLIENTS, OBJECTS = 32, 10000


class Node:
    http = {"http": "/v1/objects/Job/%s/%s", "body": "array"}

    def __init__(self, bench):
        self.cairn = Cairn(bench, "cairn", "--sync", "always").deploy("courier")
        self.port = self.cairn.http


class Steps(Restate):
    http = {"http": "/Job/%s/%s", "body": "one"}

    def __init__(self, bench, modules):
        super().__init__(bench, modules, "courier")


def jobs(bench, system, clients, seconds, warm_up=0.2):
    return bench.load(system, "call", method="run", users=OBJECTS, connections=clients, seconds=seconds, warm_up=warm_up,
                      **system.http)


def run(bench):
    modules = install(bench)
    node = Node(bench)
    jobs(bench, node, CLIENTS, 0.5)
    before = node.cairn.metrics()["cairn_log_appended_bytes_total"]
    done = jobs(bench, node, 1, 0.3, warm_up=0)
    size = int((node.cairn.metrics()["cairn_log_appended_bytes_total"] - before) / done["replies"])
    bench.note(f"durable: a job of three steps is {size} bytes of log")
    file = os.path.join(bench.new_folder("append"), "file")
    ways = {"cairn": lambda: jobs(bench, node, CLIENTS, bench.seconds),
            "one": lambda: jobs(bench, node, 1, bench.seconds),
            "append": lambda: bench.run([bench.program("append"), "--file", file, "--bytes", str(size), "--seconds",
                                         str(bench.seconds)])}
    if modules:
        restate = Steps(bench, modules)
        jobs(bench, restate, CLIENTS, 1)
        ways["Restate"] = lambda: jobs(bench, restate, CLIENTS, bench.seconds)
        bench.note(f"durable: cairn with --sync always; Restate {version(modules, '@restatedev/restate-server')} with its "
                   "defaults (rocksdb-disable-wal-fsync = false)")
    else:
        bench.say("  SKIPPED: Restate comes from npm, which is not there or cannot install it")
        bench.note("durable: Restate was skipped, there is no working npm")
    figures = {name: [] for name in ways}
    for _, name in bench.turns(list(ways)):
        figures[name].append(ways[name]())

    def middle(name, key):
        return median([one[key] for one in figures[name]])

    if modules:
        bench.row("durable: three steps, 32 clients", "jobs/s", middle("cairn", "throughput"),
                  middle("Restate", "throughput"), "Restate", goal=("ratio", ">=", 20))
        bench.row("durable: three steps, 32 clients, p50", "ms", middle("cairn", "p50_us") / 1e3,
                  middle("Restate", "p50_us") / 1e3, "Restate")
    bench.row("durable: three steps, 32 clients, p50", "us", middle("cairn", "p50_us"), middle("append", "p50_us"),
              "one synced append", goal=("ratio", "<=", 3))
    bench.row("durable: three steps, one client, p50", "us", middle("one", "p50_us"), middle("append", "p50_us"),
              "one synced append")
