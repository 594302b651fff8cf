#!/usr/bin/env python3
"""Would catch: a reply with a large value that is not Redis 7.0's, byte for byte, in any command, transaction or
pipeline; a value that is a mix of two, or not whole, while others set it, delete it and read it slowly; a SET that is cut
off in the middle and leaves a key, or memory; slow readers of large values whose replies the node keeps; a PING that
waits for a transfer; a value beyond 512 MiB that is not refused as Redis does."""
import hashlib
import os
import random
import socket
import threading
import time

import differential
from cairnproc import Node, check, equal, main

MIB = 1 << 20
BLOCK = random.Random(1).randbytes(4 * MIB)


def value(seed, size):
    at = seed * 4099 % MIB
    return (BLOCK[at:] + BLOCK)[:size] if size <= 4 * MIB else (BLOCK * (size // len(BLOCK) + 2))[at:at + size]


def ask(connection, *words):
    return connection.call(*[word.encode() if isinstance(word, str) else word for word in words])


def script():
    """Commands with large values between others."""
    a, b, c = value(1, 400000), value(2, 100000), value(3, 1300001)
    return [
        ["SET", "k", a], ["GET", "k"], ["STRLEN", "k"], ["GETRANGE", "k", "5", "9"], ["GETRANGE", "k", "-5", "-1"],
        ["GETRANGE", "k", "70000", "200000"], ["GETRANGE", "k", "9", "5"], ["GETRANGE", "k", "300000", "500000"],
        ["SUBSTR", "k", "0", "-1"], ["TYPE", "k"], ["OBJECT", "ENCODING", "k"], ["EXISTS", "k", "nope"],
        ["SET", "k", b, "EX", "100"], ["TTL", "k"], ["SET", "k", c, "KEEPTTL", "GET"], ["TTL", "k"], ["GET", "k"],
        ["SET", "k", a, "NX"], ["SET", "other", a, "XX"], ["SET", "k", "small", "GET"], ["GET", "k"],
        ["SET", "k", b, "EX", "0"], ["SET", "k", b, "WRONG"], ["SET", b], ["GET", "k"],
        ["SETEX", "k", "100", a], ["GETEX", "k", "PERSIST"], ["TTL", "k"], ["PSETEX", "k", "100000", b],
        ["SETNX", "k", a], ["SETNX", "new", a], ["GETSET", "new", b], ["GETDEL", "new"], ["GET", "new"],
        ["MSET", "m1", a, "m2", "small", "m3", c], ["MGET", "m1", "m2", "none", "m3", "k"], ["MSETNX", "m4", a, "m1", b],
        ["MSETNX", "m5", a, "m6", b], ["MGET", "m4", "m5", "m6"], ["MSET", "m1", a, "m2"], ["DBSIZE"],
        ["RENAME", "m1", "m7"], ["GET", "m7"], ["COPY", "m7", "m8"], ["DEL", "m7"], ["GET", "m8"], ["RENAMENX", "m8", "m5"],
        ["COPY", "m8", "m5", "REPLACE"], ["GET", "m5"], ["EXPIRE", "m5", "1000"], ["PERSIST", "m5"], ["INCR", "m5"],
        ["INCRBYFLOAT", "m5", "1"], ["TOUCH", "m5"], ["GETRANGE", "m5", "0", "0"],
        ["MULTI"], ["SET", "t", a], ["GET", "t"], ["GET", "m3"], ["INCR", "n"], ["GETRANGE", "t", "1", "104857"],
        ["SET", "t", b], ["GET", "t"], ["DEL", "m3"], ["EXEC"], ["GET", "t"], ["GET", "m3"],
        ["MULTI"], ["SET", "t", c], ["DISCARD"], ["GET", "t"],
        ["WATCH", "t"], ["SET", "t", a], ["MULTI"], ["SET", "t", c], ["EXEC"], ["GET", "t"],
        ["SELECT", "3"], ["SET", "t", b], ["GET", "t"], ["SELECT", "0"], ["GET", "t"], ["SCAN", "0", "COUNT", "1000"],
        ["APPEND", "m2", "x"], ["APPEND", "m5", "tail"], ["GETRANGE", "m5", "-9", "-1"], ["APPEND", "m5", a], ["GET", "m5"],
        ["SETRANGE", "m5", "70000", b], ["GET", "m5"], ["SETRANGE", "m5", "900000", "end"], ["GET", "m5"],
        ["SETRANGE", "m2", "200000", "far"], ["GET", "m2"], ["APPEND", "m9", b], ["APPEND", "m9", b], ["GET", "m9"],
        ["EXPIRE", "m9", "100"], ["APPEND", "m9", "x"], ["TTL", "m9"], ["APPEND", "m9", ""], ["STRLEN", "m9"],
        ["SETRANGE", "m9", "-1", "x"], ["SETRANGE", "m9", "536870911", "xx"], ["SETRANGE", "m9", "0", ""],
        ["SETRANGE", "none", "5", ""], ["APPEND", "m9"], ["FLUSHDB"], ["GET", "t"], ["DBSIZE"], ["SELECT", "3"], ["GET", "t"], ["SELECT", "0"],
    ]


def test_replies_are_those_of_redis(folder):
    with Node(folder, "--cache=512MiB", "--cache-large=64KiB", sync="none") as node, differential.redis_server(folder) as redis:
        for protocol in (2, 3):
            ours, theirs = (differential.Connection(port, protocol) for port in (node.resp, redis))
            commands = [[word.encode() if isinstance(word, str) else word for word in words] for words in script()]
            for words in commands:
                a, b = ours.call(*words), theirs.call(*words)
                check(differential.same(words, a, b), f"{[w[:40] for w in words]}: {str(a)[:200]}, Redis {str(b)[:200]}")
            # All in one stream: replies in the order of the commands, whoever sends them.
            commands = [words for words in commands if words[0] not in (b"SCAN",)]
            for connection in (ours, theirs):
                threading.Thread(target=connection.send, args=[commands], daemon=True).start()
            for words in commands:
                a, b = ours.reply(), theirs.reply()
                check(differential.same(words, a, b), f"stream, {[w[:40] for w in words]}: {str(a)[:200]}")
            ask(ours, "FLUSHALL")
            ask(theirs, "FLUSHALL")


def test_beyond_the_largest(folder):
    with Node(folder, "--cache=64MiB", sync="none") as node, differential.redis_server(folder) as redis:
        for size in (512 * MIB + 1, 1 << 40):
            replies = []
            for port in (node.resp, redis):
                with socket.create_connection(("127.0.0.1", port), 10) as s:
                    s.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % size)
                    replies.append(s.recv(1000))
                    equal(s.recv(1000), b"", "the connection ends")
            equal(replies[0], replies[1], f"a value of {size} bytes")
        # No room: read to its end, and refused; the connection goes on.
        c = differential.Connection(node.resp, 2)
        check(ask(c, "SET", "k", value(1, 100 * MIB))[0].startswith(b"-OOM "), "no room")
        check(ask(c, "GET", "k")[0] == b"$-1", "nothing is there")
        equal(ask(c, "SET", "k", value(1, 2 * MIB))[0], b"+OK", "it goes on")


def used(connection):
    for line in ask(connection, "INFO", "memory")[0].splitlines():
        if line.startswith(b"used_memory:"):
            return int(line[12:])
    raise AssertionError("INFO memory does not tell used_memory")


def settled(connection, most):
    for _ in range(100):
        if used(connection) <= most:
            return True
        time.sleep(0.05)
    return False


def test_hangs_up_in_the_middle(folder):
    with Node(folder, "--cache=256MiB", sync="none") as node:
        c = differential.Connection(node.resp, 2)
        ask(c, "SET", "old", value(7, 2 * MIB))
        before = used(c)
        body = b"*3\r\n$3\r\nSET\r\n$3\r\nold\r\n$%d\r\n" % (2 * MIB) + value(8, 2 * MIB) + b"\r\n"
        dice = random.Random(5)
        for cut in [30, 31, 32, 100, 65535, 65536, len(body) - 3, len(body) - 2, len(body) - 1] + [
                dice.randrange(30, len(body)) for _ in range(40)]:
            with socket.create_connection(("127.0.0.1", node.resp), 10) as s:
                s.sendall(body[:cut])
                if cut % 3 == 0:  # with a reset
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        check(settled(c, before + 4096), f"{used(c)} bytes are used, {before} before")
        equal(ask(c, "GET", "old")[0][10:-2] == value(7, 2 * MIB), True, "the old value is there")


def test_one_value_or_another(folder):
    """Writers, deleters and readers of a few keys: each reply is one value that was set, whole."""
    with Node(folder, "--cache=256MiB", "--cache-redundancy=4+2", sync="none") as node:
        sizes = [MIB, MIB + 1, 2 * MIB, 3 * MIB - 7]
        sums = {hashlib.sha256(value(s, n)).digest() for s in range(6) for n in sizes}
        wrong, reads, ends = [], [0], time.monotonic() + 2

        def write(seed):
            dice, c = random.Random(seed), differential.Connection(node.resp, 2)
            while time.monotonic() < ends:
                key = b"k%d" % dice.randrange(3)
                if dice.random() < 0.15:
                    c.call(b"DEL", key)
                elif c.call(b"SET", key, value(dice.randrange(6), dice.choice(sizes)))[0] != b"+OK":
                    wrong.append("a SET was not answered with OK")

        def read(seed):
            dice, c = random.Random(seed), differential.Connection(node.resp, 2)
            while time.monotonic() < ends:
                head = c.call(b"GET", b"k%d" % dice.randrange(3))[0]
                if head != b"$-1":
                    got = head.split(b"\r\n", 1)[1][:-2]
                    reads[0] += 1
                    if hashlib.sha256(got).digest() not in sums:
                        wrong.append(f"{len(got)} bytes that nobody wrote")

        threads = [threading.Thread(target=write, args=[i]) for i in range(3)]
        threads += [threading.Thread(target=read, args=[i]) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(not wrong and reads[0] > 10, f"{reads[0]} reads, {wrong[:3]}")


def resident_bytes(node):
    with open(f"/proc/{node.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def test_slow_readers_cost_no_memory(folder):
    """100 clients ask for 20 MiB each and take nothing: what waits is the kernel's, not the node's.  Others go on."""
    with Node(folder, "--cache=256MiB", sync="none") as node:
        c = differential.Connection(node.resp, 2)
        ask(c, "SET", "k", value(3, 20 * MIB))
        ask(c, "GET", "k")
        before, slow = resident_bytes(node), []
        for _ in range(100):
            s = socket.create_connection(("127.0.0.1", node.resp), 10)
            s.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
            slow.append(s)
        time.sleep(0.5)
        times = []
        for _ in range(200):
            began = time.monotonic()
            equal(ask(c, "PING")[0], b"+PONG", "PING")
            times.append(time.monotonic() - began)
        check(sorted(times)[150] < 0.1, f"PING takes {sorted(times)[150]} s")
        grown = resident_bytes(node) - before
        check(grown < 64 * MIB, f"the node has grown by {grown >> 20} MiB")
        check(ask(c, "SET", "k", value(4, 2 * MIB))[0] == b"+OK", "others go on")
        got = b""
        while len(got) < 20 * MIB + 13:  # what it asked for is still whole
            got += slow[0].recv(1 << 20)
        check(got[11:-2] == value(3, 20 * MIB), "a slow reader sees the old value whole")
        for s in slow:
            s.close()
        check(settled(c, 8 * MIB), f"{used(c)} bytes are used")


def test_memory_stays_in_its_bound(folder):
    with Node(folder, "--cache=128MiB", "--cache-redundancy=4+2", sync="none") as node:
        idle, dice, c = resident_bytes(node), random.Random(2), differential.Connection(node.resp, 2)
        for i in range(80):
            equal(ask(c, "SET", f"k{i}", value(i, dice.randrange(MIB, 6 * MIB)))[0], b"+OK", "SET")
            check(used(c) <= 128 * MIB, "used_memory is above maxmemory")
        grown = resident_bytes(node) - idle
        check(grown < 1.15 * 128 * MIB, f"the node has grown by {grown >> 20} MiB")
        kept = sum(ask(c, "EXISTS", f"k{i}")[0] == b":1" for i in range(80))
        check(10 < kept < 60, f"{kept} values are kept")
        equal(ask(c, "CONFIG", "SET", "maxmemory-policy", "noeviction")[0], b"+OK", "CONFIG SET")
        replies = {ask(c, "SET", f"n{i}", value(i, 5 * MIB))[0][:5] for i in range(6)}
        check(b"-OOM " in replies, f"noeviction: {replies}")


main([test_replies_are_those_of_redis, test_beyond_the_largest, test_hangs_up_in_the_middle, test_one_value_or_another,
      test_slow_readers_cost_no_memory, test_memory_stays_in_its_bound])
