#!/usr/bin/env python3
"""Would catch: a command of the cache whose reply or error is not Redis 7.0's, byte for byte, over RESP2 or RESP3; a
transaction that runs though a watched key has changed, or does not though none has; a key that outlives its time."""
import random

import differential
from cairnproc import main

SEED = 1


def test_known_stream(folder):
    differential.run(folder, SEED, 4000)


def test_new_stream(folder):
    differential.run(folder, random.SystemRandom().randrange(1 << 32), 3000)


main([test_known_stream, test_new_stream])
