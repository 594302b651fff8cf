#!/usr/bin/env python3
"""Would catch: a client that people have already, and that cannot connect, call, pipeline, deploy or read errors.

redis-cli, redis-benchmark and curl are there wherever tests run.  redis-py is used if this Python has it, node-redis and
ioredis if Node finds them (NODE_PATH); what is missing is skipped, and said.
"""
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
import cairnproc
from cairnproc import CAIRN, GUESTS, Node, Skip, check, equal


def need(program):
    if not shutil.which(program):
        raise Skip(f"there is no {program}")


def run(*words, status=0, text=True, stdin=None, **environment):
    done = subprocess.run(words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=text, timeout=120,
                          env=dict(os.environ, **environment))
    check(done.returncode == status, f"{' '.join(words)} ended with {done.returncode}: {done.stdout}")
    return done.stdout


def test_redis_cli(folder):
    need("redis-cli")
    with Node(folder) as node:
        def cli(*words, **rest):
            return run("redis-cli", "-p", str(node.resp), *words, **rest)

        module = cairnproc.guest("retwis")
        equal(cli("-x", "FUNCTION", "LOAD", "REPLACE", stdin=module, text=False), b"retwis\n")
        equal(cli("FCALL", "User.create", "1", "alice", "Alice"), "\n", "nil")
        equal(cli("FCALL", "User.follow", "1", "bob", "alice"), "1\n")
        equal(cli("FCALL", "User.post", "1", "alice", "hello"), "1\n")
        reply = cli("--json", "FCALL_RO", "User.timeline", "1", "bob", "10")
        [[author, when, text]] = json.loads(reply)
        equal((author, text), ("alice", "hello"))
        check(when > 1600000000000, reply)
        equal(json.loads(cli("-3", "--json", "FCALL_RO", "User.timeline", "1", "bob", "10")), json.loads(reply))
        check(cli("FCALL_RO", "User.post", "1", "alice", "x").startswith("NOT_READ_ONLY "), "a write where only reading is")
        check(cli("FCALL", "User.deliver", "1", "alice", "x").startswith("NOT_PUBLIC "), "an internal method")
        check("retwis" in cli("FUNCTION", "LIST"), "the list of functions")
        check("ERR unknown command" in cli("GET", "x"), "an unknown command")
        check("redis_version:" in cli("INFO"), "INFO")
        # As a person types: the help is loaded from COMMAND DOCS, lines are inline.
        equal(cli(stdin="PING\nFCALL User.profile 1 alice\nHELLO 3\nQUIT\n").split("\n")[:2], ["PONG", "Alice"])
        # --pipe sends RESP as it is, and an ECHO at the end.
        check("errors: 0, replies: 200" in cli("--pipe", stdin="FCALL User.post 1 alice x\r\n" * 200), "--pipe")


def test_redis_benchmark(folder):
    need("redis-benchmark")
    with Node(folder) as node:
        node.deploy("retwis")
        for flags in ((), ("-P", "16"), ("--threads", "2"), ("-3",)):
            out = run("redis-benchmark", "-p", str(node.resp), "-c", "16", "-n", "2000", "-q", *flags, "FCALL",
                      "User.post", "1", "alice", "hello")
            check("requests per second" in out and "rror" not in out, out)
        out = run("redis-benchmark", "-p", str(node.resp), "-c", "8", "-n", "1000", "-q", "-t", "ping")
        equal(out.count("requests per second"), 2, out)  # inline and not


