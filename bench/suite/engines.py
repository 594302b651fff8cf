"""The state engines beside RocksDB, LevelDB, LMDB and FASTER, embedded in one and the same program (bench_stores).

Equal for all: keys of 16 bytes, values of 100 random bytes, no compression, Bloom filters of 10 bits a key, 256 MiB of
memory (large, amp: less), one mode of the log; each measurement in a process of its own on a new folder, works of
YCSB as bench/stores/works.c tells.  What each store was told besides stands at the head of its file in bench/stores.

Not equal: LMDB's cache is the page cache, which no budget binds; LevelDB's log cannot be switched off, so that it has
one also where the others have none; RocksDB and cairn have two background threads, LevelDB one, LMDB none.  Peers that
are not installed are left out.

FASTER is a store in memory here (bench/stores/faster.cc tells what is equal); it is fetched and built by tools/faster.

Of the parts below mixed, faster, sync and large are done in every round; the others once, as each repeats itself.

mixed      10^6 keys, all in memory; without a log, and with one that is never synced (ALIKE: the works done so)
faster     10^6 keys, all in memory, without a log; by one thread, and by two, each with half of the keys: hybridlog has a
           shard for each, FASTER one store with a session for each.  Both have huge pages for what they take from malloc:
           hybridlog asks for some by itself, and FASTER would have them on a system that gives them without being asked.
           And with the keys of AHEAD operations known together, as requests come: hybridlog can be told them, FASTER not
sync       puts on stable storage: four threads, or with cairn one thread that has four batches outstanding
snapshot   125 MB, 100 times 10,000 updates and a snapshot, all kept.  Those of cairn's that go to a blob store, here
           another folder, are beside RocksDB's incremental backup, which copies what is new to another folder, too;
           those that only stay where they are beside its checkpoint, hard links beside the data
restore    the same 125 MB, until a first key is read.  From another folder: RocksDB from its backup into a new folder,
           and that opened; cairn opens a new folder, or one from which a part is missing, with its blob store.  And
           back to a snapshot in the open store, which RocksDB cannot
worst      the longest time that one operation takes while a snapshot is made every SNAPSHOT_SECONDS; beginning a
           snapshot and ending it count as operations
large      data ten times the budget of memory; not more than the page cache, which all may use
amp        every key is overwritten ten times, with a budget of a fifth of the data: bytes written to the disk for each
           byte put, and bytes of files for each byte that is there
"""
import collections
import json
import shutil
import subprocess

from .base import median

MIB = 1 << 20
AHEAD = 8
MIXED = ["ycsb-c", "ycsb-b", "ycsb-a", "ycsb-f", "update", "drift", "ycsb-d"]
ALIKE = ["ycsb-a", "update"]
LARGE_BYTES, AMP_BYTES = 12000000, 2 * MIB
SNAPSHOT_KEYS = 125000000 // 116
SNAPSHOT_SECONDS = 1
ENGINES = ["hybridlog", "appendlog", "lsm"]
PEERS = ["rocksdb", "leveldb", "lmdb"]
FASTER_WORKS, FASTER_OPS = ["ycsb-a", "ycsb-c", "update"], 2000000
HUGE_PAGES = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"


class Stores:
    """The stores that were built in, and what was measured: (group, store, log, work) -> a result each round."""

    def __init__(self, bench):
        self.bench = bench
        done = subprocess.run([bench.program("stores"), "--list"], stdout=subprocess.PIPE, check=True)
        self.built = set(json.loads(done.stdout))
        self.results = collections.defaultdict(list)
        missing = [peer for peer in PEERS + ["faster"] if peer not in self.built]
        if missing:
            bench.note(f"not installed, so not compared: {', '.join(missing)}")

    def measure(self, group, runs, once=False, environment=(), **options):
        """runs: (store, log, works); each once a round, or once at all.  environment: NAME=VALUE .."""
        runs = [run for run in runs if run[0] in self.built]
        for number, (store, log, works) in self.bench.turns(runs):
            if once and number > 0:
                break
            folder = self.bench.new_folder(store.replace(":", "-"))
            command = ["env", *environment, self.bench.program("stores"), "--store", store, "--log", log, "--work", ",".join(works),
                       "--dir", folder]
            for name, value in options.items():
                command += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
            for work, result in self.bench.run(command).items():
                self.results[group, store, log, work].append(result)
            shutil.rmtree(folder)

    def has(self, group, store, log, work):
        return (group, store, log, work) in self.results

    def figure(self, group, store, log, work, of="ops_per_s"):
        """The median; `of` is a member of the results, or a function of one."""
        take = of if callable(of) else lambda result: result[of]
        return median([take(result) for result in self.results[group, store, log, work]])

    def best(self, group, candidates, work):
        """(operations a second, name) of the fastest of (store, log, name); (None, None) if none was measured."""
        return max(((self.figure(group, store, log, work), name) for store, log, name in candidates
                    if self.has(group, store, log, work)), default=(None, None))

    def row(self, name, unit, cairn, peer, peer_name, goal):
        self.bench.row(name, unit, cairn, peer, peer_name, goal=goal if peer or goal and goal[0] == "cairn" else None)


