"""Money from one account to another: functions/bank.

In process (bench_inprocess: no protocol, a sync for many): `move`, a transaction, against `transfer`, which is two
calls of which each is kept by itself, between two of 10,000 accounts drawn at random, and between two of 10.

Over loopback, 32 clients, each request on stable storage before it is answered, 10,000 accounts drawn at random:
- cairn: FCALL Account.move by redis-benchmark, --sync always
- Redis functions: peers/redis/bank.lua by redis-benchmark, appendfsync always
- PostgreSQL 15: one function call by pgbench with prepared statements, default_transaction_isolation = serializable,
  fsync and synchronous_commit on, serialization failures tried again by pgbench; all else is its default
All three sync once for many clients.  Not equal: Redis has one thread and runs one function at a time, which is why its
functions need no isolation; pgbench is another load generator, with two threads.
"""
import os
import pwd
import re
import shutil
import socket
import subprocess

from .base import Broken, Cairn, Process, Redis, free_ports, median
from .retwis import CLIENTS, redis_benchmark

ACCOUNTS, HOT, DEPOSIT = 10000, 10, 1000000000
POSTGRES = "/usr/lib/postgresql/15/bin"


def in_process(bench):
    figures = {}
    for accounts, count in ((ACCOUNTS, 60000), (HOT, 20000)):
        for _, method in bench.turns(["transfer", "move"]):
            one = bench.run([bench.program("inprocess"), method, "--data", bench.new_folder("bank"), "--guests",
                             bench.guests, "--objects", str(accounts), "--count", str(count), "--workers", "2"])
            figures.setdefault((accounts, method), []).append(one)
    for accounts, least in ((ACCOUNTS, 0.6), (HOT, None)):
        rates = [median([one["throughput"] for one in figures[accounts, method]]) for method in ("move", "transfer")]
        bench.row(f"transfer: a transaction, {accounts:,} accounts", "transfers/s", *rates, "two calls",
                  goal=("ratio", ">=", least) if least else None)
    bench.row(f"transfer: {HOT} hot accounts, p99 / p50", "", median([one["p99_us"] / one["p50_us"]
                                                                     for one in figures[HOT, "move"]]),
              goal=("cairn", "<=", 20))


class Postgres:
    """On a folder of its own, ended with the benchmark."""

    def __init__(self, bench):
        self.bench = bench
        self.user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None  # it refuses to run as root
        self.folder = bench.new_folder("postgres")
        if self.user:
            shutil.chown(self.folder, self.user)
        data = os.path.join(self.folder, "data")
        self.must("initdb", "-D", data, "-A", "trust", "-U", "bench", "--no-sync")
        self.port, = free_ports(1)
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
                    "default_transaction_isolation": "serializable", "fsync": "on", "synchronous_commit": "on"}
        process = Process(bench, self.words("postgres", "-D", data,
                                            *[f"--{name}={value}" for name, value in settings.items()]), "postgres")
        process.wait_for_port(self.port)
        self.must("psql", *self.place(), "-v", "ON_ERROR_STOP=1", "-c", f"""
            create table account (id int primary key, balance bigint not null check (balance >= 0));
            insert into account select i, {DEPOSIT} from generate_series(0, {ACCOUNTS - 1}) i;
            create function move(source int, target int, amount bigint) returns bigint language plpgsql as $$
                declare rest bigint;
                begin
                    update account set balance = balance - amount where id = source returning balance into rest;
                    update account set balance = balance + amount where id = target;
                    return rest;
                end $$;
            analyze account""")
        self.script = os.path.join(self.folder, "move.sql")
        with open(self.script, "w", encoding="utf-8") as script:
            script.write(f"\\set source random(0, {ACCOUNTS - 1})\n\\set target random(0, {ACCOUNTS - 1})\n"
                         "select move(:source, :target, 1);\n")
        os.chmod(self.script, 0o644)

    def words(self, program, *words):
        command = [os.path.join(POSTGRES, program), *words]
        if not self.user:
            return command
        # It may not be root, and must come to its folder, which is root's alone, as may be what a container has of /dev.
        return ["setpriv", "--reuid", self.user, "--regid", self.user, "--clear-groups", "--inh-caps", "+dac_override",
                "--ambient-caps", "+dac_override", *command]

    def place(self):
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", "-d", "postgres"]

    def must(self, program, *words):
        done = subprocess.run(self.words(program, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, cwd="/", check=False)
        if done.returncode:
            raise Broken(f"{program}: {done.stdout[-1000:]}")
        return done.stdout

    def measure(self, seconds):
        said = self.must("pgbench", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", "-n", "-M", "prepared",
                         "-c", str(CLIENTS), "-j", "2", "-T", str(max(1, round(seconds))), "--max-tries", "100",
                         "-f", self.script, "postgres")
        failed = re.search(r"number of failed transactions: (\d+)", said)
        if not failed or int(failed[1]):
            raise Broken(f"pgbench: {said}")
        return float(re.search(r"^tps = ([0-9.]+)", said, re.M)[1])


def fill(server, function):
    """Every account, in one pipeline."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        words = [["FCALL", function, "1", f"{number:012}", str(DEPOSIT)] for number in range(ACCOUNTS)]
        for at in range(0, ACCOUNTS, 500):
            connection.sendall("".join(f"*{len(one)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in one)
                                       for one in words[at:at + 500]).encode())
            replies = b""
            while replies.count(b"\r\n") < 500:
                more = connection.recv(1 << 16)
                if not more or b"-" in replies + more:
                    raise Broken(f"{function}: {replies + more!r:.300}")
                replies += more


class ByRedisBenchmark:
    def __init__(self, server, names):
        self.server = server
        self.move = ["FCALL", names % "move", "1", "__rand_int__", "__rand_int__", "1"]
        fill(server, names % "deposit")
        self.rate = redis_benchmark(server, self.move, 2000, keys=ACCOUNTS)["rps"]  # warms up, too

    def measure(self, seconds):
        return redis_benchmark(self.server, self.move, max(1000, int(self.rate * seconds)), keys=ACCOUNTS)["rps"]


def over_loopback(bench):
    systems = {"cairn": ByRedisBenchmark(Cairn(bench).deploy("bank"), "Account.%s"),
               "Redis functions": ByRedisBenchmark(Redis(bench).load_functions(bench, "bank.lua"), "Account_%s")}
    if os.access(os.path.join(POSTGRES, "pgbench"), os.X_OK):
        systems["PostgreSQL 15, serializable"] = Postgres(bench)
    else:
        bench.note("transfer: PostgreSQL 15 is not installed (tools/setup bench), and was left out")
    rates = {name: [] for name in systems}
    for _, name in bench.turns(list(systems)):
        rates[name].append(systems[name].measure(bench.seconds))
    for name, least in (("Redis functions", None), ("PostgreSQL 15, serializable", 3)):
        if name in rates:
            bench.row(f"transfer: {CLIENTS} clients, durable", "transfers/s", median(rates["cairn"]),
                      median(rates[name]), name, goal=("ratio", ">=", least) if least else None)


def run(bench):
    in_process(bench)
    bench.stop_all()
    over_loopback(bench)
