#!/usr/bin/env python3
"""power_cut_test.py [--seed=N] [--cuts=N]: a node's disk loses power under load; killer.py tells what must hold.

Catches what a killed process cannot show: a reply that went out before what it tells of was on stable storage, a file
whose name was not synced, a mark or manifest that is ahead of what it speaks of. power.py tells how it is done.
"""
import sys

import killer
from cairnproc import main
from disk_full import with_mounts
from power import Machine

options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if word.startswith("--"))


def cut(folder, kind):
    machine = Machine(folder, kind)
    try:
        killer.run(int(options.get("cuts", 8)), folder, int(options["seed"]) if "seed" in options else None,
                   machine=machine)
    finally:
        machine.close()


def test_ext4(folder):
    cut(folder, "ext4")


def test_xfs(folder):
    cut(folder, "xfs")


if __name__ == "__main__":
    with_mounts(lambda: main([test_ext4, test_xfs]))
