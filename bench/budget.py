#!/usr/bin/env python3
"""bench/budget.py [--build DIR] [METHOD ...]: the budget of one invocation, stage by stage.

Runs `cairn serve --workers 1` under callgrind (instructions) and under perf (nanoseconds of CPU time, the kernel's
share included), lets bench_load call METHOD (timeline, create, post) over RESP from 32 connections, and prints what one
request costs in each stage.  Instructions are the difference of two runs of different length, so that start-up and
compiling cancel out; they do not depend on what else the machine does.  What runs on other threads (the log's) is
told in stages of its own.  Not part of `make bench`: it needs valgrind and perf, and takes a minute.

A function belongs to the first stage in STAGES that its name or source file fits; one that fits none (memcpy, the
codecs of base/, the engine's lookups) shares its cost out among those who called it.
"""
import argparse
import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from suite import base

REQUESTS = (300, 5300)
PERF_SECONDS, PERF_HZ = 5, 4999

# stage, functions, files; in order.  Kernel functions come from perf only.
STAGES = [
    ("log's threads", r"^wal_(writer|keeper)_main$", None),
    ("background", r"^(work|tick)$", r"src/io/task\.c"),
    ("reply", r"^(__x64_sys_(sendto|sendmsg|write|writev)|write_reply|on_reply|uv_try_write.*|uv__try_write|uv__write)$",
     r"src/proto/(resp_write|http_response)\.c|src/server/http_render\.c"),
    ("apply", r"^(memory_put|memory_remove)$", None),
    ("log", r"^(cairn_shard_commit|cairn_shard_record_bytes|segment_claim|worker_hold_log)$", r"src/log/|src/shard/"),
    ("overlay", None, r"src/object/(host|overlay|segment|directory)\.c"),
    ("sandbox", r"wasmtime|^0x[0-9a-f]+$|^\[unknown\]$|cranelift|pooling", r"src/fn/"),
    ("queue", None, r"src/(object|admin)/"),
    ("parse", None, r"src/proto/|src/server/resp_"),
    ("read", r"^(uv_.*|uv__.*|__x64_sys_(recvfrom|read|readv|epoll_.*|ppoll|futex))$", r"src/io/|src/server/"),
]


def stage_of(name, file):
    for stage, names, files in STAGES:
        if (names and re.search(names, name)) or (files and file and re.search(files, file)):
            return stage
    return None


# --- callgrind ---

def read_callgrind(path):
    """(self cost by function, cost of calls by (caller, callee)); a function is (name, file)."""
    own, arcs = collections.Counter(), collections.Counter()
    names, paths = {}, {}

    def expand(table, text):
        match = re.match(r"\((\d+)\)(?: (.*))?$", text)
        if not match:
            return text
        if match[2] is not None:
            table[match[1]] = match[2]
        return table[match[1]]

    file = at = function = callee = callee_file = None  # at: the file of the lines that follow, if something is inlined
    calls = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if line.startswith("fl="):
                file = at = expand(paths, line[3:])
            elif line.startswith(("fi=", "fe=")):
                at = expand(paths, line[3:])
            elif line.startswith("fn="):
                function = expand(names, line[3:]), file
            elif line.startswith(("cfi=", "cfl=")):
                callee_file = expand(paths, line[4:])
            elif line.startswith("cfn="):
                callee = expand(names, line[4:]), callee_file or at
                callee_file = None
            elif line.startswith("calls="):
                calls = True
            elif line and line[0] in "0123456789+-*":
                cost = int(line.split()[1])
                if calls:
                    arcs[function, callee] += cost
                    calls = False
                else:
                    own[function] += cost
    return own, arcs


def share_out(own, arcs):
    """Cost by stage: what fits no stage goes to its callers' stages, by how much of it they caused."""
    callers = collections.defaultdict(list)
    for (caller, callee), cost in arcs.items():
        if caller != callee and cost > 0:
            callers[callee].append((caller, cost))
    fixed = {function: stage_of(*function) for function in set(own) | set(callers)}
    shares = {function: {stage: 1.0} if stage else {} for function, stage in fixed.items()}
    for _ in range(40):
        for function, stage in fixed.items():
            if stage or not callers[function]:
                continue
            total, mixed = 0.0, collections.Counter()
            for caller, cost in callers[function]:
                for name, part in shares.get(caller, {}).items():
                    mixed[name] += part * cost
                    total += part * cost
            shares[function] = {name: part / total for name, part in mixed.items()} if total else {}
    by_stage = collections.Counter()
    for function, cost in own.items():
        for stage, part in (shares[function] or {"other": 1.0}).items():
            by_stage[stage] += cost * part
    return by_stage


