#!/usr/bin/env python3
"""Hostile functions beside 32 well-behaved clients: the p99 of the others while each kind of offender runs.

    beside_slow_test.py [--rounds=N] [--seconds=S] [--only=LABEL] [--slice-ms=N]

Catches offenders that make the rest of the node wait: slices that do not end, work that nothing interrupts, host calls
that are not bounded, clean-up that takes long, queues that the offender's calls fill.

What is compared: a crowd of 32 clients (tests/hostile/beside_main.c) reads and writes 200 users, 1000 requests a second
in all, on a node with 2 workers and --sync none, so that neither saturation nor the disk is measured.  Its p99 is taken
without offenders, beside the control, and with offenders, in turn, for each kind of offender and in each round; medians
count.  There is one offender for each worker: a client that sends the offending request again and again to an object
which that worker owns.

The control: offenders keep both of 2 cores busy, and then the operating system has a say in who waits.  So there are,
beside the same crowd and instead of offenders, two processes that burn CPU time and have nothing to do with the node,
but look up after each slice's worth of it, as a worker does.  What is allowed on top of the two slices (2 x 1 ms) that
the node promises is the larger of two: by how much they raise the crowd's p99, and how much longer than a slice it is,
at p99, until one of them looks up.  On an otherwise idle machine both are small; on a busy one they tell how much of
the waiting is not the node's doing.

--slice-ms=50 shows that the test can fail: the node is then one whose slices are that long.
"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))

import cairnproc  # noqa: E402
from cairnproc import Node, check, equal, main, median  # noqa: E402

BUILD = os.environ.get("CAIRN_BUILD", "build")
BESIDE = os.path.join(BUILD, "beside")
WORKERS, SLICE_MS = 2, 1.0
OPTIONS = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
LEAD_SECONDS = 0.2  # offenders begin before the crowd, and end after it

# label, type.method, arguments, code; OTHER is the id of the other worker's offender
OTHER = object()
OFFENDERS = [
    ("endless loop", "Hostile.loop", [], "CPU_LIMIT"),
    ("endless loop that reads", "Hostile.loop_reading", [], "CPU_LIMIT"),
    ("memory bomb", "Hostile.memory_bomb", [], "MEMORY_LIMIT"),
    ("deep recursion", "Hostile.recursion", [], "TRAP"),
    ("deep recursion, machine's stack", "Hostile.recursion_bare", [], "TRAP"),
    ("trap", "Hostile.divide", [], "TRAP"),
    ("unreachable", "Hostile.unreachable", [], "TRAP"),
    ("pointer out of bounds", "Hostile.wild_host_call", [8, 2], "TRAP"),
    ("a million calls", "Hostile.million_calls", [], "LIMIT"),
    ("a million calls in batches", "Rogue.million_calls", [], "LIMIT"),
    ("endless call cycle", "Hostile.cycle", [OTHER], "LIMIT"),
    ("calls that multiply", "Rogue.bomb", [], "ok"),
    ("large result", "Hostile.huge_result", [], "LIMIT"),
    ("gigabyte result", "Hostile.gigabyte_result", [], "TRAP"),
    ("4000 suspended at once", "Rogue.crowd", [4000], "ok"),
    ("memory.fill of the whole memory", "Rogue.fill", [], "CPU_LIMIT"),
    ("large values read", "Rogue.read_much", [], "CPU_LIMIT"),
    ("large values written", "Rogue.write_much", [], "CPU_LIMIT"),
    ("write set", "Hostile.many_writes", [], "LIMIT"),
]


def start(*words):
    return subprocess.Popen([BESIDE, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def result(process):
    text = process.communicate(timeout=120)[0]
    equal(process.returncode, 0, "status of a client")
    return json.loads(text)


def crowd(node, seconds, seed):
    """The crowd's p99 in milliseconds."""
    return result(start("--port", node.resp, "--seconds", seconds, "--seed", seed))["p99_us"] / 1000


def with_beside(node, seconds, seed, beside):
    """The crowd's p99 while those processes run, and what they said."""
    try:
        time.sleep(LEAD_SECONDS)
        p99 = crowd(node, seconds, seed)
        return p99, [result(one) for one in beside]
    finally:
        for one in beside:
            if one.poll() is None:
                one.kill()
                one.wait()


