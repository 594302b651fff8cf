#!/usr/bin/env python3
"""The programs that people have, unmodified, against the real node: redis-cli, redis-benchmark, curl.  Catches replies
that only our own tests understand.
"""
import json
import os
import re
import subprocess

from clients import need
from cairnproc import GUESTS, Node, check, equal, guest, main


def cli(running, *words, standard_input=None, want=0):
    done = subprocess.run([need("redis-cli"), "-p", str(running.resp), *words], input=standard_input,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30, check=False)
    equal(done.returncode, want, f"status of redis-cli {words}, which said {done.stdout[:300]!r}")
    return done.stdout.decode("utf-8", "replace").strip()


def test_redis_cli(folder):
    with Node(folder) as running:
        for name in ("register", "retwis", "probe"):
            equal(cli(running, "-x", "FUNCTION", "LOAD", standard_input=guest(name)), name, "FUNCTION LOAD")
        for protocol in ("-2", "-3"):
            equal(cli(running, protocol, "PING"), "PONG", "PING")
            equal(cli(running, protocol, "FCALL", "Counter.add", "1", f"cli{protocol}", "5"), "5", "FCALL")
            equal(cli(running, protocol, "FCALL_RO", "Counter.get", "1", f"cli{protocol}"), "5", "FCALL_RO")
            equal(cli(running, protocol, "FCALL", "Probe.get", "1", "nobody"), "", "nil")
            cli(running, protocol, "FCALL", "User.post", "1", "ann", "hello world")
            check("hello world" in cli(running, protocol, "FCALL_RO", "User.timeline", "1", "ann", "1"), "timeline")
            check(cli(running, protocol, "FCALL", "Nothing.x", "1", "a").startswith("UNKNOWN_TYPE"), "unknown type")
            check(cli(running, protocol, "FCALL_RO", "Counter.add", "1", "a").startswith("NOT_READ_ONLY"), "FCALL_RO")
            check("redis_mode:standalone" in cli(running, protocol, "INFO"), "INFO")
            check("appendonly" in cli(running, protocol, "CONFIG", "GET", "append*"), "CONFIG GET")
            check("cairn" in cli(running, protocol, "HELLO", protocol[1:]), "HELLO")
            check("Counter.add" in cli(running, protocol, "FUNCTION", "LIST"), "FUNCTION LIST")
            check("fcall" in cli(running, protocol, "COMMAND").lower(), "COMMAND")
        cli(running, "-e", "FCALL", "Nothing.x", "1", "a", want=1)
        many = b"".join(b"FCALL Counter.add 1 lines\n" for _ in range(500))
        equal(cli(running, standard_input=many).split()[-1], "500", "500 commands from standard input")
        said = cli(running, "--pipe", standard_input=b"*4\r\n$5\r\nFCALL\r\n$11\r\nCounter.add\r\n$1\r\n1\r\n$4\r\npipe\r\n"
                   * 1000)
        check("errors: 0, replies: 1000" in said, f"--pipe said {said}")
        equal(cli(running, "FCALL", "Counter.get", "1", "pipe"), "1000", "after --pipe")
        check("this node has no credentials" in cli(running, "--user", "me", "--pass", "secret", "PING"), "credentials")


