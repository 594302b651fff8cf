#!/usr/bin/env python3
"""Ordered maps by the real program: over RESP, HTTP and the command line, after a kill, and through an export.

Catches ranges over HTTP or on the command line that have other entries than asked for, or in another order; keys of any bytes
that cannot be given there; refusals that do not come; a leaderboard that a kill or an export changes.
"""
import json
import os
import subprocess

import cairnproc
from cairnproc import Node, check, equal, main

PLAYERS = 400


def run(*words, status=0, give=None, node=None):
    env = dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{node.http}") if node else None
    done = subprocess.run([cairnproc.CAIRN, *words], input=give, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, timeout=120, env=env)
    equal(done.returncode, status, f"status of cairn {' '.join(words)}, which said {done.stderr!r}")
    return done.stdout if status == 0 else done.stderr.decode()


def points(n):
    return n * 7919 % 1000 - 500


def ranking():
    return sorted(range(PLAYERS), key=lambda n: (-points(n), f"p{n:03}"))


def populate(node):
    node.deploy("leaders", "sorted")
    with node.redis() as redis:
        for n in range(PLAYERS):
            redis.ok("FCALL", "Board.score", 1, "b", f"p{n:03}", points(n))
        for word in ("pear", "apple", "fig", "plum", "date", "kiwi"):
            redis.ok("FCALL", "Sorted.set", 1, "s", word, word.upper())
        redis.ok("FCALL", "Sorted.fill", 1, "n", -2, 3, 1)


def check_board(node, what):
    want = ranking()
    with node.redis() as redis:
        top = redis.ok("FCALL", "Board.top", 1, "b", 1000)
        check(top == [[b"p%03d" % n, points(n)] for n in want], f"top {what}: {top!r}")
        for place in (0, 1, 77, PLAYERS - 1):
            name = f"p{want[place]:03}"
            equal(redis.ok("FCALL", "Board.rank", 1, "b", name), place + 1, f"rank of {name} {what}")
        around = redis.ok("FCALL", "Board.neighbours", 1, "b", f"p{want[200]:03}", 2)
        equal([name for name, _ in around], [b"p%03d" % n for n in want[198:203]], f"neighbours {what}")


def keys(web, query, identity="s"):
    fields = web.json("GET", f"/v1/objects/Sorted/{identity}?field=map{query}")["fields"]
    equal([field["name"] for field in fields], ["map"], "fields")
    equal(fields[0]["kind"], "ordered", "kind")
    return [entry["key"] for entry in fields[0]["content"]]


def test_ranges(folder):
    with Node(folder) as node:
        populate(node)
        check_board(node, "at first")
        web = node.web()
        words = ["apple", "date", "fig", "kiwi", "pear", "plum"]
        equal(keys(web, ""), words, "all")
        equal(keys(web, "&reverse=1"), words[::-1], "downwards")
        equal(keys(web, "&from=date&to=pear"), words[1:4], "a range")
        equal(keys(web, "&from=date&to=pear&reverse=true&limit=2"), ["kiwi", "fig"], "the end of a range")
        equal(keys(web, "&from=e&reverse=0&limit=1"), ["fig"], "from a key that is not there")
        equal(keys(web, "&from=pear&to=date"), [], "a range that ends before it begins")
        equal(keys(web, "&to="), [], "below the empty key")
        numbers = keys(web, "&from=%80%00%00%00%00%00%00%00", "n")
        equal(len(numbers), 3, "numbers from 0 on")
        equal(len(web.json("GET", "/v1/objects/Sorted/s")["fields"]), 3, "fields without one named")
        for query in ("reverse=2", "field=nosuch", "from=%8", "till=x"):
            web.fails(400, "bad_request", "GET", f"/v1/objects/Sorted/s?{query}")
        shown = run("objects", "show", "Sorted/s", "--field", "map", "--from", "date", "--to", "pear", "--reverse",
                    node=node).decode()
        equal(shown.split("\n")[2:5], ["    kiwi: KIWI", "    fig: FIG", "    date: DATE"], "shown")
        shown = json.loads(run("objects", "show", "Sorted/n", "--field", "map", "--from",
                               r"\x80\x00\x00\x00\x00\x00\x00\x01", "--json", node=node))
        equal([entry["value"] for entry in shown["fields"][0]["content"]], ["1", "2"], "shown from a key of bytes")
        shown = run("objects", "show", "Sorted/s", "-n", "2", node=node).decode()
        check("ordered" in shown and "6 entries, of them 2:" in shown and "apple: APPLE" in shown, shown)
        check("no such field" in run("objects", "show", "Sorted/s", "--field", "x", status=1, node=node), "a wrong field")
        web.close()


def test_kill_and_export(folder):
    with Node(folder, "--engine=hybridlog") as node:
        populate(node)
        node.kill()
        node.start()
        check_board(node, "after a kill")
        node.stop()
        stream = run("export", "--data", node.data)
    data = os.path.join(folder, "other")
    run("import", "--data", data, "--engine", "memory", "--shards", "3", give=stream)
    with Node(folder, data=data, name="other") as node:
        check_board(node, "after an import")
        web = node.web()
        equal(keys(web, "&from=g"), ["kiwi", "pear", "plum"], "after an import")
        web.json("DELETE", "/v1/objects/Board/b")
        equal(node.web().json("GET", "/v1/objects/Board?limit=10")["ids"], [], "after a deletion")
        web.close()


if __name__ == "__main__":
    main([test_ranges, test_kill_and_export])
