"""Random streams of commands to a cairn node with a cache and to Debian's redis-server, whose replies have to be the
same, byte for byte.

Where they cannot be, they are compared by what they mean: the order of KEYS and SCAN, a random key, times that are
counted from each server's own clock, how many keys have expired that nobody has looked at since, and what an entry
takes.
"""
import contextlib
import os
import random
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))
from cairnproc import SOURCE, Node  # noqa: E402

TOLERANT = {b"TTL": 1, b"PTTL": 1500, b"EXPIRETIME": 1, b"PEXPIRETIME": 1500, b"DBSIZE": 9}
PER_BATCH = 40


@contextlib.contextmanager
def redis_server(folder):
    """Its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(os.path.join(folder, "redis.output"), "w") as output:
        process = subprocess.Popen([os.path.join(SOURCE, "tools", "redis-server"), "--port", str(port), "--save", "",
                                    "--appendonly", "no", "--bind", "127.0.0.1", "--dir", folder],
                                   stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def pack(words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Connection:
    def __init__(self, port, protocol):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""
        self.at = 0
        if protocol == 3:
            self.send([[b"HELLO", b"3"]])
            self.reply()

    def send(self, commands):
        self.socket.sendall(b"".join(map(pack, commands)))

    def more(self):
        got = self.socket.recv(1 << 18)
        if not got:
            raise AssertionError(f"the connection ended behind {self.data[-200:]!r}")
        self.data = self.data[self.at:] + got
        self.at = 0

    def line(self):
        while True:
            end = self.data.find(b"\r\n", self.at)
            if end >= 0:
                line = self.data[self.at:end]
                self.at = end + 2
                return line
            self.more()

    def large(self, size):
        """So many bytes, without copying them again and again."""
        parts = [self.data[self.at:self.at + size]]
        self.data = self.data[self.at + size:]
        self.at = 0
        size -= len(parts[0])
        while size:
            parts.append(self.socket.recv(min(size, 1 << 20)))
            if not parts[-1]:
                raise AssertionError("the connection ended within a value")
            size -= len(parts[-1])
        return b"".join(parts)

    def reply(self):
        """(raw head, items): what is not an array has no items."""
        head = self.line()
        if head[:1] == b"$" and head != b"$-1":
            size = int(head[1:]) + 2
            if size > 1 << 16:
                return head + b"\r\n" + self.large(size), None
            while len(self.data) - self.at < size:
                self.more()
            value = self.data[self.at:self.at + size]
            self.at += size
            return head + b"\r\n" + value, None
        if head[:1] in (b"*", b"~", b"%") and head != b"*-1":
            count = int(head[1:]) * (2 if head[:1] == b"%" else 1)
            return head, [self.reply() for _ in range(count)]
        return head, None

    def call(self, *words):
        self.send([list(words)])
        return self.reply()

    def close(self):
        self.socket.close()


def same(words, a, b):
    name = words[0].upper()
    if a == b:
        return True
    if name == b"MEMORY":  # Redis finds keys here that have expired
        return a[0][:1] != b"-" and b[0][:1] != b"-"
    if a[0][:1] != b[0][:1]:
        return False
    if name in TOLERANT and a[0][:1] == b":":
        x, y = int(a[0][1:]), int(b[0][1:])
        return x >= 0 and y >= 0 and abs(x - y) <= TOLERANT[name]
    if name == b"KEYS" and a[1] is not None:
        return sorted(a[1]) == sorted(b[1])
    if name == b"SCAN" and a[1] is not None:
        return True  # all of it is compared by scan_all
    if name == b"RANDOMKEY":
        return a[0][:2] != b"$-" and b[0][:2] != b"$-"
    if name == b"OBJECT" and a[0][:1] == b":":
        return True
    return False


def scan_all(connection, *options):
    cursor, found = b"0", set()
    while True:
        head, items = connection.call(b"SCAN", cursor, *options)
        assert items, head
        cursor = items[0][0].split(b"\r\n")[1]
        found.update(item[0] for item in items[1][1])
        if cursor == b"0":
            return found


class Stream:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.keys = [b"key:%d" % i for i in range(24)] + [b"", b"\r\n\0\xff", b"a[b]*c", b"k" * 300, b"User/bob"]

    def key(self):
        return self.random.choice(self.keys)

    def number(self):
        r = self.random
        return r.choice([b"0", b"1", b"-1", b"7", b"-5", b"100", b"9223372036854775807", b"-9223372036854775808",
                         b"9223372036854775808", b"1e3", b"", b" 1", b"1 ", b"+1", b"-0", b"01", b"abc",
                         str(r.randint(-20000, 20000)).encode(), str(r.randint(-2**63, 2**63 - 1)).encode()])

    def real(self):
        r = self.random
        return r.choice([b"0.1", b"-1.5", b"3", b"1e2", b"5.0e3", b"inf", b"nan", b"x", b"", b" 1", b"1e400", b"-0.0",
                         b"0x10", b"1.79e308", b"-inf", str(r.uniform(-1e6, 1e6)).encode()])

    def value(self):
        r = self.random
        return r.choice([self.number, self.real, lambda: b"v" * r.choice([0, 1, 20, 44, 45, 100, 255, 4095, 4097, 9000]),
                         lambda: r.randbytes(r.randint(0, 60))])()

    def seconds(self):
        r = self.random
        return r.choice([b"100", b"1000", b"50000", b"0", b"-1", b"x", b"9223372036854775807", b"9223372036854775",
                         b"-9223372036854775808", b"1", b"", str(r.randint(100, 10**6)).encode()])

    def moment(self):
        r = self.random
        return r.choice([b"1", b"0", b"-1", b"4000000000", b"4100000000", b"9223372036854775807", b"x",
                         b"9223372036854776", str(int(time.time()) + r.randint(1000, 10**6)).encode()])

    def set_options(self):
        r = self.random
        words = []
        for _ in range(r.choice([0, 1, 1, 1, 2, 2, 3])):
            word = r.choice([b"NX", b"XX", b"GET", b"KEEPTTL", b"EX", b"PX", b"EXAT", b"PXAT", b"get", b"PERSIST", b"Q"])
            words.append(word)
            if word in (b"EX", b"PX") and r.random() < 0.95:
                words.append(self.seconds())
            elif word in (b"EXAT", b"PXAT") and r.random() < 0.95:
                words.append(self.moment())
        return words

    def expire_options(self):
        r = self.random
        return [r.choice([b"NX", b"XX", b"GT", b"LT", b"lt", b"Q"]) for _ in range(r.choice([0, 0, 0, 1, 1, 2]))]

    def command(self):
        r, k = self.random, self.key
        makers = [
            lambda: [b"SET", k(), self.value()], lambda: [b"SET", k(), self.value()],
            lambda: [b"set", k(), self.value(), *self.set_options()], lambda: [b"GET", k()], lambda: [b"get", k()],
            lambda: [b"SETEX", k(), self.seconds(), self.value()], lambda: [b"PSETEX", k(), self.seconds(), self.value()],
            lambda: [b"SETNX", k(), self.value()], lambda: [b"GETSET", k(), self.value()], lambda: [b"GETDEL", k()],
            lambda: [b"GETEX", k(), *self.set_options()],
            lambda: [b"MGET", *[k() for _ in range(r.randint(1, 5))]],
            lambda: [b"MSET", *[w for _ in range(r.randint(1, 4)) for w in (k(), self.value())]],
            lambda: [b"MSETNX", *[w for _ in range(r.randint(1, 3)) for w in (k(), self.value())]],
            lambda: [r.choice([b"MSET", b"MSETNX"]), k(), self.value(), k()],
            lambda: [b"STRLEN", k()],
            lambda: [r.choice([b"GETRANGE", b"SUBSTR"]), k(), r.choice([b"0", b"-1", b"-3", b"2", self.number()]),
                     r.choice([b"0", b"-1", b"-2", b"5", self.number()])],
            lambda: [b"SETRANGE", k(), r.choice([b"0", b"1", b"10", b"5000", b"-1", b"600000000", b"x"]), self.value()],
            lambda: [b"APPEND", k(), self.value()], lambda: [b"APPEND", k(), self.value()],
            lambda: [r.choice([b"INCR", b"DECR"]), k()], lambda: [r.choice([b"INCRBY", b"DECRBY"]), k(), self.number()],
            lambda: [b"INCRBYFLOAT", k(), self.real()],
            lambda: [r.choice([b"DEL", b"UNLINK", b"EXISTS", b"TOUCH"]), *[k() for _ in range(r.randint(1, 3))]],
            lambda: [b"TYPE", k()], lambda: [b"COPY", k(), k(), *r.choice([[], [], [b"REPLACE"], [b"DB", b"1"], [b"DB", b"16"],
                                                                         [b"DB", b"x"], [b"DB"], [b"replace", b"DB", b"2"]])],
            lambda: [r.choice([b"RENAME", b"RENAMENX"]), k(), k()], lambda: [b"RANDOMKEY"],
            lambda: [b"KEYS", r.choice([b"*", b"key:*", b"key:1?", b"key:[1-3]", b"key:[^1]*", b"*\\[b*", b"nothing",
                                        b"", b"**", b"k*:*1*", b"[k", b"key:[9-0]"])],
            lambda: [b"SCAN", r.choice([b"0", b"x", b"-1x", b"0"]), *r.choice([[], [b"COUNT", b"0"], [b"COUNT", b"x"],
                                                                             [b"MATCH"], [b"Q", b"1"]])],
            lambda: [b"EXPIRE", k(), self.seconds(), *self.expire_options()],
            lambda: [b"PEXPIRE", k(), r.choice([b"100000", b"500000", self.seconds()]), *self.expire_options()]
            if r.random() < 0.5 else [b"PEXPIRE", k(), b"900000", *self.expire_options()],
            lambda: [b"EXPIREAT", k(), self.moment(), *self.expire_options()],
            lambda: [b"PEXPIREAT", k(), self.moment(), *self.expire_options()],
            lambda: [r.choice([b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME", b"PERSIST"]), k()],
            lambda: [b"OBJECT", r.choice([b"ENCODING", b"encoding", b"ENCODING", b"FREQ", b"IDLETIME", b"NOSUCH"]), k()],
            lambda: [b"OBJECT", *r.choice([[], [b"ENCODING"], [b"FREQ", b"a", b"b"]])],
            lambda: [b"MEMORY", b"USAGE", k(), *r.choice([[], [], [b"SAMPLES", b"5"], [b"SAMPLES"], [b"SAMPLES", b"-1"]])],
            lambda: [b"DBSIZE"], lambda: [b"PING"], lambda: [b"ECHO", self.value()],
            lambda: [b"SELECT", r.choice([b"0", b"0", b"1", b"2", b"16", b"-1", b"x", b"99999999999"])],
            lambda: [r.choice([b"FLUSHDB", b"FLUSHALL"]), *r.choice([[], [b"ASYNC"], [b"SYNC"], [b"x"], [b"SYNC", b"y"]])]
            if r.random() < 0.15 else [b"GET", k()],
            lambda: [r.choice([b"GET", b"SET", b"SETEX", b"DEL", b"EXPIRE", b"INCR", b"SCAN", b"GETRANGE", b"RENAME", b"COPY"])],
            lambda: [b"MULTI"], lambda: [b"EXEC"], lambda: [b"EXEC"], lambda: [b"EXEC"], lambda: [b"DISCARD"],
            lambda: [b"WATCH", k()], lambda: [b"WATCH", k(), k()], lambda: [b"UNWATCH"],
        ]
        # PX and EX of a few units would be due at other moments on each server.
        words = r.choice(makers)()
        return words if self.is_safe(words) else [b"GET", k()]

    @staticmethod
    def is_safe(words):
        name = words[0].upper()
        if name in (b"PSETEX", b"SETEX") and len(words) > 2:
            return not due_soon(words[2], name == b"SETEX")
        if name in (b"EXPIRE", b"PEXPIRE") and len(words) > 2:
            return not due_soon(words[2], name == b"EXPIRE")
        if name in (b"SET", b"GETEX"):
            for i, word in enumerate(words[:-1]):
                if word.upper() in (b"EX", b"PX") and due_soon(words[i + 1], word.upper() == b"EX"):
                    return False
        return True


def due_soon(word, seconds):
    try:
        return 0 < int(word) < (60 if seconds else 60000)
    except ValueError:
        return False


class Pair:
    """A client of both."""

    def __init__(self, ports, protocol):
        self.sides = [Connection(port, protocol) for port in ports]
        self.queued = None  # what MULTI has queued

    def run(self, commands):
        for side in self.sides:
            side.send(commands)
        for words in commands:
            redis, cairn = [side.reply() for side in self.sides]
            if not self.agree(words, redis, cairn):
                raise AssertionError(f"{words!r}: Redis says {redis!r}, cairn {cairn!r} (in MULTI: {self.queued!r})")

    def agree(self, words, redis, cairn):
        name = words[0].upper()
        if name == b"EXEC" and self.queued is not None and redis[1] is not None and cairn[1] is not None:
            queued, self.queued = self.queued, None
            return redis[0] == cairn[0] and len(queued) == len(redis[1]) and all(map(same, queued, redis[1], cairn[1]))
        if not same(words, redis, cairn):
            return False
        if redis[0] == b"+QUEUED":
            self.queued.append(words)
        elif name == b"MULTI" and redis[0] == b"+OK":
            self.queued = []
        elif name in (b"EXEC", b"DISCARD"):
            self.queued = None
        return True

    def close(self):
        for side in self.sides:
            side.close()


def expire_together(pair, stream):
    """Keys that expire while nobody touches them; then all is looked at."""
    keys = [stream.key() for _ in range(4)]
    pair.run([[b"DISCARD"], [b"SET", keys[0], b"x", b"PX", b"30"], [b"SET", keys[1], b"5"], [b"PEXPIRE", keys[1], b"30"],
              [b"WATCH", keys[0], keys[2]]])
    time.sleep(0.06)
    pair.run([[b"EXISTS", *keys], [b"TTL", keys[0]], [b"INCR", keys[1]], [b"MULTI"], [b"GET", keys[0]], [b"EXEC"],
              [b"GET", keys[3]]])


def compare_all(pair):
    pair.run([[b"DISCARD"], [b"UNWATCH"]])
    for database in (b"0", b"1", b"2"):
        pair.run([[b"SELECT", database], [b"KEYS", b"*"]])
        for options in ((), (b"COUNT", b"1"), (b"MATCH", b"key:1*"), (b"TYPE", b"string"), (b"TYPE", b"hash")):
            redis, cairn = [scan_all(side, *options) for side in pair.sides]
            if redis != cairn:
                raise AssertionError(f"SCAN {options!r} of {database!r}: {redis ^ cairn!r}")
        keys = [item[0].split(b"\r\n", 1)[1][:-2] for item in pair.sides[0].call(b"KEYS", b"*")[1]]
        pair.run([command for key in keys for command in ([b"GET", key], [b"PTTL", key], [b"OBJECT", b"ENCODING", key])])


def run(folder, seed, count):
    print(f"seed {seed}")
    stream = Stream(seed)
    with redis_server(folder) as port, Node(folder, "--cache=64MiB", sync="none") as node:
        pairs = [Pair((port, node.resp), protocol) for protocol in (2, 3, 2, 3)]
        sent = 0
        while sent < count:
            commands = [stream.command() for _ in range(stream.random.randint(1, PER_BATCH))]
            stream.random.choice(pairs).run(commands)
            sent += len(commands)
            if stream.random.random() < 0.01:
                expire_together(pairs[0], stream)
            if stream.random.random() < 0.01:
                compare_all(pairs[1])
        compare_all(pairs[2])
        for pair in pairs:
            pair.close()
    print(f"{sent} commands")
