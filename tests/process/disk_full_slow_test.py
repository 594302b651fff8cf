#!/usr/bin/env python3
"""A full disk of both kinds under a real node, again and again; disk_full.py tells what must hold.

ext4 takes room for its own books, and gives it back late; that a disk fills up once more after it healed is its own case.
"""
from cairnproc import main
from disk_full import through_all_of_it, with_mounts


def test_full_ext4(folder):
    through_all_of_it(folder, "ext4", rounds=3)


def test_full_tmpfs(folder):
    through_all_of_it(folder, "tmpfs", rounds=3)


if __name__ == "__main__":
    with_mounts(lambda: main([test_full_ext4, test_full_tmpfs]))