class Place:
    """What base.Process and base.Cairn need of a bench, around a node under a tool."""

    def __init__(self, build, folder, tool):
        self.bench = base.Bench.__new__(base.Bench)
        self.bench.build = self.bench.guests = build
        self.bench.folder, self.bench.processes = folder, []
        wrapper = os.path.join(folder, "cairn")
        with open(wrapper, "w", encoding="utf-8") as script:
            script.write(f"#!/bin/sh\nif [ \"$1\" = serve ]; then exec {tool} {build}/cairn \"$@\"; fi\n"
                         f"exec {build}/cairn \"$@\"\n")
        os.chmod(wrapper, 0o755)
        self.bench.cairn = wrapper

    def node(self):
        node = base.Cairn(self.bench, "node", "--workers", "1", "--limit-cpu", "100000").deploy("retwis")
        self.bench.load(node, "create", users=200, connections=32)
        self.bench.load(node, "graph", users=200, connections=32)
        self.bench.load(node, "post", users=200, connections=32, count=2400)
        return node

    def stop(self):
        for process in self.bench.processes:
            process.kill(signal.SIGTERM, 60)
        self.bench.processes.clear()


def workload(bench, node, method, **limits):
    if method == "create":  # over and over, everybody in turn
        return bench.load(node, method, users=limits.pop("count", 200000), connections=32, **limits)
    return bench.load(node, method, users=200, connections=32, **limits)


def instructions(build, method):
    by_stage = []
    for count in REQUESTS:
        with tempfile.TemporaryDirectory(dir=build) as folder:
            out = os.path.join(folder, "callgrind.out")
            place = Place(build, folder, f"valgrind -q --tool=callgrind --callgrind-out-file={out}")
            try:
                node = place.node()
                workload(place.bench, node, method, count=count)
            finally:
                place.stop()
            own, arcs = read_callgrind(out)
            by_stage.append(share_out(own, arcs))
    each = REQUESTS[1] - REQUESTS[0]
    return {stage: (by_stage[1][stage] - by_stage[0][stage]) / each for stage in by_stage[1]}, set(own)


# --- perf ---

def stage_of_stack(frames, functions):
    """perf tells names only.  Where two files have a function of one name (fn's host calls and object's, which they
    call), the inner one of two such frames is object's."""
    for i, name in enumerate(frames):
        files = functions.get(name, [])
        if len(files) > 1 and any("src/object/" in (file or "") for file in files):
            inner = i + 1 < len(frames) and len(functions.get(frames[i + 1], [])) > 1
            return "overlay" if inner else "sandbox"
        stage = stage_of(name, files[0] if files else None)
        if stage:
            return stage
    return "other"


def nanoseconds(build, method, known):
    """CPU time of the process per request, by stage."""
    functions = collections.defaultdict(list)
    for name, file in known:
        functions[name].append(file)
    with tempfile.TemporaryDirectory(dir=build) as folder:
        place = Place(build, folder, "")
        try:
            node = place.node()
            out = os.path.join(folder, "perf.data")
            workload(place.bench, node, method, seconds=1)
            with subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", str(PERF_HZ), "--call-graph",
                                   "dwarf,8192", "-o", out, "-p", str(node.process.pid)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as perf:
                time.sleep(1)
                before = node.process.cpu_seconds()
                start = time.monotonic()
                done = workload(place.bench, node, method, seconds=PERF_SECONDS)
                used, took = node.process.cpu_seconds() - before, time.monotonic() - start
                perf.send_signal(signal.SIGINT)
                perf.wait(timeout=60)
        finally:
            place.stop()
        script = subprocess.run(["perf", "script", "-i", out, "-F", "tid,ip,sym"], stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.DEVNULL, errors="replace", check=True).stdout
    samples = collections.Counter()
    for block in script.split("\n\n"):
        frames = [re.sub(r"\.(constprop|isra|part|cold)\.\d+|'\d+$", "", line.split(None, 1)[1].strip())
                  for line in block.splitlines()[1:] if len(line.split(None, 1)) > 1]
        if frames:
            samples[stage_of_stack(frames, functions)] += 1
    total, each = sum(samples.values()), used * 1e9 / done["replies"]
    return {stage: count / total * each for stage, count in samples.items()}, each, used / took


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("methods", nargs="*", default=["timeline", "create"], metavar="METHOD")
    parser.add_argument("--build", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build"))
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    for tool in ("valgrind", "perf"):
        if not shutil.which(tool):
            print(f"budget: {tool} is not there; nothing is measured", file=sys.stderr)
            return 1
    for method in options.methods:
        counts, known = instructions(build, method)
        times, each, busy = nanoseconds(build, method, known)
        print(f"\n{method}: {each:.0f} ns of CPU time a request ({busy:.2f} cores busy), "
              f"{sum(counts.values()):.0f} instructions outside of the kernel")
        order = ["read", "parse", "queue", "sandbox", "overlay", "log", "apply", "reply", "log's threads", "background", "other"]
        for stage in order:
            print(f"  {stage:14} {times.get(stage, 0):8.0f} ns {counts.get(stage, 0):8.0f} instructions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
