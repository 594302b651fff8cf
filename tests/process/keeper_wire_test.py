#!/usr/bin/env python3
"""The ZooKeeper port, byte by byte, against the real node.

Catches input that is no request and hurts more than its own connection; a client that takes nothing, or ten thousand
that say nothing, and make others wait or the node grow; a session that two connections have; watches that are lost when
a client connects again; commands of `cairn keeper` that show something else than there is; a port that is taken.
"""
import json
import os
import resource
import socket
import struct
import subprocess
import time

from cairnproc import CAIRN, Node, Skip, check, equal, main

WAIT = 20
OPEN = struct.pack(">iii", 1, 31, 5) + b"world" + struct.pack(">i", 6) + b"anyone"
CREATE, DELETE, EXISTS, GET, SET, PING, CLOSE, SET_WATCHES = 1, 2, 3, 4, 5, 11, -11, 101


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(data)) + data


def frame(body):
    return struct.pack(">i", len(body)) + body


class Client:
    """One connection."""

    def __init__(self, node, session=0, password=b"\0" * 16, seen=0, timeout=10000, connect=True):
        self.sock = socket.create_connection(("127.0.0.1", node.zk), timeout=WAIT)
        self.data, self.xid, self.session = b"", 0, 0
        if connect:
            self.sock.sendall(frame(struct.pack(">iqiqi", 0, seen, timeout, session, 16) + password + b"\0"))
            answer = self.receive()
            if answer is not None:
                _, self.timeout, self.session, _ = struct.unpack(">iiqi", answer[:20])
                self.password = answer[20:36]

    def receive(self):
        """The next frame's body; None: the connection has ended."""
        while len(self.data) < 4 or len(self.data) < 4 + struct.unpack(">i", self.data[:4])[0]:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                check(not self.data, f"the connection ended within a frame: {self.data[:40]!r}")
                return None
            self.data += more
        size, = struct.unpack(">i", self.data[:4])
        body, self.data = self.data[4:4 + size], self.data[4 + size:]
        return body

    def send(self, op, body=b"", xid=None):
        self.xid += 1
        self.sock.sendall(frame(struct.pack(">ii", self.xid if xid is None else xid, op) + body))
        return self.xid

    def ask(self, op, body=b""):
        """Error and fields of the reply."""
        xid = self.send(op, body)
        got, _, error = struct.unpack(">iqi", (reply := self.receive())[:16])
        equal(got, xid, "xid")
        return error, reply[16:]

    def create(self, path, data=b"", flags=0):
        return self.ask(CREATE, text(path) + text(data) + OPEN + struct.pack(">i", flags))[0]

    def get(self, path, watch=False):
        error, fields = self.ask(GET, text(path) + bytes([watch]))
        return fields[4:4 + struct.unpack(">i", fields[:4])[0]] if error == 0 else error

    def ends(self):
        """Nothing more comes, and then the end."""
        while True:
            body = self.receive()
            if body is None:
                return
            check(struct.unpack(">iqi", body[:16])[2] != 0, "only errors come before the end")


