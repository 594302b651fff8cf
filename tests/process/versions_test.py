#!/usr/bin/env python3
"""Versions of a real node: taken under load, by hand and by schedule, gone back to and undone, through kills.

Catches a version that is no state the node ever was in, one that does not come back or cannot be left again, versions
that the schedule does not take or does not forget, damage in an engine's files that is served or takes more with it than
what needs it, and commands that do not say what to do.
"""
import contextlib
import json
import os
import random
import subprocess
import threading
import time

import cairnproc
from cairnproc import Error, Lost, Node, check, equal, main

ENGINES = ("hybridlog", "lsm", "appendlog")
COUNTERS = 20


def cairn(node, *words, status=0):
    """What the command says; the node's address is given to it."""
    done = subprocess.run([cairnproc.CAIRN, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{node.http}"), check=False, timeout=120)
    equal(done.returncode, status, f"status of cairn {' '.join(words)}, which said {done.stdout!r}")
    return done.stdout


def restore(node, version, status=0):
    said = cairn(node, "restore", str(version), "--data", node.data, "--json", status=status)
    return json.loads(said)["before"] if status == 0 else said


def values(node):
    with node.redis() as redis:
        return [int(redis.ok("FCALL", "Counter.get", 1, f"c{n}")) for n in range(COUNTERS)]


class Load(threading.Thread):
    """Counts up counters, one after the other, again and again."""

    def __init__(self, node):
        super().__init__()
        self.node, self.over = node, threading.Event()

    def run(self):
        with self.node.redis() as redis, contextlib.suppress(Lost):
            while not self.over.is_set():
                for n in range(COUNTERS):
                    redis.ok("FCALL", "Counter.add", 1, f"c{n}", 1)

    def stop(self):
        self.over.set()
        self.join()


def check_cut(found, clients=1):
    """Each client counted them up in turn, one after the other, so in a moment there is at most one step of each."""
    check(found == sorted(found, reverse=True) and found[0] - found[-1] <= clients, f"no moment had {found}")


def test_versions_under_load(folder):
    for engine in ENGINES:
        with Node(folder, f"--engine={engine}", data=os.path.join(folder, engine), name=engine) as node:
            node.deploy("register")
            load, taken = Load(node), []
            load.start()
            for _ in range(4):
                before = values(node)[0]
                version = json.loads(cairn(node, "snapshot", "--json"))["version"]
                taken.append((version, before, values(node)[0] + 1))
            load.stop()
            now = values(node)
            node.kill()
            for version, low, high in taken:
                undo = restore(node, version)
                node.start()
                found = values(node)
                check_cut(found)
                check(low - 1 <= found[0] <= high, f"version {version} has {found[0]}, taken between {low} and {high}")
                node.stop()
                restore(node, undo)
                node.start()
                equal(values(node), now, f"after going back from version {version}")
                node.kill()


def test_schedule_and_kills(folder):
    with Node(folder, "--engine=hybridlog", "--snapshot-every=1", "--keep=2") as node:
        node.deploy("register")
        seen = set()
        for life in range(3):
            load = Load(node)
            load.start()
            load.over.wait(random.uniform(1.2, 2.0))
            versions = json.loads(cairn(node, "versions", "--json"))
            check(len(versions) <= 3, f"the schedule keeps 2, and there are {versions}")
            check(all(one["scheduled"] for one in versions), f"{versions}")
            seen.update(one["version"] for one in versions)
            node.kill()
            load.stop()
            node.start()
            check_cut(values(node), life + 1)
        check(len(seen) >= 3, f"in more than three seconds only {seen} were taken")


def test_what_is_refused(folder):
    with Node(folder, data=os.path.join(folder, "memory"), name="memory") as node:
        check("--engine" in cairn(node, "snapshot", status=1), "a snapshot of the engine in memory")
        equal(cairn(node, "versions"), "there are no versions; 'cairn snapshot' takes one\n")
        check("stop it" in restore(node, 1, status=1), "restoring under a node that runs")
        node.stop()
        check("keeps no versions" in restore(node, 1, status=1), "restoring the engine in memory")
    with Node(folder, "--engine=lsm", name="lsm") as node:
        cairn(node, "versions", "rm", "7", status=1)
        cairn(node, "versions", "rm", "x", status=1)
        node.stop()
        check("there is no version 7" in restore(node, 7, status=1), "restoring what there is not")
        node.flags.remove("--engine=lsm")
        node.flags.append("--engine=hybridlog")
        check("was made with the engine 'lsm'" in node.refuses(), "another engine")
        node.flags.append("--engine=redis")
        check("there are: hybridlog" in node.refuses(), "an engine that there is not")


def test_any_moment(folder):
    """What was there at some moments, while there was load, comes back; also what only a killed node's log had."""
    archive = os.path.join(folder, "archive")
    with Node(folder, "--engine=hybridlog", f"--blob={archive}", "--archive-every=1") as node:
        node.deploy("register")
        cairn(node, "snapshot")
        moments = []
        with node.redis() as redis:
            for value in range(1, 9):
                redis.ok("FCALL", "Register.set", 1, "r", value)
                time.sleep(.02)
                moments.append((int(time.time() * 1000), value))
                time.sleep(.3)
        node.kill()
        for ms, value in random.sample(moments, 4):
            said = cairn(node, "restore", "--at", str(ms), "--blob", archive, "--data", node.data, "--json")
            node.start()
            with node.redis() as redis:
                equal(int(redis.ok("FCALL", "Register.get", 1, "r")), value, f"at {ms}")
            node.stop()
            cairn(node, "restore", str(json.loads(said)["before"]), "--blob", archive, "--data", node.data)
            node.start()
            with node.redis() as redis:
                equal(int(redis.ok("FCALL", "Register.get", 1, "r")), 8, "after going back")
            node.kill()
        for words in (["--at", "yesterday", "--blob", archive], ["--at", "2026-01-01 00:00:00", "1"], []):
            cairn(node, "restore", *words, "--data", node.data, status=2)
        said = cairn(node, "restore", "--at", "2020-01-01T00:00:00Z", "--blob", archive, "--data", node.data, status=1)
        check("no version from before that moment" in said, said)
        said = cairn(node, "restore", "--at", "2026-01-01T00:00:00Z", "--data", node.data, status=1)
        check("--blob" in said, said)


def machine(folder, name, blob, *flags):
    return Node(folder, f"--blob={blob}", "--archive-every=1", *flags, data=os.path.join(folder, name), name=name)


def has_all(node):
    """That the blob store has what the node has."""
    metrics = node.metrics()
    return not metrics["cairn_archive_pending_bytes"] and not metrics["cairn_archive_pending_versions"]


def wait_until(holds, what):
    end = time.monotonic() + 20
    while not holds():
        check(time.monotonic() < end, f"not within 20 s: {what}")
        time.sleep(.05)


def test_another_machine(folder):
    """From the blob store alone: modules, objects, versions; the one that was thought lost may write no more."""
    blob = os.path.join(folder, "blob")
    with machine(folder, "lost", blob, "--engine=hybridlog") as lost:
        lost.deploy("register")
        load = Load(lost)
        load.start()
        first = json.loads(cairn(lost, "snapshot", "--json"))["version"]
        load.over.wait(1.5)
        load.stop()
        wait_until(lambda: has_all(lost), "all is in the blob store")
        now = values(lost)
        said = machine(folder, "other", blob, "--engine=hybridlog").refuses()
        check("belongs to" in said and "--recover" in said, said)
        with machine(folder, "next", blob, "--recover") as following:
            equal(values(following), now, "on the next machine")
            check("copy in" in following.output(), "it does not say where its copy is")
            with lost.redis() as redis:
                wait_until(lambda: isinstance(redis.call("FCALL", "Counter.add", 1, "c0", 1), Error), "it is refused")
                said = redis.call("FCALL", "Counter.add", 1, "c0", 1)
                check("another node" in said, said)
                equal(int(redis.ok("FCALL", "Counter.get", 1, "c1")), now[1], "reads go on")
            with following.redis() as redis:
                redis.ok("FCALL", "Counter.add", 1, "c0", 1)
                for n in range(100):  # new objects are told from all that the lost one had made
                    redis.ok("FCALL", "Counter.add", 1, f"new{n}", 1000)
            equal(values(following), [now[0] + 1] + now[1:], "after new objects were made")
            following.kill()
            following.start()  # with --recover, on a folder that there is
            equal(values(following), [now[0] + 1] + now[1:], "after a restart")
            following.stop()
            restore_with = ("--data", following.data, "--blob", blob, "--json")
            undo = json.loads(cairn(following, "restore", str(first), *restore_with))["before"]
            following.start()
            check_cut(values(following))
            check(values(following)[0] <= now[0], "a version of the lost one")
            following.stop()
            cairn(following, "restore", str(undo), *restore_with)
            following.start()
            equal(values(following), [now[0] + 1] + now[1:], "and back")
        with machine(folder, "third", blob, "--recover") as third:
            equal(values(third), [now[0] + 1] + now[1:], "after a proper stop nothing is missing")
        lost.kill()
        check("belongs to" in lost.refuses(), "starting the lost one again")
    node = machine(folder, "plain", os.path.join(folder, "new-blob"))
    check("--engine hybridlog" in node.refuses(), "a blob store for the engine in memory")
    node.flags.append("--engine=hybridlog")
    with node:
        node.stop()
    said = machine(folder, "nothing", os.path.join(folder, "typo"), "--recover").refuses()
    check("nothing to recover" in said, said)


def shelf(node, name):
    """What is in it, as sums of its parts."""
    with node.redis() as redis:
        return [int(redis.ok("FCALL", "Shelf.sum", 1, name, part)) for part in range(10)]


def fill(node, name, tag, count=1000):
    with node.redis() as redis:
        for _ in range(count // 500):
            redis.ok("FCALL", "Shelf.fill", 1, name, 500, tag)


def test_one_object(folder):
    """An object comes back whole, of any kind of field, at a version and at a moment, while all else goes on."""
    for engine in ENGINES:
        blob = os.path.join(folder, engine + "-blob")
        with Node(folder, f"--engine={engine}", f"--blob={blob}", "--archive-every=1", "--limit-cpu=2000",
                  data=os.path.join(folder, engine), name=engine) as node:
            node.deploy("shelf", "register")
            fill(node, "a", 1, 2000)
            fill(node, "b", 1)
            then = shelf(node, "a")
            version = cairn(node, "snapshot", "--json")
            version = str(json.loads(version)["version"])
            time.sleep(.02)
            moment = str(int(time.time() * 1000))
            time.sleep(.02)
            with node.redis() as redis:
                redis.ok("FCALL", "Shelf.drop", 1, "a", 700)
            fill(node, "a", 2)
            between = shelf(node, "a")
            middle = str(int(time.time() * 1000))
            time.sleep(1.5)  # some of it is in the blob store, and some is not
            fill(node, "a", 3)
            fill(node, "b", 2)
            now, beside = shelf(node, "a"), shelf(node, "b")
            said = cairn(node, "objects", "restore", "Shelf/a", "--version", version, "--preview")
            check("- " in said and "+ " in said and "item 0 of 3" not in said.split("+", 1)[1], said)
            equal(shelf(node, "a"), now, "after a preview")
            load = Load(node)
            load.start()
            for words, want in ((("--version", version), then), (("--at", middle), between), (("--at", moment), then)):
                cairn(node, "objects", "restore", "Shelf/a", *words)
                equal(shelf(node, "a"), want, f"{engine} {words}")
                check("is as it was then" in cairn(node, "objects", "restore", "Shelf/a", "--preview", *words), "preview")
            load.stop()
            equal(shelf(node, "b"), beside, "another object")
            cairn(node, "objects", "rm", "Shelf/a")
            cairn(node, "objects", "restore", "Shelf/a", "--version", version)
            fill(node, "a", 4, 500)
            check("a\n" in cairn(node, "objects", "ls", "Shelf"), "it is listed")
            for word in ("nothing", "0", "-1"):
                cairn(node, "objects", "restore", "Shelf/a", "--version", word, status=2)
            check("no version 999" in cairn(node, "objects", "restore", "Shelf/a", "--version", "999", status=1), "999")
            said = cairn(node, "objects", "restore", "Shelf/a", "--at", "2020-01-01T00:00:00Z", status=1)
            check("no version from before" in said, said)
            cairn(node, "objects", "restore", "Shelf/later", "--version", version)
            equal(cairn(node, "objects", "show", "Shelf/later", status=1).count("no such object"), 1)
            kept = shelf(node, "a")
            node.kill()
            node.start()
            equal(shelf(node, "a"), kept, "after a kill")


def test_one_object_of_an_older_module(folder):
    """Fields that the module of today does not know come back as well."""
    with Node(folder, "--engine=hybridlog") as node:
        node.deploy("shelf")
        fill(node, "a", 7)
        then = shelf(node, "a")
        version = str(json.loads(cairn(node, "snapshot", "--json"))["version"])
        fill(node, "a", 8)
        with node.redis() as redis:
            redis.ok("FUNCTION", "LOAD", "REPLACE", cairnproc.guest("shelf_bare"))
        cairn(node, "objects", "restore", "Shelf/a", "--version", version)
        with node.redis() as redis:
            redis.ok("FUNCTION", "LOAD", "REPLACE", cairnproc.guest("shelf"))
        equal(shelf(node, "a"), then, "with the older module again")
        said = cairn(node, "objects", "show", "Shelf/a", "--at", str(int(time.time() * 1000) + 60000), status=1)
        check("still to come" in said, said)


def test_one_object_and_kills(folder):
    """Killed while a large one is being brought back it is as it was or as it is to be, and nothing of it stays."""
    with Node(folder, "--engine=hybridlog", "--limit-cpu=2000") as node:
        node.deploy("shelf")
        fill(node, "a", 1, 20000)
        then = shelf(node, "a")
        version = str(json.loads(cairn(node, "snapshot", "--json"))["version"])
        fill(node, "a", 2, 500)
        now, seen = shelf(node, "a"), []
        for delay in (.002, .005, .01, .02, .04, .06, .1, .15, .2, .4):
            asking = threading.Thread(target=lambda: subprocess.run(
                [cairnproc.CAIRN, "objects", "restore", "Shelf/a", "--version", version], check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{node.http}")))
            asking.start()
            time.sleep(delay)
            node.kill()
            asking.join()
            node.start()
            found = shelf(node, "a")
            check(found in (then, now), f"after {delay} s it is neither")
            seen.append(found == then)
            fill(node, "a", 2, 500)
            now = shelf(node, "a")
        check(any(seen) and not all(seen), f"every kill came too late, or too early: {seen}")


def test_preview(folder):
    """What going back would change is told, and nothing is changed by that; then it is what changes."""
    for engine in ENGINES:
        blob = os.path.join(folder, engine + "-blob")
        with Node(folder, f"--engine={engine}", f"--blob={blob}", "--archive-every=1",
                  data=os.path.join(folder, engine), name=engine) as node:
            node.deploy("shelf", "register")
            with node.redis() as redis:
                for n in range(60):
                    redis.ok("FCALL", "Register.set", 1, f"r{n}", n)
            fill(node, "a", 1)
            fill(node, "b", 1)
            version = str(json.loads(cairn(node, "snapshot", "--json"))["version"])
            with node.redis() as redis:
                redis.ok("FCALL", "Register.set", 1, "r7", 70)
                redis.ok("FCALL", "Register.set", 1, "r8", 8)  # as it is
                redis.ok("FCALL", "Register.set", 1, "young", 1)
            cairn(node, "objects", "rm", "Register/r9", "Shelf/b")
            time.sleep(.02)
            moment = str(int(time.time() * 1000))
            time.sleep(.02)
            fill(node, "a", 2)
            node.stop()
            where = ("--data", node.data, "--blob", blob, "--preview")
            check("--blob" in cairn(node, "restore", version, "--preview", "--data", node.data, status=1), "no --blob")
            check("has not kept" in cairn(node, "restore", version, "--preview", "--data", node.data, "--blob",
                                          blob + "-typo", status=1), "another --blob")
            check("no data folder" in cairn(node, "restore", version, "--preview", "--data", node.data + "-typo",
                                            status=1), "no folder")
            said = cairn(node, "restore", version, *where).strip().split("\n")
            equal(said[0], "2 objects would change (~), 1 would go (-), 2 would be there again (+)", engine)
            equal(sorted(said[1:]), sorted(["~ Register/r7", "~ Shelf/a", "- Register/young", "+ Register/r9",
                                            "+ Shelf/b"]), engine)
            equal(json.loads(cairn(node, "restore", "--at", moment, *where, "--json")),
                  {"change": 1, "go": 0, "come": 0}, engine)
            restore_with = ("--data", node.data, "--blob", blob, "--json")
            cairn(node, "restore", "--at", moment, *restore_with)
            equal(json.loads(cairn(node, "restore", "--at", moment, *where, "--json")),
                  {"change": 0, "go": 0, "come": 0}, f"{engine}, when it is done")
            cairn(node, "restore", version, *restore_with)
            equal(json.loads(cairn(node, "restore", version, *where, "--json")),
                  {"change": 0, "go": 0, "come": 0}, f"{engine}, when it is done")


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_damage(folder):
    """In a shard's run: who needs it is told, and nobody else; a version that needs it is not gone to."""
    with Node(folder, "--engine=lsm") as node:
        node.deploy("register")
        with node.redis() as redis:
            for n in range(200):
                redis.ok("FCALL", "Counter.add", 1, f"c{n}", n)
        cairn(node, "snapshot")
        node.stop()
        runs = []
        for root, _, files in os.walk(os.path.join(node.data, "shards")):
            runs += [os.path.join(root, file) for file in files if file.endswith(".run")]
        check(len(runs) >= 16, f"{runs}")
        broken = sorted(runs)[3]
        flip(broken, 40)
        node.start()
        with node.redis() as redis:
            replies = [redis.call("FCALL", "Counter.get", 1, f"c{n}") for n in range(200)]
        bad = [n for n, reply in enumerate(replies) if isinstance(reply, Error)]
        check(0 < len(bad) < 50, f"{len(bad)} of 200 objects could not be read")
        for n, reply in enumerate(replies):
            if n in bad:
                check(reply.code == "CORRUPT" and os.path.basename(broken) in reply, f"{reply}")
            else:
                equal(int(reply), n)
        node.check_alive()
        node.stop()
        check(os.path.basename(broken) in restore(node, 1, status=1), "restoring a damaged version")
        flip(broken, 40)
        restore(node, 1)
        node.start()
        with node.redis() as redis:
            equal([int(redis.ok("FCALL", "Counter.get", 1, f"c{n}")) for n in range(200)], list(range(200)))


if __name__ == "__main__":
    main([test_preview, test_one_object, test_one_object_of_an_older_module, test_one_object_and_kills, test_another_machine, test_versions_under_load, test_schedule_and_kills, test_any_moment, test_what_is_refused, test_damage])
