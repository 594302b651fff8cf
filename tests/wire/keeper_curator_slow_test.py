#!/usr/bin/env python3
"""Curator's recipes, unmodified, against the real port: locks, elections, barriers, queues, counters, caches.

Catches a lock that two have, an election with two leaders or none, a barrier that opens too early, an item of a queue
that is taken twice or lost, and a leader, a held lock, an ephemeral or a cache's watches that a SIGKILL of the node
loses.  Skipped, aloud, where Maven or Curator's jars cannot be had.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))

from cairnproc import main  # noqa: E402 (its folder had to be named first)
from clients import compiled, from_maven  # noqa: E402
from keeper_programs import outlives_a_kill  # noqa: E402


def test_recipes(folder):
    path = compiled(folder, "KeeperRecipes", from_maven("curator-5.7.1", "org.apache.curator:curator-recipes:5.7.1"))
    outlives_a_kill(folder, "/curator/flag", ["java", "-Xmx256m", "-cp", path, "KeeperRecipes"])


if __name__ == "__main__":
    main([test_recipes])