def test_redis_benchmark(folder):
    with Node(folder) as running:
        running.deploy("register")
        for extra in ([], ["-P", "16"], ["-3"]):
            done = subprocess.run([need("redis-benchmark"), "-p", str(running.resp), "-c", "32", "-n", "4000", "-r", "100",
                                   "--csv", *extra, "FCALL", "Counter.add", "1", "c__rand_int__"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
            equal(done.returncode, 0, f"status of redis-benchmark, which said {done.stdout}")
            check(re.search(r'^"FCALL.*","[0-9.]+","[0-9.]+"', done.stdout, re.M), f"its table: {done.stdout}")
            check("rror" not in done.stdout, f"redis-benchmark said {done.stdout}")
        ids = running.web().ids("Counter")
        total = 0
        with running.redis() as redis:
            for one in ids:
                total += redis.ok("FCALL", "Counter.get", 1, one)
        equal(total, 3 * 4000, "adds that were counted")


def test_curl(folder):
    curl = need("curl")

    def ask(path, *words, want=200):
        done = subprocess.run([curl, "-sS", "--max-time", "20", "-w", "\n%{http_code} %{content_type}", *words,
                               f"http://127.0.0.1:{running.http}{path}"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=30, check=False)
        equal(done.returncode, 0, f"status of curl {words} {path}, which said {done.stdout!r}")
        body, _, end = done.stdout.rpartition(b"\n")
        status, _, kind = end.decode().partition(" ")
        equal(int(status), want, f"curl {words} {path}: {body[:300]!r}")
        return body, kind

    with Node(folder) as running:
        for name in ("register", "retwis", "probe"):
            body, _ = ask(f"/v1/modules/{name}", "-T", os.path.join(GUESTS, name + ".wasm"), want=201)
            equal(json.loads(body)["name"], name, "name of what was deployed")
        equal(json.loads(ask("/v1/objects/Counter/c/add", "-d", "[5]")[0]), 5, "POST with JSON as a form")
        equal(json.loads(ask("/v1/objects/Counter/c/add", "--json", "[5]")[0]), 10, "POST with JSON")
        equal(json.loads(ask("/v1/objects/Counter/c/add", "-X", "POST")[0]), 11, "POST without a body")
        equal(json.loads(ask("/v1/objects/Counter/c/get")[0]), 11, "GET")
        equal(json.loads(ask("/v1/objects/Probe/p/set", "-H", "Content-Type: text/plain", "--data-binary", "a text")[0]),
              None, "a raw argument")
        equal(ask("/v1/objects/Probe/p/get", "-H", "Accept: application/octet-stream")[0], b"a text", "raw bytes back")
        equal(json.loads(ask("/v1/objects/Probe/p/get")[0]), "a text", "the same as JSON")
        ask("/v1/objects/User/ann%2Fb%20c/post", "--json", '["hello \\u00e9"]')
        equal(json.loads(ask("/v1/objects/User/ann%2Fb%20c/timeline?arg=10")[0])[0][2], "hello \u00e9", "a timeline")
        for _ in range(3):
            equal(json.loads(ask("/v1/objects/Counter/k/add", "-H", "Idempotency-Key: one", "--json", "[1]")[0]), 1, "a key")
        equal(json.loads(ask("/v1/objects/Counter?prefix=c")[0]), {"ids": ["c"], "cursor": None}, "a listing")
        shown = json.loads(ask("/v1/objects/User/ann%2Fb%20c")[0])
        equal(shown["id"], "ann/b c", "the id of a shown object")
        body, kind = ask("/v1/objects/Counter/c/fly", want=404)
        equal((json.loads(body)["code"], kind), ("unknown_method", "application/problem+json"), "an error")
        ask("/v1/objects/Counter/c/add", want=405)
        equal(json.loads(ask("/v1/objects/Counter/c", "-X", "DELETE")[0]), {"deleted": True}, "DELETE")
        ask("/v1/objects/Counter/c", want=404)
        equal(ask("/v1/objects/Counter/k/get", "--head")[0].split()[1], b"200", "HEAD")
        equal(json.loads(ask("/v1/objects/Counter/k/get", "--http1.0")[0]), 1, "HTTP/1.0")
        big = os.path.join(folder, "big")
        with open(big, "wb") as file:
            file.write(os.urandom(900_000))
        ask("/v1/objects/Probe/big/set", "-H", "Content-Type: application/octet-stream", "-T", big, "-X", "POST")
        ask("/v1/objects/Probe/big2/set", "-H", "Content-Type: application/octet-stream", "-H", "Transfer-Encoding: chunked",
            "--data-binary", "@" + big)
        with open(big, "rb") as file:
            data = file.read()
        for identity in ("big", "big2"):
            equal(ask(f"/v1/objects/Probe/{identity}/get", "-H", "Accept: application/octet-stream")[0] == data, True,
                  f"{identity} as it was sent")
        os.truncate(big, 2_000_000)
        body, _ = ask("/v1/objects/Probe/big/set", "-H", "Content-Type: application/octet-stream", "--data-binary", "@" + big,
                      want=422)
        equal(json.loads(body)["code"], "limit", "a body over the limit")
        ask("/v1/objects/Counter/k/get", "--http2")  # an upgrade that is not taken up
        many = [f"http://127.0.0.1:{running.http}/v1/objects/Counter/k/get"] * 50
        done = subprocess.run([curl, "-sS", "-v", *many], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=30, check=True)
        equal(done.stdout.split(), ["1"] * 50, "50 requests of one curl")
        equal(done.stderr.count("Connected to"), 1, "connections for them")
        check(b"cairn_invocations_total" in ask("/metrics")[0], "metrics")
        for page in ("/healthz", "/readyz", "/v1/types", "/v1/modules", "/"):
            ask(page)


if __name__ == "__main__":
    main([test_redis_cli, test_redis_benchmark, test_curl])
