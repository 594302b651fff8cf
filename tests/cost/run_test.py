#!/usr/bin/env python3
"""cairn cost prices what a node has really done, and the meters outlive stops and SIGKILL.

Catches a number that is not metered, metered twice or billed to another namespace, an item at another price than the
list's, reads of the keeper that nobody pays for, meters that begin anew with a restart or go back, and a damaged file that
is taken or keeps the node from serving.
"""
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))

import zkwire  # noqa: E402 (its folder had to be named first)
from cairnproc import CAIRN, Node, check, equal, guest, main  # noqa: E402

ADDS, GETS, ZK_READS = 20, 7, 9


def cost(*words, status=0):
    done = subprocess.run([CAIRN, "cost", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, check=False)
    equal(done.returncode, status, done.stderr)
    return done.stdout if status == 0 else done.stderr


def of_node(node, *words):
    return json.loads(cost("--url", f"http://127.0.0.1:{node.http}", "--json", *words))


def of_folder(node, *words):
    return json.loads(cost("--data", node.data, "--json", *words))


def metered(bill):
    return {one["namespace"]: one["metered"] for one in bill["namespaces"]}


def near(got, want, what):
    check(abs(got - want) <= 1e-9 * max(1e-6, abs(want)), f"{what}: got {got}, wanted {want}")


def mean(dollars, portion, count, size):
    return count * dollars * max(1, -(-(-(-size // count)) // portion)) if count else 0


def check_dollars(bill):
    """At the prices of AWS, which are written here once more."""
    for one in bill["namespaces"]:
        use, dollars = one["metered"], one["dollars"]
        near(dollars["calls"], use["invocations"] * 0.0000002, "calls")
        near(dollars["time"], use["memory_kib_us"] / 2 ** 20 / 1e6 * 0.0000166667, "time")
        near(dollars["hops"], mean(0.0000005, 65536, use["hops"], use["hop_bytes"]), "hops")
        near(dollars["reads"], mean(0.00000025, 4096, use["reads"], use["read_bytes"]), "reads")
        near(dollars["writes"], mean(0.00000125, 1024, use["writes"], use["written_bytes"]), "writes")
        near(dollars["all"], sum(value for name, value in dollars.items() if name != "all"), "all items")
        near(one["dollars_a_million"], dollars["all"] / use["requests"] * 1e6, "a million requests")
        near(one["requests_a_day"], use["requests"] * 86400e3 / bill["served_ms"], "requests a day")
    near(bill["all"]["dollars"]["all"], sum(one["dollars"]["all"] for one in bill["namespaces"]), "all namespaces")
    for one in bill["machines"]:
        near(one["dollars_a_day"], one["count"] * {"t3.small": 0.0208, "t3.medium": 0.0416, "t3.large": 0.0832}[
            one["machine"]] * 24, one["machine"])
        near(one["even_requests_a_day"] * bill["all"]["dollars_a_million"] / 1e6, one["dollars_a_day"], "even")


def work(node, space, adds, gets):
    with node.redis() as redis:
        redis.ok("SELECT", space) if space != "default" else None
        for _ in range(adds):
            redis.ok("FCALL", "Counter.add", 1, "c", 1)
        for _ in range(gets):
            redis.ok("FCALL_RO", "Counter.get", 1, "c")


def read_keeper(node):
    connection = zkwire.Connection(node.zk)
    for _ in range(ZK_READS):
        connection.call("get", "/", False)
    connection.call("close")
    connection.end()


def test_a_run_is_billed_and_kept(folder):
    with Node(folder, zk=0) as node:
        web = node.web()
        web.json("PUT", "/v1/namespaces/acme", want=201)
        status, _ = web.ask("POST", "/v1/ns/acme/modules", guest("register"), Content_Type="application/wasm")
        check(status < 300, f"deploy: {status}")
        node.deploy("register")
        equal(metered(of_node(node)), {}, "what was used before anything was")
        for _ in range(GETS):
            web.json("POST", "/v1/ns/acme/objects/Counter/c/add?arg=1")
        work(node, "default", ADDS, GETS)
        bill = of_node(node)
        use = metered(bill)
        equal(sorted(use), ["acme", "default"], "namespaces")
        equal([use["acme"][name] for name in ("requests", "invocations", "hops")], [GETS] * 3, "acme")
        equal([use["default"][name] for name in ("requests", "invocations", "hops")], [ADDS + GETS] * 2 + [ADDS], "default")
        check(use["default"]["writes"] >= ADDS and use["default"]["reads"] >= ADDS + GETS and
              use["default"]["cpu_ns"] > 0 and use["default"]["memory_kib_us"] > 0 and
              use["default"]["hop_bytes"] >= ADDS and use["default"]["written_bytes"] > ADDS, f"metered: {use}")
        check_dollars(bill)
        equal(of_node(node, "--function-memory", "1024")["all"]["gib_seconds"],
              float(f"{bill['all']['metered']['cpu_ns'] / 1e9:.10g}"), "billed memory")

        read_keeper(node)
        after = metered(of_node(node))["default"]
        # A session that comes and goes is two requests, and the first one of all has the node ask for more.
        check(ZK_READS + 2 <= after["requests"] - use["default"]["requests"] <= ZK_READS + 6, f"keeper: {use}, then {after}")
        check(after["reads"] - use["default"]["reads"] >= ZK_READS, "reads of the keeper")

        node.stop()
        stopped = of_folder(node)
        equal(metered(stopped)["default"], after, "what is kept at a stop")
        check_dollars(stopped)
        node.start()
        again = of_node(node)
        equal(metered(again)["default"], after, "after a restart")
        equal(again["since_ms"], stopped["since_ms"], "since when")
        check(again["served_ms"] >= stopped["served_ms"], "for how long nodes were there")

        work(node, "default", ADDS, 0)
        now = metered(of_node(node))["default"]
        equal(now["requests"], after["requests"] + ADDS, "it goes on")
        end = time.monotonic() + 30
        while metered(of_folder(node))["default"] != now:
            check(time.monotonic() < end, "what was used is not written within 30 s")
            time.sleep(0.1)
        work(node, "default", 1, 0)
        node.kill()
        equal(metered(of_folder(node))["default"], now, "after a SIGKILL")
        node.start()
        equal(metered(of_node(node))["default"], now, "after a SIGKILL and a start")

        subprocess.run([CAIRN, "namespaces", "rm", "acme", "--drop"], check=True, timeout=60, stdout=subprocess.DEVNULL,
                       env={**os.environ, "CAIRN_URL": f"http://127.0.0.1:{node.http}"})
        equal(metered(of_node(node))["acme"], use["acme"], "of a namespace that was removed")
        node.stop()
        node.start()
        removed = metered(of_node(node))
        equal(removed["(removed)"], use["acme"], "of a namespace that was removed, after a restart")
        check("acme" not in removed, "its name is free")


def test_a_damaged_file_is_told(folder):
    with Node(folder) as node:
        node.deploy("register")
        work(node, "default", 3, 0)
        node.stop()
        path = os.path.join(node.data, "metered")
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(b"!")
        check("checksum" in cost("--data", node.data, status=1), "a damaged file is priced")
        node.start()
        check(os.path.exists(path + ".damaged"), "the damaged file is not put aside")
        end = time.monotonic() + 30
        while "metered.damaged" not in node.output():  # told by a thread of its own
            check(time.monotonic() < end, f"nothing is told: {node.output()}")
            time.sleep(0.02)
        equal(metered(of_node(node)), {}, "it begins anew")
        work(node, "default", 1, 0)
        node.stop()
        equal(metered(of_folder(node))["default"]["requests"], 1, "the new file")


def test_text_and_picture(folder):
    with Node(folder) as node:
        node.deploy("register")
        work(node, "default", 3, 0)
        bill = of_node(node)
        picture = os.path.join(folder, "run.svg")
        text = cost("--url", f"http://127.0.0.1:{node.http}", "--draw", picture, "--machines", "5")
        want = f"{bill['all']['dollars']['all']:.6f}"
        check(want in text and "5 x t3.small" in text, f"{want} is not in {text}")
        parts = [one.tag.rpartition("}")[2] for one in xml.etree.ElementTree.parse(picture).getroot().iter()]
        check(parts.count("circle") == 1 and parts.count("line") > 10, f"the picture has {parts}")
        prices = os.path.join(folder, "free.prices")
        with open(prices, "w", encoding="ascii") as file:
            file.write("name free\ndate now\nsource nobody\nobject-write 0\nobject-read 0\nentry-write 0 per 1\n"
                       "entry-read 0 per 1\nmessage 0 per 1\ncall 0\ngb-second 0\nmachine m 1\n")
        equal(of_node(node, "--prices", prices)["machines"][0]["even_requests_a_day"], None, "free functions")
        cost("--url", f"http://127.0.0.1:{node.http}", "--prices", prices, "--draw", picture)
        xml.etree.ElementTree.parse(picture)
    check("give one of them" in cost("--data", "a", "--url", "b", status=2), "both")
    check("No such file" in cost("--data", folder, status=1), "a folder that is none")


if __name__ == "__main__":
    main([test_a_run_is_billed_and_kept, test_a_damaged_file_is_told, test_text_and_picture])
