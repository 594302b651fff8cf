#!/usr/bin/env python3
"""Redis client libraries, unmodified, against the real node: redis-py, node-redis, ioredis, each in two major versions.
Catches replies that only our own tests understand.  What cannot be fetched here is skipped, aloud.
"""
import os
import sys

import clients
from clients import HERE, need, run_client
from cairnproc import GUESTS, Node, main


def redis_py(folder, version):
    place = clients.from_pip("redis", version)
    with Node(folder) as running:
        print("    " + run_client([sys.executable, os.path.join(HERE, "redis_py_client.py"), str(running.resp), GUESTS],
                                  {"PYTHONPATH": place}))
        running.check_alive()


def from_npm(folder, package, version, script):
    if int(version.split(".")[0]) >= 6 and clients.node_major() < 20:
        print(f"    {package} {version} needs Node.js 20, which is not here; version 5 is tested")
        return
    place = clients.from_npm(package, version)
    with Node(folder) as running:
        print("    " + run_client([need("node"), os.path.join(HERE, script), str(running.resp), GUESTS],
                                  {"NODE_PATH": os.path.join(place, "node_modules")}))
        running.check_alive()


def test_redis_py_5(folder):
    redis_py(folder, "5.2.1")


def test_redis_py_8(folder):
    redis_py(folder, "8.1.0")


def test_node_redis_5(folder):
    from_npm(folder, "redis", "5.9.0", "node_redis_client.cjs")


def test_node_redis_6(folder):
    from_npm(folder, "redis", "6.3.1", "node_redis_client.cjs")


def test_ioredis_5(folder):
    from_npm(folder, "ioredis", "5.9.2", "ioredis_client.cjs")


def test_ioredis_6(folder):
    from_npm(folder, "ioredis", "6.0.0", "ioredis_client.cjs")


if __name__ == "__main__":
    main([test_redis_py_5, test_redis_py_8, test_node_redis_5, test_node_redis_6, test_ioredis_5, test_ioredis_6])
