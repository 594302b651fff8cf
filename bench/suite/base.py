"""What the benchmarks share: processes and their end, servers, the load generator, rows and their table."""
import ctypes
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

PDEATHSIG = 1  # prctl's PR_SET_PDEATHSIG: when this process dies in whatever way, its servers do too
C_LIBRARY = ctypes.CDLL(None)


class Broken(Exception):
    """A benchmark could not be done as it says."""


def median(values):
    return statistics.median(values)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def file_system(path):
    """The type of the file system that holds path."""
    best, kind = "", "unknown"
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            point, what = line.split()[1:3]
            if os.path.commonpath([point, path]) == point and len(point) >= len(best):
                best, kind = point, what
    return kind


class Row:
    """One figure.  goal: (of, relation, bound), `of` being 'ratio' or 'cairn', the relation '>=', '<=', or 'within' a
    share of 1; None: it is only reported."""

    def __init__(self, name, unit, cairn, peer=None, peer_name=None, goal=None):
        self.name, self.unit, self.cairn, self.peer, self.peer_name, self.goal = name, unit, cairn, peer, peer_name, goal
        self.ratio = cairn / peer if peer else None

    def record(self):
        def short(value):
            return None if value is None else float(f"{value:.6g}")

        return {"name": self.name, "unit": self.unit, "cairn": short(self.cairn), "peer": short(self.peer),
                "peer_name": self.peer_name, "ratio": short(self.ratio)}

    def verdict(self):
        if not self.goal:
            return ""
        of, relation, bound = self.goal
        value = self.ratio if of == "ratio" else self.cairn
        holds = {">=": value >= bound, "<=": value <= bound, "within": abs(value - 1) <= bound}[relation]
        return f"{'holds' if holds else 'MISSED'}: {of} {relation} {bound:g}"


def human(value):
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def print_table(rows):
    lines = [("", "unit", "cairn", "peer", "ratio", "", "goal")]
    for row in rows:
        lines.append((row.name, row.unit, human(row.cairn), human(row.peer),
                      human(row.ratio), row.peer_name or "", row.verdict()))
    widths = [max(len(line[i]) for line in lines) for i in range(7)]
    print()
    for line in lines:
        cells = [text.rjust(width) if 2 <= i <= 4 else text.ljust(width)
                 for i, (text, width) in enumerate(zip(line, widths))]
        print("  " + "  ".join(cells).rstrip())


class Process:
    """A program started here; ended by its own id."""

    def __init__(self, bench, command, name, environment=None, folder=None):
        self.name = name
        self.log = os.path.join(bench.folder, f"{name}-{len(bench.processes)}.out")
        self.command = command
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder,
                env=dict(os.environ, **(environment or {})),
                preexec_fn=lambda: C_LIBRARY.prctl(PDEATHSIG, signal.SIGKILL))
        self.pid = self.process.pid
        bench.processes.append(self)

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def check(self):
        if self.process.poll() is not None:
            raise Broken(f"{self.name} ended with status {self.process.returncode}:\n{self.output()[-2000:]}")

    def wait_for_line(self, start, seconds=30):
        """The rest of the first line that begins so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in self.output().splitlines(keepends=True):
                if line.startswith(start) and line.endswith("\n"):
                    return line[len(start):].strip()
            self.check()
            time.sleep(0.01)
        raise Broken(f"{self.name} was not ready within {seconds} s:\n{self.output()[-2000:]}")

    def wait_for_port(self, port, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise Broken(f"{self.name} did not listen within {seconds} s")

    def kill(self, sig=signal.SIGKILL, seconds=30):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise Broken(f"{self.name} has no resident memory to tell")

    def cpu_seconds(self):
        """On all threads that still are, to the nanosecond; those that ended are counted in ticks by the kernel only."""
        total = 0
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{thread}/schedstat", encoding="utf-8") as stat:
                total += int(stat.read().split()[0])
        return total / 1e9


class Cairn:
    """A node on a folder of its own."""

    names = "User.%s"

    def __init__(self, bench, name="cairn", *flags, binary=None, guests=None):
        self.bench, self.flags, self.name = bench, list(flags), name
        self.binary, self.guests = binary or bench.cairn, guests or bench.guests
        self.folder = bench.new_folder(name)
        self.process = None
        self.http = self.resp = 0
        self.start()

    def start(self):
        """Returns the seconds from the start of the process to the first answer that it is ready."""
        self.http, self.resp = free_ports(2)
        begin = time.monotonic()
        self.process = Process(self.bench, [self.binary, "serve", "--data", self.folder,
                                            "--http", f"127.0.0.1:{self.http}", "--resp", f"127.0.0.1:{self.resp}",
                                            *self.flags], self.name)
        while time.monotonic() - begin < 60:
            self.process.check()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/readyz", timeout=5) as reply:
                    if reply.status == 200:
                        return time.monotonic() - begin
            except OSError:
                time.sleep(0.002)
        raise Broken("the node was not ready within 60 s")

    @property
    def port(self):
        return self.resp

    def deploy(self, module):
        path = os.path.join(self.guests, module + ".wasm")
        done = subprocess.run([self.binary, "deploy", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{self.http}"), text=True, check=False)
        if done.returncode:
            raise Broken(f"deploying {path}: {done.stdout}")
        return self

    def metrics(self):
        """Name -> value; of those with labels (the workers' and the methods') the sum over them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        sums = {}
        for line in lines:
            if line and not line.startswith("#"):
                name, value = line.split("{")[0].split(" ")[0], float(line.split()[-1])
                sums[name] = sums.get(name, 0) + value
        return sums

    def kill(self):
        self.process.kill()


