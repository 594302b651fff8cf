#!/usr/bin/env python3
"""Clients of ZooKeeper other than kazoo, unmodified, against the real port: Apache's for C and Java, node-zookeeper-client.

Catches replies and events that kazoo forgives, a multi that another client cannot read, and a session, its ephemeral or
its watch that a SIGKILL of the node loses.  What cannot be had here is skipped, aloud: Apache's clients
are Debian's libzookeeper-mt-dev and zookeeper.
"""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))

import zkwire  # noqa: E402
from cairnproc import Node, Skip, check, equal, main  # noqa: E402
from clients import from_npm  # noqa: E402


def outlives_a_kill(folder, flag, words, environment=None):
    """The program says "ready", waits for the node `flag`, which is made when the server was killed and is there again,
    and says "done"."""
    with Node(folder, zk=0) as node:
        program = subprocess.Popen([*words, str(node.zk)], stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, **(environment or {})})
        try:
            equal(program.stdout.readline(), "ready\n", "what the client says first")
            node.kill()
            node.start()
            other = zkwire.Connection(node.zk)
            equal(other.call("create", flag, b"", zkwire.OPEN_ACL, 0)[0].error, 0, "creating the flag")
            equal(program.communicate(timeout=60)[0], "done\n", "what the client says last")
            equal(program.returncode, 0, "the client's exit status")
            names, _ = other.call("ls", os.path.dirname(flag), False)
            check(not any(name.startswith("lock-") for name in names.body[0]), "the session is closed, its node is there")
            other.end()
        finally:
            program.kill()
            program.wait()


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
    path = ":".join([folder, *zkwire.JARS])
    shutil.copy(os.path.join(HERE, "KeeperClient.java.in"), os.path.join(folder, "KeeperClient.java"))
    subprocess.run(["javac", "-cp", path, "-d", folder, os.path.join(folder, "KeeperClient.java")], check=True, timeout=120)
    outlives_a_kill(folder, "/java/flag",
                    ["java", "-Xmx128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", path, "KeeperClient"])


def test_node_zookeeper_client(folder):
    modules = os.path.join(from_npm("node-zookeeper-client", "1.1.3"), "node_modules")
    outlives_a_kill(folder, "/js/flag", ["node", os.path.join(HERE, "keeper_node_client.cjs")], {"NODE_PATH": modules})


if __name__ == "__main__":
    main([test_c_client, test_java_client, test_node_zookeeper_client])
