#!/usr/bin/env python3
"""Power cuts of a whole file system under a program that keeps state with a log.

Catches what a killed process cannot show: something was acknowledged before it was on stable storage (a sync left out, a
name that was not synced, an order that only the page cache kept). tests/process/power.py tells how it is done.
"""
import os
import random
import struct
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
from cairnproc import check, main  # noqa: E402
from disk_full import with_mounts  # noqa: E402
from power import Machine, run  # noqa: E402

PROGRAM = os.path.join(os.environ.get("CAIRN_BUILD", "build"), "state_kill")
CUTS = 3  # of each engine in each mode


def write_until_the_cut(machine, engine, mode, state, draw):
    """The last number that was acknowledged."""
    process = subprocess.Popen([PROGRAM, state, engine, mode, "write"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    timer = threading.Timer(draw.uniform(.05, .5), machine.cut)
    timer.start()
    told = process.stdout.read()  # it ends by itself: its disk is gone
    timer.join()
    process.wait(timeout=60)
    check(process.returncode != 0, "it did not notice that its disk is gone")
    whole = len(told) // 8 * 8
    return struct.unpack("<Q", told[whole - 8:whole])[0] if whole else 0


def cut_again_and_again(folder, kind):
    machine = Machine(folder, kind)
    seed = random.randrange(1 << 31)
    draw = random.Random(seed)
    print(f"    seed {seed}")
    try:
        for engine in "hybridlog", "appendlog", "lsm", "memory":
            for mode in "always", "none":
                state, last = os.path.join(machine.path, engine + mode), 0
                for _ in range(CUTS):
                    acknowledged = write_until_the_cut(machine, engine, mode, state, draw) or last
                    machine.again()
                    done = run(PROGRAM, state, engine, mode, "check")
                    check(done.returncode == 0, f"{engine}, {mode}: {done.stdout}")
                    found = int(done.stdout)
                    check(found <= acknowledged + 1, f"{engine}, {mode}: {found} found, {acknowledged} acknowledged")
                    check(found >= acknowledged or mode == "none",
                          f"{engine}, {mode}: {acknowledged} was acknowledged, {found} found")
                    last = found
                print(f"    {engine}, {mode}: {last} changes after {CUTS} cuts")
    finally:
        machine.close()


def test_ext4(folder):
    cut_again_and_again(folder, "ext4")


def test_xfs(folder):
    cut_again_and_again(folder, "xfs")


if __name__ == "__main__":
    with_mounts(lambda: main([test_ext4, test_xfs]))
