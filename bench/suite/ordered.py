"""Ordered maps: in process beside a map, and as a leaderboard over RESP beside Redis' sorted sets.

*ordered* (bench_inprocess ordered): one object each with 10^6 entries, 16-byte random keys and values, in the memory
engine; the inserts into the one and the other take turns in one process, three times.
*leaders* (functions/leaders): one board, redis-benchmark -c 50 -P 1.  Equal: the load generator, players and points drawn,
the replies (`compare`), durability: every change is on stable storage before it is answered (--sync always; appendfsync
always), both with group commit.  Not equal: Redis' commands are built in, cairn's are a module in its sandbox; a score's
reply is the player's place, ZADD's is not.
"""
import json
import subprocess

from .base import Broken, Cairn, Redis, median
from .retwis import redis_benchmark

PLAYERS, CLIENTS, BOARD = 100000, 50, "board"
ENTRIES, COUNT = 1000000, 100000


def ordered(bench):
    one = bench.run([bench.program("inprocess"), "ordered", "--data", bench.new_folder("ordered"), "--guests",
                     bench.guests, "--objects", str(ENTRIES), "--count", str(COUNT)])

    def figure(name):  # CPU time: others on the machine disturb it less
        return median([one[f"{name}_{number}_worker_us"] for number in (1, 2, 3)])

    bench.row("in process: ordered insert", "us", figure("ordered_set"), figure("map_set"), "a map's set",
              goal=("ratio", "<=", 2))
    bench.row("in process: ordered range of 100", "us", figure("range"), goal=("cairn", "<=", 15))
    bench.row("in process: ordered rank", "us", figure("rank"))


def player(number):
    return f"p{number:012}"


def ask(server, *command):
    done = subprocess.run(["redis-cli", "-2", "-p", str(server.port), "--json", *command], stdout=subprocess.PIPE,
                          text=True, check=True)
    return json.loads(done.stdout)


def score(server, board, name, points):
    if isinstance(server, Cairn):
        return ["FCALL", "Board.score", "1", board, name, points]
    return ["ZADD", board, points, name]


def rank(server, board, name):
    if isinstance(server, Cairn):
        return ["FCALL", "Board.rank", "1", board, name]
    return ["ZREVRANK", board, name]


def top(server, board):
    if isinstance(server, Cairn):
        return ["FCALL", "Board.top", "1", board, "10"]
    return ["ZREVRANGE", board, "0", "9", "WITHSCORES"]


def places(server, board):
    """[player, points] of the best ten."""
    reply = ask(server, *top(server, board))
    if isinstance(server, Redis):
        reply = list(zip(reply[::2], reply[1::2]))
    return [(name, int(points)) for name, points in reply]


def compare(both):
    """The same changes have the same places on both sides."""
    for number in range(40):
        for server in both:
            ask(server, *score(server, "small", player(number % 30), str(number * 7919 % 1000)))
    if places(both[0], "small") != places(both[1], "small"):
        raise Broken(f"the best ten: {places(both[0], 'small')}, those of Redis {places(both[1], 'small')}")
    for number in range(31):
        ours, theirs = [ask(server, *rank(server, "small", player(number))) for server in both]
        if ours != (None if theirs is None else theirs + 1):
            raise Broken(f"the place of {player(number)} is {ours}, Redis has {theirs} before it")


def leaders(bench):
    both = cairn, redis = Cairn(bench).deploy("leaders"), Redis(bench)
    compare(both)

    def load(server, command, requests, pipeline=1):
        return redis_benchmark(server, command, requests, pipeline, clients=CLIENTS, keys=PLAYERS)

    any_player, points = "p__rand_int__", "__rand_int__"
    for server in both:  # most of the players
        load(server, score(server, BOARD, any_player, points), 2 * PLAYERS, 16)
    for name, command, least in (
            ("rank", lambda server: rank(server, BOARD, any_player), 0.8),
            ("top 10", lambda server: top(server, BOARD), 0.8),
            ("score", lambda server: score(server, BOARD, any_player, points), 1.5)):
        requests, figures = {}, {server: [] for server in both}
        for server in both:
            requests[server] = max(1000, int(load(server, command(server), 2000)["rps"] * bench.seconds))
        for _, server in bench.turns(both, max(3, bench.rounds)):
            figures[server].append(load(server, command(server), requests[server]))
        for what, key, unit, goal in (("", "rps", "requests/s", ("ratio", ">=", least)),
                                      (" p99", "p99_latency_ms", "ms", None)):
            bench.row(f"leaderboard {name}{what}", unit, median([one[key] for one in figures[cairn]]),
                      median([one[key] for one in figures[redis]]), "Redis sorted set", goal=goal)
