"""What the tests of ZooKeeper's clients share: a program of a client's, and a SIGKILL of the node under it."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))

import zkwire  # noqa: E402 (its folder had to be named first)
from cairnproc import Node, check, equal  # noqa: E402


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
