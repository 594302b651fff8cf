#!/usr/bin/env python3
"""Folders and a blob store of the format before this one, made by the program of then (previous/README.md).

Catches an export of them that loses or changes something, a folder or store that is changed by being read, an old one that is
served, a refusal that does not name the way out, and damage that passes.
"""
import hashlib
import json
import os
import subprocess
import tarfile

import cairnproc
from cairnproc import Node, check, equal, main

PREVIOUS = os.path.join(cairnproc.SOURCE, "tests", "process", "previous")
READS = (("timeline", "100"), ("posts", "100"), ("profile", None))


def unpack(folder):
    with tarfile.open(os.path.join(PREVIOUS, "folders.tar.xz")) as archive:
        archive.extractall(folder)


def contents(engine):
    with open(os.path.join(PREVIOUS, "contents.json"), encoding="utf-8") as file:
        return json.load(file)[engine]


def hashes(folder):
    found = {}
    for top, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(top, name)
            with open(path, "rb") as file:
                found[path] = hashlib.sha256(file.read()).digest()
    return found


def run(*words, status=0):
    done = subprocess.run([cairnproc.CAIRN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          timeout=120)
    equal(done.returncode, status, f"status of cairn {' '.join(words)}, which said {done.stderr!r}")
    return done.stderr.decode()


def check_contents(folder, stream, want, engine):
    data = os.path.join(folder, "new-" + engine)
    run("import", "--data", data, "--engine", engine, "--shards", "4", stream)
    with Node(folder, data=data, name="new-" + engine) as node:
        web = node.web()
        status, text = web.ask("GET", "/v1/objects/User?limit=1000")
        equal(sorted(json.loads(text)["ids"]), sorted(want), "ids")
        for user, reads in want.items():
            for name, arg in READS:
                status, text = web.ask("GET", f"/v1/objects/User/{user}/{name}" + (f"?arg={arg}" if arg else ""))
                equal((status, json.loads(text)), (200, reads[name]), f"{name} of {user}")
        before = web.ask("GET", "/v1/objects/User/u3/posts?arg=100")
        for n in (3, 27, 39):  # keys that were used then: before the version, after it, in the log alone
            with node.redis() as redis:
                redis.ok("FCALL", "User.post", 2, f"u{n % 12}", f"key-{n}", f"post {n}")
        equal(web.ask("GET", "/v1/objects/User/u3/posts?arg=100"), before, "posts after keys were used again")


def test_export(folder):
    unpack(folder)
    before = hashes(folder)
    for name, flag in (("memory", "--data"), ("hybridlog", "--data"), ("blob", "--blob")):
        path, stream = os.path.join(folder, name), os.path.join(folder, name + ".stream")
        run("export", flag, path, stream)
        for engine in ("memory", "lsm"):
            if (name, engine) != ("blob", "memory"):
                check_contents(folder, stream, contents("memory" if name == "memory" else "hybridlog"), engine)
                os.rename(os.path.join(folder, "new-" + engine), os.path.join(folder, f"done-{name}-{engine}"))
    after = hashes(folder)
    for path, digest in before.items():
        equal(after.get(path), digest, f"the content of {path}")
    old = [path for path in after if path.split(os.sep)[len(folder.split(os.sep))] in ("memory", "hybridlog", "blob")]
    equal(sorted(old), sorted(before), "files of what was exported")


def test_refusals(folder):
    unpack(folder)
    before = hashes(folder)
    for name in ("memory", "hybridlog"):
        data = os.path.join(folder, name)
        said = Node(folder, data=data).refuses()
        check(f"cairn export --data {data} FILE" in said and "cairn import --data NEW FILE" in said, f"it said {said!r}")
    blob = os.path.join(folder, "blob")
    said = Node(folder, "--recover", "--blob", blob, data=os.path.join(folder, "new")).refuses()
    check(f"cairn export --blob {blob} FILE" in said, f"of the blob store it said {said!r}")
    after = hashes(folder)
    for path, digest in before.items():
        equal(after.get(path), digest, f"the content of {path}")


def test_damage(folder):
    """A byte of a chunk, a version, the head, a checkpoint or the log that was changed, or one of them missing."""
    unpack(folder)
    for name, below in (("blob", "log"), ("blob", "versions"), ("blob", "epochs"), ("blob", "runs"),
                        ("memory", "checkpoints"), ("memory", "FORMAT")):
        top = os.path.join(folder, name)
        paths = [path for path in hashes(top) if os.path.relpath(path, top).startswith(below) and "lock" not in path]
        path = max(paths, key=lambda path: (os.path.basename(path) if below == "log" else "", os.path.getsize(path)))
        with open(path, "r+b") as file:
            good = file.read()
            at = len(good) * 2 // 3
            file.seek(at)
            file.write(bytes([good[at] ^ 0x10]))
        said = run("export", "--blob" if name == "blob" else "--data", top, os.path.join(folder, "s"), status=1)
        check("damaged" in said or "checksum" in said or "missing" in said, f"of damage in {path} it said {said!r}")
        check(not os.path.exists(os.path.join(folder, "s")), "a stream is left")
        with open(path, "wb") as file:
            file.write(good)
        os.rename(path, path + "-away")
        if below != "FORMAT" and below != "log":
            run("export", "--blob" if name == "blob" else "--data", top, os.path.join(folder, "s"), status=1)
        os.rename(path + "-away", path)
    run("export", "--blob", os.path.join(folder, "blob"), os.path.join(folder, "s"))


if __name__ == "__main__":
    main([test_export, test_refusals, test_damage])
