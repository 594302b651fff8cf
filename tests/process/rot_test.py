#!/usr/bin/env python3
"""A flipped bit in each kind of file of a real data folder; rot.py tells what must come of it.

Catches damage that is served, that stops a node which could go on, or that is refused without file, place and what to
do.  rot_slow_test.py does it in every block of every file.
"""
from cairnproc import main
from rot import Rot, kind_of


def a_dozen(folder, killed):
    with Rot(folder, killed) as rot:
        chosen = {}
        for path, offsets in rot.places():
            chosen.setdefault((kind_of(path), len(offsets) > 1), []).append((path, offsets))
        rot.try_all([rot.dice.choice(one) for one in chosen.values()], 100)


def test_after_a_stop(folder):
    a_dozen(folder, killed=False)


def test_after_a_kill(folder):
    a_dozen(folder, killed=True)


if __name__ == "__main__":
    main([test_after_a_stop, test_after_a_kill])
