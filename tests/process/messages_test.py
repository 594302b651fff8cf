#!/usr/bin/env python3
"""Messages of a real node that is killed again and again: each runs once.

Catches messages that are lost or run twice when the process is killed at any instant: chains of messages go from object
to object, over all shards, and each link adds one. What was acknowledged has been run to its end after the last start,
and a request without an answer has either left a whole chain or nothing. And dead letters that are not told, or that are
tried again or dropped other than once; and what an export loses of them, or carries twice.
"""
import json
import os
import random
import subprocess
import threading
import time

from cairnproc import CAIRN, Lost, Node, check, main

LINKS, OBJECTS = 20, 50


def total(node):
    with node.redis() as redis:
        return sum(redis.call("FCALL", "Mail.count", 1, f"r{i}") for i in range(OBJECTS))


def waiting(node):
    return sum(value for name, value in node.metrics().items() if name.startswith("cairn_messages_waiting"))


def send(node, stop, counts):
    try:
        with node.redis() as redis:
            while not stop.is_set():
                counts["sent"] += 1
                redis.call("FCALL", "Mail.relay", 1, f"r{counts['sent'] % OBJECTS}", str(LINKS - 1), str(OBJECTS))
                counts["acknowledged"] += 1
    except (Lost, OSError):
        pass


