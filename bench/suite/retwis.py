"""ReTwis by redis-benchmark -c 32, 200 users with 10 followers each, against Redis 7 functions, in two shapes.

*Tuples* (functions/retwis, peers/redis/retwis.lua): an entry is a tuple [author, milliseconds, text], and the Lua mirrors
our C step by step.  *Strings* (guests/retwis_strings.c, peers/redis/retwis_strings.lua): an entry is one string, and
the Lua is what a Redis expert writes.  The shapes are measured one after the other, each against its own peer.

The strings are measured once more with one worker (--workers 1): as Redis has, which leaves the other core to the load.

Equal: the load generator, the commands but for the function's name (Redis allows no dot), the users drawn, the logic,
entries of the same shape (`compare` checks that both sides give the same replies), full timelines of 100 entries on
both sides, and durability: every write is on stable storage before it is answered (appendfsync always; --sync always),
both with group commit.
Not equal: Redis has one thread for functions, cairn a worker per core; Redis' function is one transaction over all
users, cairn's delivery is an invocation per follower in a sandbox of its own.
Follow: redis-benchmark would send the same edges again and again; so bench_load draws edges that were never used,
the same ones in the same order for both, until EDGES of a round are done.
"""
import csv
import json
import subprocess
import time
from typing import NamedTuple

from .base import Broken, Cairn, Redis, median

USERS, FOLLOWERS, CLIENTS, TEXT = 200, 10, 32, "x" * 64
EDGES = 12000  # a round; 200 users have 37,800 edges that are not in the graph


def redis_benchmark(server, arguments, requests, pipeline=1, seconds=120, clients=CLIENTS, keys=USERS):
    """Its own figures: {'rps': .., 'p50_latency_ms': ..}."""
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-c", str(clients), "-n", str(requests),
               "-P", str(pipeline), "-r", str(keys), "-e", "--csv", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise Broken(f"redis-benchmark took more than {seconds} s") from error
    if done.returncode or "Error from server" in done.stdout:
        raise Broken(f"redis-benchmark: {done.stdout[-500:]}")
    lines = [line for line in done.stdout.splitlines() if line.startswith('"')]
    head, figures = list(csv.reader(lines))[-2:]
    return dict(zip(head[1:], map(float, figures[1:])))


def fcall(server, method, *arguments):
    return ["FCALL", server.names % method, "1", "__rand_int__", *arguments]


class Shape(NamedTuple):
    """What an entry of a timeline is, and the two sides that keep it so."""
    module: str  # of cairn
    functions: str  # of Redis: the file in peers/redis
    peer_name: str
    split: object  # an entry of a reply -> [author, milliseconds, text]
    flags: tuple = ()  # of cairn
    note: str = ""  # behind the name of each row


def split_tuple(entry):
    author, ms, text = entry
    return [author, ms, text]


def split_string(entry):
    author, ms, text = entry.split("|")
    return [author, int(ms), text]


TUPLES = Shape("retwis", "retwis.lua", "Redis functions", split_tuple)
STRINGS = Shape("retwis_strings", "retwis_strings.lua", "Redis functions, expert's", split_string)
ONE_WORKER = STRINGS._replace(flags=("--workers", "1"), note=", one worker")


def start(bench, shape):
    """cairn and Redis, filled and compared."""
    both = Cairn(bench, "cairn", *shape.flags).deploy(shape.module), Redis(bench).load_functions(bench, shape.functions)
    for server in both:
        prepare(bench, server, shape)
    compare(shape, *both)
    return both


