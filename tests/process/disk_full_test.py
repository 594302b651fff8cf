#!/usr/bin/env python3
"""A full disk under a real node, once, in memory; disk_full.py tells what must hold.

Catches a node that fails for good where it should wait for room, acknowledges what it has no room for, refuses reads,
does not take up writing again, or loses something when it is killed, stopped or started while the disk is full.
"""
from cairnproc import main
from disk_full import through_all_of_it, with_mounts


def test_full_tmpfs(folder):
    through_all_of_it(folder, "tmpfs", rounds=1)


if __name__ == "__main__":
    with_mounts(lambda: main([test_full_tmpfs]))
