"""A million timers, and ten thousand that are due a second.

A node with --sync always.  900 timers a day ahead on each of 1,000 objects, and 100 more on each that are due one after the
other, 0.1 ms apart over all objects, for ten seconds.  Each firing's method writes how late it began, by the node's time.
Bytes are the growth of resident memory by the first 900,000, divided by them: state, log buffers and all.  There is no
peer: the figures stand beside their goals.
"""
import time

from .base import Broken, Cairn, median
from .resp import Connection

OBJECTS, FAR, NEAR, RATE = 1000, 900, 100, 10000


def plan(redis, name, count, first_ms, step_us):
    """first_ms: of each object.  Sixteen calls under way."""
    for i in range(OBJECTS + 16):
        if i < OBJECTS:
            redis.send("FCALL", "Alarms.plan", 1, f"o{i}", name, count, int(first_ms(i)), step_us)
        if i >= 16:
            redis.read()


def one(bench):
    node = Cairn(bench, "timers", "--sync", "always").deploy("alarms")
    try:
        redis = Connection(node.resp)
        before = node.process.rss_bytes()
        begin = time.monotonic()
        plan(redis, "far", FAR, lambda i: time.time() * 1000 + 86400000 + i, 1000)
        seconds = time.monotonic() - begin
        each = (node.process.rss_bytes() - before) / (OBJECTS * FAR)
        start = time.time() * 1000 + 4000
        plan(redis, "near", NEAR, lambda i: start + i * 1000 / RATE, OBJECTS * 1000000 // RATE)
        if time.time() * 1000 > start:
            raise Broken("setting the timers took longer than they were to wait")
        time.sleep(max(0.0, start / 1000 + OBJECTS * NEAR / RATE + 2 - time.time()))
        late = {}
        for i in range(OBJECTS):
            redis.send("FCALL", "Alarms.late", 1, f"o{i}")
            pairs = redis.read()
            for ms, count in zip(pairs[::2], pairs[1::2]):
                late[int(ms)] = late.get(int(ms), 0) + int(count)
        fired = sum(late.values())
        if fired != OBJECTS * NEAR:
            raise Broken(f"{fired} timers have fired, not {OBJECTS * NEAR}")
        passed = 0
        for ms in sorted(late):
            passed += late[ms]
            if passed >= 0.99 * fired:
                return {"p99": ms, "most": max(late), "bytes": each, "rate": OBJECTS * FAR / seconds}
    finally:
        node.process.kill()
    raise Broken("no timer has fired")


def run(bench):
    figures = [one(bench) for _ in range(bench.rounds)]
    bench.row("timers: p99 of lateness, 10,000 due a second", "ms", median([f["p99"] for f in figures]),
              goal=("cairn", "<=", 20))
    bench.row("timers: bytes each of 900,000", "bytes", median([f["bytes"] for f in figures]),
              goal=("cairn", "<=", 201))
    bench.row("timers: set", "timers/s", median([f["rate"] for f in figures]))
    bench.note(f"timers: the latest was {max(f['most'] for f in figures)} ms late")