def test_curl(folder):
    need("curl")
    with Node(folder) as node:
        url = f"http://localhost:{node.http}"
        wasm = os.path.join(GUESTS, "retwis.wasm")

        def curl(*words, **rest):
            return run("curl", "-sS", *words, **rest)

        deployed = json.loads(curl("-T", wasm, f"{url}/v1/modules/retwis"))
        equal((deployed["name"], deployed["version"], deployed["created"]), ("retwis", 1, True))
        equal(json.loads(curl("--data-binary", "@" + wasm, f"{url}/v1/modules"))["created"], False)
        equal(curl("-d", '["Alice \\u00e9"]', f"{url}/v1/objects/User/alice/create"), "null\n")
        equal(json.loads(curl(f"{url}/v1/objects/User/alice/profile")), "Alice \u00e9")
        equal(curl("-d", '["alice"]', f"{url}/v1/objects/User/bob%2Fb/follow"), "1\n")
        for _ in range(2):  # once
            equal(curl("-H", "Idempotency-Key: k1", "-d", '["hello"]', f"{url}/v1/objects/User/alice/post"), "1\n")
        equal(len(json.loads(curl(f"{url}/v1/objects/User/bob%2Fb/timeline?arg=10"))), 1)
        equal(json.loads(curl(f"{url}/v1/objects/User?prefix=b"))["ids"], ["bob/b"])
        equal(json.loads(curl(f"{url}/v1/objects/User/bob%2Fb"))["id"], "bob/b")
        equal(json.loads(curl(f"{url}/v1/types"))[0]["type"], "User")
        equal(curl("-o", os.devnull, "-w", "%{http_code}", "-d", "[]", f"{url}/v1/objects/User/alice/nosuch"), "404")
        equal(curl("-o", os.devnull, "-w", "%{http_code}", f"{url}/v1/objects/User/alice/post"), "405")
        equal(json.loads(curl("-d", "[", f"{url}/v1/objects/User/alice/post"))["code"], "bad_request")
        # A large body is announced first (Expect: 100-continue), and may be chunked.
        big = json.dumps(["x" * 500000])
        equal(curl("-d", "@-", f"{url}/v1/objects/User/carl/post", stdin=big), "0\n")
        equal(curl("-H", "Transfer-Encoding: chunked", "-d", "@-", f"{url}/v1/objects/User/carl/post", stdin=big), "0\n")
        equal(json.loads(curl("-d", "@-", f"{url}/v1/objects/User/carl/post", stdin=json.dumps(["x" * 2000000])))["code"],
              "limit")
        # Two requests over one connection.
        equal(curl("-v", f"{url}/healthz", f"{url}/readyz").count("Re-using existing connection"), 1)
        equal(json.loads(curl("-X", "DELETE", f"{url}/v1/objects/User/alice")), {"deleted": True})
        equal(curl("--http2", f"{url}/healthz"), '{"healthy":true}\n')


def test_redis_py(folder):
    if not importlib.util.find_spec("redis"):
        raise Skip("this Python has no package redis")
    import redis
    with Node(folder) as node:
        for protocol in (2, 3):
            client = redis.Redis(port=node.resp, protocol=protocol, client_name="tester", socket_timeout=30)
            check(client.ping(), "PING")
            equal(client.client_getname() in (b"tester", "tester"), True)
            client.function_load(cairnproc.guest("retwis"), replace=True)
            equal(client.fcall("User.create", 1, "alice", "Alice"), None)
            client.fcall("User.follow", 1, "bob", "alice")
            pipe = client.pipeline(transaction=False)
            for i in range(50):
                pipe.fcall("User.post", 1, "alice", f"post {i}")
            equal(pipe.execute(), [1] * 50)
            timeline = client.fcall_ro("User.timeline", 1, "bob", 10)
            equal([entry[2] for entry in timeline], [b"post %d" % i for i in range(49, 39, -1)])
            equal(client.fcall("User.post", 2, "alice", f"key{protocol}", "once"), 1)
            equal(client.fcall("User.post", 2, "alice", f"key{protocol}", "once"), 1)
            try:
                client.fcall("User.nosuch", 1, "alice")
                raise AssertionError("an unknown method was no error")
            except redis.ResponseError as error:
                check(str(error).startswith("UNKNOWN_METHOD "), error)
            check(client.info()["loading"] == 0 and client.config_get("save") is not None, "INFO, CONFIG GET")
            check(client.function_list(), "FUNCTION LIST")
            client.close()


