#!/usr/bin/env python3
"""Exports and imports by the real program: of stopped nodes, between engines and numbers of shards, through kills.

Catches an import that was killed and whose folder is served, a stream that was cut off or damaged and is taken, a file that
is left although the export failed, a full disk that is not told, state that is not there after the import, and refusals that
do not say what to do.
"""
import os
import random
import subprocess
import time

import cairnproc
from cairnproc import Node, check, equal, main
from versions_test import Load, check_cut, values

ENGINES = ("memory", "hybridlog", "lsm")


def run(*words, status=0, give=None, **more):
    done = subprocess.run([cairnproc.CAIRN, *words], input=give, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, timeout=120, **more)
    said = done.stderr.decode()
    equal(done.returncode, status, f"status of cairn {' '.join(words)}, which said {said!r}")
    return done.stdout if status == 0 else said


def populate(node, users=20, posts=60):
    node.deploy("retwis")
    with node.redis() as redis:
        for n in range(users):
            redis.ok("FCALL", "User.follow", 1, f"u{n}", f"u{(n + 1) % users}")
        for n in range(posts):
            redis.ok("FCALL", "User.post", 2, f"u{n % users}", f"key-{n}", "text " * (n % 9) + str(n))


def timelines(node, users=20):
    with node.redis() as redis:
        return [redis.ok("FCALL", "User.timeline", 1, f"u{n}", 100) for n in range(users)]


def large(folder, name="data"):
    """A folder with some MiB of state, and its stream."""
    node = Node(folder, data=os.path.join(folder, name)).start()
    node.deploy("retwis")
    with node.redis() as redis:
        for n in range(300):
            redis.ok("FCALL", "User.post", 1, f"u{n % 7}", "x" * 20000)
    node.stop()
    return node.data, run("export", "--data", node.data)


def test_between_engines(folder):
    with Node(folder, "--engine=memory", "--shards=3") as node:
        populate(node)
        want = timelines(node)
        node.stop()
    data, name = node.data, "memory"
    for step, engine in enumerate(("hybridlog", "lsm", "appendlog", "memory")):
        stream = run("export", "--data", data)
        data, name = os.path.join(folder, f"data-{step}"), engine
        run("import", "--data", data, "--engine", engine, "--shards", str(1 + 3 * step), give=stream)
    with Node(folder, data=data, name="last") as node:
        equal(timelines(node), want, "timelines after four engines")
        with node.redis() as redis:
            first = redis.ok("FCALL", "User.post", 2, "u3", "key-3", "text " * 3 + "3")
            equal(first, 1, "the outcome of a key that was used before")
        equal(timelines(node), want, f"timelines after a key was used again, with {name}")


def test_online(folder):
    """Under load: what comes out of it is a state that the node was in, and the node goes on."""
    for engine in ENGINES:
        with Node(folder, f"--engine={engine}", "--shards=5", "--log-max=64", name=engine,
                  data=os.path.join(folder, engine)) as node:
            address = dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{node.http}")
            node.deploy("register")
            with node.redis() as redis:
                for n in range(20):
                    redis.ok("FCALL", "Counter.get", 1, f"c{n}")
            load = Load(node)
            load.start()
            time.sleep(0.3)
            streams = []
            for n in range(4):
                before = values(node)
                streams.append((before, run("export", env=address), values(node)))
            load.stop()
            equal(run("versions", "ls", env=address).decode().count("\n"), 1, "lines of versions that are left")
            node.stop()
        for n, (before, stream, after) in enumerate(streams):
            data = os.path.join(folder, f"{engine}-{n}")
            run("import", "--data", data, "--shards", "3", give=stream)
            with Node(folder, data=data, name=f"{engine}-{n}") as again:
                found = values(again)
                check_cut(found)
                check(all(a <= b <= c for a, b, c in zip(before, found, after)),
                      f"{found} is not between {before} and {after}")


def test_online_refusals(folder):
    with Node(folder, "--engine=memory") as node:
        address = dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{node.http}")
        said = run("export", "--version", "3", status=1, env=address)
        check("keeps no versions" in said, f"of a version with memory it said {said!r}")
        run("export", "--version", "3", "--data", node.data, status=2, env=address)
        web = node.web()
        for method, path, status in (("GET", "/v1/export", 405), ("POST", "/v1/export/1", 404),
                                     ("POST", "/v1/export/x/1", 400), ("POST", "/v1/export?at=1", 400),
                                     ("POST", "/v1/export/7/1", 404)):
            equal(web.ask(method, path)[0], status, f"status of {method} {path}")
        node.stop()
    said = run("export", status=3, env=address)
    check("no node answers" in said, f"without a node it said {said!r}")


