#!/usr/bin/env python3
"""durable_test.py [--kills=N]: a real node is killed 20 times while durable methods run, each of which calls one object
after the other.

Catches a durable invocation that a SIGKILL ends, an effect that is lost or made twice, a keyed request whose outcome is
not that of the first, and a node that keeps journals of what is over.
"""
import random
import sys
import threading
import time

from cairnproc import Error, Lost, Node, check, equal, main

options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
STEPS = 3
CLIENTS = 8


class Flows:
    """Clients that each begin one durable method after the other, with a key, and ask again after a kill."""

    def __init__(self):
        self.lock = threading.Lock()
        self.count = 0
        self.over = 0
        self.stop = False
        self.faults = []

    def take(self):
        with self.lock:
            self.count += 1
            return self.count

    def client(self, node, gate):
        flow = self.take()
        while not self.stop:
            gate.wait()
            try:
                with node.redis() as redis:
                    while not self.stop:
                        tallies = [f"f{flow}-{i}" for i in range(STEPS)]
                        reply = redis.fcall("Flow.steps", f"f{flow}", "add", *tallies, key=f"k{flow}")
                        if isinstance(reply, Error) and reply.code in ("UNAVAILABLE", "OVERLOADED"):
                            break
                        if reply != [1] * STEPS:
                            self.faults.append(f"flow {flow}: {reply!r}")
                            return
                        with self.lock:
                            self.over += 1
                        flow = self.take()
            except (Lost, OSError):
                pass
            time.sleep(0.01)


def test_each_effect_happens_once(folder):
    kills = int(options.get("kills", 20))
    dice = random.Random(int(options.get("seed", 7)))
    flows = Flows()
    gate = threading.Event()
    node = Node(folder, "--shards=8").start()
    node.deploy("flow")
    threads = [threading.Thread(target=flows.client, args=(node, gate), daemon=True) for _ in range(CLIENTS)]
    gate.set()
    for thread in threads:
        thread.start()
    for _ in range(kills):
        time.sleep(dice.uniform(0.02, 0.5))
        gate.clear()
        node.kill()
        node.start()
        gate.set()
    time.sleep(0.5)
    flows.stop = True
    for thread in threads:
        thread.join(60)
    equal(flows.faults, [], "outcomes")
    check(flows.over >= kills, f"only {flows.over} flows came to their end over {kills} kills")
    with node.redis() as redis:
        for flow in range(1, flows.count + 1):
            deadline = time.monotonic() + 30
            while True:
                tallies = [redis.ok("FCALL", "Tally.count", 1, f"f{flow}-{i}") for i in range(STEPS)]
                counts = redis.ok("FCALL", "Flow.counts", 1, f"f{flow}")
                # What was never answered, and left no record, need not have begun; the rest goes on by itself.
                if (counts, tallies) in (([1, 1], [1] * STEPS), ([0, 0], [0] * STEPS)):
                    break
                check(time.monotonic() < deadline, f"flow {flow}: {counts} {tallies}")
                time.sleep(0.05)
    node.stop()
    print(f"  {flows.over} flows were answered over {kills} kills")


if __name__ == "__main__":
    main([test_each_effect_happens_once])