def test_node_clients(folder):
    need("node")
    missing = []
    with Node(folder) as node:
        node.deploy("retwis")
        for library in ("redis", "ioredis"):
            done = subprocess.run(["node", os.path.join(HERE, "clients.cjs"), library, str(node.resp)], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
            if done.returncode == cairnproc.SKIPPED:
                missing.append(library)
            else:
                check(done.returncode == 0, f"{library}: {done.stdout}")
    if missing:
        raise Skip(f"Node has no package {' and '.join(missing)}")


def test_command_line(folder):
    with Node(folder) as node:
        def cairn(*words, **rest):
            return run(CAIRN, *words, CAIRN_URL=f"http://127.0.0.1:{node.http}", **rest)

        check("no modules are deployed" in cairn("modules"), "no modules")
        check("retwis version 1 deployed" in cairn("deploy", os.path.join(GUESTS, "retwis.wasm")), "deploy")
        check("is deployed already" in cairn("deploy", os.path.join(GUESTS, "retwis.wasm")), "deploy again")
        check("retwis" in cairn("modules"), "modules")
        check("timeline" in cairn("types"), "types")
        equal(cairn("call", "User/bob", "follow", "alice"), "1\n")
        equal(cairn("call", "User/alice", "post", "hello, world", "--key", "k1"), "1\n")
        equal(cairn("call", "-k", "k1", "User/alice", "post", "--", "hello, world"), "1\n")
        check(cairn("call", "User/bob", "timeline").endswith(', "hello, world"]\n'), "timeline")
        equal(json.loads(cairn("call", "--json", "-r", "User/bob", "timeline"))[0][2], "hello, world")
        check("key_reused" in cairn("call", "-k", "k1", "User/alice", "post", "other", status=1), "a key used again")
        equal(cairn("call", "User/alice", "create", "-", stdin="from the standard input\n"), "nil\n")
        equal(cairn("call", "--raw", "User/alice", "profile"), "from the standard input\n")
        equal(cairn("objects", "ls", "User"), "alice\nbob\n")
        equal(cairn("objects", "ls", "User", "--prefix=b", "--json"), '"bob"\n')
        shown = cairn("objects", "show", "User/bob")
        check("timeline   list   1 entry" in shown and '"hello, world"]' in shown, shown)
        equal(json.loads(cairn("objects", "show", "User/bob", "--json"))["type"], "User")
        check("conflict" in cairn("modules", "rm", "retwis", status=1), "a module with objects")
        check("no object User/nobody" in cairn("objects", "rm", "User/bob", "User/nobody", "User/alice", status=1), "rm")
        equal(cairn("objects", "ls", "User"), "")
        check("unknown_method" in cairn("call", "User/bob", "nosuch", status=1), "an unknown method")
        check("unknown_type" in cairn("call", "Nothing/bob", "post", status=1), "an unknown type")
        check("unknown_method" in cairn("call", "--json", "User/bob", "nosuch", status=1), "as JSON")
        cairn("logs")
        check("write TYPE/ID" in cairn("call", "User", "post", status=2), "no id")
        check("arguments are missing" in cairn("call", "User/bob", status=2), "no method")
        check("there is no flag" in cairn("types", "--nosuch", status=2), "an unknown flag")
        check("takes a number" in cairn("objects", "show", "User/bob", "-n", "x", status=2), "no number")
        equal(cairn("nosuch", status=2), "cairn: there is no command 'nosuch'; 'cairn help' lists all\n")
        equal(cairn("deplyo", "x", status=2),
              "cairn: there is no command 'deplyo'; did you mean 'cairn deploy'? ('cairn help' lists all)\n")
        equal(cairn("objects", "lst", status=2), "cairn: there is no command 'objects lst'; "
              "did you mean 'cairn objects ls'? ('cairn objects --help' lists all)\n")
        check("did you mean 'cairn objects show'" in cairn("show", "User/bob", status=2), "a command of a group")
        check("behind a command" in cairn("--data", "x", status=2), "a flag instead of a command")
        check("did you mean '--read-only'" in cairn("call", "--readonly", "User/bob", "posts", status=2), "a flag")
        check("cairn build functions" in cairn("deploy", "functions/bank/bank.c", status=1), "a source is deployed")
        check("cannot open" in cairn("deploy", "nosuch.wasm", status=1), "no file is deployed")
        check("is not a type" in cairn("objects", "ls", "User/bob", status=2), "an object for a type")
        check(cairn("-v").startswith("cairn ") and cairn("--version") == cairn("version"), "the version")
        for words in (["build"], ["deploy"], ["objects"], ["objects", "ls"], ["serve"], ["completion"]):
            check("cairn " + words[0] in cairn(*words, "--help"), words)
        for shell in ("bash", "zsh", "fish"):
            script = cairn("completion", shell)
            check("objects" in script and "retwis" not in script, script)
            if shutil.which(shell):
                run(shell, "-n", "/dev/stdin", stdin=script)
    check("no node answers" in run(CAIRN, "types", status=3, CAIRN_URL=f"http://127.0.0.1:{node.http}"), "no node")
    check("CAIRN_URL" in run(CAIRN, "types", status=2, CAIRN_URL="https://localhost"), "an unknown scheme")


def test_metrics(folder):
    """The text is what Prometheus reads: every series has one HELP and TYPE before it, and is there once."""
    with Node(folder) as node:
        node.deploy("retwis")
        run("redis-cli", "-p", str(node.resp), "FCALL", "User.post", "1", "alice", "hello")
        text = run("curl", "-sS", f"http://localhost:{node.http}/metrics")
        kinds, helped, seen = {}, set(), set()
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name = line.split()[2]
                check(name not in helped and line.endswith("."), line)
                helped.add(name)
            elif line.startswith("# TYPE "):
                name, kind = line.split()[2:]
                check(name in helped and name not in kinds and kind in ("counter", "gauge", "histogram"), line)
                kinds[name] = kind
            else:
                series, value = line.rsplit(" ", 1)
                float(value)
                check(series not in seen, f"{series} is there twice")
                seen.add(series)
                name = series.split("{")[0]
                base = re.sub("_(bucket|sum|count)$", "", name)
                kind = kinds.get(name) or kinds.get(base)
                check(kind, f"{line} has no TYPE")
                check((kind == "counter") == name.endswith("_total") or kind == "histogram", f"{kind} {name}")
        for name in ("cairn_invocations_total", "cairn_log_syncs_total", "cairn_connections",
                     "process_resident_memory_bytes"):
            check(name in kinds, f"{name} is not there")


def test_serve_refuses(folder):
    with Node(folder) as node:
        out = run(CAIRN, "serve", "--data", os.path.join(folder, "other"), "--http", f"127.0.0.1:{node.http}", "--resp=0",
                  status=1)
        equal(out, f"cairn: another process listens at 127.0.0.1:{node.http}: choose another address with --http ADDR "
              "(a port alone will do; 0 takes a free one)\n")
        out = run(CAIRN, "serve", "--data", os.path.join(folder, "other"), "--http=0", "--resp", str(node.resp), status=1)
        check(f"127.0.0.1:{node.resp}: choose another address with --resp ADDR" in out, out)
        out = run(CAIRN, "serve", "--data", node.data, "--http=0", "--resp=0", status=1)
        check("in use by another node" in out, out)
    data = os.path.join(folder, "new")
    for flags, status, text in (
            (["--http", "0.0.0.0:0"], 1, "--insecure"),
            (["--sync", "sometimes"], 2, "--sync takes"),
            (["--sync", "interval:0"], 2, "--sync takes"),
            (["--engine", "nosuch"], 1, "no engine 'nosuch'"),
            (["--workers", "0"], 2, "from 1 to"),
            (["--http", "nowhere:x"], 1, "not an address"),
            (["extra"], 2, "too many arguments"),
    ):
        out = run(CAIRN, "serve", "--data", data, "--resp=0", *(["--http=0"] if "--http" not in flags else []), *flags,
                  status=status)
        check(text in out, f"{flags}: {out}")


def test_serve_stops(folder):
    node = Node(folder).start()
    node.deploy("retwis")
    run("redis-cli", "-p", str(node.resp), "FCALL", "User.post", "1", "alice", "hello")
    node.stop()
    check("\nstopped\n" in node.output(), node.output())
    with Node(folder, name="again") as again:
        check("\nrecovered " in again.output(), again.output())
        check("hello" in run("redis-cli", "-p", str(again.resp), "FCALL", "User.posts", "1", "alice"), "what was posted")


if __name__ == "__main__":
    cairnproc.main([test_redis_cli, test_redis_benchmark, test_curl, test_redis_py, test_node_clients, test_command_line,
                    test_metrics, test_serve_refuses, test_serve_stops], "clients")
