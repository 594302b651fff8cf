#!/usr/bin/env python3
"""A program that keeps state with a log is killed at random moments.

Catches an acknowledged change that is gone, one that is half there, one that is made twice, in every mode of the log: what
was acknowledged has been written, and a process that is killed takes nothing of that along.
"""
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
from cairnproc import check, equal, main  # noqa: E402

PROGRAM = os.path.join(os.environ.get("CAIRN_BUILD", "build"), "state_kill")
KILLS = 4  # of each engine in each mode


def run(folder, engine, mode, draw):
    """Writes until it is killed; the last number that was acknowledged."""
    process = subprocess.Popen([PROGRAM, folder, engine, mode, "write"], stdout=subprocess.PIPE)
    timer = threading.Timer(draw.uniform(.02, .4), process.send_signal, [signal.SIGKILL])
    timer.start()
    told = process.stdout.read()
    timer.cancel()
    check(process.wait() == -signal.SIGKILL, f"it ended by itself with {process.returncode}")
    whole = len(told) // 8 * 8
    return struct.unpack("<Q", told[whole - 8:whole])[0] if whole else 0


def test_nothing_acknowledged_is_lost(folder):
    seed = random.randrange(1 << 31)
    draw = random.Random(seed)
    print(f"    seed {seed}")
    for engine in "hybridlog", "appendlog", "lsm", "memory":
        for mode in "always", "none", "interval":
            state, last = os.path.join(folder, engine + mode), 0
            begin = time.monotonic()
            for _ in range(KILLS):
                acknowledged = run(state, engine, mode, draw) or last
                found = int(subprocess.run([PROGRAM, state, engine, mode, "check"], stdout=subprocess.PIPE, check=True,
                                           timeout=60).stdout)
                check(acknowledged <= found <= acknowledged + 1,
                      f"{engine}, {mode}: {acknowledged} was acknowledged, {found} found")
                last = found
            equal(last > 0, True, "something was written")
            print(f"    {engine}, {mode}: {last} changes, {KILLS} kills, {time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    main([test_nothing_acknowledged_is_lost])
