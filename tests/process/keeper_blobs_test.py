#!/usr/bin/env python3
"""Data of the keeper's nodes in a blob store, with the real node and its folder.

Catches a write that is answered and whose data a SIGKILL takes; a folder that cannot be written, or an object that is rotten
or gone, that is answered with something else than -1, is not told in the log, hurts other nodes or does not heal; a
setting that makes data unreadable that another setting has written; data that is collected though a node has it, or that is
left though none has; a setting that is not refused.
"""
import hashlib
import os
import subprocess
import time

from cairnproc import CAIRN, Node, check, equal, main
from zkwire import OPEN_ACL, Connection

HYBRID = "--keeper-storage=hybrid:1000"


def object_of(node, data, root="blobs"):
    name = hashlib.sha256(data).hexdigest()
    return os.path.join(node.data, root, "keeper", name[:2], name)


def data_of(client, path):
    reply, _ = client.call("get", path, False)
    return reply.error or reply.body[0]


def create(client, path, data):
    return client.call("create", path, data, OPEN_ACL, 0)[0].error


def test_kill_and_settings(folder):
    sizes = {"/empty": 0, "/small": 999, "/limit": 1000, "/large": 400000, "/full": 1000000}
    datas = {path: os.urandom(size) for path, size in sizes.items()}
    with Node(folder, HYBRID, "--keeper-cache=0", zk=0) as node:
        client = Connection(node.zk)
        for path, data in datas.items():
            equal(create(client, path, data), 0, path)
        node.kill()
        equal({path for path, data in datas.items() if os.path.exists(object_of(node, data))},
              {"/limit", "/large", "/full"}, "what is in the blob store")
        for flags in ([], ["--keeper-storage=blob"], [HYBRID, "--keeper-cache=1MiB"]):
            node.flags[2:] = flags
            node.start()
            client = Connection(node.zk)
            for _ in range(2):
                equal({path: data_of(client, path) for path in datas}, datas, f"with {flags}")
            equal(client.call("set", "/small", b"x" * 50, -1)[0].error, 0)
            equal(os.path.exists(object_of(node, b"x" * 50)), "--keeper-storage=blob" in flags, f"with {flags}")
            equal(client.call("set", "/small", datas["/small"], -1)[0].error, 0)
            node.kill()
            os.path.exists(object_of(node, b"x" * 50)) and os.remove(object_of(node, b"x" * 50))


def test_bad_days_of_the_store(folder):
    first, second, third = os.urandom(5000), os.urandom(5000), os.urandom(5000)
    with Node(folder, HYBRID, "--keeper-cache=0", zk=0) as node:
        client = Connection(node.zk)
        equal(create(client, "/a", first), 0)
        equal(create(client, "/b", second), 0)
        equal(create(client, "/small", b"s"), 0)
        # Away: something else stands where the folder is, as root may write anywhere.
        away = os.path.join(node.data, "blobs", "keeper")
        os.rename(away, away + ".away")
        open(away, "wb").close()
        equal(client.call("set", "/a", third, -1)[0].error, -1)
        equal(data_of(client, "/b"), -1)
        equal(data_of(client, "/small"), b"s")
        equal(client.call("set", "/small", b"t", -1)[0].error, 0)
        equal(client.call("exists", "/a", False)[0].body[0].version, 0)
        check("kind=blob_put" in node.output() or "blob_put" in node.output(), node.output())
        os.remove(away)
        os.rename(away + ".away", away)
        equal(data_of(client, "/b"), second)
        equal(client.call("set", "/a", third, -1)[0].error, 0)
        equal(data_of(client, "/a"), third)
        # Rotten, then gone; setting it heals it.
        with open(object_of(node, third), "r+b") as file:
            file.seek(2500)
            file.write(bytes([third[2500] ^ 4]))
        equal(data_of(client, "/a"), -1)
        equal(data_of(client, "/b"), second)
        check("blob_damaged" in node.output() and "/a" in node.output(), node.output())
        equal(client.call("set", "/a", third, -1)[0].error, 0)
        equal(data_of(client, "/a"), third)
        os.remove(object_of(node, second))
        equal(data_of(client, "/b"), -1)
        equal(client.call("delete", "/b", -1)[0].error, 0)
        equal(data_of(client, "/a"), third)


def objects(node):
    return {name for _, _, names in os.walk(os.path.join(node.data, "blobs")) for name in names}


def test_collecting(folder):
    """Nodes are set and deleted while the node is killed again and again: what is live stays, all the rest goes."""
    with Node(folder, "--keeper-storage=blob", "--keeper-collect=1", zk=0) as node:
        client = Connection(node.zk)
        for number in range(8):
            equal(create(client, f"/n{number}", f"first of {number}".encode()), 0)
        datas = {}
        for turn in range(4):
            for number in range(8):
                datas[f"/n{number}"] = f"{turn * number % 5} is shared".encode()
                equal(client.call("set", f"/n{number}", datas[f"/n{number}"], -1)[0].error, 0)
            time.sleep(0.7 + 0.4 * turn)  # at another place in its rounds
            node.kill()
            node.start()
            client = Connection(node.zk)
            equal({path: data_of(client, path) for path in datas}, datas, f"after kill {turn}")
        live = {hashlib.sha256(data).hexdigest() for data in datas.values()}
        end = time.monotonic() + 30
        while objects(node) != live and time.monotonic() < end:
            time.sleep(0.2)
        equal(objects(node), live, "what is left in the blob store")
        equal({path: data_of(client, path) for path in datas}, datas)


def test_flags(folder):
    for value in ("disk", "hybrid", "hybrid:", "hybrid:0", "hybrid:1x", "hybrid:-3", "hybrid:9999999999"):
        done = subprocess.run([CAIRN, "serve", "--data", os.path.join(folder, "d"), "--keeper-storage", value],
                              capture_output=True, text=True, timeout=20, check=False)
        equal((done.returncode, "--keeper-storage takes" in done.stderr), (2, True), f"{value}: {done.stderr}")


if __name__ == "__main__":
    main([test_kill_and_settings, test_bad_days_of_the_store, test_collecting, test_flags])
