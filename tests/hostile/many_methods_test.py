#!/usr/bin/env python3
"""A module with as many methods as its declaration can hold is deployed, listed, scraped and deleted while others work.

Catches work per method on a worker that looks at every other method (deploys and pages of metrics then stop the node for
minutes), series of metrics without a bound, and a node that takes modules until its listings and memory have no bound.
"""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))

from cairnproc import Error, Node, check, equal, main  # noqa: E402
from wasm import CODE, EXPORT, FUNCTION, HEAD, MEMORY, TYPE, custom, section, sized, vector, varint  # noqa: E402

TYPES, METHODS = 50, 1024
SERIES_MAX = 2048  # methods that have metrics of their own
METHODS_MAX = 65536
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
STALL_SECONDS = 3  # on a busy machine; without a bound it is minutes


def names():
    return [f"{a}{b}" for a in LETTERS for b in LETTERS + "0123456789"][:METHODS]


def module(name, prefix, version=0):
    """Every method is the same empty function."""
    types = [f"{prefix}{letter}" for letter in LETTERS[:TYPES]]
    lines = ["abi 1", f"module {name}"]
    for one in types:
        lines.append(f"type {one}")
        lines += [f"method {one} {method} public" for method in names()]
    exports = [sized("memory") + b"\2\0"]
    exports += [sized(f"{one}.{method}") + b"\0\0" for one in types for method in names()]
    return (HEAD + section(TYPE, vector([b"\x60\0\0"])) + section(FUNCTION, vector([b"\0"])) +
            section(MEMORY, vector([b"\0\1"])) + section(EXPORT, vector(exports)) +
            section(CODE, vector([sized(b"\0" + b"\x01" * version + b"\x0b")])) +
            custom("cairn.types", "\n".join(lines).encode() + b"\n"))


class Others(threading.Thread):
    """A client that calls all the time, of each worker one or the other; `worst` is what its slowest call took."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.worst, self.over, self.calls, self.wrong = node, 0, False, 0, None

    def run(self):
        with self.node.redis() as redis:
            while not self.over:
                begin = time.monotonic()
                reply = redis.call("FCALL", "Register.set", 1, f"r{self.calls % 16}", 1)
                if isinstance(reply, Error):
                    self.wrong = reply
                self.worst = max(self.worst, time.monotonic() - begin)
                self.calls += 1

    def end(self, what):
        self.over = True
        self.join()
        print(f"    {what}: {self.calls} calls of others, the slowest took {self.worst * 1000:.0f} ms")
        check(self.calls > 0 and not self.wrong, f"calls of others during {what}: {self.wrong}")
        check(self.worst < STALL_SECONDS, f"{what}: somebody else waited {self.worst:.1f} s")


def while_others_call(node, what, work):
    others = [Others(node) for _ in range(2)]
    for one in others:
        one.start()
    work()
    for one in others:
        one.end(what)


def call_methods(node, kind, methods):
    with node.redis() as redis:
        for begin in range(0, len(methods), 256):
            some = methods[begin:begin + 256]
            for method in some:
                redis.send("FCALL", f"{kind}.{method}", 1, "one")
            for method in some:
                equal(redis.receive(), None, f"{kind}.{method}")


def test_many_methods(folder):
    with Node(folder) as node:
        node.deploy("register")
        web = node.web()

        def deploy(name, prefix, version=0):
            status, said = web.ask("PUT", f"/v1/modules/{name}", module(name, prefix, version))
            equal(status, 201, f"deploying {name}, which said {said[:200]!r}")

        while_others_call(node, "deploying 51,200 methods", lambda: deploy("first", "a"))
        while_others_call(node, "deploying them again", lambda: deploy("first", "a", 1))
        status, said = web.ask("PUT", "/v1/modules/second", module("second", "b"))
        equal((status, b"methods" in said and str(METHODS_MAX).encode() in said), (422, True),
              f"too many methods: {said[:300]!r}")
        equal(len(web.json("GET", "/v1/modules")), 2, "modules, without the one that was refused")
        while_others_call(node, "listing all of them", lambda: equal(len(web.json("GET", "/v1/types")), TYPES + 2,
                                                                     "types"))
        for kind in ("aa", "ab", "aX"):
            call_methods(node, kind, names())
        pages = []
        while_others_call(node, "scraping", lambda: pages.extend(node.metrics() for _ in range(3)))
        ended = {key: count for key, count in pages[-1].items() if key.startswith("cairn_invocations_total{")}
        check(len(ended) <= SERIES_MAX + 1, f"{len(ended)} methods have series of their own")
        equal(ended['cairn_invocations_total{namespace="default",type="aa",method="aa"}'], 1, "calls of aa.aa")
        counted = sum(count for key, count in ended.items() if 'type="Register"' not in key)
        equal(counted, 3 * METHODS, "calls that all series together count")

        def delete():
            status, said = web.ask("DELETE", "/v1/modules/first")
            equal(status, 200, f"deleting, which said {said[:300]!r}")

        while_others_call(node, "deleting", delete)
        node.stop()
        node.start()
        equal(len(node.web().json("GET", "/v1/modules")), 1, "modules after a restart")


if __name__ == "__main__":
    main([test_many_methods])
