#!/usr/bin/env python3
"""A million random operations against Debian's ZooKeeper 3.8 and a node: see zk_differential_test.py.

Catches what happens too rarely for 2,500 of them.
"""
import cairnproc
from zk_differential import compare_with_node

SEEDS, EACH = 40, 25000


def test_a_million_operations_are_equal(folder):
    for seed in range(100, 100 + SEEDS):
        compare_with_node(f"{folder}/{seed}", seed, EACH, sessions=3 + seed % 4, depth=1 + seed % 12)


if __name__ == "__main__":
    cairnproc.main([test_a_million_operations_are_equal])
