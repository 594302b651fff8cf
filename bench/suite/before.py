"""cairn beside an older cairn: `tools/bench build before --before PATH/TO/OLD/cairn`.

Equal: the load generator and its requests, the graph of users, the flags (none), the state of both nodes before each
measurement, the number of requests of each round.  Both nodes run all the time; the one that is not asked is idle.
Not equal: each side runs the modules and in-process programs of its own tree, from the folder of its binary.  What the
old folder does not have (modules are then taken from this tree; `ninja bench_inprocess bench_stores` makes the programs)
is said in the notes.

CPU time is that of all threads of a node, by request.  At least ROUNDS rounds; a goal allows 2 % less.
"""
import os

from .base import Broken, Cairn, median
from .inprocess import COUNT
from .retwis import FOLLOWERS, USERS, prepare

ROUNDS, PEER = 5, "cairn before"
NO_LESS, NO_MORE = ("ratio", ">=", 0.98), ("ratio", "<=", 1.02)

# name, workload, connections, pipeline
LOADS = [("Post, 50 connections", "post", 50, 1), ("Post, 1 connection", "post", 1, 1),
         ("GetTimeline, 50 connections", "timeline", 50, 1), ("GetTimeline -P 16, 50 connections", "timeline", 50, 16)]
INPROCESS = [("read-only invocation", "get"), ("writing invocation", "set"), ("a nested call adds", "nested"),
             ("a nested writing call adds", "nested_set")]


class Side:
    """One of the two trees: its binary, and what lies beside it."""

    def __init__(self, bench, name, binary, guests):
        self.bench, self.name, self.binary = bench, name, binary
        self.folder = os.path.dirname(os.path.abspath(binary))
        self.guests = guests
        self.node = None

    def program(self, name):
        path = os.path.join(self.folder, "bench_" + name)
        return path if os.access(path, os.X_OK) else None

    def start(self):
        self.node = Cairn(self.bench, self.name, binary=self.binary, guests=self.guests).deploy("retwis")
        prepare(self.bench, self.node)

    def ask(self, workload, **options):
        before = self.node.process.cpu_seconds()
        result = self.bench.load(self.node, workload, users=USERS, followers=FOLLOWERS, **options)
        result["cpu_us"] = (self.node.process.cpu_seconds() - before) / result["replies"] * 1e6
        return result


def compare(bench, name, unit, figures, key, goal=None):
    """figures: side -> the results of its rounds; the sides are now and before."""
    now, before = (median([one[key] for one in results]) for results in figures.values())
    bench.row(name, unit, now, before, PEER, goal=goal)


def loads(bench, sides, rounds):
    for side in sides:
        side.start()
    for name, workload, connections, pipeline in LOADS:
        how = {"connections": connections, "pipeline": pipeline}
        probes = [side.ask(workload, seconds=min(bench.seconds, 0.5), **how) for side in sides]  # warms up, too
        count = max(200, int(max(probe["throughput"] for probe in probes) * bench.seconds))
        figures = {side: [] for side in sides}
        for number, side in bench.turns(sides, rounds):
            figures[side].append(side.ask(workload, count=count, seed=number + 1, **how))
        if connections == 1:
            compare(bench, f"{name}, p50", "us", figures, "p50_us", NO_MORE)
        else:
            compare(bench, name, "requests/s", figures, "throughput", NO_LESS)
        compare(bench, f"{name}, p99", "us", figures, "p99_us")
        compare(bench, f"{name}, CPU time of a request", "us", figures, "cpu_us", NO_MORE)


def both_have(bench, sides, program, what):
    lacks = [side.name for side in sides if not side.program(program)]
    if lacks:
        bench.note(f"{what} not compared: there is no bench_{program} beside the binary of {' and '.join(lacks)}")
    return not lacks


def in_process(bench, sides, rounds):
    if not both_have(bench, sides, "inprocess", "invocations in process are"):
        return
    figures = {side: [] for side in sides}
    for _, side in bench.turns(sides, rounds):
        figures[side].append(bench.run([side.program("inprocess"), "isolated", "--data", bench.new_folder("isolated"),
                                        "--guests", side.guests, "--count", str(COUNT)]))
    for name, key in INPROCESS:
        compare(bench, f"in process: {name}", "us", figures, key + "_us", NO_MORE)
        compare(bench, f"in process: {name}, CPU time of all threads", "us", figures, key + "_all_us")


def state(bench, sides, rounds):
    if not both_have(bench, sides, "stores", "ycsb-a is"):
        return
    figures = {side: [] for side in sides}
    for _, side in bench.turns(sides, rounds):
        command = [side.program("stores"), "--store", "cairn:hybridlog", "--work", "ycsb-a", "--dir",
                   bench.new_folder("stores")]
        figures[side].append(bench.run(command)["ycsb-a"])
    compare(bench, "ycsb-a, hybridlog, no log", "ops/s", figures, "ops_per_s", NO_LESS)


def run(bench):
    if not bench.before:
        raise Broken("which cairn to compare with? Give the path of its binary: --before PATH")
    if not os.access(bench.before, os.X_OK):
        raise Broken(f"--before {bench.before}: there is no such program; build the older tree first")
    beside = os.path.dirname(os.path.abspath(bench.before))
    has_modules = all(os.path.exists(os.path.join(beside, name + ".wasm")) for name in ("retwis", "plain"))
    if not has_modules:
        bench.note(f"{beside} has no retwis.wasm and plain.wasm: the older cairn runs the modules of this tree")
    sides = [Side(bench, "now", bench.cairn, bench.guests),
             Side(bench, "before", bench.before, beside if has_modules else bench.guests)]
    rounds = max(ROUNDS, bench.rounds)
    loads(bench, sides, rounds)
    bench.stop_all()  # idle nodes cost nothing, but their memory does
    in_process(bench, sides, rounds)
    state(bench, sides, rounds)
