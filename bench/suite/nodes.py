"""ReTwis Post on the node's engines on disk, beside its engine in memory.

Equal: everything but --engine; the state is small enough for the memory that an engine on disk has, so that what is
measured is what the engine adds to an invocation.
"""
from .base import Cairn, median
from .retwis import CLIENTS, TEXT, fcall, prepare, redis_benchmark

GOALS = {"hybridlog": 0.85, "lsm": 0.6, "appendlog": None}


SNAPSHOT_SECONDS = 10


def snapshots(bench):
    """A node that takes versions, and one that also copies them and its log to a blob store, a folder of this machine,
    beside one that does neither; each measurement is long enough for a version."""
    every = ("--engine", "hybridlog", "--snapshot-every", str(SNAPSHOT_SECONDS), "--keep", "2")
    nodes = {"with": Cairn(bench, "snapshots", *every).deploy("retwis"),
             "blob": Cairn(bench, "blob", *every, "--blob", bench.new_folder("blob-store")).deploy("retwis"),
             "without": Cairn(bench, "none", "--engine", "hybridlog").deploy("retwis")}
    figures = {name: [] for name in nodes}
    for node in nodes.values():
        prepare(bench, node)
    probe = redis_benchmark(nodes["without"], fcall(nodes["without"], "post", TEXT), 100 * CLIENTS)
    requests = max(1000, int(probe["rps"] * max(bench.seconds, 1.3 * SNAPSHOT_SECONDS)))
    for _, name in bench.turns(list(nodes)):
        figures[name].append(redis_benchmark(nodes[name], fcall(nodes[name], "post", TEXT), requests))

    def of(name, key):
        return median([one[key] for one in figures[name]])

    bench.row(f"ReTwis Post, hybridlog, a version every {SNAPSHOT_SECONDS} s", "requests/s", of("with", "rps"),
              of("without", "rps"), "none", goal=("ratio", ">=", 0.95))
    bench.row(f"ReTwis Post, hybridlog, a version every {SNAPSHOT_SECONDS} s, p99", "ms", of("with", "p99_latency_ms"),
              of("without", "p99_latency_ms"), "none", goal=("cairn", "<=", 20))
    bench.row("ReTwis Post, hybridlog, --blob", "requests/s", of("blob", "rps"), of("without", "rps"), "none")
    bench.row("ReTwis Post, hybridlog, --blob, p99", "ms", of("blob", "p99_latency_ms"),
              of("without", "p99_latency_ms"), "none")


def run(bench):
    engines(bench)
    bench.stop_all()
    snapshots(bench)


def engines(bench):
    nodes = {engine: Cairn(bench, engine, "--engine", engine).deploy("retwis") for engine in ("memory", *GOALS)}
    requests, figures = {}, {engine: [] for engine in nodes}
    for engine, node in nodes.items():
        prepare(bench, node)
        probe = redis_benchmark(node, fcall(node, "post", TEXT), 100 * CLIENTS)
        requests[engine] = max(1000, int(probe["rps"] * bench.seconds))
    for _, engine in bench.turns(list(nodes)):
        figures[engine].append(redis_benchmark(nodes[engine], fcall(nodes[engine], "post", TEXT), requests[engine]))

    def of(engine, key):
        return median([one[key] for one in figures[engine]])

    for engine, least in GOALS.items():
        bench.row(f"ReTwis Post, {engine}", "requests/s", of(engine, "rps"), of("memory", "rps"), "memory",
                  goal=("ratio", ">=", least) if least else None)
        bench.row(f"ReTwis Post, {engine} p99", "ms", of(engine, "p99_latency_ms"), of("memory", "p99_latency_ms"),
                  "memory")
