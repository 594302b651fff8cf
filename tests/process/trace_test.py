#!/usr/bin/env python3
"""Jobs' ids, costs and traces by the real program: over HTTP, the Redis protocol and the command line.

Catches a reply without its job's id, an id of the client's that is not taken or a broken one that is, an error or a log
line that does not say of which job it is, a cost that leaves the calls out, a trace whose tree is not that of the calls,
phases that are not one behind the other, a trace of another namespace, and one on a node that keeps none.
"""
import os
import re
import subprocess

from cairnproc import CAIRN, Node, check, equal, guest, main

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def cli(node, *words):
    done = subprocess.run([CAIRN, *words], env=dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{node.http}"),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout


def tree(spans):
    """{what: sorted list of what it called}; each phase begins behind the one before it, and calls lie in their callers"""
    of = {span["span"]: span for span in spans}
    calls = {}
    for span in spans:
        name = f"{span['type']}/{span['id']}.{span['method']}"
        calls.setdefault(name, [])
        at = [phase["at_ns"] for phase in span["phases"]]
        equal(at, sorted(at), f"phases of {name}")
        equal((at[0], span["phases"][0]["phase"]), (0, "queueing"), f"the first phase of {name}")
        check(at[-1] <= span["end_ns"] - span["begin_ns"], f"{name} ends before its last phase begins")
        above = of.get(span["parent"])
        if above:
            check(above["begin_ns"] <= span["begin_ns"] and span["end_ns"] <= above["end_ns"],
                  f"{name} lies in what called it")
            calls.setdefault(f"{above['type']}/{above['id']}.{above['method']}", []).append(name)
    return {name: sorted(below) for name, below in calls.items()}


def post(node, path, body="[]", **headers):
    """(status, headers in lower case, body)"""
    connection = node.web().connection
    connection.request("POST", path, body=body, headers={name.replace("_", "-"): text for name, text in headers.items()})
    response = connection.getresponse()
    told = {name.lower(): text for name, text in response.getheaders()}
    return response.status, told, response.read().decode()


def test_ids(folder):
    """Without --trace: ids and costs are there, and no trace."""
    with Node(folder) as node:
        node.deploy("retwis", "probe")
        web = node.web()
        status, headers, _ = post(node, "/v1/objects/User/alice/post", '["one"]')
        equal(status, 200, "post")
        first = headers["cairn-job"]
        check(re.fullmatch("[0-9a-f]{32}", first) and int(first, 16), f"an id: {first}")
        check("cairn-cost" not in headers, "a cost that was not asked for")
        _, headers, _ = post(node, "/v1/objects/User/alice/post", '["two"]')
        check(headers["cairn-job"] != first, "the next job has another id")
        _, headers, _ = post(node, "/v1/objects/User/alice/post", '["three"]', traceparent=PARENT)
        equal(headers["cairn-job"], TRACE, "the client's id")
        for broken in (PARENT.upper(), PARENT[:-1], "00-" + "0" * 32 + PARENT[35:], PARENT + "-", "x"):
            status, headers, _ = post(node, "/v1/objects/User/alice/post", '["four"]', traceparent=broken)
            equal(status, 200, f"with {broken}")
            check(headers["cairn-job"] != TRACE and int(headers["cairn-job"], 16), f"{broken} was taken")
        status, headers, text = post(node, "/v1/objects/User/alice/nope", traceparent=PARENT)
        equal((status, headers["cairn-job"]), (404, TRACE), "an error's header")
        check(f'"job":"{TRACE}"' in text, f"an error's body: {text}")
        # The cost has the calls in it.
        for follower in ("bob", "carol"):
            post(node, f"/v1/objects/User/{follower}/follow", '["alice"]')
        _, headers, _ = post(node, "/v1/objects/User/alice/post", '["five"]', cairn_cost="1")
        cost = dict(part.split("=") for part in headers["cairn-cost"].split(", "))
        equal(cost["invocations"], "3", "invocations of a post to two")
        check(int(cost["operations"]) > 10 and int(cost["written"]) > 50 and int(cost["memory"]) >= 65536, str(cost))
        _, headers, _ = post(node, "/v1/objects/User/bob/create", '["Bob"]', cairn_cost="1")
        check("invocations=1," in headers["cairn-cost"], headers["cairn-cost"])
        # A line of a method's log says of which job it is, and so do lines of what it has called.
        _, headers, _ = post(node, "/v1/objects/Probe/a/map_set", '["key", "value", "more"]', traceparent=PARENT)
        lines = web.json("GET", "/v1/logs")
        equal([line["job"] for line in lines], [TRACE], "the job of a log line")
        check(f"job={TRACE}" in cli(node, "logs")[1], "cairn logs")
        with node.redis() as redis:
            job = redis.ok("CAIRN.JOB").decode()
            check(re.fullmatch("[0-9a-f]{32}", job), job)
            equal(redis.ok("CAIRN.JOB", PARENT).decode(), TRACE, "a client's id")
            redis.fails("BAD_REQUEST", "CAIRN.JOB", PARENT.upper())
            redis.fails("ERR", "CAIRN.JOB", PARENT, "more")
        web.fails(400, "bad_request", "GET", "/v1/traces")
        status, text = cli(node, "trace", "ls")
        check(status == 1 and "--trace memory" in text, text)


def test_traces(folder):
    """With --trace memory: the tree of a job with calls that are two deep."""
    with Node(folder, "--trace", "memory") as node:
        node.deploy("retwis", "calls")
        web = node.web()
        for follower in ("bob", "carol", "dave"):
            post(node, f"/v1/objects/User/{follower}/follow", '["alice"]')
        post(node, "/v1/objects/User/alice/post", '["hello"]', traceparent=PARENT)
        spans = web.json("GET", f"/v1/traces/{TRACE}")
        want = {f"User/{name}.deliver": [] for name in ("bob", "carol", "dave")}
        equal(tree(spans), dict(want, **{"User/alice.post": sorted(want)}), "the tree of a post")
        first = spans[0]
        equal((first["kind"], first["parent"], first["job"]), ("request", "00f067aa0ba902b7", TRACE), "its first span")
        phases = {phase["phase"] for phase in first["phases"]}
        check(phases >= {"queueing", "running", "waiting", "log", "reply"}, f"phases of a post: {phases}")
        equal({span["kind"] for span in spans[1:]}, {"call"}, "the others")
        # An error, and what is not sampled.
        post(node, "/v1/objects/User/alice/nope")
        equal(web.json("GET", "/v1/traces?limit=1")[0]["error"], "unknown_method", "an error's code")
        post(node, "/v1/objects/User/alice/post", '["unseen"]', traceparent=PARENT[:-2].replace("4bf", "aaa") + "00")
        equal(web.json("GET", f"/v1/traces/{TRACE.replace('4bf', 'aaa')}"), [], "what its client does not sample")
        # Over RESP.
        with node.redis() as redis:
            job = redis.ok("CAIRN.JOB").decode()
            redis.fcall("User.timeline", "bob", 10)
            redis.fcall("User.timeline", "bob", 10)
        equal(len(web.json("GET", f"/v1/traces/{job}")), 1, "spans of the job of one FCALL")
        with node.redis() as redis:
            job = redis.ok("CAIRN.JOB").decode()
            redis.ok("MULTI")
            redis.ok("FCALL", "User.create", 1, "x", "X")
            redis.ok("FCALL", "User.create", 1, "y", "Y")
            redis.ok("EXEC")
            redis.fcall("User.timeline", "bob", 10)
        equal(tree(web.json("GET", f"/v1/traces/{job}")), {
            "User/x.EXEC": ["User/x.create", "User/y.create"], "User/x.create": [], "User/y.create": []}, "an EXEC")
        # In pages: more spans than a page has.
        for name in range(300):
            post(node, f"/v1/objects/User/f{name}/follow", '["star"]')
        _, headers, _ = post(node, "/v1/objects/User/star/post", '["to all"]')
        spans = web.json("GET", f"/v1/traces/{headers['cairn-job']}")
        equal(len(tree(spans)["User/star.post"]), 300, "calls of a large post")
        equal(len(web.json("GET", "/v1/traces?limit=250")), 250, "the newest jobs")
        equal(web.json("GET", "/v1/traces?limit=1")[0]["method"], "post", "the newest job")
        web.fails(400, "bad_request", "GET", "/v1/traces/xyz")
        # Of another namespace nothing shows.
        web.json("PUT", "/v1/namespaces/acme", want=201)
        equal(web.json("GET", f"/v1/ns/acme/traces/{TRACE}"), [], "from another namespace")
        equal(web.json("GET", "/v1/ns/acme/traces"), [], "jobs of another namespace")
        status, text = cli(node, "trace", TRACE)
        equal(status, 0, text)
        check(re.search(r"^User/alice post +[0-9.]+ [mu]?s  \[\.*#[.#|>-]*\]$", text, re.M), text)
        check(re.search(r"^  User/bob deliver .*\[ *[.#|> -]*\]$", text, re.M), text)
        status, text = cli(node, "trace", "ls", "-n", "3")
        check(status == 0 and headers["cairn-job"] in text and len(text.splitlines()) == 4, text)
        status, text = cli(node, "trace", "0" * 31 + "1")
        check(status == 1 and "no trace" in text, text)
        status, text = cli(node, "trace", "abc")
        check(status == 2 and "32 hex digits" in text, text)
        metrics = node.metrics()
        check(metrics["cairn_trace_spans_total"] > 600, "recorded spans are counted")


if __name__ == "__main__":
    main([test_ids, test_traces])
