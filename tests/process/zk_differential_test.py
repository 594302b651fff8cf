#!/usr/bin/env python3
"""The same random operations, watches and sessions against Debian's ZooKeeper 3.8 and a node.

Catches a reply, a stat, an event or an order that is not ZooKeeper's, but for what docs/keeper.md lists; and a comparison
that cannot fail: two ZooKeepers must be equal, and one of them behind what changes a byte must not.  Skipped where
ZooKeeper is not installed; zk_differential_slow_test.py is longer.
"""
import cairnproc
from zk_differential import compare, compare_with_node, lies_are_told, two_zookeepers


def test_two_zookeepers_are_equal(folder):
    with two_zookeepers(folder) as ports:
        compare(ports, 1, 1500)


def test_a_changed_byte_is_told(folder):
    for number, trial in enumerate([(100, 60), (150, 20), (350, 90)]):
        with two_zookeepers(f"{folder}/{number}") as ports:
            lies_are_told(ports, [trial])


def test_a_node_is_a_zookeeper(folder):
    for seed in (1, 2):
        compare_with_node(f"{folder}/{seed}", seed, 2500)


if __name__ == "__main__":
    cairnproc.main([test_two_zookeepers_are_equal, test_a_changed_byte_is_told, test_a_node_is_a_zookeeper])
