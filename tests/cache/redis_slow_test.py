#!/usr/bin/env python3
"""Would catch: what redis_test.py would, in streams of half a million commands."""
import random

import differential
from cairnproc import main


def test_long_streams(folder):
    for _ in range(5):
        differential.run(folder, random.SystemRandom().randrange(1 << 32), 100000)


main([test_long_streams])
