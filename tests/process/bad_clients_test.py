#!/usr/bin/env python3
"""Clients that ask for what cannot be, send what is no request, or stop in the middle, at a real node.

Catches an error without its stable code, an error that costs anybody but the client that made it, a refused call that
leaves something, and a node that dies or stops serving for what one client sends.
"""
import contextlib
import json
import random
import socket
import struct
import time

from cairnproc import Lost, Node, Redis, Web, check, encode, equal, main

SEED = 20


class Bystander:
    """Somebody else, over both protocols, who must be served through all of it."""

    def __init__(self, node):
        self.node, self.count = node, 0
        self.redis, self.web = node.redis(), node.web()
        self.check("nothing")

    def check(self, during):
        self.node.check_alive()
        begin = time.monotonic()
        self.count += 1
        equal(self.redis.call("FCALL", "Counter.add", 1, "bystander"), self.count, f"somebody else during {during}")
        equal(self.web.json("GET", "/v1/objects/Counter/bystander/get"), self.count, f"over HTTP during {during}")
        check(time.monotonic() - begin < 2, f"somebody else waited {time.monotonic() - begin:.1f} s during {during}")


# --- requests that are whole, and ask for what cannot be ---

CALLS = [  # label, words over the Redis protocol, their error; request over HTTP, its status and code
    ("unknown type", ["FCALL", "Nothing.add", 1, "x"], "UNKNOWN_TYPE",
     ("POST", "/v1/objects/Nothing/x/add", "[]"), 404, "unknown_type"),
    ("unknown method", ["FCALL", "Counter.nosuch", 1, "x"], "UNKNOWN_METHOD",
     ("POST", "/v1/objects/Counter/x/nosuch", "[]"), 404, "unknown_method"),
    ("a field's name as a method", ["FCALL", "User.following", 1, "x"], "UNKNOWN_METHOD",
     ("POST", "/v1/objects/User/x/following", "[]"), 404, "unknown_method"),
    ("internal method", ["FCALL", "User.deliver", 1, "x", "a", "1", "b"], "NOT_PUBLIC",
     ("POST", "/v1/objects/User/x/deliver", '["a", 1, "b"]'), 403, "not_public"),
    ("internal method where one may only read", ["FCALL_RO", "User.deliver", 1, "x"], "NOT_PUBLIC",
     ("GET", "/v1/objects/User/x/deliver", None), 403, "not_public"),
    ("a mutating method where one may only read", ["FCALL_RO", "Counter.add", 1, "x"], "NOT_READ_ONLY",
     ("GET", "/v1/objects/Counter/x/add", None), 405, "not_read_only"),
    ("the same with an argument", ["FCALL_RO", "Register.set", 1, "x", "5"], "NOT_READ_ONLY",
     ("GET", "/v1/objects/Register/x/set?arg=5", None), 405, "not_read_only"),
    ("no id", ["FCALL", "Counter.add", 1, ""], "BAD_REQUEST",
     ("POST", "/v1/objects/Counter//add", "[]"), 400, "bad_request"),
    ("an id that is too long", ["FCALL", "Counter.add", 1, "x" * 5000], "BAD_REQUEST",
     ("POST", "/v1/objects/Counter/" + "x" * 5000 + "/add", "[]"), 400, "bad_request"),
    ("a key that is too long", ["FCALL", "Counter.add", 2, "x", "k" * 5000], "BAD_REQUEST",
     ("POST", "/v1/objects/Counter/x/add", "[]", "k" * 5000), 400, "bad_request"),
    ("more than the arguments may be", ["FCALL", "Register.set", 1, "x", "5" * (2 << 20)], "LIMIT",
     ("POST", "/v1/objects/Register/x/set", json.dumps(["5" * (2 << 20)])), 422, "limit"),
    ("no method", ["FCALL", "Counter", 1, "x"], "BAD_REQUEST", ("POST", "/v1/objects/Counter/x", "[]"), 405, "bad_request"),
]

JSON = [
    b"[", b"]", b"{", b"{}", b"5", b'"text"', b"null", b"[1", b"[1,]", b"[1 2]", b"[,]", b"['a']", b"[01]", b"[1.]", b"[+1]",
    b"[nul]", b"[tru]", b'["a]', b'["\\x"]', b'["\\ud800"]', b'["\\u00"]', b'["a\nb"]', b'["\xff\xfe"]', b'["\xc0\xaf"]',
    b'["\xed\xa0\x80"]', b"[1] 2", b"[1][2]", b"\xef\xbb\xbf[1", b"[" * 10000, b"[" * 100000 + b"]" * 100000, b"[1\0]",
    b"[NaN]", b"[Infinity]",
]


