#!/usr/bin/env python3
"""Ten thousand idle namespaces: what they cost in memory and time, and that all are there after a restart.

Catches a namespace that takes more than 4 KiB, one that makes the node do something while nobody asks, and a node whose
start takes long because of them.  Prints what it has measured.
"""
import os
import time

from cairnproc import Node, check, equal, main

COUNT = 10000


def rss_bytes(node):
    with open(f"/proc/{node.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def cpu_ticks(node):
    with open(f"/proc/{node.process.pid}/stat") as file:
        words = file.read().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def idle_ticks(node, seconds=3):
    before = cpu_ticks(node)
    time.sleep(seconds)
    return cpu_ticks(node) - before


def start_ms(node, times=5):
    """The shortest of some starts."""
    best = None
    for _ in range(times):
        node.stop()
        node.start()
        ms = int(node.output().partition("ready after ")[2].split()[0])
        best = ms if best is None else min(best, ms)
    return best


def test_ten_thousand(folder):
    for engine in ("memory", "lsm"):
        with Node(folder, f"--engine={engine}", sync="none", data=os.path.join(folder, engine), name=engine) as node:
            node.deploy("register")
            web = node.web()
            web.json("GET", "/v1/namespaces")
            one = {"start_ms": start_ms(node), "ticks": idle_ticks(node)}
            web = node.web()
            web.json("PUT", "/v1/namespaces/n0", want=201)
            before = rss_bytes(node)
            for n in range(1, COUNT):
                web.json("PUT", f"/v1/namespaces/n{n}", want=201)
            bytes_each = (rss_bytes(node) - before) / (COUNT - 1)
            many = {"ticks": idle_ticks(node), "start_ms": start_ms(node)}
            equal(len(node.web().json("GET", "/v1/namespaces")), COUNT + 1, "namespaces after the restarts")
            print(f"    {engine}: {bytes_each:.0f} bytes each; idle for 3 s: {one['ticks']} ticks with one, "
                  f"{many['ticks']} with {COUNT}; start: {one['start_ms']} ms with one, {many['start_ms']} ms with {COUNT}")
            check(bytes_each <= 4096, f"a namespace takes {bytes_each:.0f} bytes")
            check(many["ticks"] <= one["ticks"] + 10, f"{many['ticks']} ticks in 3 s, with one it was {one['ticks']}")
            # The goal is 20 %; other processes of the machine have a say in it.
            check(many["start_ms"] <= 2 * one["start_ms"] + 100, "the start takes long")


if __name__ == "__main__":
    main([test_ten_thousand])