def one_each(node, kind):
    """An id for each worker, of an object that it owns: the one whose count of segments the object's requests raise."""
    ids = {}
    with node.redis() as redis:
        for number in range(100):
            before = node.metrics()
            for _ in range(50):
                redis.ok("FCALL", f"{kind}.fine", 1, f"probe{number}")
            after = node.metrics()
            for worker in range(WORKERS):
                name = 'cairn_segments_total{worker="%d"}' % worker
                if after[name] - before[name] >= 50:
                    ids.setdefault(worker, f"probe{number}")
            if len(ids) == WORKERS:
                for identity in ids.values():
                    node.web().json("DELETE", f"/v1/objects/{kind}/{identity}", want=None)
                return [ids[worker] for worker in range(WORKERS)]
    raise AssertionError(f"no object of some worker among 100: {ids}")


def rest(node):
    """Waits until nothing is under way."""
    end = time.monotonic() + 30
    while node.metrics()["cairn_requests_admitted"] > 0:
        check(time.monotonic() < end, "requests are still under way 30 s after the last client has gone")
        time.sleep(0.02)


def compare(folder, rounds, seconds, offenders):
    rows = [{"without": [], "with": [], "allowed": [], "codes": set()} for _ in offenders]
    long = seconds + 2 * LEAD_SECONDS
    with Node(folder, sync="none", workers=WORKERS) as node:
        node.deploy("hostile", "rogue", "retwis")
        with node.redis() as redis:
            for user in range(200):
                redis.ok("FCALL", "User.create", 1, f"user{user}", "somebody")
        ids = {kind: one_each(node, kind) for kind in ("Hostile", "Rogue")}
        crowd(node, 0.5, 0)  # warms up
        for turn in range(rounds):
            for row, (_, function, arguments, _) in zip(rows, offenders):
                kind = function.split(".")[0]
                row["without"].append(crowd(node, seconds, turn))
                burnt, looks = with_beside(node, seconds, turn, [
                    start("--burn", "--seconds", long) for _ in range(WORKERS)])
                row["allowed"].append(max(burnt - row["without"][-1],
                                          max(look["p99_us"] for look in looks) / 1000 - SLICE_MS, 0))
                p99, said = with_beside(node, seconds, turn, [
                    start("--port", node.resp, "--seconds", long, "--offend", function, identity,
                          *[ids[kind][1 - number] if word is OTHER else word for word in arguments])
                    for number, identity in enumerate(ids[kind])])
                row["with"].append(p99)
                row["codes"].update(*said)
                rest(node)
                for identity in ids[kind]:
                    node.web().fails(404, "not_found", "GET", f"/v1/objects/{kind}/{identity}")
                node.check_alive()

    wrong = []
    print(f"    p99 in ms, medians of {rounds} rounds of {seconds:g} s; more may be {2 * SLICE_MS:g} and the control's")
    print(f"    {'offender':<34}{'code seen':<14}{'without':>9}{'with':>9}{'more':>9}{'control':>9}")
    for row, (label, _, _, code) in zip(rows, offenders):
        without, beside, allowed = (median(row[name]) for name in ("without", "with", "allowed"))
        seen = ", ".join(sorted(row["codes"]))
        bad = beside - without > 2 * SLICE_MS + allowed
        print(f"    {label:<34}{seen:<14}{without:>9.2f}{beside:>9.2f}{beside - without:>+9.2f}{allowed:>9.2f}"
              + ("   TOO MUCH" if bad else ""))
        if seen != code:
            wrong.append(f"{label}: the code was {seen}, wanted {code}")
        if bad:
            wrong.append(f"{label}: the others' p99 rose by {beside - without:.2f} ms")
    check(not wrong, "\n".join(wrong))


def test_offenders_beside_a_crowd(folder):
    if "slice-ms" in OPTIONS:
        cairnproc.CAIRN = os.path.join(BUILD, "widenode")
        os.environ["WIDENODE_SLICE_MS"] = OPTIONS["slice-ms"]
    compare(folder, int(OPTIONS.get("rounds", 3)), float(OPTIONS.get("seconds", 3)),
            [one for one in OFFENDERS if OPTIONS.get("only", "") in one[0]])


if __name__ == "__main__":
    main([test_offenders_beside_a_crowd])