def mixed(stores):
    runs = [("cairn:hybridlog", "off", MIXED), ("rocksdb", "off", MIXED), ("leveldb", "none", MIXED),
            ("cairn:hybridlog", "none", ALIKE), ("rocksdb", "none", ALIKE),
            ("cairn:appendlog", "none", ALIKE), ("cairn:lsm", "none", ALIKE), ("lmdb", "none", ["ycsb-c"])]
    stores.measure("mixed", runs, ops=200000)
    leveldb = ("leveldb", "none", "LevelDB, unsynced log")
    for work in MIXED:
        stores.row(f"{work}, hybridlog, no log", "ops/s", stores.figure("mixed", "cairn:hybridlog", "off", work),
                   *stores.best("mixed", [("rocksdb", "off", "RocksDB, no log"), leveldb], work), ("ratio", ">=", 5))
    for work in ALIKE:
        stores.row(f"{work}, hybridlog, unsynced log", "ops/s",
                   stores.figure("mixed", "cairn:hybridlog", "none", work),
                   *stores.best("mixed", [("rocksdb", "none", "RocksDB, unsynced log"), leveldb], work),
                   ("ratio", ">=", 5))
        for engine in ENGINES[1:]:
            stores.row(f"{work}, {engine}, unsynced log", "ops/s",
                       stores.figure("mixed", "cairn:" + engine, "none", work),
                       *stores.best("mixed", [leveldb], work), ("ratio", ">=", 1))
    stores.row("ycsb-c, hybridlog, beside LMDB", "ops/s", stores.figure("mixed", "cairn:hybridlog", "off", "ycsb-c"),
               *stores.best("mixed", [("lmdb", "none", "LMDB")], "ycsb-c"), ("ratio", ">=", 1))
    for (group, store, log, work), results in stores.results.items():
        if group == "mixed" and work in ALIKE:
            stores.bench.note(f"{work}, {store}, log {log}: " + ", ".join(
                f"{median([one[key] for one in results]) / unit:.1f} {what}" for key, unit, what in (
                    ("p50_us", 1, "us median"), ("p99_us", 1, "p99"), ("p999_us", 1, "p99.9"), ("max_us", 1, "longest"),
                    ("written_bytes", 1e6, "MB written"), ("peak_rss_bytes", 1e6, "MB of memory at most"))))


def faster(stores):
    ours, peer = "cairn:hybridlog", "faster"
    for threads in (1, 2):
        group = f"faster, {threads}"
        stores.measure(group, [(ours, "off", FASTER_WORKS), (peer, "off", FASTER_WORKS)], ops=FASTER_OPS,
                       threads=threads,
                       environment=[HUGE_PAGES])
        stores.measure(group + ", ahead", [(ours, "off", FASTER_WORKS)], ops=FASTER_OPS, threads=threads, ahead=AHEAD,
                       environment=[HUGE_PAGES])
        for work in FASTER_WORKS:
            stores.row(f"{work}, hybridlog beside FASTER" + (f", {threads} threads" if threads > 1 else ""), "ops/s",
                       stores.figure(group, ours, "off", work), *stores.best(group, [(peer, "off", "FASTER")], work),
                       ("ratio", ">=", 1.2))
            stores.row(f"{work}, hybridlog, {AHEAD} keys ahead" + (f", {threads} threads" if threads > 1 else ""), "ops/s",
                       stores.figure(group + ", ahead", ours, "off", work),
                       *stores.best(group, [(peer, "off", "FASTER")], work), None)


def sync(stores):
    runs = [("cairn:hybridlog", "always", ["sync"])] + [(peer, "always", ["sync"]) for peer in PEERS]
    stores.measure("sync", runs, keys=100000, seconds=1)
    stores.row("synced puts, hybridlog", "ops/s", stores.figure("sync", "cairn:hybridlog", "always", "sync"),
               *stores.best("sync", [("rocksdb", "always", "RocksDB"), ("leveldb", "always", "LevelDB"),
                                     ("lmdb", "always", "LMDB")], "sync"), ("ratio", ">=", 1))


def in_ms(key):
    return lambda result: result[key] / 1000


