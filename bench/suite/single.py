"""One client, one Post at a time (200 users with 10 followers each), every one on stable storage when it is answered.

The peer is what the disk takes for it at the least: one synced append of as many bytes as cairn's log grows by per
Post, into a file that was filled beforehand (bench_append).  Beside it Redis functions with the same client.
"""
import os

from .base import median
from .retwis import TUPLES, start

USERS = 200


def run(bench):
    cairn, redis = start(bench, TUPLES)
    before = cairn.metrics()["cairn_log_appended_bytes_total"]
    done = bench.load(cairn, "post", users=USERS, connections=1, count=300)
    size = int((cairn.metrics()["cairn_log_appended_bytes_total"] - before) / done["replies"])
    bench.note(f"one Post with 10 followers is {size} bytes of log")
    file = os.path.join(bench.new_folder("append"), "file")
    figures = {cairn: [], redis: [], "append": []}
    for _, who in bench.turns([cairn, "append", redis]):
        if who == "append":
            one = bench.run([bench.program("append"), "--file", file, "--bytes", str(size), "--seconds",
                             str(bench.seconds)])
        else:
            one = bench.load(who, "post", users=USERS, connections=1, seconds=bench.seconds, warm_up=0.2)
        figures[who].append(one["p50_us"])
    bench.row("one Post at a time p50", "us", median(figures[cairn]), median(figures["append"]), "one synced append",
              goal=("ratio", "<=", 2.5))
    bench.row("one Post at a time p50", "us", median(figures[cairn]), median(figures[redis]), "Redis functions")
