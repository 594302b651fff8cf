#!/usr/bin/env python3
"""Makes the fixtures beside it: data folders and a blob store of the format before this one, and what is in them.

It ran once, with the program of that format, whose commit is in README.md:
    make.py PROGRAM RETWIS_WASM
"""
import http.client
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

PROGRAM, WASM = sys.argv[1:]
HERE = os.path.dirname(os.path.abspath(__file__))
HTTP, RESP = 7991, 7992
USERS = 12
READS = (("timeline", "100"), ("posts", "100"), ("profile", None))


def ask(method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", HTTP, timeout=20)
    connection.request(method, path, body, headers or {})
    reply = connection.getresponse()
    text = reply.read()
    assert reply.status < 300, (path, reply.status, text)
    return json.loads(text)


def fill(first, end):
    for n in range(first, end):
        user, other = n % USERS, (n * 5 + 1) % USERS
        if user != other:
            ask("POST", f"/v1/objects/User/u{user}/follow", json.dumps([f"u{other}"]))
        ask("POST", f"/v1/objects/User/u{user}/post", json.dumps([f"post {n}"]), {"Idempotency-Key": f"key-{n}"})
        if n % 3 == 0:
            ask("POST", f"/v1/objects/User/u{user}/create", json.dumps([f"profile {n}"]))


def contents():
    found = {}
    for user in ask("GET", "/v1/objects/User")["ids"]:
        found[user] = {}
        for name, arg in READS:
            found[user][name] = ask("GET", f"/v1/objects/User/{user}/{name}" + (f"?arg={arg}" if arg else ""))
    return found


def serve(folder, data, *flags):
    process = subprocess.Popen([PROGRAM, "serve", "--data", data, "--http", str(HTTP), "--resp", str(RESP), *flags],
                               cwd=folder)
    time.sleep(1.5)
    return process


def make(folder, engine):
    flags = ["--blob", "blob", "--archive-every", "1"] if engine == "hybridlog" else []
    process = serve(folder, engine, "--engine", engine, "--shards", "3", *flags)
    with open(WASM, "rb") as file:
        ask("PUT", "/v1/modules/retwis", file.read())
    fill(0, 20)
    if flags:
        ask("POST", "/v1/versions")
    fill(20, 30)
    process.terminate()
    process.wait()
    process = serve(folder, engine, *flags)
    fill(30, 40)  # in no checkpoint and no version
    time.sleep(3)  # the blob store has it
    found = contents()
    process.kill()
    process.wait()
    shutil.rmtree(os.path.join(folder, engine, "cache"))
    return found


work = tempfile.mkdtemp()
want = {engine: make(work, engine) for engine in ("memory", "hybridlog")}
with open(os.path.join(HERE, "contents.json"), "w") as file:
    json.dump(want, file, indent=1)
    file.write("\n")
with tarfile.open(os.path.join(HERE, "folders.tar.xz"), "w:xz") as archive:
    for name in ("memory", "hybridlog", "blob"):
        archive.add(os.path.join(work, name), name)
shutil.rmtree(work)
