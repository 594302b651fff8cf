#!/usr/bin/env python3
"""The program as it is run: its commands against a real node, what it exports as metrics, what `serve` refuses, how it
stops.  Would catch a command, a message or an exit status that is not what the reference says.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
import cairnproc
from cairnproc import CAIRN, GUESTS, Node, check, equal


def run(*words, status=0, text=True, stdin=None, **environment):
    done = subprocess.run(words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=text, timeout=120,
                          env=dict(os.environ, **environment))
    check(done.returncode == status, f"{' '.join(words)} ended with {done.returncode}: {done.stdout}")
    return done.stdout


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
        for flags in (["--accept-loss"], ["--archive-every=1"], ["--keep=2"], ["--engine=memory", "--engine-memory=8"]):
            check("does nothing without" in cairn("serve", *flags, status=2), f"{flags} alone")
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

        def names(*words):
            return cairn("completion", "names", "--", *words).split("\n")[:-1]

        cairn("call", "User/bob", "create", "Bob")
        cairn("call", "User/alice", "create", "Alice")
        equal(names("call", "Us"), ["User/"])
        check("User/bob" in names("call", "User/b") and "User/alice" not in names("call", "User/b"), names("call", "User/b"))
        check({"post", "timeline"} <= set(names("call", "User/bob", "")), names("call", "User/bob", ""))
        check("deliver" not in names("call", "User/bob", ""), "an internal method")
        check("post" in names("call", "--key", "k", "User/bob", "p"), "behind a flag's value")
        equal(names("objects", "ls", ""), ["User"])
        check("User/bob" in names("objects", "rm", "User/alice", "User/b"), "the second of several")
        equal(names("modules", "rollback", "r"), ["retwis"])
        check({"memory", "hybridlog", "lsm"} <= set(names("serve", "--engine", "")), names("serve", "--engine", ""))
        equal([names(), names("call"), names("nosuch", ""), names("serve", ""), names("types", "")], [[]] * 5)
        equal(run(CAIRN, "completion", "names", "--", "call", "U", CAIRN_URL=f"http://127.0.0.1:{node.http}/x"), "")
        done = subprocess.run(["bash", "-c", cairn("completion", "bash") + """
            cairn() { "$CAIRN" "$@"; }
            COMP_WORDS=(cairn call User/bob po) COMP_CWORD=3; _cairn 2>/dev/null; printf '%s ' "${COMPREPLY[@]}" """],
            stdout=subprocess.PIPE, env=dict(os.environ, CAIRN=CAIRN, CAIRN_URL=f"http://127.0.0.1:{node.http}"),
            text=True, timeout=30, check=True)
        check("post" in done.stdout.split(), done.stdout)
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


def test_blob_store_without_credentials(folder):
    """What is wrong is the store's access, and the advice is not about the data folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run([CAIRN, "serve", "--data", os.path.join(folder, "data"), "--http=0", "--resp=0",
                           "--engine=hybridlog", "--blob", "s3://bucket/prefix"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=environment, timeout=60, check=False)
    equal(done.returncode, 1, done.stdout)
    check("AWS_ACCESS_KEY_ID" in done.stdout and "credentials that may list" in done.stdout, done.stdout)
    check("user who owns" not in done.stdout, done.stdout)


def answers(address, port):
    try:
        with socket.create_connection((address, port), timeout=10):
            return True
    except OSError:
        return False


def test_localhost(folder):
    """Is 127.0.0.1 and, where there is one, ::1; an address is that address alone."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
            both = True
        except OSError:
            both = False
    with Node(folder) as node:
        for port in (node.http, node.resp):
            equal((answers("127.0.0.1", port), answers("::1", port)), (True, both), "localhost")
        if both:
            equal(run("curl", "-sS", f"http://[::1]:{node.http}/healthz"), '{"healthy":true}\n')
            equal(run("redis-cli", "-h", "::1", "-p", str(node.resp), "PING"), "PONG\n")
    with Node(folder, name="one", host="127.0.0.1") as node:
        equal((answers("127.0.0.1", node.http), answers("::1", node.http)), (True, False), "127.0.0.1")


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
    cairnproc.main([test_command_line, test_metrics, test_serve_refuses, test_blob_store_without_credentials,
                    test_localhost, test_serve_stops])
