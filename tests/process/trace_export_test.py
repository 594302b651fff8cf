#!/usr/bin/env python3
"""Spans leave a real node: to a collector that speaks OpenTelemetry's protocol, and to a file.

Catches spans that a collector could not read, trees that are not those of nested calls, messages and transactions, a
message or a durable method behind a restart that is not of its job's trace, and a collector that is away, never answers,
answers with errors, or a file on a full disk, that costs anybody more than spans, which are counted.
"""
import http.server
import json
import os
import socket
import subprocess
import threading
import time

from cairnproc import CAIRN, Node, check, equal, main

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
PHASES = {"queueing", "running", "waiting", "log", "reply", "asleep", "rest"}


class Collector(http.server.ThreadingHTTPServer):
    """Takes spans, or answers with `status`."""

    daemon_threads = True

    def __init__(self, status=200, port=0):
        self.status = status
        self.lock = threading.Lock()
        self.spans = []
        self.faults = []
        super().__init__(("127.0.0.1", port), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def of(self, trace, count, seconds=20):
        """The spans of invocations of a trace, and their phases by span, once there are so many."""
        until = time.monotonic() + seconds
        while True:
            with self.lock:
                spans = [span for span in self.spans if span["traceId"] == trace]
            invocations = [span for span in spans if "attributes" in span]
            if len(invocations) >= count or time.monotonic() > until:
                break
            time.sleep(.05)
        equal(self.faults, [], "requests that are not as OTLP has them")
        equal(len(invocations), count, f"spans of invocations: {[span['name'] for span in invocations]}")
        return invocations, [span for span in spans if "attributes" not in span]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            spans = spans_of(json.loads(body))
            check(self.path == "/v1/traces" and self.headers["Content-Type"] == "application/json", "the request")
        except (AssertionError, KeyError, ValueError, TypeError) as fault:
            self.server.faults.append(f"{fault!r} in {body[:500]!r}")
            spans = []
        with self.server.lock:
            if self.server.status == 200:
                self.server.spans += spans
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def hexes(text, digits):
    return isinstance(text, str) and len(text) == digits and int(text, 16) and text == text.lower()


def attributes_of(of):
    found = {}
    for attribute in of:
        equal(set(attribute), {"key", "value"}, "an attribute")
        (kind, value), = attribute["value"].items()
        check(isinstance(value, str) and kind in ("stringValue", "intValue"), f"a value: {attribute}")
        found[attribute["key"]] = int(value) if kind == "intValue" else value
    equal(len(found), len(of), "attributes have keys of their own")
    return found


def spans_of(request):
    """What a collector checks: opentelemetry/proto/trace/v1/trace.proto in proto3's JSON mapping."""
    equal(set(request), {"resourceSpans"}, "members of a request")
    spans = []
    for resource in request["resourceSpans"]:
        equal(set(resource), {"resource", "scopeSpans"}, "members of resource spans")
        equal(attributes_of(resource["resource"]["attributes"])["service.name"], "cairn", "the service")
        for scope in resource["scopeSpans"]:
            equal((set(scope), scope["scope"]["name"]), ({"scope", "spans"}, "cairn"), "scope spans")
            spans += scope["spans"]
    for span in spans:
        check(set(span) <= {"traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano",
                            "attributes", "status"}, f"members of {span}")
        check(hexes(span["traceId"], 32) and hexes(span["spanId"], 16), f"ids of {span}")
        check("parentSpanId" not in span or hexes(span["parentSpanId"], 16), f"the parent of {span}")
        check(span["kind"] in (1, 2, 5) and span["name"], f"{span}")
        check(isinstance(span["startTimeUnixNano"], str), "64-bit numbers are strings")
        begin, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        check(begin <= end and abs(begin / 1e9 - time.time()) < 600, f"times of {span}")
        span["at"] = (begin, end)
        if "attributes" in span:
            span["about"] = attributes_of(span["attributes"])
            check(span["about"]["cairn.cpu_ns"] >= 0, "a cost")
        else:
            check(span["name"] in PHASES and "parentSpanId" in span, f"a phase: {span}")
        if "status" in span:
            check(span["status"]["code"] == 2 and "error.type" in span["about"], f"status of {span}")
    return spans


def tree(invocations, phases):
    """{what: sorted list of what is below it}.  Phases lie in their spans and do not overlap; calls lie in callers."""
    of = {span["spanId"]: span for span in invocations}
    equal(len(of), len(invocations), "spans have ids of their own")
    check(not of.keys() & {phase["spanId"] for phase in phases}, "phases have ids of their own")
    names, below, ends = {}, {}, {}
    for span in invocations:
        names[span["spanId"]] = f"{span['about']['rpc.service']}/{span['about']['cairn.id']}.{span['about']['rpc.method']}"
        below[names[span["spanId"]]] = []
    for span in invocations:
        above = of.get(span.get("parentSpanId"))
        if above:
            below[names[above["spanId"]]].append(names[span["spanId"]])
        if above and span["about"]["cairn.kind"] == "call":
            check(above["at"][0] <= span["at"][0] and span["at"][1] <= above["at"][1], "a call lies in its caller")
    for phase in sorted(phases, key=lambda phase: phase["at"]):
        span = of[phase["parentSpanId"]]
        check(span["at"][0] <= phase["at"][0] and phase["at"][1] <= span["at"][1], "a phase lies in its span")
        check(ends.get(span["spanId"], 0) <= phase["at"][0], "phases do not overlap")
        ends[span["spanId"]] = phase["at"][1]
    return {name: sorted(what) for name, what in below.items()}


def call(node, path, body="[]", **headers):
    node.web().json("POST", f"/v1/objects/{path}", json.loads(body), **headers)


def test_collector(folder):
    with Collector() as collector, Node(folder, "--trace", f"otlp://127.0.0.1:{collector.port}", "--trace-sample",
                                        "0") as node:
        node.deploy("retwis", "bank", "mail")
        for follower in ("bob", "carol"):
            call(node, f"User/{follower}/follow", '["alice"]')
        call(node, "User/alice/post", '["hello"]', traceparent=PARENT)
        spans, phases = collector.of(TRACE, 3)
        equal(tree(spans, phases), {"User/alice.post": ["User/bob.deliver", "User/carol.deliver"], "User/bob.deliver": [],
                                    "User/carol.deliver": []}, "a post")
        first = next(span for span in spans if span["about"]["cairn.kind"] == "request")
        equal((first["parentSpanId"], first["kind"], first["name"]), ("00f067aa0ba902b7", 2, "User.post"), "its first")
        own = {phase["name"] for phase in phases if phase["parentSpanId"] == first["spanId"]}
        check(own >= {"running", "waiting", "log"}, f"phases of a post: {own}")
        # A transaction.
        for account in ("a", "b"):
            call(node, f"Account/{account}/deposit", "[100]")
        trace = TRACE.replace("4bf", "777")
        call(node, "Account/a/move", '["b", 5]', traceparent=PARENT.replace(TRACE, trace))
        shape = tree(*collector.of(trace, 2))
        equal(shape, {"Account/a.move": ["Account/b.credit"], "Account/b.credit": []}, "a transaction")
        # A message: of the sender's trace, below it, and after it.
        trace = TRACE.replace("4bf", "888")
        call(node, "Mail/x/send", '["y", "z"]', traceparent=PARENT.replace(TRACE, trace))
        spans, phases = collector.of(trace, 3)
        equal(tree(spans, phases), {"Mail/x.send": ["Mail/y.take", "Mail/z.take"], "Mail/y.take": [], "Mail/z.take": []},
              "messages")
        equal(sorted(span["kind"] for span in spans), [2, 5, 5], "kinds of spans")
        # An error, and an id that is no text.
        trace = TRACE.replace("4bf", "999")
        node.web().ask("POST", "/v1/objects/User/%ff%22/nope", "[]", traceparent=PARENT.replace(TRACE, trace))
        spans, _ = collector.of(trace, 1)
        equal((spans[0]["status"]["code"], spans[0]["about"]["error.type"]), (2, "unknown_method"), "an error")
        metrics = node.metrics()
        check(metrics['cairn_trace_exported_total{result="exported"}'] >= 9, "exported spans are counted")
        equal(metrics['cairn_trace_exported_total{result="failed"}'], 0, "failed spans")
        # What was recorded just before a stop is still sent.
        trace = TRACE.replace("4bf", "bbb")
        call(node, "User/alice/post", '["last"]', traceparent=PARENT.replace(TRACE, trace))
        node.stop()
        collector.of(trace, 3, seconds=0)
        for trace in {span["traceId"] for span in collector.spans}:
            check(trace[3:] == TRACE[3:], f"{trace} was not to be traced")


def test_durable_goes_on(folder):
    """What a kill cuts off goes on in the trace of its job."""
    with Collector() as collector:
        node = Node(folder, "--trace", f"otlp://127.0.0.1:{collector.port}", "--shards=2").start()
        node.deploy("flow")
        for flow in range(40):
            traces = [TRACE.replace("4bf", f"{flow:01x}{n:02x}") for n in range(8)]
            with node.redis() as redis:
                for n, trace in enumerate(traces):
                    redis.send("CAIRN.JOB", PARENT.replace(TRACE, trace))
                    redis.send("FCALL", "Flow.steps", 1, f"f{flow}-{n}", "add", *[f"t{flow}-{n}-{i}" for i in range(20)])
                time.sleep(.004)
                node.kill()
            node.start()
            time.sleep(1.3)
            with collector.lock:
                resumed = [span for span in collector.spans if span.get("about", {}).get("cairn.kind") == "resumed"]
            if resumed:
                break
        node.stop()
        check(resumed, "no durable method was cut off in 40 kills")
        check({span["traceId"] for span in resumed} <= set(traces), "a durable method goes on in its job's trace")
        check(all(hexes(span["parentSpanId"], 16) for span in resumed), "below what was cut off")


def load(node, seconds):
    """The longest of many calls, in seconds."""
    worst, until = 0, time.monotonic() + seconds
    with node.redis() as redis:
        while time.monotonic() < until:
            begin = time.monotonic()
            for n in range(100):
                redis.send("FCALL", "User.create", 1, f"u{n}", "name")
            for n in range(100):
                redis.receive()
            worst = max(worst, time.monotonic() - begin)
    return worst


def exported(node, result):
    return node.metrics()[f'cairn_trace_exported_total{{result="{result}"}}']


def wait_until(what, condition, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < until, f"{what}: not in {seconds} s")
        time.sleep(.1)


def test_collector_never_answers(folder):
    """It takes connections, reads nothing and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        with Node(folder, "--trace", f"otlp://127.0.0.1:{silent.getsockname()[1]}") as node:
            node.deploy("retwis")
            worst = load(node, 4)
            check(worst < 3, f"100 calls took {worst:.1f} s at worst")
            wait_until("failed spans are counted", lambda: exported(node, "failed") > 0)
            begin = time.monotonic()
            node.stop()
            check(time.monotonic() - begin < 15, "the stop waits for the collector")
            check("event=export_failed" in node.output(), "it is told")


def test_collector_is_away_and_comes(folder):
    with Collector() as taken:
        port = taken.port
    with Node(folder, "--trace", f"otlp://127.0.0.1:{port}") as node:
        node.deploy("retwis")
        load(node, .5)
        wait_until("failed spans are counted", lambda: exported(node, "failed") > 0)
        with Collector(status=503, port=port) as collector:
            load(node, 2.5)
            equal(collector.spans, [], "spans of a collector that answers 503")
            collector.status = 200

            def comes():
                load(node, .1)
                return exported(node, "exported") > 0
            wait_until("spans are exported again", comes)
            equal(collector.faults, [], "requests that are not as OTLP has them")
        check("event=export_again" in node.output(), "it is told")


def test_file(folder):
    path = os.path.join(folder, "spans.json")
    with Node(folder, "--trace", f"file:{path}") as node:
        node.deploy("retwis")
        call(node, "User/alice/post", '["one"]', traceparent=PARENT)
        wait_until("a line", lambda: os.path.getsize(path) > 0)
        os.rename(path, path + ".1")
        node.signal(1)
        wait_until("a new file", lambda: os.path.exists(path))
        call(node, "User/alice/post", '["two"]', traceparent=PARENT)
        node.stop()
    spans = []
    for name in (path + ".1", path):
        with open(name, encoding="utf-8") as file:
            for line in file:
                spans += spans_of(json.loads(line))
    equal([span["name"] for span in spans if span["traceId"] == TRACE and "attributes" in span], ["User.post"] * 2, "spans")


def test_file_on_a_full_disk(folder):
    with Node(folder, "--trace", "file:/dev/full") as node:
        node.deploy("retwis")
        worst = load(node, 2)
        check(worst < 3, f"100 calls took {worst:.1f} s at worst")
        wait_until("failed spans are counted", lambda: exported(node, "failed") > 0)
        equal(exported(node, "exported"), 0, "exported")
        check("No space left on device" in node.output(), "it is told")
        node.stop()


def test_wrong_targets(folder):
    for target, status in (("otlp://", 2), ("http://localhost", 2), ("file:", 2), ("somewhere", 2),
                           ("file:/does/not/exist/at/all", 1)):
        done = subprocess.run([CAIRN, "serve", "--data", folder, "--http", "localhost:0", "--resp", "localhost:0", "--trace",
                               target], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60, check=False)
        equal(done.returncode, status, f"exit status with {target}, which said {done.stdout}")
        check("--trace" in done.stdout, done.stdout)


if __name__ == "__main__":
    main([test_collector, test_durable_goes_on, test_collector_never_answers, test_collector_is_away_and_comes,
          test_file, test_file_on_a_full_disk, test_wrong_targets])