def snapshot(stores):
    ways = (("snapshot, copied", "copied", {"blob": True}, "rocksdb", "RocksDB, incremental backup"),
            ("snapshot, local", "local", {}, "rocksdb:checkpoint", "RocksDB, checkpoint"))
    for name, group, options, peer, peer_name in ways:
        stores.measure(group, [("cairn:" + engine, "off", ["snapshot"]) for engine in ENGINES], once=True,
                       keys=SNAPSHOT_KEYS, **options)
        stores.measure(group, [(peer, "off", ["snapshot"])], once=True, keys=SNAPSHOT_KEYS,
                       ops=100 if peer == "rocksdb" else 30)
        theirs = None, None
        if stores.has(group, peer, "off", "snapshot"):
            theirs = stores.figure(group, peer, "off", "snapshot", in_ms("snapshot_p50_us")), peer_name
            worst_of = stores.figure(group, peer, "off", "snapshot", in_ms("snapshot_max_us"))
            stores.bench.note(f"{name}, {peer_name}: {theirs[0]:.1f} ms at the median, {worst_of:.1f} at worst")
        for engine in ENGINES:
            of = (group, "cairn:" + engine, "off", "snapshot")
            typical = stores.figure(*of, in_ms("snapshot_p50_us"))
            stores.row(f"{name}, {engine}, median", "ms", typical, *theirs,
                       ("ratio", "<=", 1) if group == "copied" else None)
            stores.row(f"{name}, {engine}, worst of 100", "ms", stores.figure(*of, in_ms("snapshot_max_us")), typical,
                       "its median", ("ratio", "<=", 3))


def restore(stores):
    def took(store, work):
        return stores.figure("restore", store, "off", work, in_ms("p50_us"))

    ours = "cairn:hybridlog"
    stores.measure("restore", [("rocksdb", "off", ["restore"]), (ours, "off", ["restore"])], once=True,
                   keys=SNAPSHOT_KEYS, ops=3)
    stores.measure("restore", [(ours, "off", [work]) for work in ("refetch", "refetch-some")], once=True,
                   keys=SNAPSHOT_KEYS, ops=3, blob=True)
    peer = (took("rocksdb", "restore") if "rocksdb" in stores.built else None, "RocksDB, from a backup")
    missing = stores.figure("restore", ours, "off", "refetch-some", "lost_part")
    stores.row("restore, hybridlog, into a new folder", "ms", took(ours, "refetch"), *peer, ("ratio", "<=", 0.5))
    stores.row(f"restore, hybridlog, {missing:.0%} missing", "ms", took(ours, "refetch-some"), took(ours, "refetch"),
               "all missing", ("ratio", "<=", 2 * missing))
    stores.row("restore, hybridlog, in the open store", "ms", took(ours, "restore"), *peer, ("ratio", "<=", 0.5))


def worst(stores):
    works = ["drift", "update"]
    stores.measure("worst", [("cairn:" + engine, "off", works) for engine in ENGINES], once=True, seconds=3,
                   snapshot_every=SNAPSHOT_SECONDS)
    for engine in ENGINES:
        for work in works:
            stores.row(f"worst operation, {work}, {engine}", "ms",
                       stores.figure("worst", "cairn:" + engine, "off", work, "max_us") / 1000, None, None,
                       ("cairn", "<=", 20))


def large(stores):
    stores.measure("large", [("cairn:hybridlog", "off", ["ycsb-a"]), ("rocksdb", "off", ["ycsb-a"])], ops=200000,
                   memory=LARGE_BYTES)

    def memory(store):
        return stores.figure("large", store, "off", "ycsb-a",
                             lambda result: (result["peak_rss_bytes"] - result["base_rss_bytes"]) / 1e6)

    stores.row("large, hybridlog", "ops/s", stores.figure("large", "cairn:hybridlog", "off", "ycsb-a"),
               *stores.best("large", [("rocksdb", "off", "RocksDB, same budget")], "ycsb-a"), ("ratio", ">=", 1))
    stores.row("large, hybridlog, resident memory", "MB", memory("cairn:hybridlog"), LARGE_BYTES / 1e6, "the budget",
               ("ratio", "<=", 1))
    if "rocksdb" in stores.built:
        stores.bench.note(f"large: RocksDB's resident memory: {memory('rocksdb'):.1f} MB")


def amp(stores):
    runs = [("cairn:" + engine, "off", ["amp"]) for engine in ENGINES] + [("rocksdb", "off", ["amp"])]
    stores.measure("amp", runs, once=True, keys=100000, memory=AMP_BYTES)
    for what, above, below in (("written", "written_bytes", "put_bytes"), ("kept", "disk_bytes", "live_bytes")):
        def share(result, above=above, below=below):
            return result[above] / result[below]

        peer = stores.figure("amp", "rocksdb", "off", "amp", share) if "rocksdb" in stores.built else None
        for engine in ENGINES:
            stores.row(f"bytes {what} for a byte, {engine}", "",
                       stores.figure("amp", "cairn:" + engine, "off", "amp", share), peer, "RocksDB",
                       ("ratio", "<=", 1))


def run(bench):
    stores = Stores(bench)
    for part in (mixed, faster, sync, snapshot, restore, worst, large, amp):
        part(stores)
