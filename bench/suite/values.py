"""Large values of the cache beside Redis: SET and GET of 10 and 100 MiB by one client and eight, what a server computes
for one, what a PING takes beside two clients that move 10 MiB, and how much of it is coding.

Equal: the clients (threads that only send and receive), commands, keys and values; nothing is put on a disk on either
side.
Not equal: Redis has one thread, and keeps one copy; cairn has a worker and movers, and codes each value 10+2.
"""
import os
import socket
import threading
import time

from .base import Broken, Cairn, Redis, median

MIB = 1 << 20
BLOCK = os.urandom(10 * MIB)


class Client:
    def __init__(self, server, key):
        self.socket = socket.create_connection(("127.0.0.1", server.port), 120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.key, self.room = key, bytearray(MIB)

    def send(self, *words):
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def set(self, size):
        self.socket.sendall(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n" % (len(self.key), self.key, size))
        for _ in range(size // len(BLOCK)):
            self.socket.sendall(BLOCK)
        self.socket.sendall(b"\r\n")
        if self.socket.recv(100) != b"+OK\r\n":
            raise Broken("a SET was not answered with OK")

    def get(self, size):
        self.send(b"GET", self.key)
        left = len(b"$%d\r\n" % size) + size + 2
        while left:
            got = self.socket.recv_into(self.room)
            if not got:
                raise Broken("the connection ended within a value")
            left -= got

    def ping(self):
        begin = time.perf_counter()
        self.socket.sendall(b"*1\r\n$4\r\nPING\r\n")
        self.socket.recv(100)
        return time.perf_counter() - begin


def each(clients, act, count):
    """Values a second, of all of them."""
    wrong = []

    def work(client):
        try:
            for _ in range(count):
                act(client)
        except (OSError, Broken) as reason:
            wrong.append(reason)

    threads = [threading.Thread(target=work, args=[client]) for client in clients]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise Broken(f"a client ended: {wrong[0]}")
    return len(clients) * count / (time.perf_counter() - begin)


def measure(bench, both, size, number, count, least):
    clients = {server: [Client(server, b"k%d" % i) for i in range(number)] for server in both}
    for name, act in (("SET", lambda client: client.set(size)), ("GET", lambda client: client.get(size))):
        rates, cpu = {server: [] for server in both}, {server: [] for server in both}
        for server in both:
            each(clients[server], act, 1)  # warms up
        for _, server in bench.turns(both):
            before = server.process.cpu_seconds()
            rates[server].append(each(clients[server], act, count) * size / MIB)
            cpu[server].append((server.process.cpu_seconds() - before) * 1000 / (number * count))
        label = f"{name} of {size // MIB} MiB, {number} client{'s' if number > 1 else ''}"
        bench.row(label, "MiB/s", *[median(rates[server]) for server in both], peer_name="Redis",
                  goal=("ratio", ">=", least))
        bench.row(label + ": CPU time", "ms", *[median(cpu[server]) for server in both], peer_name="Redis")


def pings(server, seconds):
    """The 99th percentile, in ms, beside two clients that set and get 10 MiB."""
    movers, over, times = [Client(server, b"m%d" % i) for i in range(2)], time.monotonic() + seconds, []

    def move(client):
        while time.monotonic() < over:
            client.set(10 * MIB)
            client.get(10 * MIB)

    threads = [threading.Thread(target=move, args=[client]) for client in movers]
    for thread in threads:
        thread.start()
    client = Client(server, b"")
    while time.monotonic() < over:
        times.append(client.ping())
        time.sleep(0.001)
    for thread in threads:
        thread.join()
    return sorted(times)[len(times) * 99 // 100] * 1000


def run(bench):
    cairn = Cairn(bench, "cairn", "--cache", "2GiB")
    both = cairn, Redis(bench, durable=False)
    count = max(2, int(4 * bench.seconds))
    measure(bench, both, 10 * MIB, 1, count, 1)
    measure(bench, both, 10 * MIB, 8, count, 1)
    measure(bench, both, 100 * MIB, 1, max(1, count // 6), 1.5)
    late = {server: [] for server in both}
    for _, server in bench.turns(both):
        late[server].append(pings(server, bench.seconds))
    bench.row("PING beside two clients that move 10 MiB, p99", "ms", *[median(late[server]) for server in both],
              peer_name="Redis", goal=("cairn", "<=", 2))
    coding, cpu = cairn.metrics()["cairn_large_coding_ns_total"], cairn.process.cpu_seconds()
    each([Client(cairn, b"k0")], lambda client: client.set(10 * MIB), count)
    coding, cpu = cairn.metrics()["cairn_large_coding_ns_total"] - coding, cairn.process.cpu_seconds() - cpu
    bench.row("coding, of the CPU time of a SET of 10 MiB", "%", coding / 1e7 / cpu if cpu else 0)
    cairn.kill()
