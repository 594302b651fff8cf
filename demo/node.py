"""A node of the demo, and what talks to it: its process, the Redis protocol, and load over many connections."""
import collections
import glob
import os
import selectors
import signal
import socket
import subprocess
import time

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CONNECTIONS = 32

started = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - started:5.1f} s] {text}", flush=True)


def shorten(text, lines=6):
    kept = text.strip().splitlines()[:lines]
    return "\n".join("        " + (line if len(line) <= 100 else line[:97] + "...") for line in kept)


class Broken(Exception):
    """Something that cairn promises did not hold, or did not work."""


class Lost(Exception):
    """The node went away."""


# --- the Redis protocol, as much as is needed ---

class RespError(str):
    """An error reply."""


def encode(*arguments):
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def decode(data, at):
    """The reply at data[at:] and where it ends, or None while it is incomplete."""
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    kind, head, at = data[at:at + 1], data[at + 1:end], end + 2
    if kind == b"+":
        return bytes(head), at
    if kind == b"-":
        return RespError(head.decode("utf-8", "replace")), at
    if kind == b":":
        return int(head), at
    if kind == b"_":
        return None, at
    if kind == b"$":
        size = int(head)
        if size < 0:
            return None, at
        if len(data) < at + size + 2:
            return None
        return bytes(data[at:at + size]), at + size + 2
    if kind == b"*":
        items = []
        for _ in range(int(head)):
            item = decode(data, at)
            if item is None:
                return None
            items.append(item[0])
            at = item[1]
        return items, at
    raise Broken(f"a reply that is none: {bytes(data[:40])!r}")


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = bytearray()
        self.sent = collections.deque()  # (when, tag) of commands without a reply

    def send(self, command, tag=None):
        self.sent.append((time.perf_counter(), tag))
        try:
            self.socket.sendall(command)
        except OSError as error:
            raise Lost from error

    def receive(self):
        """What has arrived, at least something: a list of (seconds taken, tag, reply)."""
        try:
            more = self.socket.recv(1 << 18)
        except OSError as error:
            raise Lost from error
        if not more:
            raise Lost
        now, replies, at = time.perf_counter(), [], 0
        self.data += more
        while self.sent and at < len(self.data):
            one = decode(self.data, at)
            if one is None:
                break
            reply, at = one
            when, tag = self.sent.popleft()
            replies.append((now - when, tag, reply))
        del self.data[:at]
        return replies

    def close(self):
        self.socket.close()


class Figures:
    """Throughput and latency of one kind of request."""

    def __init__(self, name):
        self.name, self.latencies, self.seconds = name, [], 0.0

    def row(self):
        if not self.latencies:
            return f"    {self.name:24} nothing was measured"
        ordered = sorted(self.latencies)

        def percentile(share):
            return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

        return (f"    {self.name:24} {len(ordered):>8,}  {len(ordered) / self.seconds:>9,.0f}/s"
                f"  {percentile(.5):>8.2f}  {percentile(.95):>8.2f}  {percentile(.99):>8.2f}  {ordered[-1] * 1000:>8.2f}")


def load(port, requests, figures, depth=1, seconds=None, progress=None, on_reply=None, may_lose=False):
    """Sends requests, (command, tag) each, over all connections, each with up to `depth` under way.

    on_reply(tag, reply) sees every reply.  Returns what was sent and never answered: only somebody who is going to kill
    the node says that this may happen."""
    requests = iter(requests)
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    selector = selectors.DefaultSelector()
    begin = last = time.monotonic()
    lost = []
    exhausted = False

    def feed(connection):
        nonlocal exhausted
        while len(connection.sent) < depth and not exhausted:
            if seconds and time.monotonic() - begin > seconds:
                exhausted = True
                break
            one = next(requests, None)
            if one is None:
                exhausted = True
                break
            connection.send(*one)

    def gone(connection):
        lost.extend(tag for _, tag in connection.sent)
        connection.sent.clear()
        if connection.socket.fileno() in selector.get_map():
            selector.unregister(connection.socket)

    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    for connection in connections:
        try:
            feed(connection)
        except Lost:
            gone(connection)
    done = 0
    while selector.get_map() and any(connection.sent for connection in connections):
        events = selector.select(timeout=30)
        if not events:
            raise Broken("no reply within 30 seconds")
        for key, _ in events:
            connection = key.data
            try:
                for taken, tag, reply in connection.receive():
                    figures.latencies.append(taken)
                    done += 1
                    if on_reply:
                        on_reply(tag, reply)
                feed(connection)
            except Lost:
                gone(connection)
        if progress and time.monotonic() - last > 2:
            last = time.monotonic()
            say(f"  {done:,} of {progress:,} {figures.name}")
    figures.seconds += time.monotonic() - begin
    for connection in connections:
        connection.close()
    selector.close()
    if lost and not may_lose:
        raise Broken(f"the node closed connections with {len(lost)} requests under way")
    return lost


def expect_no_error(tag, reply):
    if isinstance(reply, RespError):
        raise Broken(f"{tag}: {reply}")


# --- the node ---

def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Node:
    def __init__(self, cairn, folder):
        self.cairn, self.folder, self.process = cairn, folder, None
        self.http, self.resp, self.zk = free_ports(3)
        self.log = os.path.join(folder, "node.log")
        # A build folder may lie outside of the checkout, where `cairn build` would not find the header by itself.
        self.environment = dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{self.http}",
                                CAIRN_ZK=f"127.0.0.1:{self.zk}",
                                CAIRN_INCLUDE=os.path.join(SOURCE, "include"))

    def start(self):
        begin = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.cairn, "serve", "--data", os.path.join(self.folder, "data"),
                 "--http", f"127.0.0.1:{self.http}", "--resp", f"127.0.0.1:{self.resp}",
                 "--zk", f"127.0.0.1:{self.zk}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while time.monotonic() - begin < 30:
            if self.process.poll() is not None:
                raise Broken(f"the node ended with status {self.process.returncode} instead of serving")
            probe = subprocess.run(["curl", "-fsS", "-o", os.devnull, "--max-time", "2",
                                    f"{self.environment['CAIRN_URL']}/readyz"], stderr=subprocess.DEVNULL)
            if probe.returncode == 0:
                return time.monotonic() - begin
            time.sleep(0.01)
        raise Broken("the node was not ready within 30 seconds")

    def command(self, *arguments):
        done = subprocess.run([self.cairn, *arguments], env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        if done.returncode != 0:
            raise Broken(f"cairn {' '.join(arguments)} failed:\n{done.stdout}")
        return done.stdout.strip()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=30)
        if status != 0:
            raise Broken(f"the node ended with status {status} after SIGTERM")

    def deploy(self, function):
        """Builds functions/<function> and deploys it; says how large it is."""
        module = os.path.join(self.folder, f"{function}.wasm")
        self.command("build", *sorted(glob.glob(os.path.join(SOURCE, "functions", function, "*.c"))), "-o", module)
        self.command("deploy", module)
        return os.path.getsize(module)
