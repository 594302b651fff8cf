#!/usr/bin/env python3
"""Timers of a real node that is killed again and again: each fires once.

Catches timers that are lost or fire twice when the process is killed at any instant: chains in which each firing sets the
next, and heaps that are due together.  What was acknowledged has fired to its end after the last start, and a request
without an answer has left either all of it or nothing.
"""
import json
import os
import random
import subprocess
import threading
import time

from cairnproc import CAIRN, Lost, Node, check, equal, main

LINKS, HEAP, OBJECTS = 10, 10, 2000


def web_object(node, name):
    return node.web().json("GET", f"/v1/objects/{name}")


def metric(node, name):
    return sum(value for key, value in node.metrics().items() if key.startswith(name))


def set_timers(node, stop, ids, sent, acknowledged):
    try:
        with node.redis() as redis:
            while not stop.is_set() and ids:
                name = ids.pop()
                sent.add(name)
                redis.call("FCALL", "Alarm.in", 1, name, "again", "20", "again", str(LINKS))
                redis.call("FCALL", "Alarm.many", 1, name, str(HEAP), "100", "tick")
                acknowledged.add(name)
    except (Lost, OSError):
        pass


def run(folder, kills, *flags):
    dice = random.Random(1)
    ids = [[f"k{t}-{i}" for i in range(OBJECTS)] for t in range(4)]
    sent, acknowledged = set(), set()
    with Node(folder, *flags) as node:
        node.deploy("alarm")
        for _ in range(kills):
            stop = threading.Event()
            threads = [threading.Thread(target=set_timers, args=(node, stop, own, sent, acknowledged)) for own in ids]
            for thread in threads:
                thread.start()
            time.sleep(dice.uniform(0.05, 0.4))
            node.kill()
            stop.set()
            for thread in threads:
                thread.join()
            node.start()
        deadline = time.monotonic() + 60
        while metric(node, "cairn_timers_pending") and time.monotonic() < deadline:
            time.sleep(0.05)
        check(metric(node, "cairn_timers_pending") == 0, "timers are still pending")
        check(metric(node, "cairn_messages_waiting") == 0, "messages still wait")
        check(metric(node, "cairn_messages_dead") == 0, "there are dead letters")
        check(len(acknowledged) > kills, f"only {len(acknowledged)} objects have been acknowledged")
        with node.redis() as redis:
            for name in sent:
                count = redis.call("FCALL", "Alarm.count", 1, name)
                allowed = (LINKS + HEAP,) if name in acknowledged else (0, LINKS, LINKS + HEAP)
                check(count in allowed, f"{name} has counted {count} firings; {allowed} are right")


def test_kills(folder):
    run(folder, 8)


def test_kills_of_an_engine_on_disk(folder):
    run(folder, 4, "--engine=hybridlog", "--engine-memory=8")


def cairn(node, *words):
    done = subprocess.run([CAIRN, *words], env={**os.environ, "CAIRN_URL": f"http://127.0.0.1:{node.http}"}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    check(done.returncode == 0, f"cairn {' '.join(words)} said {done.stderr!r}")
    return done.stdout


def test_lists(folder):
    """Catches timers that are not listed, or of another object or namespace; and lines of cron whose zone is not read."""
    with Node(folder) as node:
        node.deploy("alarm")
        with node.redis() as redis:
            redis.ok("FCALL", "Alarm.at", 1, "a b", "once", 4000000000000, "tick", "x")
            redis.ok("FCALL", "Alarm.every", 1, "a b", "often", 3600000, "tick")
            redis.ok("FCALL", "Alarm.cron", 1, "c", "daily", "30 2 * * *", "Europe/Berlin", "tick")
            redis.ok("FCALL", "Alarm.many", 1, "m", 900, 3600000, "tick")
        rows = [line.split() for line in cairn(node, "timers", "ls", "Alarm/c").splitlines()]
        check(len(rows) == 2 and rows[1][:4] == ["Alarm/c", "daily", "tick", "pending"], f"listed are {rows}")
        check(rows[1][-6:] == ["30", "2", "*", "*", "*", "Europe/Berlin"], f"listed are {rows}")
        check(len(cairn(node, "timers", "ls").splitlines()) == 904, "not all are listed")
        check(len(cairn(node, "timers", "ls", "Alarm", "--limit", "7").splitlines()) == 8, "more than 7 are listed")
        items = json.loads(cairn(node, "timers", "ls", "Alarm/a b", "--json"))
        check(sorted((i["name"], i["kind"], i["due_ms"] == 4000000000000, i["period_ms"]) for i in items)
              == [("often", "every", False, 3600000), ("once", "once", True, 0)], f"listed are {items}")
        shown = cairn(node, "objects", "show", "Alarm/a b")
        check("  timers, 2:\n    often: tick, pending, " in shown and ", every 3600000 ms\n    once: tick, pending, 2096-10-02"
              in shown, f"shown are {shown}")
        shown = json.loads(cairn(node, "objects", "show", "Alarm/a b", "--json"))
        equal(shown["timers"], items, "timers of an object")
        equal(web_object(node, "Alarm/a%20b"), {**shown, "cursor": None}, "an object over HTTP")
        shown = web_object(node, "Alarm/m")
        equal((len(shown["timers"]), shown["more_timers"]), (20, True), "timers of an object with many")
        check("timers" not in web_object(node, "Alarm/m?field=count"), "one field has timers")
        check("30 2 * * * Europe/Berlin\n" in cairn(node, "objects", "show", "Alarm/c"), "no line of cron is shown")
        node.kill()
        node.start()
        check(len(cairn(node, "timers", "ls", "--json").split('"name"')) == 904, "not all are listed after a kill")


if __name__ == "__main__":
    main([test_kills, test_kills_of_an_engine_on_disk, test_lists])
