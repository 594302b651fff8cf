"""The experiments of the thesis on embedded state engines (docs/engines.md), each configuration a run of bench_thesis.

Keys, values and parameters are those of "Incremental Snapshotting in Transactional Dataflow SFaaS Systems" (TU Delft,
2023).  Its sizes become bytes so that as many records fit: HybridLog's count records, of which one takes what
record_bytes says here; AppendLog's threshold and the memtable's limit count bytes of keys and values.

A configuration is a point: its labels, what bench_thesis was told, and what came of it in each round.
"""
import os
import shutil
import statistics
import tempfile

from . import base

ROUNDS = 3
MEMORY_FOLDER = "/dev/shm"
MEMORY_FOLDER_FREE = 48 << 20
SECONDS_MAX = 1800
LOG_STRUCTURED = ["lsm", "hybridlog", "appendlog"]
ENGINES = LOG_STRUCTURED + ["memory"]
RATES = [10000, 100000, 300000, 1000000, 2000000, 3000000]
SAMPLE_SECONDS = 0.02  # with a rate
INCREMENTS, FIRST, PAIRS = 1000, 100000, 100


def record_bytes(key, value):
    """In the log in memory: 21 bytes, the key, the value rounded up to 8; all rounded up to 8."""
    return (21 + key + (value + 7) // 8 * 8 + 7) // 8 * 8


def memtable_bytes(key, value):
    """As the memtable counts a pair."""
    return key + value + 41


class Sizes:
    """The thesis's numbers to bytes, for keys and values of these sizes."""

    def __init__(self, key, value):
        self.key, self.value = key, value

    def log(self, records):
        return records * record_bytes(self.key, self.value)

    def threshold(self, plain):
        return plain // (self.key + self.value) * record_bytes(self.key, self.value)

    def memtable(self, plain):
        return plain // (self.key + self.value) * memtable_bytes(self.key, self.value)


SMALL, LARGE = Sizes(4, 4), Sizes(5, 5)

# 4.1 to 4.12
PARAMETERS = {"keys": 1000, "key_bytes": 4, "value_bytes": 4, "samples": 10, "writes": 10000, "reads": 10000,
              "max_runs_per_level": 3}
PARAMETERS_OF = {
    "lsm": {"memtable_bytes_limit": SMALL.memtable(1000), "density_factor": 10},
    "hybridlog": {"mem_segment_len": SMALL.log(10000), "ro_lag_interval": SMALL.log(1000),
                  "flush_interval": SMALL.log(1000)},
    "appendlog": {"threshold": SMALL.threshold(1000)},
}

# 4.13 to 4.16
COMPARISON = {"keys": 100000, "key_bytes": 5, "value_bytes": 5, "samples": 10, "max_runs_per_level": 10}
COMPARISON_OF = {
    "lsm": {"memtable_bytes_limit": LARGE.memtable(100000), "density_factor": 10},
    "hybridlog": {"mem_segment_len": LARGE.log(210000), "ro_lag_interval": LARGE.log(10000),
                  "flush_interval": LARGE.log(10000)},
    "appendlog": {"threshold": LARGE.threshold(100000)},
    "memory": {},
}


def merged(results):
    """The median of each number of the rounds; of lists entry by entry, as they count the same things."""
    first = results[0]
    if isinstance(first, dict):
        return {name: merged([one[name] for one in results]) for name in first}
    if isinstance(first, list):
        return [merged(list(entries)) for entries in zip(*results)]
    return first if isinstance(first, str) else statistics.median(results)


class Thesis:
    """Runs configurations; gathers points by figure."""

    def __init__(self, bench, rounds):
        self.bench, self.rounds = bench, rounds
        self.points = []
        self.in_memory = None
        if os.path.isdir(MEMORY_FOLDER) and base.file_system(MEMORY_FOLDER) == "tmpfs" and \
                shutil.disk_usage(MEMORY_FOLDER).free >= MEMORY_FOLDER_FREE:
            self.in_memory = tempfile.mkdtemp(prefix="cairn-figures-", dir=MEMORY_FOLDER)
        else:
            bench.say(f"{MEMORY_FOLDER} has no room: everything is measured on the disk, where syncs rule small files")

    def close(self):
        if self.in_memory:
            shutil.rmtree(self.in_memory, ignore_errors=True)

    def folder(self, disk):
        return tempfile.mkdtemp(prefix="run-", dir=self.bench.folder if disk or not self.in_memory else self.in_memory)

    def once(self, engine, settings, disk):
        folder = self.folder(disk)
        command = [self.bench.program("thesis"), "--engine", engine, "--dir", folder]
        for name, value in settings.items():
            command += ["--" + name, str(value)]
        try:
            return self.bench.run(command, SECONDS_MAX)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def point(self, engine, *settings, labels=None, disk=False, rounds=None):
        """Later settings go over earlier ones; returns the medians."""
        told = {}
        for each in settings:
            told.update(each)
        results = [self.once(engine, told, disk) for _ in range(rounds or self.rounds)]
        result = merged(results)
        kind = "tmpfs" if self.in_memory and not disk else base.file_system(self.bench.folder)
        self.points.append({"engine": engine, "file_system": kind, "on_disk": disk, **(labels or {}), "told": told,
                            "result": result, "rounds": results})
        return result

    def parameter(self, engine, name, values, **more):
        """values: (what the thesis calls it, bytes or whatever it is here)."""
        for x, value in values:
            self.point(engine, PARAMETERS, PARAMETERS_OF[engine], {name: value}, more, labels={"x": x})

    def sweep(self, engine, kind, *settings, labels=None, closed=None):
        """The closed loop with `closed` operations a sample, then once each the rates below what it reached."""
        labels = dict(labels or {}, kind=kind)
        none = {"writes": 0, "reads": 0}
        top = self.point(engine, *settings, none, {kind + "s": closed}, labels=labels)[kind]["ops_per_s"]
        for rate in RATES:
            if rate < 0.8 * top:
                self.point(engine, *settings, none, {kind + "s": int(rate * SAMPLE_SECONDS), "rate": rate},
                           labels=dict(labels, rate=rate), rounds=1)


# --- the experiments, by the figures that they feed ---

def runs(thesis):
    for engine in ("lsm", "appendlog"):
        thesis.parameter(engine, "max_runs_per_level", [(x, x) for x in (2, 3, 4, 6, 8, 12, 16)])


def density(thesis):
    thesis.parameter("lsm", "density_factor", [(x, x) for x in (1, 2, 5, 10, 30, 100, 300, 1000)])


def memtable(thesis):
    thesis.parameter("lsm", "memtable_bytes_limit",
                     [(x, SMALL.memtable(x)) for x in (250, 500, 1000, 2000, 4000, 6000, 10000, 100000)])


def segment(thesis):
    thesis.parameter("hybridlog", "mem_segment_len",
                     [(x, SMALL.log(x)) for x in (2100, 2500, 3000, 3500, 5000, 10000, 30000, 100000)])
    try:
        told = dict(PARAMETERS, **PARAMETERS_OF["hybridlog"], samples=1)
        thesis.once("hybridlog", dict(told, mem_segment_len=SMALL.log(2000)), False)
    except base.Broken as error:
        if "must be greater" not in str(error):
            raise
    else:
        raise base.Broken("hybridlog takes a mem_segment_len that is no larger than its other two parts")


def lag(thesis):
    thesis.parameter("hybridlog", "ro_lag_interval",
                     [(x, SMALL.log(x)) for x in (10, 30, 100, 300, 1000, 2000, 4000, 8000)])


def flush(thesis):
    thesis.parameter("hybridlog", "flush_interval",
                     [(x, SMALL.log(x)) for x in (10, 30, 100, 300, 1000, 2000, 4000, 8000)])


def throughput(thesis):
    for kind in ("write", "read"):
        thesis.sweep("hybridlog", kind, PARAMETERS, PARAMETERS_OF["hybridlog"], closed=50000)


def threshold(thesis):
    thesis.parameter("appendlog", "threshold",
                     [(x, SMALL.threshold(x)) for x in (250, 500, 1000, 3000, 10000, 30000, 100000, 1000000)])


def comparison(thesis):
    for zipf in (0, 1):
        labels = {"distribution": "Zipf" if zipf else "uniform"}
        for engine in LOG_STRUCTURED:
            of = (COMPARISON, COMPARISON_OF[engine], {"zipf": zipf})
            thesis.sweep(engine, "write", *of, labels=labels, closed=100000)
            thesis.point(engine, *of, {"writes": 100000}, labels=dict(labels, kind="write"), disk=True)
            thesis.sweep(engine, "read", *of, labels=labels, closed=30000)
            thesis.point(engine, *of, {"writes": 100000, "reads": 30000}, labels=dict(labels, kind="after updates"))
        thesis.point("lsm", COMPARISON, COMPARISON_OF["lsm"], {"zipf": zipf, "density_factor": 0, "reads": 30000},
                     labels=dict(labels, kind="4 KiB blocks"))


def in_memory(thesis):
    large = {"lsm": {"memtable_bytes_limit": LARGE.memtable(10000000)},
             "hybridlog": {"mem_segment_len": LARGE.log(1000000), "ro_lag_interval": LARGE.log(400000),
                           "flush_interval": LARGE.log(100000)},
             "memory": {}}
    for zipf in (0, 1):
        for engine, settings in large.items():
            thesis.point(engine, COMPARISON, settings, {"zipf": zipf, "writes": 100000},
                         labels={"distribution": "Zipf" if zipf else "uniform"})


def memory(thesis):
    for engine in ENGINES:
        thesis.point(engine, COMPARISON, COMPARISON_OF[engine], {"fresh": 1, "samples": 40, "writes": 2500})


def snapshots(thesis, key_bytes, fresh):
    """Of "memory", which writes everything each time, old versions are forgotten, or they would fill the folder; and
    as it takes long it is measured once, and not on the disk."""
    told = {"keys": 65536, "key_bytes": key_bytes, "value_bytes": 8, "fresh": fresh, "first": FIRST, "writes": PAIRS,
            "increments": INCREMENTS}
    for engine in LOG_STRUCTURED:
        thesis.point(engine, told)
        thesis.point(engine, told, disk=True, rounds=1)
    thesis.point("memory", told, {"retain": 2}, rounds=1)


# By the figures that they feed.
EXPERIMENTS = {
    "4.1": runs,
    "4.2 4.3": density,
    "4.4 4.5": memtable,
    "4.6 4.7": segment,
    "4.8": lag,
    "4.9": flush,
    "4.10 4.11": throughput,
    "4.12": threshold,
    "4.13 4.15": comparison,
    "4.14": in_memory,
    "4.16": memory,
    "4.17a": lambda thesis: snapshots(thesis, 2, 0),
    "4.17b": lambda thesis: snapshots(thesis, 4, 1),
}


def run(bench, figures, rounds=ROUNDS):
    """{names: points} of the experiments that feed these figures."""
    thesis, found = Thesis(bench, rounds), {}
    try:
        for names, experiment in EXPERIMENTS.items():
            if set(names.split()) & set(figures):
                bench.say(f"{names} ...")
                thesis.points = found[names] = []
                experiment(thesis)
    finally:
        thesis.close()
    return found