@contextlib.contextmanager
def deployed(folder, *flags):
    with Node(folder, *flags) as node:
        node.deploy("register", "retwis")
        yield node


def nothing_was_made(node):
    web = node.web()
    for kind, ids in (("Counter", ["bystander"]), ("Register", []), ("User", [])):
        equal(web.ids(kind), ids, f"objects of type {kind}")


def test_calls_that_cannot_be(folder):
    with deployed(folder) as node, node.redis() as redis:
        web, bystander = node.web(), Bystander(node)
        for label, words, error, asked, status, code in CALLS:
            said = redis.fails(error, *words)
            check(len(said) > len(error) + 1, f"{label}: the error says nothing: {said}")
            equal(redis.call("PING"), "PONG", f"the same connection after {label}")
            method, path, body, *key = asked
            got, data = web.ask(method, path, body, **({"Idempotency_Key": key[0]} if key else {}))
            equal((got, json.loads(data)["code"]), (status, code), f"{label} over HTTP: {data[:200]!r}")
            equal(json.loads(data)["effects"] in ("none", "some"), True, f"effects of {label}: {data!r}")
            bystander.check(label)
        status, _ = web.ask("HEAD", "/v1/objects/Counter/x/add")
        equal(status, 405, "HEAD of a mutating method")
        nothing_was_made(node)
        for number, body in enumerate(JSON):
            got, data = web.ask("POST", "/v1/objects/Register/x/set", body)
            equal((got, json.loads(data)["code"]), (400, "bad_request"), f"{body[:40]!r} as arguments: {data[:200]!r}")
            check(json.loads(data)["detail"], f"{body[:40]!r}: no detail")
            if number % 8 == 0:
                bystander.check(f"{body[:40]!r}")
        equal(web.ask("POST", "/v1/objects/Register/x/set", "<a/>", Content_Type="text/xml")[0], 415, "XML")
        nothing_was_made(node)
        equal(web.json("POST", "/v1/objects/Register/x/set", [5]) in (None, 0, 5), True, "a good one at last")


# --- what is no request ---

RESP = [
    (b"*1\r\n$x\r\nPING\r\n", "a length that is no number"),
    (b"*1\r\n$-5\r\nPING\r\n", "a negative length"),
    (b"*1\r\n$99999999999999999999\r\n", "a length beyond 64 bits"),
    (b"*99999999\r\n", "too many words"),
    (b"*x\r\n", "a count that is no number"),
    (b"*1\r\n:5\r\n", "a word that is a number"),
    (b"*1\r\n$4\r\nPINGxx", "a word without its end"),
    (b"*2\r\n$4\r\nPING\r\n+OK\r\n", "a word that is a simple string"),
    (b"PING 'unfinished\r\n", "quotes that do not close"),
    (b"x" * 20000, "a line without end"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP at the wrong port"),
]

HTTP = [
    (b"GET\r\n\r\n", "a line of one word"),
    (b"GET / HTTP/9.9\r\n\r\n", "an unknown version"),
    (b"get / HTTP/1.1\r\nHost: localhost\r\n\r\n", "a method in small letters"),
    (b"GET /healthz HTTP/1.1\r\n\r\n", "no Host"),
    (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "two Hosts"),
    (b"GET /healthz HTTP/1.1\r\nHost localhost\r\n\r\n", "a header without a colon"),
    (b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n", "a blank before the colon"),
    (b"POST /v1/modules HTTP/1.1\r\nHost: localhost\r\nContent-Length : 5\r\n\r\nhello", "a blank before another colon"),
    (b"GET /healthz HTTP/1.1\r\nHost: local\0host\r\n\r\n", "a zero byte"),
    (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "a long target"),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40000 + b"\r\n\r\n", "long headers"),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n", "many headers"),
    (b"*1\r\n$4\r\nPING\r\n\r\n", "RESP at the wrong port"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), "TLS"),
]


