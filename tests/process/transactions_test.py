#!/usr/bin/env python3
"""transactions_test.py [--seed=N] [--kills=N]: a real node runs transactions of many clients, methods with the attribute
and EXECs of plain calls, is killed by SIGKILL again and again, and the whole history must be serializable, in an order
that agrees with the clock (serial.py).

Catches transactions that see each other by half, in a circle, or out of order; of which something is missing after a kill
though they were acknowledged, or something is there though they failed; and an EXEC that happens though a watched object
has changed.
"""
import itertools
import random
import sys
import threading
import time

from cairnproc import Error, Lost, Node, check, equal, main
from serial import Transaction, check_serial

options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
LISTS, CLIENTS = 9, 10


class World:
    def __init__(self, node, seed):
        self.node, self.dice = node, random.Random(f"{seed} kills")
        self.lock = threading.Lock()
        self.numbers, self.clock = itertools.count(1), itertools.count()
        self.transactions = []
        self.counts = dict(method=0, exec=0, nil=0, failed=0, unanswered=0)
        self.stops = threading.Event()

    def begin(self, appends):
        with self.lock:
            t = Transaction(next(self.numbers), appends, None, next(self.clock))
            self.transactions.append(t)
            return t

    def end(self, t, kind, reads=None, failed=False):
        with self.lock:
            t.reads, t.failed = reads, failed
            if reads is not None or failed:
                t.ended = next(self.clock)
            self.counts[kind] += 1


def test_over_http(folder):
    """Several calls in one request: together or not at all, once with a key, also after a kill."""
    with Node(folder) as node:
        node.deploy("ledger")
        calls = [["Cell", "a", "add", -30], ["Cell", "b", "add", 30], ["Cell", "b", "get"]]
        for again in range(3):
            if again == 2:
                node.kill()
                node.start()
            web = node.web()
            equal(web.json("POST", "/v1/transactions", calls, Idempotency_Key="one"), [-30, 30, 30], "once")
        equal(web.json("POST", "/v1/transactions", calls), [-60, 60, 60], "without a key")
        web.fails(422, "refused", "POST", "/v1/transactions",
                  '[["Cell", "a", "add", 1], ["Cell", "b", "refuse"]]')
        web.fails(422, "key_reused", "POST", "/v1/transactions", '[["Cell", "a", "add", 1]]', Idempotency_Key="one")
        web.fails(404, "unknown_type", "POST", "/v1/ns/default/transactions", '[["Nothing", "a", "add", 1]]')
        web.fails(405, "bad_request", "GET", "/v1/transactions")
        with node.redis() as redis:
            for again in range(2):
                redis.ok("MULTI")
                redis.call("FCALL", "Cell.add", 1, "a", 1)
                equal(redis.call("EXEC", "two"), [-59], "EXEC with a key")
            equal(redis.call("FCALL_RO", "Cell.get", 1, "a"), -59, "what a is in the end")


def is_unknown(reply):
    return isinstance(reply, Error) and reply.code == "UNAVAILABLE"


def seen(entry):
    """[list, how many, the last] of a method's reply, or without the list of a call's."""
    return entry[-2], entry[-1] if entry[-2] else None


def one_method(world, redis, dice):
    lists = dice.sample(range(LISTS), dice.randrange(1, 5))
    appends = {lists[0], *(name for name in lists[1:] if dice.random() < .5)}
    t = world.begin([f"l{name}" for name in appends])
    words = [("+" if name in appends else "?") + f"l{name}" for name in lists[1:]]
    reply = redis.fcall("Cell.mix", f"l{lists[0]}", t.number, dice.choice(["wait", "all"]), *words)
    if isinstance(reply, Error):
        world.end(t, "failed", failed=not is_unknown(reply))
    else:
        world.end(t, "method", {f"l{entry[0]}": seen(entry) for entry in reply})


def one_exec(world, redis, dice):
    lists = dice.sample(range(LISTS), dice.randrange(1, 5))
    appends = {name for name in lists if dice.random() < .5}
    watches = dice.random() < .4
    t = world.begin([f"l{name}" for name in appends])
    before = None
    if watches:  # what is read before is read by the transaction, if it happens
        redis.ok("WATCH", f"Cell/l{lists[0]}")
        before = redis.call("FCALL_RO", "Cell.look", 1, f"l{lists[0]}")
    redis.ok("MULTI")
    for name in lists:
        words = ("FCALL", "Cell.note", 1, f"l{name}", t.number) if name in appends else \
            ("FCALL_RO", "Cell.look", 1, f"l{name}")
        equal(redis.call(*words), "QUEUED", "a call")
    reply = redis.call("EXEC")
    if reply is None or isinstance(reply, Error):
        check(watches or reply is not None, "EXEC of one that watches nothing was nil")
        world.end(t, "nil" if reply is None else "failed", failed=not is_unknown(reply))
        return
    reads = {f"l{name}": seen(entry) for name, entry in zip(lists, reply)}
    if before is not None and not isinstance(before, Error):
        equal(before, reply[0], f"what {t} has read of a watched list, before and in EXEC")
    world.end(t, "exec", reads)


def client(world, number, seed, faults):
    dice = random.Random(f"{seed} client {number}")
    while not world.stops.is_set():
        try:
            with world.node.redis() as redis:
                while not world.stops.is_set():
                    dice.choice([one_method, one_exec])(world, redis, dice)
        except (Lost, OSError):
            with world.lock:
                world.counts["unanswered"] += 1
            time.sleep(.01)
        except Exception as error:
            faults.append(error)
            world.stops.set()


def lists_of(node):
    with node.redis() as redis:
        return {f"l{name}": redis.ok("FCALL_RO", "Cell.entries", 1, f"l{name}") for name in range(LISTS)}


def run(folder, kills, *flags):
    seed = options.get("seed", random.randrange(1 << 32))
    print(f"    seed {seed}", flush=True)
    faults = []
    with Node(folder, "--log-max=64", *flags) as node:
        node.deploy("ledger")
        world = World(node, seed)
        threads = [threading.Thread(target=client, args=(world, number, seed, faults)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(kills):
                time.sleep(.1 + world.dice.random() * .6)
                node.kill()
                node.start()
            time.sleep(.3)
        finally:
            world.stops.set()
            for thread in threads:
                thread.join()
        if faults:
            raise faults[0]
        count = check_serial(world.transactions, lists_of(node))
        print(f"    {count} transactions have happened, {kills} kills: {world.counts}", flush=True)
        least = 20 * kills
        check(world.counts["method"] > least and world.counts["exec"] > least, "the clients have done next to nothing")
        check(world.counts["unanswered"] > 0, "no kill has cut anything off")


def test_kills(folder):
    run(folder, int(options.get("kills", 8)))


def test_kills_of_an_engine_on_disk(folder):
    run(folder, int(options.get("kills", 4)), "--engine=hybridlog", "--engine-memory=8", "--snapshot-every=1", "--keep=3")


if __name__ == "__main__":
    main([test_over_http, test_kills, test_kills_of_an_engine_on_disk])
