#!/usr/bin/env python3
"""invocations_test.py: durable invocations of a real node are listed, shown and cancelled by its commands, and the node is
killed as it cancels some.

Catches a list that leaves one out or says that it waits for something else, a cancellation that was acknowledged and that
a SIGKILL undoes, one that ends an invocation whose client hears something else, and a namespace that sees another's.
"""
import json
import os
import random
import subprocess
import threading
import time

from cairnproc import CAIRN, Error, Lost, Node, check, equal, main

HOUR = 3600000
KILLS = 6


def run(node, *words):
    return subprocess.run([CAIRN, *words], env={**os.environ, "CAIRN_URL": f"http://127.0.0.1:{node.http}"}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


def cairn(node, *words):
    done = run(node, *words)
    check(done.returncode == 0, f"cairn {' '.join(words)} said {done.stderr!r}")
    return done.stdout


def begin(node, flow, method, *arguments, heard=None):
    """Asks with a key, until there is an answer."""
    def ask():
        while True:
            try:
                with node.redis() as redis:
                    reply = redis.fcall(f"Flow.{method}", flow, *arguments, key=f"k{flow}")
                    if not (isinstance(reply, Error) and reply.code in ("UNAVAILABLE", "OVERLOADED")):
                        if heard is not None:
                            heard[flow] = reply
                        return
            except (Lost, OSError):
                time.sleep(0.02)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def items(node, *words):
    return json.loads(cairn(node, "invocations", "ls", *words, "--json"))


def wait_for(node, count, *words):
    deadline = time.monotonic() + 30
    while True:
        found = items(node, *words)
        if len(found) == count:
            return found
        check(time.monotonic() < deadline, f"{len(found)} are open, not {count}: {found}")
        time.sleep(0.02)


def test_commands(folder):
    heard = {}
    with Node(folder) as node:
        node.deploy("flow")
        threads = [begin(node, "n", "nap", HOUR, heard=heard), begin(node, "v", "vow", "x", 0, 0, heard=heard),
                   begin(node, "a", "nurse", "b", HOUR, "x", heard=heard)]
        wait_for(node, 4)
        time.sleep(0.2)
        lines = cairn(node, "invocations", "ls").splitlines()
        check(lines[0].split() == ["ID", "METHOD", "STATE", "SINCE"] and len(lines) == 5, f"listed are {lines}")
        states = {i["id"]: i for i in items(node, "Flow")}
        equal(states["n"]["state"], "sleeps")
        check(abs(states["n"]["until_ms"] - states["n"]["since_ms"] - HOUR) < 60000, f"{states['n']}")
        equal((states["a"]["state"], states["a"]["what"]), ("waits_call", "Flow/b nap"))
        check(any("Flow/a nurse" in line and "waits for call 0 Flow/b nap" in line for line in lines), f"{lines}")
        equal(states["b"]["from_type"] + "/" + states["b"]["from_id"], "Flow/a")
        equal(states["v"]["key"], "kv")
        with node.redis() as redis:
            equal(states["v"]["what"], redis.ok("FCALL", "Flow.word", 1, "v").decode())
        equal(len(items(node, "Flow/n")), 1)
        equal(len(items(node, "Flow", "--limit", "2")), 2)
        equal(items(node, "Tally"), [])
        shown = cairn(node, "invocations", "show", states["a"]["invocation"])
        for text in ("Flow/a nurse", "waits for call 0 Flow/b nap", "value_set", "a client"):
            check(text in shown, f"{text!r} is not in {shown}")
        shown = cairn(node, "invocations", "show", states["v"]["invocation"])
        check(states["v"]["what"] in shown and "promise" in shown, shown)
        cairn(node, "namespaces", "create", "other")
        equal(items(node, "--namespace", "other"), [])
        check(run(node, "invocations", "cancel", states["n"]["invocation"], "--namespace", "other").returncode == 1,
              "another namespace may cancel it")
        equal(len(items(node)), 4)
        said = cairn(node, "invocations", "cancel", *(states[i]["invocation"] for i in "nva"))
        equal(said.count(" cancelled"), 3, said)
        for thread in threads:
            thread.join(60)
        for flow in "nva":
            check(isinstance(heard[flow], Error) and heard[flow].code == "CANCELLED", f"{flow}: {heard[flow]!r}")
        wait_for(node, 0)
        with node.redis() as redis:  # each was told: one that does not look goes on to its end
            equal(redis.ok("FCALL", "Flow.counts", 1, "n"), [1, 0])
            equal(redis.ok("FCALL", "Flow.counts", 1, "a"), [1, 1])
            equal(redis.ok("FCALL", "Tally.count", 1, "x"), 2)
        done = run(node, "invocations", "cancel", states["n"]["invocation"])
        check(done.returncode == 1 and "no durable invocation" in done.stderr, f"{done}")
        done = run(node, "invocations", "show", "7")
        check(done.returncode == 1 and "no durable invocation" in done.stderr, f"{done}")
        web = node.web()
        web.fails(400, "bad_request", "GET", "/v1/invocations?dead=1")
        web.fails(404, "not_found", "GET", f"/v1/invocations/{states['n']['invocation']}/journal")
        web.fails(404, "not_found", "GET", "/v1/invocations/a/b")
        begin(node, "r", "nap", HOUR)
        one = wait_for(node, 1)[0]
        equal(one["cancel_ms"], 0)
        web.fails(400, "bad_request", "DELETE", f"/v1/invocations/{one['invocation']}?now=2")
        web.fails(400, "bad_request", "DELETE", f"/v1/invocations/{one['invocation']}?dead=1")
        with node.redis() as redis:
            redis.fails("ERR", "CAIRN.CANCEL", one["invocation"], "soon")
            redis.fails("NOT_FOUND", "CAIRN.CANCEL", "7")
            equal(redis.ok("CAIRN.CANCEL", one["invocation"], "NOW"), "OK")
            redis.fails("NOT_FOUND", "CAIRN.CANCEL", one["invocation"])
        web.close()


def test_kills(folder):
    dice = random.Random(3)
    node = Node(folder, "--shards=4").start()
    node.deploy("flow")
    for i in range(KILLS):
        heard = {}
        flow, called, tally = f"f{i}", f"g{i}", f"x{i}"
        words = ["invocations", "cancel"] + ["--now"] * (i % 2)
        thread = begin(node, flow, "nurse", called, HOUR, tally, heard=heard)
        wait_for(node, 2)
        one = items(node, f"Flow/{flow}")[0]["invocation"]
        status = []
        first = threading.Thread(target=lambda w=words, o=one, s=status: s.append(run(node, *w, o).returncode))
        first.start()
        time.sleep(dice.uniform(0, 0.03))
        node.kill()
        first.join()
        node.start()
        if status == [0]:
            left = items(node, f"Flow/{flow}")
            check(not left or (left[0]["cancel_ms"] and not i % 2), f"it was acknowledged that it is cancelled: {left}")
        else:
            check(run(node, *words, one).returncode in (0, 1), "cancelled again")
        thread.join(60)
        check(isinstance(heard[flow], Error) and heard[flow].code == "CANCELLED", f"{flow}: {heard[flow]!r}")
        wait_for(node, 0)
        with node.redis() as redis:
            told = 1 - i % 2  # it goes on behind the wait that told it
            equal(redis.ok("FCALL", "Flow.counts", 1, flow), [1, told], flow)
            equal(redis.ok("FCALL", "Flow.counts", 1, called), [1, 0], called)
            equal(redis.ok("FCALL", "Tally.count", 1, tally), told)
    node.stop()


if __name__ == "__main__":
    main([test_commands, test_kills])
