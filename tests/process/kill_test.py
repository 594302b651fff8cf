#!/usr/bin/env python3
"""kill_test.py [--seed=N] [--kills=N]: a real node is killed 20 times under load and reads back what it acknowledged.

Catches acknowledged effects that are lost, segments that are there by half, replies that a crash took back, keyed
requests that take effect twice, and nodes that do not start again; killer.py tells what is checked.
"""
import sys

import killer
from cairnproc import main

options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if word.startswith("--"))


def test_twenty_kills(folder):
    killer.run(int(options.get("kills", 20)), folder, int(options["seed"]) if "seed" in options else None)


if __name__ == "__main__":
    main([test_twenty_kills])
