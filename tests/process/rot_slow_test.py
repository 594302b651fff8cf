#!/usr/bin/env python3
"""rot_slow_test.py [--seed=N]: a flipped bit in every 4 KiB of a real data folder; rot.py tells what must come of it."""
import sys

from cairnproc import main
from rot import Rot

options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
SECONDS = 60  # for each folder; what has no time then is told, and drawn anew in the next run


def every_block(folder, killed):
    with Rot(folder, killed, seed=int(options["seed"]) if "seed" in options else None) as rot:
        rot.try_all(rot.places(), SECONDS)


def test_every_block_after_a_stop(folder):
    every_block(folder, killed=False)


def test_every_block_after_a_kill(folder):
    every_block(folder, killed=True)


if __name__ == "__main__":
    main([test_every_block_after_a_stop, test_every_block_after_a_kill])