def ask(server, method, user, argument):
    done = subprocess.run(["redis-cli", "-2", "-p", str(server.port), "--json", "FCALL", server.names % method, "1",
                           f"{user % USERS:012}", argument], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def timeline(server, shape, user, count):
    """Authors and texts, newest first; the time of each was looked at."""
    entries, now_ms = [], time.time() * 1000
    for entry in ask(server, "timeline", user, str(count)):
        try:
            author, ms, text = shape.split(entry)
        except (TypeError, ValueError, AttributeError) as error:
            raise Broken(f"an entry of another shape: {entry}") from error
        if not isinstance(ms, int) or not now_ms - 3600e3 < ms < now_ms + 60e3:
            raise Broken(f"an entry with another time than that of its post: {entry}")
        entries.append((author, text))
    if len(entries) != count:
        raise Broken(f"user {user} has {len(entries)} entries instead of {count}")
    return entries


def prepare(bench, server, shape=TUPLES):
    """Everybody is followed by FOLLOWERS others, and every timeline is full."""
    bench.load(server, "graph", users=USERS, followers=FOLLOWERS, connections=CLIENTS, pipeline=4)
    bench.load(server, "post", users=USERS, connections=CLIENTS, count=USERS * 20)
    for user in range(0, USERS, 37):
        if len(ask(server, "timeline", user, "1000")) != 100:
            raise Broken(f"the timeline of user {user} has not exactly 100 entries")
        timeline(server, shape, user, 100)


def compare(shape, cairn, redis):
    """The same requests, one after the other, have the same replies and effects on both sides."""
    author = 77
    for number in range(5):  # the first two authors, and so the next one's followers, overlap
        for user in (author, author + 1):
            replies = [ask(server, "post", user, f"{user} posts {number}") for server in (cairn, redis)]
            if replies != [FOLLOWERS, FOLLOWERS]:
                raise Broken(f"a post to {FOLLOWERS} followers returned {replies[0]}, that of Redis {replies[1]}")
    for user in range(author - FOLLOWERS - 1, author + 3):
        found = [timeline(server, shape, user, 10) for server in (cairn, redis)]
        own = [text for _, text in found[0] if " posts " in text]
        expected = 5 * sum((who - user) % USERS <= FOLLOWERS for who in (author, author + 1))
        if len(own) != expected or own != [text for _, text in found[1] if " posts " in text]:
            raise Broken(f"timeline of user {user}: {found[0]}, that of Redis {found[1]}; {expected} posts are expected")
    again = [ask(server, "follow", author, f"{author + 1:012}") for server in (cairn, redis)]
    if again[0] != again[1]:
        raise Broken(f"to follow again returned {again[0]}, that of Redis {again[1]}")


def by_redis_benchmark(bench, shape, both):
    """name, arguments, pipeline, goals of requests/s and of p99"""
    cairn, redis = both
    for name, arguments, pipeline, least, slowest in (
            ("Post", ["post", TEXT], 1, 2, 1),
            ("GetTimeline", ["timeline", "10"], 1, 1, 1),
            ("GetTimeline -P 16", ["timeline", "10"], 16, 1.5, None)):
        requests, figures = {}, {server: [] for server in both}
        for server in both:  # warms up, too
            probe = redis_benchmark(server, fcall(server, *arguments), 2000 * pipeline, pipeline)
            requests[server] = max(1000, int(probe["rps"] * bench.seconds))
        for _, server in bench.turns(both):
            figures[server].append(redis_benchmark(server, fcall(server, *arguments), requests[server], pipeline))
        rows(bench, shape, name, figures[cairn], figures[redis],
             {"rate": "rps", "p50": "p50_latency_ms", "p99": "p99_latency_ms"}, 1, least, slowest)


def follow(bench, shape, both):
    cairn, redis = both
    edge, figures = {cairn: 0, redis: 0}, {cairn: [], redis: []}
    for _, server in bench.turns(both):
        one = bench.load(server, "follow", users=USERS, followers=FOLLOWERS, connections=CLIENTS, count=EDGES,
                         edge=edge[server])
        edge[server] = one["edge"]
        figures[server].append(one)
    rows(bench, shape, "Follow", figures[cairn], figures[redis], {"rate": "throughput", "p50": "p50_us", "p99": "p99_us"},
         1e-3, 1.2, 1)


def rows(bench, shape, name, ours, theirs, keys, ms, least, slowest):
    """keys: where a result has its figures; `ms`: milliseconds of a unit of its times."""
    for row, key, unit, scale, goal in (
            (name, "rate", "requests/s", 1, ("ratio", ">=", least)),
            (f"{name} p50", "p50", "ms", ms, None),
            (f"{name} p99", "p99", "ms", ms, ("ratio", "<=", slowest) if slowest else None)):
        bench.row(f"ReTwis {row}{shape.note}", unit, median([one[keys[key]] for one in ours]) * scale,
                  median([one[keys[key]] for one in theirs]) * scale, shape.peer_name, goal=goal)


def run(bench):
    for shape in (TUPLES, STRINGS, ONE_WORKER):
        both = start(bench, shape)
        by_redis_benchmark(bench, shape, both)
        follow(bench, shape, both)  # last: it adds to what a post has to do
        bench.stop_all()
