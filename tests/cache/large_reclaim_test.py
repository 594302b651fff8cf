#!/usr/bin/env python3
"""Would catch: a reader of a large value that gets wrong bytes, or is cut off, when as many instances as the parity are
taken away while it reads; lost chunks that nobody makes again; a value that is served though more is lost; what the
commands and pages of the cache tell not being so."""
import json
import os
import random
import socket
import subprocess
import time

import differential
from cairnproc import CAIRN, Node, check, equal, main

MIB = 1 << 20
BLOCK = random.Random(3).randbytes(6 * MIB)


def page(web, query=""):
    return web.json("GET", "/v1/cache" + query)


def reclaim(web, instances):
    query = "&".join(f"instance={instance}" for instance in instances)
    equal(web.json("DELETE", "/v1/cache?" + query)["reclaimed"], len(instances), "what is taken away")


def wait_for(what, holds):
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(what)


def value_of(connection, key):
    head = connection.call(b"GET", key.encode())[0]
    return None if head == b"$-1" else head.split(b"\r\n", 1)[1][:-2]


def read_while_two_go(node, web, key, value, dice):
    with socket.create_connection(("127.0.0.1", node.resp), 20) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        s.sendall(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key.encode()))
        got = s.recv(1000)
        # As many as the parity, of this value.
        reclaim(web, [chunk["instance"] for chunk in dice.sample(page(web, "?key=" + key)["chunks"], 2)])
        want = b"$%d\r\n" % len(value) + value + b"\r\n"
        while len(got) < len(want):
            more = s.recv(1 << 20)
            check(more, f"cut off behind {len(got)} of {len(want)} bytes")
            got += more
        check(got == want, f"{key} has other bytes")


def test_instances_go_while_values_are_read(folder):
    with Node(folder, "--cache=256MiB", "--cache-redundancy=4+2", sync="none") as node:
        web, c, dice = node.web(), differential.Connection(node.resp, 2), random.Random(8)
        values = {f"k{i}": BLOCK[i * 1000:][:dice.randrange(MIB, 5 * MIB)] for i in range(12)}
        for key, value in values.items():
            equal(c.call(b"SET", key.encode(), value)[0], b"+OK", "SET")
        equal(page(web)["count"], 12, "values that are listed")
        for _ in range(6):
            key = dice.choice(list(values))
            read_while_two_go(node, web, key, values[key], dice)
            wait_for("chunks are not made again", lambda: all(v["lost_chunks"] == 0 for v in page(web)["values"]))
        equal(page(web)["count"], 12, "values that are left")
        check(node.metrics()["cairn_large_repaired_total"] >= 12, "repaired chunks are counted")
        equal(node.metrics()["cairn_large_reclaimed_total"], 12, "reclaimed instances")
        for key, value in values.items():
            check(value_of(c, key) == value, f"{key} has other bytes")
        # All at once: every value is missed, and a new one is kept.
        reclaim(web, [instance["id"] for instance in page(web, "?of=instances")["instances"]])
        wait_for("instances are not taken away", lambda: node.metrics()["cairn_large_reclaimed_total"] == 22)
        for key in values:
            equal(value_of(c, key), None, "what is lost is missed")
        equal(node.metrics()["cairn_keys_lost_total"], 12, "lost values")
        equal(c.call(b"SET", b"new", BLOCK)[0], b"+OK", "SET")
        check(value_of(c, "new") == BLOCK, "a new value")


def command(node, *words):
    return subprocess.run([CAIRN, "cache", *words], env={**os.environ, "CAIRN_URL": f"http://127.0.0.1:{node.http}"},
                          check=False, capture_output=True, text=True)


def test_commands(folder):
    with Node(folder, "--cache=64MiB", sync="none") as node:
        web, c = node.web(), differential.Connection(node.resp, 2)
        c.call(b"SELECT", b"2")
        c.call(b"SET", b"a key", BLOCK)
        check("a key" in command(node, "ls").stdout, "cache ls")
        check("resident" in command(node, "instances").stdout, "cache instances")
        why = command(node, "why", "a key", "--database", "2").stdout
        check("no more than 2 others" in why and "losing one agent can lose it" in why, why)
        check(command(node, "why", "a key").returncode != 0, "a key of another database")
        told = json.loads(command(node, "why", "a key", "--database", "2", "--json").stdout)
        equal((told["bytes"], len(told["chunks"]), told["lost_chunks"]), (len(BLOCK), 12, 0), "cache why --json")
        check("taken away" in command(node, "reclaim", str(told["chunks"][0]["instance"])).stdout, "cache reclaim")
        check(command(node, "reclaim", "99999").returncode != 0, "an instance that is not there")
        web.fails(400, "bad_request", "GET", "/v1/cache?wrong=1")
        web.fails(404, "not_found", "DELETE", "/v1/cache?instance=99999")
    with Node(folder, data=folder + "/other", sync="none") as node:
        node.web().fails(503, "unavailable", "GET", "/v1/cache")


main([test_instances_go_while_values_are_read, test_commands])
