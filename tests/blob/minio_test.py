#!/usr/bin/env python3
"""Blob stores on a real S3 server, MinIO, which tools/minio builds (not this test: it takes minutes).

Catches what a server of our own would not: signatures as others read them, conditions as others keep them, lists, parts
and ranges as others have them, and what a server that is killed leaves behind.
"""
import os
import signal
import time

import contract
from blobs import BUCKET, KEY_ID, OPTIONS, SECRET, Minio, bytes_of, check, equal, fails, listed, made, ok, start
from cairnproc import Node, main

MIB = 1 << 20


def test_contract(folder):
    with Minio(folder) as minio:
        contract.round_trips(minio.url, folder, [0, 1, 5 * MIB, 100 * MIB])
        contract.names(minio.url, folder)
        contract.creates(minio.url, rounds=10, processes=8)
        ok(minio.url, "threads", "threads", 10)
        ok(minio.url, "fill", "many", 1100)
        equal(sorted(listed(minio.url, "many")), [f"{i:06}" for i in range(1100)], "more than one page")
        equal(listed(minio.url, "cairn-probe"), {}, "what is left of trying on opening")
        path = made(folder, "in", 11 * MIB)  # the smallest parts that S3 takes, and ranges that do not fit them
        small = OPTIONS + f",single_bytes={5 * MIB},part_bytes={5 * MIB},range_bytes={3 * MIB}"
        contract.round_trips(minio.url.replace("/a/prefix", ""), folder, [5 * MIB, 5 * MIB + 1, 15 * MIB, 16 * MIB],
                             options=small + ",tries=1")
        ok(minio.url, "put_file", "x", path, options=small)


def test_refusals(folder):
    with Minio(folder) as minio:
        fails("auth", minio.url, "list", "", says="403 SignatureDoesNotMatch", AWS_SECRET_ACCESS_KEY="wrong")
        fails("auth", minio.url, "list", "", says="403 InvalidAccessKeyId", AWS_ACCESS_KEY_ID="nobody")
        fails("auth", minio.url, "list", "", says="403", AWS_SESSION_TOKEN="of another session")
        fails("not_found", minio.url.replace(BUCKET, "bucket-2"), "list", "", says="no bucket 'bucket-2'")


def test_killed_in_an_upload(folder):
    """The server is killed with -9 while a file is on its way: an error soon, nothing there, and later all is well."""
    with Minio(folder) as minio:
        path, back = made(folder, "in", 300 * MIB), os.path.join(folder, "out")
        ok(minio.url, "create", "up/other", "text")
        for number, at in enumerate((20, 90, 250)):
            process = start(minio.url, "put_file", "up/file", path)
            while True:
                line = process.stderr.readline().decode()
                check(line.startswith("moved "), f"it ended before it was killed: {line}")
                if int(line.split()[1]) >= at * MIB:
                    break
            process.send_signal(signal.SIGSTOP)  # else it may be done before
            minio.kill()
            process.send_signal(signal.SIGCONT)
            begin = time.monotonic()
            text = process.communicate(timeout=30)[1].decode().strip().split("\n")[-1]
            equal(process.returncode, 1, f"an upload to nobody, which said {text}")
            check(text.startswith("io: "), text)
            check(time.monotonic() - begin < 15, "it took long to say so")
            print(f"    {text}")
            fails("io", minio.url, "get", "up/other", says="connect")
            minio.start()
            equal(sorted(listed(minio.url, "up")), ["other"], "after the server was killed")
            fails("not_found", minio.url, "get_file", "up/file", back)
            if number == 0:  # it comes back while the upload goes on: that ends well
                process = start(minio.url, "put_file", "up/through", path, options="")
                while int(process.stderr.readline().split()[1]) < 50 * MIB:
                    pass
                process.send_signal(signal.SIGSTOP)
                minio.kill()
                process.send_signal(signal.SIGCONT)
                minio.start()
                text = process.communicate(timeout=60)[1].decode().strip().split("\n")[-1]
                equal(process.returncode, 0, f"an upload through a restart, which said {text}")
                ok(minio.url, "get_file", "up/through", back)
                check(bytes_of(back) == bytes_of(path), "what came through a restart is another")
                ok(minio.url, "remove", "up/through")
        ok(minio.url, "put_file", "up/file", path)
        ok(minio.url, "get_file", "up/file", back)
        check(bytes_of(back) == bytes_of(path), "what was put at last is another")


def test_client_killed_in_an_upload(folder):
    with Minio(folder) as minio:
        path = made(folder, "in", 300 * MIB)
        for at in 1, 150, 290:
            process = start(minio.url, "put_file", "up/file", path)
            while int(process.stderr.readline().split()[1]) < at * MIB:
                pass
            process.kill()
            process.communicate()
            equal(listed(minio.url, "up"), {}, "what a client that was killed has put")


def wait_until(holds, what, seconds=30):
    end = time.monotonic() + seconds
    while not holds():
        check(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(.05)


def has_all(node):
    metrics = node.metrics()
    return not metrics["cairn_archive_pending_bytes"] and not metrics["cairn_archive_pending_versions"]


def test_a_node(folder):
    """Its log and versions go to S3, also after that was away for a while, and another machine goes on from there."""
    os.environ.update(AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY=SECRET)
    flags = ("--engine=hybridlog", "--archive-every=1", "--snapshot-log=1")
    with Minio(folder) as minio:
        with Node(folder, f"--blob={minio.url}", *flags, data=os.path.join(folder, "lost"), name="lost") as node:
            node.deploy("register")
            with node.redis() as redis:
                for n in range(3000):
                    redis.ok("FCALL", "Register.set", 1, f"r{n}", n)
                minio.kill()
                time.sleep(2)
                for n in range(3000, 4000):
                    redis.ok("FCALL", "Register.set", 1, f"r{n}", n)
            check(node.metrics()["cairn_archive_pending_bytes"] > 0, "nothing waits for a store that is away")
            minio.start()
            wait_until(lambda: has_all(node), "the store has all of it")
            node.kill()
        with Node(folder, f"--blob={minio.url}", "--recover", *flags, data=os.path.join(folder, "next"),
                  name="next") as node, node.redis() as redis:
            for n in range(0, 4000, 7):
                equal(int(redis.ok("FCALL", "Register.get", 1, f"r{n}")), n, f"r{n} on the next machine")
            redis.ok("FCALL", "Register.set", 1, "r0", -1)
            node.stop()
        with Node(folder, f"--blob={minio.url}", "--recover", *flags, data=os.path.join(folder, "third"),
                  name="third") as node, node.redis() as redis:
            equal(int(redis.ok("FCALL", "Register.get", 1, "r0")), -1, "after a proper stop")


if __name__ == "__main__":
    main([test_a_node, test_contract, test_refusals, test_killed_in_an_upload, test_client_killed_in_an_upload])
