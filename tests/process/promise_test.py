#!/usr/bin/env python3
"""promise_test.py [--kills=N]: a real node is killed while durable methods wait for promises that are settled over HTTP.

Catches an outcome that was acknowledged and is not the method's, one that two got through with, a method that a SIGKILL
ends or runs twice, and a sleep that a SIGKILL loses.
"""
import random
import sys
import threading
import time

from cairnproc import Error, Lost, Node, check, equal, main

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


if __name__ == "__main__":
    main([test_each_is_settled_once])
