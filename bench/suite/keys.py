"""The cache beside Redis, by redis-benchmark: SET and GET of values of 64 bytes and 1 KiB by 50 clients, one command at a
time and 16; and what a million keys of 16 bytes with values of 100 take.

Equal: the load generator, commands, keys and values; nothing is put on a disk on either side.
Not equal: Redis has one thread, cairn a worker per core, and both share the cores with the load generator.
"""
import subprocess
import time

from .base import Broken, Cairn, Redis, median
from .retwis import redis_benchmark

CLIENTS, KEYS = 50, 100000
MILLION = 1000000


def fill(server):
    """SETs of a million keys of 16 bytes with values of 100, and what they have added to used_memory."""
    before = info(server, "used_memory")
    words = b"".join(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$100\r\n%s\r\n" % (i, b"v" * 100) for i in range(MILLION))
    done = subprocess.run(["redis-cli", "-p", str(server.port), "--pipe"], input=words, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if b"errors: 0, replies: %d" % MILLION not in done.stdout:
        raise Broken(f"redis-cli --pipe: {done.stdout[-300:]!r}")
    return (info(server, "used_memory") - before) / MILLION


def info(server, name):
    done = subprocess.run(["redis-cli", "-p", str(server.port), "INFO", "memory"], stdout=subprocess.PIPE, text=True,
                          check=True)
    return int(next(line.split(":")[1] for line in done.stdout.splitlines() if line.startswith(name + ":")))


def run(bench):
    both = Cairn(bench, "cairn", "--cache", "1GiB"), Redis(bench, durable=False)
    for size, pipeline, least in ((64, 1, 1), (1024, 1, 1), (64, 16, 1.5), (1024, 16, 1.5)):
        for name, words in (("SET", ["SET", "key:__rand_int__", "v" * size]), ("GET", ["GET", "key:__rand_int__"])):
            requests, figures = {}, {server: [] for server in both}
            for server in both:  # warms up, too
                probe = redis_benchmark(server, words, 20000 * pipeline, pipeline, clients=CLIENTS, keys=KEYS)
                requests[server] = max(1000, int(probe["rps"] * bench.seconds))
            for _, server in bench.turns(both):
                figures[server].append(redis_benchmark(server, words, requests[server], pipeline, clients=CLIENTS,
                                                       keys=KEYS))
            rates = [median([figure["rps"] for figure in figures[server]]) for server in both]
            late = [median([figure["p99_latency_ms"] for figure in figures[server]]) for server in both]
            label = f"{name} of {size} B" + (f" -P {pipeline}" if pipeline > 1 else "")
            bench.row(label, "requests/s", *rates, peer_name="Redis", goal=("ratio", ">=", least))
            bench.row(label + " p99", "ms", *late, peer_name="Redis")
    for server in both:
        subprocess.run(["redis-cli", "-p", str(server.port), "FLUSHALL"], stdout=subprocess.DEVNULL, check=True)
    time.sleep(3)  # cairn gives back what was flushed within about a second
    taken = [fill(server) for server in both]
    bench.row("memory of a key of 16 B with 100 B", "bytes", *taken, peer_name="Redis", goal=("ratio", "<=", 1))
    for server in both:
        if isinstance(server, Cairn):
            server.kill()
