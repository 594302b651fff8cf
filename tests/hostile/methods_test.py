#!/usr/bin/env python3
"""Hostile functions on a real node: every one ends with its stable code, leaves nothing, and the next request is served.

Catches guests that hang the node, take it down, get a code that clients cannot rely on, or leave half of their work.
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))

from cairnproc import Error, Node, check, encode, equal, main  # noqa: E402

HOST_CALLS = 24  # that take pointers; Hostile.wild_host_call numbers them

# label, type.method, arguments, code, seconds that it may take on a busy machine
FAILING = [
    ("endless loop", "Hostile.loop", [], "CPU_LIMIT", 5),
    ("endless loop that reads", "Hostile.loop_reading", [], "CPU_LIMIT", 5),
    ("memory bomb", "Hostile.memory_bomb", [], "MEMORY_LIMIT", 5),
    ("deep recursion on the C stack", "Hostile.recursion", [], "TRAP", 5),
    ("deep recursion on the machine's stack", "Hostile.recursion_bare", [], "TRAP", 5),
    ("trap", "Hostile.divide", [], "TRAP", 5),
    ("unreachable", "Hostile.unreachable", [], "TRAP", 5),
    ("wild pointer", "Hostile.wild_pointer", [], "TRAP", 5),
    ("wild function pointer", "Hostile.wild_call", [], "TRAP", 5),
    ("a million calls in one segment", "Hostile.million_calls", [], "LIMIT", 10),
    ("endless call cycle", "Hostile.cycle", ["b"], "LIMIT", 10),
    ("endless calls of itself", "Rogue.call_self", [], "LIMIT", 10),
    ("large result", "Hostile.huge_result", [], "LIMIT", 5),
    ("gigabyte result", "Hostile.gigabyte_result", [], "TRAP", 5),
    ("result that is none", "Hostile.malformed_result", [], "TRAP", 5),
    ("result with 2^63 members", "Rogue.lying_list", [], "TRAP", 5),
    ("result that is a deep nest", "Rogue.deep_result", [500000], "TRAP", 5),
    ("write set", "Hostile.many_writes", [], "LIMIT", 5),
    ("one large value", "Rogue.large_value", [9 << 20], "LIMIT", 5),
    ("one large key", "Rogue.large_key", [1 << 20], "LIMIT", 5),
    ("the same large value again and again", "Rogue.write_much", [], "CPU_LIMIT", 5),
    ("reads without end", "Rogue.read_much", [], "CPU_LIMIT", 5),
    ("memory.fill without end", "Rogue.fill", [], "CPU_LIMIT", 5),
    ("log lines without end", "Rogue.log_flood", [], "CPU_LIMIT", 5),
    ("field that is not there", "Hostile.no_such_field", [], "TRAP", 5),
    ("field of another kind", "Hostile.wrong_kind", [], "TRAP", 5),
    ("waiting for a call never made", "Hostile.wait_for_nothing", [], "TRAP", 5),
    ("arguments that are none", "Hostile.malformed_args", [], "TRAP", 5),
    ("write in a read-only method", "Hostile.writes_while_reading", [], "NOT_READ_ONLY", 5),
    ("clock in a deterministic method", "Hostile.looks_at_the_clock", [], "NOT_DETERMINISTIC", 5),
    ("dice in a deterministic method", "Hostile.throws_dice", [], "NOT_DETERMINISTIC", 5),
    ("internal method", "Hostile.internal", [], "NOT_PUBLIC", 5),
    ("call of a type that is no name", "Rogue.call_name", ["R g", "x", "fine"], "TRAP", 5),
    ("call of an id that is too long", "Rogue.call_name", ["Rogue", "x" * 513, "fine"], "TRAP", 5),
    ("error code with a line end", "Rogue.fail_with", ["OK\r\n+PONG", "m\r\n$3\r\nabc"], "TRAP", 5),
    ("error code without a letter", "Rogue.fail_with", ["", ""], "TRAP", 5),
]


def test_each_fails_with_its_code_and_leaves_nothing(folder):
    with Node(folder) as node:
        node.deploy("hostile", "rogue")
        web = node.web()
        with node.redis() as redis:
            for number, (label, function, arguments, code, seconds) in enumerate(FAILING):
                kind, identity = function.split(".")[0], f"victim{number}"
                begin = time.monotonic()
                redis.fails(code, "FCALL", function, 1, identity, *arguments)
                taken = time.monotonic() - begin
                check(taken < seconds, f"{label} took {taken:.1f} s")
                equal(redis.call("FCALL", f"{kind}.fine", 1, f"{identity} after"), b"well", f"after {label}")
                web.fails(404, "not_found", "GET", f"/v1/objects/{kind}/{identity}")
                # The same over HTTP has the same code.
                status, data = web.ask("POST", f"/v1/objects/{kind}/{identity}/{function.split('.')[1]}",
                                       json.dumps(arguments))
                check(status >= 400, f"{label} over HTTP: {status}")
                equal(json.loads(data)["code"].upper(), code, f"{label} over HTTP")
                node.check_alive()
            ids = web.ids("Hostile", "victim")
            equal([one for one in ids if "after" not in one], [], "objects that failed methods left")
        node.kill()
        node.start()
        ids = node.web().ids("Hostile", "victim")
        equal([one for one in ids if "after" not in one], [], "objects that failed methods left, after a restart")


def test_pointers_out_of_bounds_in_each_host_call(folder):
    with Node(folder) as node, node.redis() as redis:
        node.deploy("hostile")
        for which in range(HOST_CALLS):
            for kind in range(4):
                reply = redis.fails("TRAP", "FCALL", "Hostile.wild_host_call", 1, "victim", which, kind)
                check("out of bounds" in reply, f"host call {which}, pointer {kind}: {reply}")
        equal(redis.call("FCALL", "Hostile.wild_host_call", 1, "victim", HOST_CALLS, 0), b"no such host call",
              "the number of host calls: has one been added that this test does not know?")
        node.web().fails(404, "not_found", "GET", "/v1/objects/Hostile/victim")


def test_what_came_before_stays(folder):
    with Node(folder) as node, node.redis() as redis:
        node.deploy("hostile", "rogue")
        redis.fails("TRAP", "FCALL", "Hostile.fails_late", 1, "late")
        equal(redis.call("FCALL", "Hostile.read", 1, "late"), b"stays", "the segment before the call")
        node.web().fails(404, "not_found", "GET", "/v1/objects/Hostile/other")  # it ran, and wrote nothing
        redis.ok("FCALL", "Rogue.edges", 1, "edges")
        equal(redis.ok("FCALL", "Rogue.phoenix", 1, "phoenix"), 1, "entries after deleting itself 1000 times")
        equal(redis.call("FCALL", "Rogue.error_inside", 1, "x", "a\r\n:1", "b\r\n+OK"), ["A___1 b  +OK", b"behind"],
              "line ends in an error inside of a list")
        check(isinstance(redis.call("FCALL", "Rogue.error_inside", 1, "x", "a", "b")[0], Error), "an error in a list")


def test_a_million_calls(folder):
    """In batches, so that only the bound of a job ends it; finished calls stay."""
    with Node(folder) as node, node.redis() as redis:
        node.deploy("rogue")
        reply = redis.fails("LIMIT", "FCALL", "Rogue.million_calls", 1, "caller")
        check("100000" in reply, f"the limit is not named: {reply}")
        ids = node.web().ids("Rogue", "m")
        equal(len(ids), 50, "objects that the finished calls made")
        equal(redis.call("FCALL", "Rogue.fine", 1, "caller"), b"well", "afterwards")


def test_calls_that_multiply(folder):
    """Every call makes two more, with and without waiting for them: bounded by depth and job, and it ends."""
    with Node(folder) as node, node.redis() as redis, node.redis() as other:
        node.deploy("rogue")
        for method in ("bomb_waiting", "bomb"):
            for round_ in range(3):
                begin = time.monotonic()
                redis.send("FCALL", f"Rogue.{method}", 1, f"start{round_}")
                worst = 0
                for _ in range(20):
                    asked = time.monotonic()
                    equal(other.call("FCALL", "Rogue.fine", 1, "bystander"), b"well", f"somebody else during {method}")
                    worst = max(worst, time.monotonic() - asked)
                redis.receive()
                print(f"    {method}: {time.monotonic() - begin:.2f} s; the slowest of 20 requests of somebody else took "
                      f"{worst * 1000:.0f} ms")
                check(worst < 2, f"somebody else waited {worst:.1f} s during {method}")
        equal(node.metrics()["cairn_requests_admitted"], 0, "requests under way afterwards")


def test_thousands_suspended_at_once(folder):
    with Node(folder) as node, node.redis() as redis:
        node.deploy("rogue")
        # Calls of one job: an instance each, or the error `limit` where all wait.
        for count in (10, 1000, 4000):
            well, limited = redis.ok("FCALL", "Rogue.crowd", 1, "square", count)
            equal(well + limited, count, f"answers to {count} calls that wait")
            check(well >= min(count, 500), f"only {well} of {count} could wait")
            print(f"    {count} callers in one job: {well} were served, {limited} got `limit`")
        # Requests from outside: those that find no instance wait for one.
        gate = node.redis()
        gate.send("FCALL", "Rogue.crowd", 1, "square", 100)
        crowd = [node.redis() for _ in range(40)]
        for number, one in enumerate(crowd):
            one.send_raw(b"".join(encode("FCALL", "Rogue.park", 1, f"outside{number}-{i}") for i in range(100)))
        outcomes = {}
        for one in crowd:
            for _ in range(100):
                reply = one.receive()
                key = reply.code if isinstance(reply, Error) else "served"
                outcomes[key] = outcomes.get(key, 0) + 1
        gate.receive()
        print(f"    4000 callers from outside: {outcomes}")
        equal(sum(outcomes.values()), 4000, "answers to 4000 requests that wait")
        check(set(outcomes) <= {"served", "LIMIT", "OVERLOADED"}, f"answers: {outcomes}")
        equal(redis.call("FCALL", "Rogue.fine", 1, "afterwards"), b"well", "afterwards")
        equal(len(node.web().ids("Rogue", "outside")), outcomes["served"],
              "objects of those that were served")


def test_two_such_jobs_on_one_worker(folder):
    """They take each other's instances: all wait for each other, and the worker has to notice."""
    with Node(folder, workers=1) as node:
        node.deploy("rogue")
        for _ in range(4):
            jobs = [node.redis() for _ in range(2)]
            for number, job in enumerate(jobs):
                job.send("FCALL", "Rogue.crowd", 1, f"square{number}", 4000)
            for job in jobs:
                equal(sum(job.receive()), 4000, "answers to 4000 calls that wait, twice")


