#!/usr/bin/env python3
"""Clients that make the node keep much, each within every limit that counts requests, at a real node whose --memory is
256 MiB.

Catches bytes that are in no bound: arguments under way, results of calls, replies behind a slow one, replies that
nobody reads; a bound that stops others than the client that has reached it; and a bound
that is not given back.
"""
import contextlib
import select
import socket
import threading
import time

from cairnproc import Error, Node, check, encode, equal, main

MEMORY_MIB = 256
RSS_MIB = 560  # --memory, the state, the log's buffers, and what malloc keeps: without a bound it is > 2 GiB
LARGE = 1000000


def rss_mib(node, field="VmRSS"):
    with open(f"/proc/{node.process.pid}/status") as file:
        for line in file:
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0


class Bystander(threading.Thread):
    """Somebody else, who must be served through all of it."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.redis, self.served, self.worst, self.over = node, node.redis(), 0, 0, False
        self.refused, self.peak = 0, 0
        self.start()

    def run(self):
        while not self.over:
            begin = time.monotonic()
            reply = self.redis.fcall("Heavy.fine", f"bystander{self.served % 7}")
            self.worst = max(self.worst, time.monotonic() - begin)
            if reply == b"well":
                self.served += 1
            else:
                self.refused += 1
            self.peak = max(self.peak, rss_mib(self.node))
            time.sleep(.01)

    def end(self, during, most=RSS_MIB, refused=.25):
        self.over = True
        self.join(30)
        self.node.check_alive()
        print(f"    {during}: RSS at most {self.peak:.0f} MiB; a bystander was served {self.served} times, refused "
              f"{self.refused} times, and waited {self.worst * 1000:.0f} ms at most", flush=True)
        check(self.peak < most, f"{during}: RSS was {self.peak:.0f} MiB")
        check(self.served > 8 and self.refused <= self.served * refused,
              f"{during}: somebody else was served {self.served} times and refused {self.refused} times")


@contextlib.contextmanager
def heavy(folder, *flags):
    with Node(folder, f"--memory={MEMORY_MIB}", *flags, sync="none") as node:
        node.deploy("heavy")
        with node.redis() as redis:
            for i in range(4):
                redis.ok("FCALL", "Heavy.fill", 1, f"big{i}", LARGE)
        yield node


def keep_busy(node, calls=40):
    """Something that takes a while is before whatever is asked of that object."""
    redis = node.redis()
    redis.send_raw(b"".join(encode("FCALL", "Heavy.slow", 1, "busy") for _ in range(calls)))
    time.sleep(.1)
    return redis


def web_request(path, body=None, method="GET"):
    size = f"Content-Length: {len(body)}\r\nContent-Type: text/plain\r\n" if body is not None else ""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{size}\r\n".encode() + (body or b"")


def flood(port, data, connections, seconds):
    """Sends copies of the same request over many connections as fast as they are taken, and reads nothing."""
    poll, open_ = select.epoll(), {}
    for _ in range(connections):
        one = socket.create_connection(("127.0.0.1", port))
        one.setblocking(False)
        poll.register(one.fileno(), select.EPOLLOUT)
        open_[one.fileno()] = [one, 0]
    sent, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for fd, _ in poll.poll(.2):
            try:
                count = open_[fd][0].send(data[open_[fd][1]:open_[fd][1] + (1 << 18)])
            except BlockingIOError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                poll.unregister(fd)
                continue
            sent += count
            open_[fd][1] = (open_[fd][1] + count) % len(data)
    return sent, [one for one, _ in open_.values()]


def settled(node):
    """What was charged is given back."""
    end, least = time.monotonic() + 20, None
    while time.monotonic() < end:
        metrics = node.metrics()
        used, admitted = metrics['cairn_client_memory_bytes{of="all"}'], metrics["cairn_requests_admitted"]
        if used < 8 << 20:
            return
        if least is None or admitted < least:  # what has been asked for is still done
            end, least = time.monotonic() + 20, admitted
        time.sleep(.1)
    raise AssertionError(f"{used} bytes are still charged when nobody keeps anything")


def test_arguments_under_way(folder):
    with heavy(folder) as node:
        for name, port, data in (
                ("RESP", node.resp, encode("FCALL", "Heavy.fine", 1, "busy", "x" * LARGE)),
                ("HTTP", node.http, web_request("/v1/objects/Heavy/busy/fine", b"x" * LARGE, "POST"))):
            busy, bystander = keep_busy(node, 100), Bystander(node)
            sent, sockets = flood(port, data, 60, 5)
            bystander.end(f"{sent >> 20} MiB of arguments over {name}")
            check(sent > 64 << 20, f"only {sent} bytes were taken")
            for one in sockets:
                one.close()
            busy.close()
            settled(node)


def test_results_that_a_job_keeps(folder):
    with heavy(folder) as node, node.redis() as redis:
        bystander = Bystander(node)
        for _ in range(3):
            limited = redis.ok("FCALL", "Heavy.hoard", 1, "hoarder", 2000, "big0")
            check(1800 <= limited < 2000, f"{limited} of 2000 calls were over the job's limit")
        bystander.end("a job that keeps results")
        redis.fails("LIMIT", "FCALL", "Heavy.scatter", 1, "scatterer", 2000, LARGE)
        equal(redis.ok("FCALL", "Heavy.hoard", 1, "hoarder", 20, "big0"), 0, "calls that fit")
        equal(redis.ok("FCALL", "Heavy.scatter", 1, "scatterer", 20, LARGE), None, "arguments that fit")
        settled(node)


def test_replies_behind_a_slow_one(folder):
    with heavy(folder) as node:
        for name, ask, want, port in (
                ("RESP", lambda at: encode("FCALL_RO", "Heavy.get", 1, at), None, node.resp),
                ("HTTP", lambda at: web_request(f"/v1/objects/Heavy/{at}/get"), b"HTTP/1.1 ", node.http),
                ("HEAD", lambda at: web_request(f"/v1/objects/Heavy/{at}/get", method="HEAD"), b"HTTP/1.1 ", node.http)):
            sockets = []
            for _ in range(4):
                one = socket.create_connection(("127.0.0.1", port), timeout=60)
                one.sendall(ask("small") * 1100)  # they make the window large
                got = b""
                while got.count(want or b"$-1\r\n") < 1100:
                    got += one.recv(1 << 20)
                sockets.append(one)
            busy, bystander = keep_busy(node, 60), Bystander(node)
            for one in sockets:
                one.sendall(ask("busy") + b"".join(ask(f"big{i % 4}") for i in range(1000)))
            time.sleep(3)
            bystander.end(f"replies behind a slow one, {name}", RSS_MIB, 4)
            for one in sockets:
                one.close()
            busy.close()
            settled(node)


def test_replies_that_nobody_reads(folder):
    with heavy(folder) as node:
        for name, port, ask in (
                ("RESP", node.resp, b"".join(encode("FCALL_RO", "Heavy.get", 1, f"big{i % 4}") for i in range(25))),
                ("HTTP", node.http, b"".join(web_request(f"/v1/objects/Heavy/big{i % 4}/get") for i in range(25)))):
            bystander = Bystander(node)
            sockets = []
            for _ in range(150):
                one = socket.create_connection(("127.0.0.1", port))
                one.sendall(ask)
                sockets.append(one)
            time.sleep(4)
            bystander.end(f"150 clients that read nothing, {name}", RSS_MIB, 4)
            for one in sockets:
                one.close()
            settled(node)


def test_a_client_that_reads_gets_all(folder):
    """The bounds do not get into the way of one that only asks for much."""
    with heavy(folder) as node, node.redis() as redis:
        redis.send_raw(b"".join(encode("FCALL_RO", "Heavy.get", 1, f"big{i % 4}") for i in range(600)))
        for i in range(600):
            reply = redis.receive()
            check(not isinstance(reply, Error) and len(reply) == LARGE, f"reply {i}: {reply[:100]!r}")
        settled(node)


if __name__ == "__main__":
    main([test_arguments_under_way, test_results_that_a_job_keeps, test_replies_behind_a_slow_one,
          test_replies_that_nobody_reads, test_a_client_that_reads_gets_all])
