"""Kept results: what a kept result costs, and that none is ever stale.

In process (bench_inprocess timeline says how it is measured): ReTwis' timeline of 10 of one of 1,000 users, with --results 64 and
without.  Then, over RESP on a node with --results 64, one connection posts and READERS others read timelines of the same
HOT users at the same time: whoever asks after a post was answered must see it, or the benchmark fails.
"""
import time

from .base import Broken, Cairn, median
from .resp import Connection

USERS, COUNT, CACHE_MIB = 1000, 1000000, 64
HOT, READERS = 8, 4


def timeline(bench, cache_mib):
    return bench.run([bench.program("inprocess"), "timeline", "--data", bench.new_folder("timeline"), "--guests",
                      bench.guests, "--objects", str(USERS), "--count", str(COUNT if cache_mib else COUNT // 5), "--results",
                      str(cache_mib)])


def newest(entries):
    """The number of the newest post; 0: there is none."""
    return int(entries[0][2]) if entries else 0


def never_stale(bench):
    """Returns how many reads were looked at."""
    node = Cairn(bench, "cairn", "--results", str(CACHE_MIB)).deploy("retwis")
    writer, readers = Connection(node.resp), [Connection(node.resp) for _ in range(READERS)]
    answered, looked_at = [0] * HOT, 0
    stop = time.monotonic() + bench.seconds
    for number in range(1, 1 << 30):
        if time.monotonic() > stop:
            break
        user = number % HOT
        writer.send("FCALL", "User.post", 1, f"u{user}", str(number))
        for _ in range(3):  # the first read after a post makes the result, or keeps an old one; the others are given it
            for i, reader in enumerate(readers):
                reader.send("FCALL", "User.timeline", 1, f"u{(user + i % 2) % HOT}", 10)
            for i, reader in enumerate(readers):
                asked = (user + i % 2) % HOT
                seen = newest(reader.read())
                if seen < answered[asked]:
                    raise Broken(f"post {answered[asked]} of u{asked} was answered, and its timeline ends with {seen}")
                looked_at += 1
        writer.read()
        answered[user] = number
        for reader in readers:
            reader.send("FCALL", "User.timeline", 1, f"u{user}", 10)
        for reader in readers:
            seen = newest(reader.read())
            if seen != number:
                raise Broken(f"post {number} of u{user} was answered, and its timeline ends with {seen}")
            looked_at += 1
    hits = node.metrics()["cairn_cache_hits_total"]
    if hits < looked_at / 3:
        raise Broken(f"only {hits:.0f} of {looked_at} results came from the cache: nothing was shown")
    return looked_at, hits


def run(bench):
    figures = {CACHE_MIB: [], 0: []}
    for _, cache_mib in bench.turns([CACHE_MIB, 0]):
        figures[cache_mib].append(timeline(bench, cache_mib))
    kept, made = [median([one["timeline_us"] for one in figures[cache_mib]]) for cache_mib in (CACHE_MIB, 0)]
    bench.row("in process: GetTimeline(10) from the result cache", "us", kept, made, "without the cache",
              goal=("cairn", "<=", 0.35))
    bench.note(f"results: {median([one['timeline_worker_us'] for one in figures[CACHE_MIB]]):.2f} us CPU time of the worker, "
               f"{median([one['timeline_all_us'] for one in figures[CACHE_MIB]]):.2f} us of all threads")
    looked_at, hits = never_stale(bench)
    bench.note(f"results: {looked_at:,} timelines were read beside posts, {hits:,.0f} of them from the cache; none was stale")