class Redis:
    """Redis as durable as cairn: every write is on stable storage before it is answered; or, as a cache is, not at all.
    All else is its default."""

    names = "User_%s"

    def __init__(self, bench, name="redis", durable=True):
        self.folder = bench.new_folder(name)
        self.port, = free_ports(1)
        self.process = Process(bench, [bench.redis_server, "--port", str(self.port), "--bind", "127.0.0.1",
                                       "--dir", self.folder, "--appendonly", "yes" if durable else "no", "--appendfsync",
                                       "always", "--save", ""], name)
        self.process.wait_for_port(self.port)

    def load_functions(self, bench, file):
        path = os.path.join(bench.source, "bench", "peers", "redis", file)
        with open(path, "rb") as code:
            done = subprocess.run(["redis-cli", "-p", str(self.port), "-x", "FUNCTION", "LOAD", "REPLACE"], stdin=code,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.stdout.strip().decode() != file.split("_", 1)[0].split(".", 1)[0]:
            raise Broken(f"loading {path} into Redis: {done.stdout.decode()}")
        return self


class Bench:
    def __init__(self, rounds, seconds, before=None):
        self.rounds, self.seconds, self.before = rounds, seconds, before
        self.source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.build = os.environ.get("CAIRN_BUILD", os.path.join(self.source, "build"))
        self.guests = os.environ.get("CAIRN_GUESTS", self.build)
        self.cairn = os.environ.get("CAIRN", os.path.join(self.build, "cairn"))
        self.redis_server = os.environ.get("CAIRN_REDIS_SERVER", os.path.join(self.source, "tools", "redis-server"))
        self.rows, self.notes, self.processes = [], [], []
        self.start = time.monotonic()
        parent = os.path.abspath(os.environ.get("CAIRN_BENCH_DATA", self.build))
        if file_system(parent) in ("tmpfs", "ramfs"):
            raise SystemExit(f"bench: {parent} lies in memory, where a sync costs nothing; "
                             "set CAIRN_BENCH_DATA to a folder on a disk")
        self.folder = tempfile.mkdtemp(prefix="bench-data-", dir=parent)
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit("bench: asked to end")))

    def say(self, text):
        print(f"[{time.monotonic() - self.start:6.1f} s] {text}", flush=True)

    def program(self, name):
        path = os.path.join(self.build, "bench_" + name)
        if not os.access(path, os.X_OK):
            raise Broken(f"{path} is not built")
        return path

    def new_folder(self, name):
        return tempfile.mkdtemp(prefix=name + "-", dir=self.folder)

    def row(self, *args, **named):
        row = Row(*args, **named)
        self.rows.append(row)
        self.say("  " + " ".join(filter(None, [
            f"{row.name}: {human(row.cairn)} {row.unit}",
            f"({row.peer_name} {human(row.peer)}, ratio {human(row.ratio)})" if row.peer else "", row.verdict()])))

    def warn_if_busy(self):
        load = os.getloadavg()[0]
        if load > 0.5 * os.cpu_count():
            self.say(f"this machine is busy with other things (load {load:.1f} on {os.cpu_count()} cores): "
                     "what follows will be off")

    def note(self, text):
        self.notes.append(text)

    def turns(self, systems, rounds=None):
        """Round by round the systems in turn, every other round the other way round."""
        for number in range(rounds or self.rounds):
            for system in (systems if number % 2 == 0 else list(reversed(systems))):
                yield number, system

    def run(self, command, seconds=300):
        """Runs a program to its end; the JSON of its last line."""
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as error:
            raise Broken(f"{' '.join(command)} took more than {seconds} s") from error
        if done.returncode:
            raise Broken(f"{done.stderr.strip()[-1000:]}\n    (status {done.returncode} of {' '.join(command)})")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def load_command(self, server, workload, **options):
        command = [self.program("load"), "--port", str(server.port), "--workload", workload]
        if "http" not in options:
            command += ["--names", server.names]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        return command

    def load(self, server, workload, **options):
        return self.run(self.load_command(server, workload, **options))

    def stop_all(self):
        for process in reversed(self.processes):
            process.kill()
        self.processes.clear()
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)

    def close(self):
        self.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)
