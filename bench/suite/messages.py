"""Messages: sent and run, on one node, each durable before it is answered.

From a method: 32 clients call Sender.send, which counts and sends a message to a Box drawn at random, against Sender.call,
which counts and awaits a call of the same Box (bench/guests/courier.c).  A rate of messages is how many were sent, divided by
the time from the first until the last has run.

From a client, beside peers, 32 clients; each message counts one at a Box of 10,000 drawn at random:
- cairn: CAIRN.SEND over RESP by redis-benchmark, --sync always
- BullMQ, from npm, on Redis: its own adds and a worker of 32 jobs at once in one process of Node.js, appendfsync always
- Restate, from npm: POST .../send to its ingress by bench_load, its defaults (its RocksDB syncs its log)
All answer a message when it is on stable storage, and sync once for many clients.  Not equal: the peers run JavaScript;
BullMQ's load generator is its client, which shares the process with the worker.  The settings are printed below the table.
"""
import json
import subprocess
import time
import urllib.request

from .base import Broken, Cairn, Process, Redis, median
from .platforms import Restate, beside, install, version
from .retwis import redis_benchmark

CLIENTS, OBJECTS, DRAIN_SECONDS_MAX = 32, 10000, 120


class Node:
    """A node of cairn, and how many messages it has run."""

    def __init__(self, bench):
        self.cairn = Cairn(bench, "cairn", "--sync", "always").deploy("courier")
        self.port = self.cairn.resp

    def ran(self):
        metrics = self.cairn.metrics()
        if metrics["cairn_messages_dead"] or metrics["cairn_messages_retried_total"]:
            raise Broken("a message failed")
        return metrics["cairn_messages_run_total"]


class OneWay(Restate):
    def __init__(self, bench, modules):
        super().__init__(bench, modules, "courier")

    def ran(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.extra}", timeout=10) as reply:
            return int(reply.read())


def drained(system, before, send):
    """Messages a second: send() returns how many it sent; the time ends when all of them have run."""
    begin = time.monotonic()
    count = send()
    sending = time.monotonic() - begin
    while system.ran() < before + count:
        if time.monotonic() - begin > sending + DRAIN_SECONDS_MAX:
            raise Broken(f"after {DRAIN_SECONDS_MAX} s {before + count - system.ran():.0f} of {count} messages have not run")
        time.sleep(0.005)
    seconds = time.monotonic() - begin
    return {"rate": count / seconds, "sending": count / sending, "drain": seconds - sending}


def from_methods(bench):
    node = Node(bench)

    def fcall(method, requests):
        words = ["FCALL", f"Sender.{method}", "1", "s__rand_int__", "b__rand_int__"]
        return redis_benchmark(node, words, requests, clients=CLIENTS, keys=OBJECTS)

    requests = {method: max(2000, int(fcall(method, 4000)["rps"] * bench.seconds)) for method in ("call", "send")}
    while node.cairn.metrics()["cairn_messages_waiting"]:
        time.sleep(0.01)
    figures = {"call": [], "send": []}
    for _, method in bench.turns(["call", "send"]):
        if method == "call":
            figures[method].append({"rate": fcall(method, requests[method])["rps"]})
        else:
            figures[method].append(drained(node, node.ran(), lambda: fcall("send", requests["send"]) and requests["send"]))
    bench.row("messages: sent by a method, and run", "messages/s", median([one["rate"] for one in figures["send"]]),
              median([one["rate"] for one in figures["call"]]), "awaited calls", goal=("ratio", ">=", 0.7))
    bench.note(f"messages: the last had run {1e3 * median([one['drain'] for one in figures['send']]):.0f} ms after the last "
               "was sent")


def bullmq(bench, modules, redis):
    script = beside(bench, modules, "bullmq", "messages.mjs")
    one = bench.run(["node", script, str(redis.port), str(CLIENTS), str(bench.seconds)])
    return {"rate": one["messages"] / one["seconds"]}


def settings(bench, modules, redis):
    def ask(name):
        done = subprocess.run(["redis-cli", "-p", str(redis.port), "--json", "CONFIG", "GET", name], check=True,
                              stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout)[name]

    bench.note("messages: cairn with --sync always; "
               f"BullMQ {version(modules, 'bullmq')} on Redis with appendonly {ask('appendonly')}, appendfsync "
               f"{ask('appendfsync')}, concurrency {CLIENTS}, removeOnComplete; Restate "
               f"{version(modules, '@restatedev/restate-server')} with its defaults (rocksdb-disable-wal-fsync = false)")


def from_clients(bench):
    modules = install(bench)
    if not modules:
        bench.say("  SKIPPED: BullMQ and Restate come from npm, which is not there or cannot install them")
        bench.note("messages: BullMQ and Restate were skipped, there is no working npm")
        return
    node, redis, restate = Node(bench), Redis(bench), OneWay(bench, modules)
    settings(bench, modules, redis)
    http = {"http": "/Box/%s/%s/send", "body": "one", "method": "take", "users": OBJECTS, "connections": CLIENTS}
    words = ["CAIRN.SEND", "Box.take", "1", "b__rand_int__"]
    requests = int(redis_benchmark(node, words, 4000, clients=CLIENTS, keys=OBJECTS)["rps"] * bench.seconds)
    bench.load(restate, "call", seconds=0.5, **http)
    for system in (node, restate):
        before = -1
        while system.ran() != before:  # what warmed up has run
            before = system.ran()
            time.sleep(0.5)

    def send():
        redis_benchmark(node, words, requests, clients=CLIENTS, keys=OBJECTS)
        return requests

    ways = {"cairn": lambda: drained(node, node.ran(), send),
            "BullMQ on Redis": lambda: bullmq(bench, modules, redis),
            "Restate one-way calls": lambda: drained(
                restate, restate.ran(), lambda: bench.load(restate, "call", seconds=bench.seconds, **http)["replies"])}
    rates = {name: [] for name in ways}
    for _, name in bench.turns(list(ways)):
        rates[name].append(ways[name]()["rate"])
    for peer in list(ways)[1:]:
        bench.row("messages: sent by clients, and run", "messages/s", median(rates["cairn"]), median(rates[peer]), peer,
                  goal=("ratio", ">=", 10))


def run(bench):
    from_methods(bench)
    bench.stop_all()
    from_clients(bench)
