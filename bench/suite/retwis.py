"""ReTwis by redis-benchmark -c 32, 200 users with 10 followers each, against Redis 7 functions.

Equal: the load generator, the commands but for the function's name (Redis allows no dot), the users drawn, the logic
(peers/redis/retwis.lua), full timelines of 100 entries on both sides, and durability: every write is on stable
storage before it is answered (appendfsync always; --sync always), both with group commit.
Not equal: Redis has one thread for functions, cairn a worker per core; Redis' function is one transaction over all
users, cairn's delivery is an invocation per follower in a sandbox of its own.
Follow: redis-benchmark would send the same edges again and again; so bench_load draws edges that were never used,
the same ones in the same order for both, until EDGES of a round are done.
"""
import csv
import subprocess

from .base import Broken, Cairn, Redis, median

USERS, FOLLOWERS, CLIENTS, TEXT = 200, 10, 32, "x" * 64
EDGES = 12000  # a round; 200 users have 37,800 edges that are not in the graph


def redis_benchmark(server, arguments, requests, pipeline=1, seconds=120):
    """Its own figures: {'rps': .., 'p50_latency_ms': ..}."""
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-c", str(CLIENTS), "-n", str(requests),
               "-P", str(pipeline), "-r", str(USERS), "-e", "--csv", *arguments]
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


def prepare(bench, server):
    bench.load(server, "create", users=USERS, connections=CLIENTS)
    bench.load(server, "graph", users=USERS, followers=FOLLOWERS, connections=CLIENTS, pipeline=4)
    bench.load(server, "post", users=USERS, connections=CLIENTS, count=USERS * 20)
    for user in range(0, USERS, 37):
        reply = subprocess.run(["redis-cli", "-2", "-p", str(server.port), "--json", "FCALL", server.names % "timeline", "1",
                                f"{user:012}", "1000"], stdout=subprocess.PIPE, text=True, check=True)
        if reply.stdout.count("[") != 101:
            raise Broken(f"user {user} has {reply.stdout.count('[') - 1} entries instead of 100")


def run(bench):
    cairn = Cairn(bench).deploy("retwis")
    redis = Redis(bench).load_functions(bench)
    both = [cairn, redis]
    for server in both:
        prepare(bench, server)

    work = {
        "Post": (["post", TEXT], 1, ("ratio", ">=", 2)),
        "GetTimeline": (["timeline", "10"], 1, ("ratio", ">=", 1)),
        "GetTimeline -P 16": (["timeline", "10"], 16, ("ratio", ">=", 1.5)),
    }
    for name, (arguments, pipeline, goal) in work.items():
        requests, figures = {}, {server: [] for server in both}
        for server in both:  # warms up, too
            probe = redis_benchmark(server, fcall(server, *arguments), 2000 * pipeline, pipeline)
            requests[server] = max(1000, int(probe["rps"] * bench.seconds))
        for _, server in bench.turns(both):
            figures[server].append(redis_benchmark(server, fcall(server, *arguments), requests[server], pipeline))

        def of(server, key, figures=figures):
            return median([one[key] for one in figures[server]])

        bench.row(f"ReTwis {name}", "requests/s", of(cairn, "rps"), of(redis, "rps"), "Redis functions", goal=goal)
        for part in (50, 99):
            key = f"p{part}_latency_ms"
            bench.row(f"ReTwis {name} p{part}", "ms", of(cairn, key), of(redis, key), "Redis functions",
                      goal=("ratio", "<=", 1) if (name, part) == ("Post", 99) else None)

    edge, figures = {cairn: 0, redis: 0}, {cairn: [], redis: []}
    for _, server in bench.turns(both):
        one = bench.load(server, "follow", users=USERS, followers=FOLLOWERS, connections=CLIENTS, count=EDGES,
                         edge=edge[server])
        edge[server] = one["edge"]
        figures[server].append(one)
    bench.row("ReTwis Follow", "requests/s", median([one["throughput"] for one in figures[cairn]]),
              median([one["throughput"] for one in figures[redis]]), "Redis functions", goal=("ratio", ">=", 1.2))
    bench.row("ReTwis Follow p99", "ms", median([one["p99_us"] for one in figures[cairn]]) / 1e3,
              median([one["p99_us"] for one in figures[redis]]) / 1e3, "Redis functions")