def run(folder, kills, *flags):
    dice = random.Random(1)
    counts = [dict(sent=0, acknowledged=0) for _ in range(4)]
    with Node(folder, *flags) as node:
        node.deploy("mail")
        for _ in range(kills):
            stop = threading.Event()
            threads = [threading.Thread(target=send, args=(node, stop, count)) for count in counts]
            for thread in threads:
                thread.start()
            time.sleep(dice.uniform(0.05, 0.4))
            node.kill()
            stop.set()
            for thread in threads:
                thread.join()
            node.start()
        deadline = time.monotonic() + 60
        while waiting(node) and time.monotonic() < deadline:
            time.sleep(0.05)
        check(waiting(node) == 0, f"{waiting(node)} messages still wait")
        links = total(node)
    sent, acknowledged = (sum(count[name] for count in counts) for name in ("sent", "acknowledged"))
    check(acknowledged > kills, f"only {acknowledged} requests were answered")
    check(links % LINKS == 0, f"{links} links are no whole number of chains of {LINKS}")
    check(acknowledged <= links // LINKS <= sent, f"{links // LINKS} chains, {acknowledged} acknowledged, {sent} sent")


def test_kills(folder):
    run(folder, 8)


def test_kills_of_an_engine_on_disk(folder):
    run(folder, 4, "--engine=hybridlog", "--engine-memory=8")


def cairn(node, *words):
    done = subprocess.run([CAIRN, *words], env={**os.environ, "CAIRN_URL": f"http://127.0.0.1:{node.http}"}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_an_export_carries_what_waits(folder):
    """Between engines and numbers of shards, from a node that is busy: chains that were under way come to their end once,
    in the copy as in the node; and so does what is due later, is dead, or is a timer."""
    for number, (engine, shards, other, others) in enumerate((("memory", 5, "lsm", 8), ("hybridlog", 6, "memory", 2))):
        stop, counts = threading.Event(), [{"sent": 0, "acknowledged": 0} for _ in range(4)]
        with Node(folder, f"--engine={engine}", f"--shards={shards}", data=os.path.join(folder, f"from-{number}"),
                  name=f"from-{number}") as node:
            node.deploy("mail", "alarm")
            with node.redis() as redis:
                redis.ok("FCALL", "Mail.send_after", 1, "a", "3600000", "add", "later", "7")
                redis.ok("FCALL", "Mail.send_after", 1, "a", "0", "refuse", "dead", "word")
                redis.ok("FCALL", "Mail.send_abroad", 1, "a", "Nobody", "n", "take")
                redis.ok("CAIRN.SEND", "Mail.add", 2, "s", "key", "5")
                redis.ok("FCALL", "Alarm.at", 1, "t", "once", 4000000000000, "tick", "x")
                redis.ok("FCALL", "Alarm.every", 1, "t", "often", 3600000, "tick")
                redis.ok("FCALL", "Alarm.at", 1, "u", "overdue", 1000, "trap_until", "99")
            threads = [threading.Thread(target=send, args=(node, stop, count)) for count in counts]
            for thread in threads:
                thread.start()
            time.sleep(0.7)
            before = sum(count["acknowledged"] for count in counts)
            done = subprocess.run([CAIRN, "export"], env={**os.environ, "CAIRN_URL": f"http://127.0.0.1:{node.http}"},
                                  check=False, capture_output=True, timeout=60)
            check(done.returncode == 0, f"the export said {done.stderr!r}")
            stop.set()
            for thread in threads:
                thread.join()
            timers = json.loads(cairn(node, "timers", "ls", "--json")[1])
        data = os.path.join(folder, f"to-{number}")
        done = subprocess.run([CAIRN, "import", "--data", data, "--engine", other, "--shards", str(others)],
                              input=done.stdout, check=False, capture_output=True, timeout=60)
        check(done.returncode == 0, f"the import said {done.stderr!r}")
        with Node(folder, data=data, name=f"to-{number}") as copy:
            deadline = time.monotonic() + 60
            while waiting(copy) > 3 and time.monotonic() < deadline:
                time.sleep(0.05)
            links = total(copy)
            check(links % LINKS == 0, f"{links} links are no whole number of chains of {LINKS}")
            check(before <= links // LINKS <= sum(count["sent"] for count in counts),
                  f"{links // LINKS} chains, {before} acknowledged before the export")
            found = json.loads(cairn(copy, "timers", "ls", "--json")[1])

            def told(items):
                return sorted((t["id"], t["name"], t["kind"], t["period_ms"], t["due_ms"], t["method"]) for t in items)

            check(told(found) == told(timers), f"{found} and not {timers}")
            waits = sorted((m["state"], m["id"]) for m in json.loads(cairn(copy, "messages", "ls", "--json")[1]))
            check(waits == [("later", "later"), ("later", "u"), ("no type", "n")], f"{waits} wait")
            dead = json.loads(cairn(copy, "messages", "ls", "--dead", "--json")[1])
            check([(m["id"], m["error"], m["message"]) for m in dead] == [("dead", "refused", "on purpose")], f"{dead}")
            with copy.redis() as redis:
                redis.ok("CAIRN.SEND", "Mail.add", 2, "s", "key", "5")
                check(redis.ok("FCALL", "Mail.count", 1, "s") == 5, "a message with a key that was used before has run")


def until_none_waits(node):
    deadline = time.monotonic() + 30
    while waiting(node) and time.monotonic() < deadline:
        time.sleep(0.05)


def test_dead_letters(folder):
    """From the command line, with kills before, between and after."""
    with Node(folder) as node:
        node.deploy("mail")
        with node.redis() as redis:
            redis.call("FCALL", "Mail.send_many", 1, "a", "30", "b", "refuse_at_zero")
        until_none_waits(node)
        node.kill()
        node.start()
        code, text = cairn(node, "messages", "ls", "--dead", "Mail/b", "--json")
        letters = json.loads(text)
        check(code == 0 and len(letters) == 30, f"{len(letters)} dead letters are listed")
        for one in letters:
            told = [one[name] for name in ("error", "effects", "attempts", "from_type", "from_id", "state")]
            check(told == ["refused", "none", 1, "Mail", "a", "dead"], f"not what was to be told: {one}")
        check(len({one["number"] for one in letters}) == 30, "numbers are not different")
        code, text = cairn(node, "messages", "show", letters[3]["number"])
        check(code == 0 and "nothing was added yet" in text and "Mail/a" in text, f"show said {text!r}")
        code, text = cairn(node, "messages", "drop", letters[0]["number"], letters[1]["number"])
        check(code == 0, f"drop said {text!r}")
        code, text = cairn(node, "messages", "drop", letters[0]["number"])
        check(code == 1 and "no message" in text, f"a second drop said {text!r}")
        with node.redis() as redis:
            redis.call("FCALL", "Mail.add", 1, "b", "1")
        code, text = cairn(node, "messages", "retry", letters[2]["number"])
        check(code == 0, f"retry said {text!r}")
        node.kill()
        node.start()
        code, text = cairn(node, "messages", "retry", "--all")
        check(code == 0 and "27 dead letters" in text, f"retry --all said {text!r}")
        node.kill()
        node.start()
        until_none_waits(node)
        with node.redis() as redis:
            check(redis.call("FCALL", "Mail.count", 1, "b") == 29, "not each ran once")
        code, text = cairn(node, "messages", "ls", "--dead", "--json")
        check(json.loads(text) == [], f"left: {text}")
        code, text = cairn(node, "messages", "ls")
        check(code == 0 and text.split()[:2] == ["NUMBER", "STATE"], f"ls said {text!r}")


def test_sent_from_outside(folder):
    """Over HTTP, RESP and the command line: acknowledged, then killed, then sent again with its key."""
    with Node(folder) as node:
        node.deploy("mail")
        web = node.web()
        first = web.json("POST", "/v1/objects/Mail/a/add?send", ["1"], want=202, Idempotency_Key="k1")["message"]
        with node.redis() as redis:
            second = redis.call("CAIRN.SEND", "Mail.add", 2, "a", "k2", "10")
            redis.call("CAIRN.SEND", "Mail.add", 1, "a", "100")
            redis.fails("UNKNOWN_METHOD", "CAIRN.SEND", "Mail.nothing", 1, "a")
            redis.call("CAIRN.SEND", "DELAY", "1200", "Mail.add", 2, "a", "k3", "10000")
            redis.fails("BAD_REQUEST", "CAIRN.SEND", "DELAY", "soon", "Mail.add", 1, "a")
            redis.fails("ERR", "CAIRN.SEND", "DELAY", "1", "Mail.add")
            later = redis.call("CAIRN.SEND", "delay", "3600000", "Mail.add", 1, "a", "100000").decode()
        code, text = cairn(node, "call", "--send", "--delay", "1500", "Mail/a", "add", "1000")
        check(code == 0 and "-" in text, f"call --send said {text!r}")
        code, text = cairn(node, "messages", "drop", later)
        check(code == 0 and text == f"{later} dropped\n", f"drop said {text!r}")
        code, text = cairn(node, "messages", "drop", later)
        check(code == 1, f"drop said {text!r}")
        web.close()
        node.kill()
        node.start()
        web = node.web()
        again = web.json("POST", "/v1/objects/Mail/a/add?send=1", ["1"], want=202, Idempotency_Key="k1")["message"]
        check(again == first, f"{first} is {again} when it is sent again")
        with node.redis() as redis:
            check(redis.call("CAIRN.SEND", "Mail.add", 2, "a", "k2", "10") == second, "another message with the same key")
        web.fails(400, "bad_request", "GET", "/v1/objects/Mail/a/add?send")
        web.fails(404, "unknown_type", "POST", "/v1/objects/Nobody/a/add?send", "[]")
        web.close()
        until_none_waits(node)
        with node.redis() as redis:
            total_of_a = redis.call("FCALL", "Mail.count", 1, "a")
        check(total_of_a == 11111, f"{total_of_a} and not 11111")


if __name__ == "__main__":
    main([test_kills, test_kills_of_an_engine_on_disk, test_an_export_carries_what_waits,
          test_dead_letters, test_sent_from_outside])