def resident(node):
    with open(f"/proc/{node.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


# --- bad input ---

BAD = [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x10\x00\x00", b"\x80\x00\x00\x00",
       frame(b""), frame(b"\0\0"), frame(struct.pack(">ii", 1, 999)), frame(struct.pack(">ii", 1, -10)),
       frame(struct.pack(">ii", 1, 20)), b"mntr", frame(struct.pack(">iii", 1, CREATE, 2 ** 31 - 1)),
       frame(struct.pack(">iii", 1, GET, -2)), frame(struct.pack(">iiqi", 1, SET_WATCHES, 0, 2 ** 31 - 1)),
       frame(struct.pack(">ii", 1, GET) + text("/a")), frame(struct.pack(">ii", 1, PING) + b"more"),
       frame(struct.pack(">ii", 1, 102) + text("token")), frame(struct.pack(">iii", -4, 100, 0) + text("kerberos") + text("x"))]


def test_bad_input(folder):
    with Node(folder, zk=0) as node:
        other = Client(node)
        equal(other.create("/a", b"1"), 0)
        for bad in BAD:
            one = Client(node)
            check(one.session, "a session")
            one.sock.sendall(bad + frame(struct.pack(">ii", 7, PING)))
            one.ends()
            first = Client(node, connect=False)  # the same as the first thing that is said
            first.sock.sendall(bad if bad != b"mntr" else b"what")
            first.sock.shutdown(socket.SHUT_WR)
            while first.sock.recv(65536):
                pass
        for size in range(0, 45, 5):  # half a greeting, and the end
            first = Client(node, connect=False)
            first.sock.sendall((frame(struct.pack(">iqiqi", 0, 0, 10000, 0, 16) + b"\0" * 17))[:size])
            first.sock.close()
        equal(other.get("/a"), b"1")
        node.check_alive()


def test_half_frames(folder):
    """A hundred clients that each send all but the last byte of a large request: others work, memory is bounded."""
    with Node(folder, "--memory=256", zk=0) as node:
        other = Client(node)
        equal(other.create("/a", b"1"), 0)
        before = resident(node)
        size = 0xfffff
        half = struct.pack(">i", size) + b"\0" * (size - 1)
        held = []
        for _ in range(100):
            one = Client(node)
            one.sock.settimeout(0.2)
            try:
                one.sock.sendall(half)
            except OSError:
                pass
            held.append(one)
        equal(other.get("/a"), b"1")
        grown = resident(node) - before
        check(grown < 160 << 20, f"half requests of 100 MiB made it grow by {grown >> 20} MiB")
        node.check_alive()


# --- clients that do not take, and many of them ---

def test_slow_reader(folder):
    """A client with watches that takes nothing is closed at a bound; its session lives, and others are served."""
    with Node(folder, zk=0) as node:
        other, slow = Client(node), Client(node, timeout=40000)
        equal(other.create("/w", b""), 0)
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        equal(slow.ask(106, text("/w") + struct.pack(">i", 1))[0], 0)  # addWatch, recursive
        slow.sock.settimeout(WAIT)
        before = resident(node)
        path = "/w/" + "n" * 900
        equal(other.create(path, b""), 0)
        for _ in range(30):
            for _ in range(500):
                other.send(SET, text(path) + text(b"x") + struct.pack(">i", -1))
            for _ in range(500):
                equal(struct.unpack(">iqi", other.receive()[:16])[2], 0, "a write")
        grown = resident(node) - before
        check(grown < 64 << 20, f"15,000 events of 900 bytes for a client that takes none: {grown >> 20} MiB more")
        end = time.monotonic() + 10
        while "zk_num_alive_connections\t2\n" not in word(node, b"mntr"):  # the other, and the word's own
            check(time.monotonic() < end, "the connection is closed")
            time.sleep(0.05)
        back = Client(node, slow.session, slow.password)
        equal(back.session, slow.session, "the session lives")
        slow.sock.close()


def test_connections(folder):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = 10000
    if hard < want + 200:
        raise Skip(f"at most {hard} files may be open here, and this needs {want + 200}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (want + 200, hard))
    try:
        with Node(folder, zk=0) as node:
            other = Client(node)
            equal(other.create("/a", b"1"), 0)
            before = resident(node)
            held = [socket.create_connection(("127.0.0.1", node.zk), timeout=WAIT) for _ in range(want)]
            sessions = [Client(node) for _ in range(50)]
            check(all(one.session for one in sessions), "sessions beside them")
            slowest = 0
            for _ in range(200):
                begin = time.monotonic()
                equal(other.get("/a"), b"1")
                slowest = max(slowest, time.monotonic() - begin)
            grown = resident(node) - before
            check(grown < 200 << 20, f"10,000 connections take {grown >> 20} MiB")
            print(f"    10,000 connections: {grown / want / 1024:.1f} KiB each, slowest get {slowest * 1000:.1f} ms")
            for one in held:
                one.close()
            equal(other.get("/a"), b"1")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- sessions ---

def test_session_moves(folder):
    with Node(folder, zk=0) as node:
        old = Client(node)
        equal(old.create("/e", b"", 1), 0)
        new = Client(node, old.session, old.password)
        equal(new.session, old.session)
        old.ends()
        equal(new.get("/e"), b"")
        equal(Client(node, old.session, b"x" * 16).session, 0, "another password")
        equal(Client(node, 0x123456, old.password).session, 0, "no such session")
        ahead = Client(node, old.session, old.password, seen=2 ** 60)
        equal((ahead.session, ahead.receive()), (0, None), "it has seen more than there is")
        equal(Client(node, timeout=1).timeout, 4000)
        equal(Client(node, timeout=10 ** 6).timeout, 40000)
        equal(new.ask(CLOSE)[0], 0)
        equal(new.receive(), None)
        equal(Client(node, old.session, old.password).session, 0, "it was closed")


def test_set_watches(folder):
    """What happened while a client was away is told when it arms its watches again, also over SIGKILL."""
    node = Node(folder, zk=0).start()
    try:
        one, other = Client(node, timeout=40000), Client(node, timeout=40000)
        for path in ("/same", "/changed", "/gone", "/parent"):
            equal(other.create(path, b"1"), 0)
        error, fields = one.ask(EXISTS, text("/same") + b"\1")
        equal(error, 0)
        one.send(PING, xid=-2)
        seen = struct.unpack(">iqi", one.receive()[:16])[1]
        check(seen > 0, "the last zxid")
        one.sock.close()
        equal(other.ask(SET, text("/changed") + text(b"2") + struct.pack(">i", -1))[0], 0)
        equal(other.ask(DELETE, text("/gone") + struct.pack(">i", -1))[0], 0)
        equal(other.create("/new"), 0)
        equal(other.create("/parent/child"), 0)
        node.kill()
        node.start()
        other = Client(node, other.session, other.password, timeout=40000)
        one = Client(node, one.session, one.password, seen=seen, timeout=40000)
        check(one.session, "both sessions live")

        def vector(*paths):
            return struct.pack(">i", len(paths)) + b"".join(text(path) for path in paths)

        one.send(SET_WATCHES, struct.pack(">q", seen) + vector("/same", "/changed", "/gone") + vector("/new", "/never") +
                 vector("/parent"), xid=-8)
        events = []
        while True:
            body = one.receive()
            xid, _, error = struct.unpack(">iqi", body[:16])
            if xid == -8:
                equal(error, 0)
                break
            equal(xid, -1, "an event")
            events.append((struct.unpack(">i", body[16:20])[0], body[28:].decode()))
        equal(sorted(events), [(1, "/new"), (2, "/gone"), (3, "/changed"), (4, "/parent")])
        equal(other.ask(SET, text("/same") + text(b"2") + struct.pack(">i", -1))[0], 0)
        body = one.receive()
        equal((struct.unpack(">i", body[16:20])[0], body[28:].decode()), (3, "/same"), "and the others are armed")
    finally:
        node.kill()


# --- the port, the words, the command ---

def word(node, name):
    sock = socket.create_connection(("127.0.0.1", node.zk), timeout=WAIT)
    sock.sendall(name)
    said = b""
    while more := sock.recv(65536):
        said += more
    return said.decode()


def test_words(folder):
    with Node(folder, zk=0) as node:
        equal(word(node, b"ruok"), "imok")
        check("zk_znode_count\t4\n" in word(node, b"mntr"), "mntr before the first connection")
        equal(word(node, b"cons"), "cons is not executed because it is not in the whitelist.\n")


def test_taken_port(folder):
    with Node(folder, zk=0) as node:
        other = Node(folder, data=os.path.join(folder, "other"), name="other", zk=node.zk)
        said = other.refuses()
        check("another process listens at" in said and "--zk ADDR" in said, said)


def test_deployed_once(folder):
    """The module is deployed by the first connection, and told once, whichever workers the next ones come to."""
    with Node(folder, zk=0, workers=4) as node:
        for _ in range(12):
            check(Client(node).session, "a session")
        equal(node.output().count("event=deploy "), 1, "lines of the log that tell of the module")


def http(node, method, path):
    with socket.create_connection(("127.0.0.1", node.http), timeout=WAIT) as sock:
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        said = b""
        while more := sock.recv(65536):
            said += more
    return said.decode()


def test_namespace(folder):
    with Node(folder, "--zk-namespace=acme", zk=0) as node:
        equal(Client(node).session, 0, "there is no such namespace yet")
        check(" 201 " in http(node, "PUT", "/v1/namespaces/acme"), "it is made")
        one = Client(node)
        check(one.session, "a session")
        equal(one.create("/a", b"acme's"), 0)
        check('"nodes":5' in http(node, "GET", "/v1/ns/acme/keeper"), "its tree")
        check('"nodes":4' in http(node, "GET", "/v1/keeper"), "and not that of `default`")
        check("zk_znode_count\t5\n" in word(node, b"mntr"), "its word")
        node.kill()
        node.start()
        one = Client(node, one.session, one.password)
        equal(one.get("/a"), b"acme's")


def keeper(node, *words, status=0):
    done = subprocess.run([CAIRN, "keeper", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT, check=False,
                          env=dict(os.environ, CAIRN_ZK=f"127.0.0.1:{node.zk}", CAIRN_URL=f"http://127.0.0.1:{node.http}"))
    equal(done.returncode, status, f"{words}: {done.stdout!r}")
    return done.stdout.decode()


def test_command(folder):
    with Node(folder, zk=0) as node:
        one = Client(node)
        equal(one.create("/a", b"\0data\n"), 0)
        equal(one.create("/a/b"), 0)
        equal(one.create("/e", b"", 1), 0)
        equal(keeper(node, "ls"), "a\ne\nzookeeper\n")
        equal(json.loads(keeper(node, "ls", "/a", "--json")), ["b"])
        equal(keeper(node, "get", "/a"), "\0data\n")
        stat = json.loads(keeper(node, "stat", "/e", "--json"))
        equal((stat["owner"], stat["bytes"], stat["version"]), (f"0x{one.session:x}", 0, 0))
        check("children          1\n" in keeper(node, "stat", "/a"), "stat")
        equal(keeper(node, "get", "/none", status=1), "cairn: /none: NoNode (-101)\n")
        sessions = json.loads(keeper(node, "sessions", "--json"))
        check({"session": f"0x{one.session:x}", "timeout_ms": 10000, "ephemerals": ["/e"]} in sessions, sessions)
        with subprocess.Popen([CAIRN, "keeper", "watch", "-r", "/a"], stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, CAIRN_ZK=f"127.0.0.1:{node.zk}")) as watch:
            end = time.monotonic() + WAIT
            while "/a\n" not in http(node, "GET", "/v1/keeper/words/wchp"):
                check(time.monotonic() < end, "the watch is set")
                time.sleep(0.02)
            equal(one.create("/a/c"), 0)
            equal(one.ask(DELETE, text("/a/c") + struct.pack(">i", -1))[0], 0)
            equal([watch.stdout.readline() for _ in range(2)], ["created   /a/c\n", "deleted   /a/c\n"])
            watch.terminate()


if __name__ == "__main__":
    main([test_bad_input, test_half_frames, test_slow_reader, test_connections, test_session_moves, test_set_watches,
          test_words, test_taken_port, test_deployed_once, test_namespace, test_command])
