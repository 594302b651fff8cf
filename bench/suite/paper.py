"""The paper's comparison at its size: 10,000 accounts, 100 clients; Post, GetTimeline, Follow run separately.

(LambdaObjects: Re-aggregating Storage and Execution for Cloud Computing, HotStorage 2022, section 5.)
*Aggregated* is cairn.  *Disaggregated* is bench_disagg, which runs the same retwis.wasm in the same sandbox in a
process of its own and asks bench_store, cairn's own engine and log in another, over the loopback.

Equal: module, sandbox, clients, load generator, graph (10 followers each), engine, log, group commit, durability (a
write is on stable storage before it is answered), threads of the storage and workers of cairn (one per core), and
the machine: all of a side's processes share its cores.
Not equal, in the baseline's favour: both of its halves are on one machine, so a request costs tens of microseconds
where a data centre takes hundreds; a function instance waits ready for each client; locks are in the compute process' own
memory; storage answers reads at once.  Not equal, in cairn's favour only by its nature: a segment's writes are one record.
Without batching a range is one request per entry and nothing makes a segment's writes atomic, as with functions on a
key-value store today.  `batched`: a range is one request, and so are all of a segment's writes.  `batched, Redis`: the
same with Redis as the storage (appendfsync always, MULTI .. EXEC per segment).
Timelines are not full here (10,000 users would need a million entries); they hold 12 entries or more, on every side.
"""
import json
import os
import subprocess

from .base import Broken, Cairn, Process, Redis, median

PREFIX = "paper "
USERS, FOLLOWERS, CLIENTS = 10000, 10, 100
HELPERS = 8  # threads that take calls out of fan-outs, beside one thread per client; none or 32 make no clear difference
WORK = {"post": "Post", "timeline": "GetTimeline", "follow": "Follow"}


class Disaggregated:
    names = "User.%s"

    def __init__(self, bench, name, peer_name, *, batch=False, redis=False):
        self.peer_name = peer_name
        if redis:
            storage = Redis(bench, name + "-redis")
            where = ["--redis", str(storage.port)]
        else:
            store = Process(bench, [bench.program("store"), "--data", bench.new_folder(name + "-store"),
                                    "--threads", str(min(os.cpu_count(), 16))], name + "-store")
            where = ["--store", store.wait_for_line("ready ").replace(" ", ",")]
        # A thread for each client, and two for what prepares and checks.
        compute = Process(bench, [bench.program("disagg"), "--wasm", os.path.join(bench.guests, "retwis.wasm"), *where,
                                  "--threads", str(CLIENTS), "--helpers", str(HELPERS),
                                  *(["--batch"] if batch else [])], name)
        self.port = int(compute.wait_for_line("ready "))


def verify(system):
    """Every side really does what it is measured for: a post is in each follower's timeline, once."""
    def ask(method, user, argument):
        reply = subprocess.run(["redis-cli", "-2", "-p", str(system.port), "--json", "FCALL", f"User.{method}", "1",
                                f"{user:012}", argument], stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(reply.stdout)

    if ask("post", USERS - 1, "to be verified") != FOLLOWERS:
        raise Broken("a post was not delivered to all followers")
    found = [sum(text == "to be verified" for _, _, text in ask("timeline", user % USERS, "100"))
             for user in range(USERS - 1 - FOLLOWERS - 1, USERS + 1)]
    if found != [0] + [1] * (FOLLOWERS + 1) + [0]:
        raise Broken(f"a post is in these timelines so many times: {found}")


def prepare(bench, system):
    bench.load(system, "graph", users=USERS, followers=FOLLOWERS, connections=CLIENTS)
    verify(system)
    bench.load(system, "post", users=USERS, connections=CLIENTS, count=USERS * 12 // 10)


def run(bench):
    cairn = Cairn(bench).deploy("retwis")
    peers = [Disaggregated(bench, "disagg", "disaggregated"),
             Disaggregated(bench, "disagg-batch", "disaggregated, batched", batch=True),
             Disaggregated(bench, "disagg-redis", "disaggregated, batched, Redis", batch=True, redis=True)]
    systems = [cairn, *peers]
    for system in systems:
        prepare(bench, system)
        bench.say(f"  {getattr(system, 'peer_name', 'cairn')} is ready")
    edge = {system: 0 for system in systems}
    for workload, name in WORK.items():  # Follow last: it adds to what Post has to do
        figures = {system: [] for system in systems}
        for number, system in bench.turns(systems):
            one = bench.load(system, workload, users=USERS, followers=FOLLOWERS, connections=CLIENTS, seed=number + 1,
                             seconds=bench.seconds, warm_up=0.5, edge=edge[system])
            edge[system] = one["edge"]
            figures[system].append(one)
        for peer in peers:
            least = 5 if peer is peers[0] else 3 if workload == "post" else 1.5
            for figure, key, unit, scale, goal in (
                    ("throughput", "throughput", "requests/s", 1, ("ratio", ">=", least)),
                    ("median", "p50_us", "ms", 1e-3, ("ratio", "<=", 0.25) if peer is peers[0] else None),
                    ("p99", "p99_us", "ms", 1e-3, None)):
                bench.row(f"{PREFIX}{name} {figure}", unit, median([one[key] * scale for one in figures[cairn]]),
                          median([one[key] * scale for one in figures[peer]]), peer.peer_name, goal=goal)