def test_file_and_pipe(folder):
    with Node(folder) as node:
        populate(node, posts=5)
        said = run("export", "--data", node.data, status=1)
        check("in use" in said and "without --data" in said, f"of a folder that a node is on it said {said!r}")
        node.stop()
    path = os.path.join(folder, "pipe")
    os.mkfifo(path)  # it stands for /dev/null, which the stream would take the place of
    said = run("export", "--data", node.data, path, status=2)
    check("is a device or a pipe" in said and os.listdir(folder).count("pipe.part") == 0, f"of a pipe it said {said!r}")
    path = os.path.join(folder, "stream")
    run("export", "--data", node.data, path)
    with open(path, "rb") as file:
        stream = file.read()
    check(run("export", "--data", node.data, "-")[16:] == stream[16:], "file and pipe differ")
    check(not os.path.exists(path + ".part"), "the part is left")
    run("import", "--data", os.path.join(folder, "new"), path)
    said = run("import", "--data", os.path.join(folder, "new"), path, status=1)
    check("import into a new one" in said, f"of an existing folder it said {said!r}")
    said = run("import", "--data", node.data, path, status=1)
    check("import into a new one" in said, f"of a node's folder it said {said!r}")
    said = run("export", "--data", os.path.join(folder, "none"), status=1)
    check("there is no data folder" in said and not os.path.exists(os.path.join(folder, "none")), f"it said {said!r}")
    said = run("import", "--data", os.path.join(folder, "other"), "--engine", "hybirdlog", path, status=1)
    check("hybridlog" in said, f"of an engine that there is not it said {said!r}")
    run("import", path, status=2)


def refused(folder, data):
    said = Node(folder, data=data, name="refusing").refuses()
    check("remove the folder and import again" in said, f"a node on it said {said!r}")
    said = run("export", "--data", data, status=1)
    check("remove the folder and import again" in said, f"an export of it said {said!r}")


def test_damage(folder):
    data, stream = large(folder)
    chance = random.Random(1)
    for n in range(6):
        at = chance.randrange(1, len(stream) - 1)
        new = os.path.join(folder, f"cut-{n}")
        said = run("import", "--data", new, give=stream[:at], status=1)
        check("cut off" in said and "remove it" in said, f"of a cut at {at} it said {said!r}")
        refused(folder, new)
        new = os.path.join(folder, f"flip-{n}")
        said = run("import", "--data", new, give=stream[:at] + bytes([stream[at] ^ 4]) + stream[at + 1:], status=1)
        check("damaged at byte" in said or "cut off" in said, f"of a flip at {at} it said {said!r}")
        refused(folder, new)
    said = run("import", "--data", os.path.join(folder, "none"), give=b"hello, world; this is long enough", status=1)
    check("no stream of" in said, f"of something else it said {said!r}")
    said = run("import", "--data", os.path.join(folder, "empty"), give=b"", status=1)
    check("empty" in said, f"of nothing it said {said!r}")
    other = stream[:8] + b"\x63\0\0\0" + stream[12:]
    said = run("import", "--data", os.path.join(folder, "version"), give=other, status=1)
    check("checksum" in said, f"of a changed version it said {said!r}")


def test_kill(folder):
    """An import that is killed midway, again and again: refused each time, until one comes to its end."""
    _, stream = large(folder)
    killed = 0
    for n, engine in enumerate(ENGINES * 3):
        data = os.path.join(folder, f"killed-{n}")
        process = subprocess.Popen([cairnproc.CAIRN, "import", "--data", data, "--engine", engine, "--shards", "2"],
                                   stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        at = len(stream) * (n + 1) // 10
        process.stdin.write(stream[:at])
        process.stdin.flush()
        while not os.path.exists(os.path.join(data, "IMPORT")):
            time.sleep(0.001)
        time.sleep(0.003 * n)
        process.kill()
        process.wait()
        process.stdin.close()
        refused(folder, data)
        killed += 1
    equal(killed, 9, "imports that were killed")
    # At the very end: whatever stands there then is whole or refused.
    for n in range(8):
        data = os.path.join(folder, f"end-{n}")
        process = subprocess.Popen([cairnproc.CAIRN, "import", "--data", data], stdin=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        process.stdin.write(stream)
        process.stdin.close()
        time.sleep(0.01 * n)
        process.kill()
        process.wait()
        if os.path.exists(os.path.join(data, "IMPORT")):
            refused(folder, data)
        elif os.path.exists(os.path.join(data, "FORMAT")):
            check(run("export", "--data", data)[100:] == stream[100:], "a folder that is served is not whole")


def test_full_disk(folder):
    """Limits of the size of files stand for a full disk: SIGXFSZ is ignored, and writes fail."""
    data, _ = large(folder)
    path = os.path.join(folder, "stream")
    limit = ["prlimit", "--fsize=1000000"]
    done = subprocess.run([*limit, cairnproc.CAIRN, "export", "--data", data, path], stderr=subprocess.PIPE, check=False,
                          timeout=60)
    equal(done.returncode, 1, f"status of an export that has no room, which said {done.stderr!r}")
    check(b"File too large" in done.stderr, f"it said {done.stderr!r}")
    check(not os.path.exists(path) and not os.path.exists(path + ".part"), "something is left of it")
    run("export", "--data", data, path)
    new = os.path.join(folder, "new")
    done = subprocess.run([*limit, cairnproc.CAIRN, "import", "--data", new, path], stderr=subprocess.PIPE, check=False,
                          timeout=60)
    equal(done.returncode, 1, f"status of an import that has no room, which said {done.stderr!r}")
    check(os.path.exists(os.path.join(new, "IMPORT")), "the folder passes for a whole one")


if __name__ == "__main__":
    main([test_between_engines, test_online, test_online_refusals, test_file_and_pipe, test_damage, test_kill, test_full_disk])