def exchange(port, data, end=False):
    """What comes until the node closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        parts = []
        try:
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(1 << 16):
                parts.append(more)
        except (ConnectionResetError, BrokenPipeError):
            pass
        return b"".join(parts)


def test_no_requests_at_all(folder):
    with deployed(folder) as node:
        bystander = Bystander(node)
        for data, label in RESP:
            # What came before is answered; the connection ends by the node's own doing.
            answer = exchange(node.resp, encode("PING") + data)
            check(answer.startswith(b"+PONG\r\n"), f"{label}: the PING before it was answered with {answer[:100]!r}")
            rest = answer[7:]
            said = b"-ERR this port speaks RESP" if label.startswith("HTTP") else b"-ERR Protocol error: "
            check(rest.startswith(said) and rest.endswith(b"\r\n") and rest.count(b"\r\n") == 1,
                  f"{label}: {rest[:200]!r}")
            bystander.check(label)
        for data, label in HTTP:
            answer = exchange(node.http, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + data)
            heads = answer.split(b"HTTP/1.1 ")[1:]
            equal([head[:3] for head in heads[:1]], [b"200"], f"{label}: the request before it")
            check(len(heads) == 2 and heads[1][:1] == b"4" or heads[1][:3] == b"505", f"{label}: {answer!r:.600}")
            body = json.loads(heads[1].split(b"\r\n\r\n", 1)[1])
            equal((str(body["status"]).encode(), body["effects"]), (heads[1][:3], "none"), label)
            check(body["code"] and body["detail"], f"{label}: {body}")
            bystander.check(label)
        nothing_was_made(node)


def test_random_bytes(folder):
    """Noise, and good requests with a few bytes changed."""
    dice = random.Random(SEED)
    good = [encode("FCALL", "Counter.get", 1, "bystander") * 3,
            b"GET /v1/objects/Counter/bystander/get HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n[]" * 3]
    with deployed(folder) as node:
        bystander = Bystander(node)
        for number in range(400):
            which = dice.randrange(2)
            if dice.random() < .3:
                data = dice.randbytes(dice.choice([1, 10, 100, 5000]))
            else:
                data = bytearray(good[which])
                for _ in range(dice.choice([1, 1, 2, 5])):
                    data[dice.randrange(len(data))] = dice.choice([dice.randrange(256), 10, 13, 0, 45, 57])
            exchange((node.resp, node.http)[which], bytes(data), end=True)
            if number % 20 == 0:
                bystander.check(f"random bytes, number {number} of seed {SEED}")
        bystander.check("nothing more")


# --- requests that stop in the middle ---

HALVES = [
    ("resp", encode("FCALL", "Counter.add", 1, "half", 1)),
    ("resp", b"FCALL Counter.add 1 half 1\r\n"),
    ("http", b"POST /v1/objects/Counter/half/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n[1]"),
    ("http", b"POST /v1/objects/Counter/half/add HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
             b"3\r\n[1]\r\n0\r\n\r\n"),
]


def test_half_requests(folder):
    """Cut off at every byte; then the client closes its half, closes, resets the connection, or says no more."""
    with deployed(folder) as node:
        bystander, silent = Bystander(node), []
        for which, whole in HALVES:
            port = getattr(node, which)
            for size in range(1, len(whole)):
                connection = socket.create_connection(("127.0.0.1", port), timeout=20)
                connection.sendall(whole[:size])
                manner = size % 4
                if manner == 0:
                    silent.append((which, whole[:size], whole[size:], connection))
                    continue
                if manner == 1:
                    connection.shutdown(socket.SHUT_WR)
                    try:
                        while connection.recv(1 << 16):
                            pass
                    except ConnectionResetError:
                        pass
                elif manner == 2:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            bystander.check(f"halves of {whole[:20]!r}")
        equal(node.web().ids("Counter"), ["bystander"], "objects that halves made")
        # Those who were silent go on, and are served.
        for which, begin, rest, connection in silent:
            connection.sendall(rest)
            answer = connection.recv(1 << 16)
            check(answer.startswith((b":", b"HTTP/1.1 200")), f"the rest {rest[-40:]!r} behind {begin[-40:]!r}: {answer!r}")
            connection.close()
        equal(Redis(node.resp).call("FCALL", "Counter.get", 1, "half"), len(silent), "requests that were whole in the end")


def test_too_many_connections(folder):
    with deployed(folder, "--max-connections=50") as node:
        bystander, held = Bystander(node), []
        for _ in range(200):
            connection = node.redis()
            connection.send("PING")
            try:
                reply = connection.receive()
            except Lost:
                reply = "refused"
            if reply == "PONG":
                held.append(connection)
        check(40 <= len(held) <= 50, f"{len(held)} connections are held, of 50")
        bystander.check("too many connections")
        status = None
        try:
            status, data = Web(node.http).ask("GET", "/healthz")
            equal(json.loads(data)["code"], "overloaded", "over HTTP")
        except (ConnectionResetError, BrokenPipeError):
            pass
        check(status in (503, None), f"status of one connection too many: {status}")
        for connection in held:
            connection.close()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                if node.redis().call("PING") == "PONG":
                    break
            except Lost:
                pass
            time.sleep(.05)
        else:
            raise AssertionError("nobody is let in although the others have gone")


if __name__ == "__main__":
    main([test_calls_that_cannot_be, test_no_requests_at_all, test_random_bytes, test_half_requests,
          test_too_many_connections])
