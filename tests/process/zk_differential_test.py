#!/usr/bin/env python3
"""The same random operations, watches and sessions against Debian's ZooKeeper 3.8 and another server.

Catches a reply, a stat, an event or an order that is not ZooKeeper's, but for what docs/keeper.md lists; and a comparison
that cannot fail: two ZooKeepers must be equal, and one of them behind what changes a byte must not.  Skipped where
ZooKeeper is not installed.
"""
import contextlib

import cairnproc
from zk_differential import compare, lies_are_told, two_zookeepers


def test_two_zookeepers_are_equal(folder):
    with two_zookeepers(folder) as ports:
        compare(ports, 1, 1500)


def test_a_changed_byte_is_told(folder):
    for number, trial in enumerate([(100, 60), (150, 20), (300, 90)]):
        with contextlib.suppress(FileExistsError):
            with two_zookeepers(f"{folder}/{number}") as ports:
                lies_are_told(ports, [trial])


if __name__ == "__main__":
    cairnproc.main([test_two_zookeepers_are_equal, test_a_changed_byte_is_told])
