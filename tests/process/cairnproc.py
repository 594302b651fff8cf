"""What the tests over the real process share: a node, clients of both protocols, and running a file's tests.

Everything is on the loopback, every wait has an end, and what a node leaves behind (its data, its output) is kept when a
test fails.  Environment: CAIRN is the program, CAIRN_GUESTS the folder with <module>.wasm.
"""
import collections
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

CAIRN = os.environ.get("CAIRN", "build/cairn")
GUESTS = os.environ.get("CAIRN_GUESTS", os.path.dirname(CAIRN))
SOURCE = os.environ.get("CAIRN_SOURCE", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SKIPPED = 77  # meson's exit code for it


class Skip(Exception):
    """The test cannot run here; the text says what is missing."""


class Lost(Exception):
    """The connection ended."""


class Died(Exception):
    """The node ended by itself."""


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, wanted {want!r}")


def guest(name):
    """The bytes of a module that the build made."""
    path = os.path.join(GUESTS, name + ".wasm")
    if not os.path.exists(path):
        raise Skip(f"{path} was not built (is clang there?)")
    with open(path, "rb") as file:
        return file.read()


# --- a file's tests ---

def main(tests, name=None):
    """Runs functions, in order, each given a fresh folder if it takes an argument.  Ends the process."""
    name = name or os.path.basename(sys.argv[0])
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    failed = skipped = 0
    for test in tests:
        label = test.__name__.removeprefix("test_")
        if wanted and not any(word in label for word in wanted):
            continue
        folder = tempfile.mkdtemp(prefix="cairn-test-")
        begin = time.monotonic()
        print(f"{label} ...", flush=True)
        try:
            if test.__code__.co_argcount:
                test(folder)
            else:
                test()
            outcome = "ok"
        except Skip as reason:
            skipped += 1
            outcome = f"SKIPPED: {reason}"
        except Exception:  # the next test is worth running whatever this one met
            failed += 1
            traceback.print_exc(file=sys.stdout)
            for path in sorted(os.listdir(folder)):
                if path.endswith(".output"):
                    with open(os.path.join(folder, path), errors="replace") as output:
                        print("".join(f"    {path}: {line}" for line in output.readlines()[-20:]), end="")
            outcome = f"FAILED (kept: {folder})"
        else:
            shutil.rmtree(folder, ignore_errors=True)
        if outcome != "ok" and outcome.startswith("SKIPPED"):
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{label}: {outcome}, {time.monotonic() - begin:.1f} s", flush=True)
    if failed:
        print(f"{name}: {failed} failed")
        sys.exit(1)
    sys.exit(SKIPPED if skipped else 0)


# --- the node ---

class Node:
    """`cairn serve` on free ports.  Use as a context manager, or kill() or stop() it."""

    def __init__(self, folder, *flags, data=None, name="node", before=(), sync="always", workers=2,
                 host="localhost", zk="off"):
        self.data = data or os.path.join(folder, "data")
        self.output_path = os.path.join(folder, name + ".output")
        self.flags = [f"--sync={sync}", f"--workers={workers}", *flags]
        self.before = list(before)  # words before the program: setpriv and the like
        self.host = host
        self.process = None
        self.zk_address = str(zk)  # off, or a port: 0 takes a free one at the first start, and keeps it
        self.http = self.resp = self.zk = 0
        self.output_start = 0

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def spawn(self):
        """Starts the process and does not wait until it serves."""
        assert self.process is None
        with open(self.output_path, "ab") as output:
            self.output_start = output.tell()
            self.process = subprocess.Popen(
                [*self.before, CAIRN, "serve", "--data", self.data, "--http", f"{self.host}:0", "--resp", f"{self.host}:0",
                 "--zk", self.zk_address, *self.flags], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        return self

    def ready(self, seconds=60):
        """Waits until it serves."""
        end = time.monotonic() + seconds
        while True:
            text = self.output()
            if "\nready after " in text:
                self.http = int(re.search(r"^HTTP +http://127\.0\.0\.1:(\d+)$", text, re.M)[1])
                self.resp = int(re.search(r"^Redis +127\.0\.0\.1:(\d+)$", text, re.M)[1])
                zk = re.search(r"^ZooKeeper +127\.0\.0\.1:(\d+)$", text, re.M)
                if zk:
                    self.zk = int(zk[1])
                    self.zk_address = zk[1]
                return self
            if self.process.poll() is not None:
                raise Died(f"the node ended with status {self.process.returncode} instead of serving:\n{self.output()}")
            if time.monotonic() > end:
                raise AssertionError(f"the node was not ready within {seconds} s:\n{text}")
            time.sleep(0.005)

    def start(self):
        return self.spawn().ready()

    def refuses(self, seconds=60):
        """Starts it and expects that it ends with status 1 instead of serving; returns what it said."""
        self.spawn()
        try:
            status = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            text = self.output()
            self.kill()
            raise AssertionError(f"the node did not refuse to start:\n{text}") from None
        self.process = None
        equal(status, 1, f"exit status of a node that refuses, which said {self.output()!r}")
        return self.output()

    def output(self):
        """What this run has printed."""
        with open(self.output_path, "rb") as file:
            file.seek(self.output_start)
            return file.read().decode("utf-8", "replace")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def check_alive(self):
        if not self.alive():
            raise Died(f"the node ended with status {self.process and self.process.poll()}:\n{self.output()}")

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL, and what remains of it is collected."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, seconds=60):
        """SIGTERM; the node must end by itself with status 0."""
        self.process.terminate()
        try:
            status = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            text = self.output()
            self.kill()
            raise AssertionError(f"the node did not end {seconds} s after SIGTERM:\n{text}") from None
        self.process = None
        equal(status, 0, f"exit status after SIGTERM of a node that said {self.output()!r}")

    def redis(self, protocol=2):
        return Redis(self.resp, protocol)

    def web(self):
        return Web(self.http)

    def deploy(self, *names):
        with self.redis() as redis:
            for name in names:
                redis.ok("FUNCTION", "LOAD", guest(name))

    def metrics(self):
        """Every sample of /metrics: {name{labels}: number}."""
        status, text = self.web().ask("GET", "/metrics")
        equal(status, 200, "status of /metrics")
        samples = {}
        for line in text.decode().splitlines():
            if not line.startswith("#"):
                key, _, value = line.rpartition(" ")
                samples[key] = float(value)
        return samples


# --- the Redis protocol ---

class Error(str):
    """An error reply: "PREFIX message"."""

    @property
    def code(self):
        return self.split(" ", 1)[0]


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, (bytes, bytearray)) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


INCOMPLETE = object()


def decode(data, at):
    """The reply at data[at:] and where it ends; (INCOMPLETE, at) while there is more to come."""
    end = data.find(b"\r\n", at)
    if end < 0:
        return INCOMPLETE, at
    kind, head, next_at = data[at:at + 1], bytes(data[at + 1:end]), end + 2
    if kind == b":":
        return int(head), next_at
    if kind in b"$=":
        size = int(head)
        if size < 0:
            return None, next_at
        if len(data) < next_at + size + 2:
            return INCOMPLETE, at
        check(data[next_at + size:next_at + size + 2] == b"\r\n", "a bulk string without its end")
        return bytes(data[next_at:next_at + size]), next_at + size + 2
    if kind == b"+":
        return head.decode(), next_at
    if kind == b"-":
        return Error(head.decode("utf-8", "replace")), next_at
    if kind == b"_":
        return None, next_at
    if kind == b"#":
        return head == b"t", next_at
    if kind == b",":
        return float(head), next_at
    if kind in b"*~>%":
        count = int(head) * (2 if kind == b"%" else 1)
        if count < 0:
            return None, next_at
        items = []
        for _ in range(count):
            item, next_at = decode(data, next_at)
            if item is INCOMPLETE:
                return INCOMPLETE, at
            items.append(item)
        if kind == b"%":
            return dict(zip(items[::2], items[1::2])), next_at
        return items, next_at
    raise AssertionError(f"a reply that is none: {bytes(data[at:at + 40])!r}")


class Redis:
    """One connection, blocking.  Errors are returned as Error, never raised."""

    def __init__(self, port, protocol=2, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = bytearray()
        if protocol != 2:
            check(isinstance(self.call("HELLO", protocol), dict), "HELLO 3 was not answered with a map")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, *words):
        self.send_raw(encode(*words))

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Lost from error

    def receive(self):
        at = 0
        while True:
            reply, at = decode(self.data, 0)
            if reply is not INCOMPLETE:
                del self.data[:at]
                return reply
            try:
                more = self.socket.recv(1 << 18)
            except ConnectionResetError as error:
                raise Lost from error
            if not more:
                raise Lost
            self.data += more

    def call(self, *words):
        self.send(*words)
        return self.receive()

    def ok(self, *words):
        reply = self.call(*words)
        if isinstance(reply, Error):
            raise AssertionError(f"{' '.join(str(word)[:60] for word in words)}: {reply}")
        return reply

    def fcall(self, function, identity, *arguments, key=None):
        """Error or value."""
        if key is None:
            return self.call("FCALL", function, 1, identity, *arguments)
        return self.call("FCALL", function, 2, identity, key, *arguments)

    def fails(self, code, *words):
        """Expects an error with that prefix; returns it."""
        reply = self.call(*words)
        text = " ".join(str(word)[:60] for word in words)
        check(isinstance(reply, Error), f"{text}: got {reply!r:.200}, wanted the error {code}")
        check(reply.code == code, f"{text}: got the error '{reply}', wanted {code}")
        return reply

    def ended(self):
        """True if the node has closed the connection (waits for that)."""
        try:
            return not self.socket.recv(1 << 16)
        except ConnectionResetError:
            return True


# --- HTTP ---

class Web:
    """One keep-alive connection."""

    def __init__(self, port, timeout=60):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def ask(self, method, path, body=None, **headers):
        """(status, body as bytes)"""
        self.connection.request(method, path, body=body,
                                headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = self.connection.getresponse()
        return response.status, response.read()

    def json(self, method, path, body=None, want=200, **headers):
        status, data = self.ask(method, path, None if body is None else json.dumps(body), **headers)
        value = json.loads(data) if data else None
        if want is not None:
            equal(status, want, f"status of {method} {path}, whose body was {data[:300]!r}")
        return value

    def ids(self, kind, prefix="", limit=250):
        """All ids of a type, page by page."""
        found, cursor = [], None
        while True:
            page = self.json("GET", f"/v1/objects/{kind}?limit={limit}&prefix={prefix}" +
                             (f"&cursor={cursor}" if cursor else ""))
            check(len(page["ids"]) <= limit, f"a page of {len(page['ids'])} ids")
            found += page["ids"]
            cursor = page["cursor"]
            if not cursor:
                return found

    def fails(self, status, code, method, path, body=None, **headers):
        got, data = self.ask(method, path, body, **headers)
        problem = json.loads(data)
        equal((got, problem.get("code")), (status, code), f"{method} {path[:80]}, answered {data[:300]!r}")
        equal(problem.get("status"), status, "the status inside of the problem")
        check(problem.get("detail"), "a problem without detail")
        return problem

    def close(self):
        self.connection.close()


# --- trees ---

def copy_tree(source, target):
    """Copies a data folder; the prepared part of the log stays a hole."""
    if os.path.exists(target):
        shutil.rmtree(target)
    subprocess.run(["cp", "-r", "--sparse=always", source, target], check=True)


@contextlib.contextmanager
def running(*nodes):
    try:
        for node in nodes:
            node.start()
        yield nodes
    finally:
        for node in nodes:
            node.kill()


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values):
    return percentile(values, .5)


Count = collections.Counter
SIGKILL, SIGTERM = signal.SIGKILL, signal.SIGTERM