def test_others_beside_calls_that_multiply(folder):
    """A job of 100,000 dear calls does not keep others waiting until it is over (beside_slow_test.py has figures)."""
    with Node(folder, workers=1) as node, node.redis() as redis, node.redis() as bomb:
        node.deploy("rogue")
        redis.ok("FCALL", "Rogue.fine", 1, "other")
        begin = time.monotonic()
        bomb.send("FCALL", "Rogue.bomb", 1, "first")
        waits = []
        while not waits or time.monotonic() < begin + 1:
            asked = time.monotonic()
            redis.ok("FCALL", "Rogue.fine", 1, "other")
            waits.append(time.monotonic() - asked)
        bomb.receive()
        took = time.monotonic() - begin
        check(took > 1, f"the job was over after {took:.2f} s")
        waits.sort()
        print(f"    {len(waits)} others in a second of a job of {took:.1f} s; they waited "
              f"{waits[len(waits) // 2] * 1000:.1f} ms, at most {waits[-1] * 1000:.0f}")
        check(len(waits) > 50, f"only {len(waits)} others were served in a second")


def test_large_and_wide_results(folder):
    """As large as allowed, over both protocols."""
    with Node(folder) as node, node.redis() as redis:
        node.deploy("rogue")
        web = node.web()
        equal(len(redis.ok("FCALL", "Rogue.large_result", 1, "x", (1 << 20) - 8)), (1 << 20) - 8, "1 MiB")
        equal(web.json("POST", "/v1/objects/Rogue/x/wide_result", [1_000_000]), [None] * 1_000_000, "a million members")
        nest = web.json("POST", "/v1/objects/Rogue/x/deep_result", [30])
        for _ in range(30):
            (nest,) = nest
        equal(nest, None, "what lies 30 lists deep")


if __name__ == "__main__":
    main([test_each_fails_with_its_code_and_leaves_nothing, test_pointers_out_of_bounds_in_each_host_call,
          test_what_came_before_stays, test_a_million_calls, test_calls_that_multiply, test_thousands_suspended_at_once,
          test_two_such_jobs_on_one_worker, test_others_beside_calls_that_multiply, test_large_and_wide_results])
