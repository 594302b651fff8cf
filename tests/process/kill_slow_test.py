#!/usr/bin/env python3
"""kill_slow_test.py [--seed=N] [--kills=N]: as kill_test.py, 200 times, with longer lives between the kills."""
import sys

import killer
from cairnproc import main

options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if word.startswith("--"))


def test_two_hundred_kills(folder):
    killer.run(int(options.get("kills", 200)), folder, int(options["seed"]) if "seed" in options else None, longest=3.0)


if __name__ == "__main__":
    main([test_two_hundred_kills])
