#!/usr/bin/env python3
"""promise_test.py [--kills=N]: a real node is killed while durable methods wait for promises that are settled over HTTP.

Catches an outcome that was acknowledged and is not the method's, one that two got through with, a method that a SIGKILL
ends or runs twice, and a sleep that a SIGKILL loses.
"""
import os
import random
import subprocess
import sys
import threading
import time

from cairnproc import CAIRN, Error, Lost, Node, check, equal, main

options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
KILLS = int(options.get("kills", 10))


def begin(node, flow, faults):
    """Asks with a key until there is an answer."""
    while True:
        try:
            with node.redis() as redis:
                reply = redis.fcall("Flow.vow", flow, f"t{flow}", 0, 20, key=f"k{flow}")
                if isinstance(reply, Error) and reply.code in ("UNAVAILABLE", "OVERLOADED"):
                    continue
                faults[flow] = reply
                return
        except (Lost, OSError):
            time.sleep(0.02)


def promise(node, flow):
    while True:
        try:
            with node.redis() as redis:
                word = redis.call("FCALL", "Flow.word", 1, flow)
                if word:
                    return word.decode() if isinstance(word, bytes) else word
        except (Lost, OSError):
            pass
        time.sleep(0.01)


def settle(node, promise_id, word):
    """The status, or None: nobody answered."""
    try:
        web = node.web()
        try:
            return web.ask("POST", f"/v1/promises/{promise_id}", f'"{word}"')[0]
        finally:
            web.close()
    except (Lost, OSError, ValueError):
        return None


def test_each_is_settled_once(folder):
    dice = random.Random(5)
    outcomes, threads = {}, []
    with Node(folder, "--shards=4") as node:
        node.deploy("flow")
        for i in range(KILLS):
            flow = f"v{i}"
            threads.append(threading.Thread(target=begin, args=(node, flow, outcomes), daemon=True))
            threads[-1].start()
            promise_id = promise(node, flow)
            heard = []
            first = threading.Thread(target=lambda p=promise_id, h=heard: h.append(settle(node, p, "first")))
            first.start()
            time.sleep(dice.uniform(0, 0.02))
            node.kill()
            first.join()
            node.start()
            second = settle(node, promise_id, "second")
            check(second in (200, 404, 409), f"{flow}: {second}")
            threads[-1].join(60)
            said = outcomes[flow].decode() if isinstance(outcomes[flow], bytes) else outcomes[flow]
            equal(said, "second" if second == 200 else "first", f"{flow}, the first heard {heard}")
            if heard == [200]:
                equal(said, "first", flow)
            equal(settle(node, promise_id[:-1] + ("0" if promise_id[-1] != "0" else "1"), "x"), 404)
            with node.redis() as redis:
                equal(redis.ok("FCALL", "Tally.count", 1, f"t{flow}"), 1, flow)
                equal(redis.ok("FCALL", "Flow.counts", 1, flow), [1, 1], flow)


def cairn(node, *words):
    done = subprocess.run([CAIRN, *words], env={**os.environ, "CAIRN_URL": f"http://127.0.0.1:{node.http}"}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_other_ways(folder):
    """Over RESP and by the command line: an outcome that is another one, or that a second can change."""
    outcomes, threads = {}, {}
    with Node(folder) as node:
        node.deploy("flow")
        for flow in "abcdef":
            threads[flow] = threading.Thread(target=begin, args=(node, flow, outcomes), daemon=True)
            threads[flow].start()
        ids = {flow: promise(node, flow) for flow in threads}
        with node.redis() as redis:
            equal(redis.ok("CAIRN.RESOLVE", ids["a"], "yes"), "OK")
            equal(redis.ok("CAIRN.RESOLVE", ids["b"]), "OK")
            equal(redis.ok("CAIRN.REJECT", ids["c"], "declined", "no money"), "OK")
            redis.fails("BAD_REQUEST", "CAIRN.REJECT", ids["d"], "no code")
            redis.fails("NOT_FOUND", "CAIRN.RESOLVE", "7f3a")
            redis.fails("ERR", "CAIRN.RESOLVE", ids["d"], "a", "b")
        equal(cairn(node, "promises", "resolve", ids["d"], "by hand"), (0, "resolved\n"))
        equal(cairn(node, "promises", "reject", ids["e"]), (0, "rejected\n"))
        equal(cairn(node, "promises", "reject", ids["f"], "late", "too late"), (0, "rejected\n"))
        equal(cairn(node, "promises", "resolve", "7f3a")[0], 1)
        for thread in threads.values():
            thread.join(60)
    said = {flow: str(o) if isinstance(o, Error) else o and o.decode() for flow, o in outcomes.items()}
    equal((said["a"], said["b"], said["d"]), ("yes", None, "by hand"))
    check(said["c"] == "DECLINED no money" and said["f"] == "LATE too late" and said["e"].startswith("REJECTED"), said)


if __name__ == "__main__":
    main([test_each_is_settled_once, test_other_ways])
