#!/usr/bin/env python3
"""Clients of ZooKeeper other than kazoo, unmodified, against the real port: Apache's for C and Java, node-zookeeper-client,
go-zk.

Catches replies and events that kazoo forgives, a multi that another client cannot read, and a session, its ephemeral or
its watch that a SIGKILL of the node loses.  What cannot be had here is skipped, aloud: Apache's clients
are Debian's libzookeeper-mt-dev and zookeeper.  Curator is in keeper_curator_slow_test.py.
"""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))

import zkwire  # noqa: E402
from cairnproc import Skip, main  # noqa: E402
from clients import compiled, from_go, from_npm  # noqa: E402
from keeper_programs import outlives_a_kill  # noqa: E402


def test_c_client(folder):
    if not os.path.exists("/usr/include/zookeeper/zookeeper.h"):
        raise Skip("the C client is not installed: apt-get install libzookeeper-mt-dev")
    program = os.path.join(folder, "client")
    subprocess.run(["cc", "-DTHREADED", "-w", "-o", program, "-x", "c", os.path.join(HERE, "keeper_c_client.c.in"),
                    "-lzookeeper_mt"], check=True, timeout=120)
    outlives_a_kill(folder, "/c/flag", [program])


def test_java_client(folder):
    if not shutil.which("javac") or not all(map(os.path.exists, zkwire.JARS)):
        raise Skip("the Java client is not installed: apt-get install zookeeper default-jdk-headless")
    path = ":".join(zkwire.JARS)
    outlives_a_kill(folder, "/java/flag", ["java", "-Xmx128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp",
                                           compiled(folder, "KeeperClient", path), "KeeperClient"])


def test_node_zookeeper_client(folder):
    modules = os.path.join(from_npm("node-zookeeper-client", "1.1.3"), "node_modules")
    outlives_a_kill(folder, "/js/flag", ["node", os.path.join(HERE, "keeper_node_client.cjs")], {"NODE_PATH": modules})


def test_go_zk(folder):
    program = from_go("keeper_go_client", os.path.join(HERE, "keeper_go_client.go.in"), "github.com/go-zookeeper/zk",
                      "v1.0.4")
    outlives_a_kill(folder, "/go/flag", [program])


if __name__ == "__main__":
    main([test_c_client, test_java_client, test_node_zookeeper_client, test_go_zk])
