#!/usr/bin/env python3
"""kill_test.py [--seed=N] [--kills=N]: a real node is killed under load and reads back what it acknowledged: 20 times with
its engine in memory, and 8 times with one on disk, while versions are taken.

Catches acknowledged effects that are lost, segments that are there by half, replies that a crash took back, keyed
requests that take effect twice, and nodes that do not start again; killer.py tells what is checked.
"""
import sys

import killer
from cairnproc import main

options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if word.startswith("--"))


def test_twenty_kills(folder):
    killer.run(int(options.get("kills", 20)), folder, int(options["seed"]) if "seed" in options else None)


def test_kills_of_an_engine_on_disk(folder):
    killer.run(int(options.get("kills", 8)), folder, int(options["seed"]) if "seed" in options else None,
               flags=("--engine=hybridlog", "--engine-memory=8", "--snapshot-every=1", "--keep=3"))


if __name__ == "__main__":
    main([test_twenty_kills, test_kills_of_an_engine_on_disk])
