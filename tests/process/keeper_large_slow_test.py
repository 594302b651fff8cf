#!/usr/bin/env python3
"""A tree that is larger than what its engine may have in memory: nodes, data and lists, over a SIGKILL.

Catches a node of the tree that an engine on disk loses or mixes up once it has left memory; data in the blob store that a
tree on disk does not find; a process whose memory grows with the tree.
"""
import random

from cairnproc import Node, check, equal, main
from zkwire import OPEN_ACL, Connection

NODES, FOLDERS, BYTES, BATCH = 60000, 60, 1000, 200
ENGINE_MIB, RSS_MIB = 16, 250


def data_of(number, version=0):
    return random.Random(number * 1000 + version).randbytes(BYTES)


def path_of(number):
    return f"/f{number % FOLDERS}/n{number}"


def all_of(client, requests):
    """The replies' errors and bodies; sent in batches."""
    for at in range(0, len(requests), BATCH):
        client.send(requests[at:at + BATCH])
        for _ in requests[at:at + BATCH]:
            reply = client.read()
            yield reply.error, reply.body


def rss_mib(node):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024


def fill_and_look(folder, engine, *flags):
    drawn = random.Random(7)
    with Node(folder, "--engine", engine, f"--engine-memory={ENGINE_MIB}", "--memory=64", *flags, sync="none",
              zk=0) as node:
        client = Connection(node.zk)
        folders = [("create", f"/f{number}", b"", OPEN_ACL, 0) for number in range(FOLDERS)]
        creates = [("create", path_of(number), data_of(number), OPEN_ACL, 0) for number in range(NODES)]
        equal([error for error, _ in all_of(client, folders + creates) if error], [])
        changed = drawn.sample(range(NODES), 2000)
        gone = set(drawn.sample(range(NODES), 2000)) - set(changed)
        equal([error for error, _ in all_of(client, [("set", path_of(n), data_of(n, 1), -1) for n in changed])
               if error], [])
        equal([error for error, _ in all_of(client, [("delete", path_of(n), -1) for n in gone]) if error], [])
        check(rss_mib(node) < RSS_MIB, f"the process has {rss_mib(node):.0f} MiB")
        for kills in range(2):
            looked = drawn.sample(range(NODES), 5000) + changed[:500] + sorted(gone)[:200]
            replies = all_of(client, [("get", path_of(n), False) for n in looked])
            for n, (error, body) in zip(looked, replies):
                if n in gone:
                    equal(error, -101, path_of(n))
                else:
                    check(body[0] == data_of(n, int(n in set(changed))), f"{path_of(n)} has other data")
            names = sorted(client.call("ls", "/f7", False)[0].body[0])
            equal(names, sorted(f"n{n}" for n in range(7, NODES, FOLDERS) if n not in gone), f"with {kills} kills")
            check(rss_mib(node) < RSS_MIB, f"the process has {rss_mib(node):.0f} MiB")
            if kills == 0:
                equal(client.call("set", "/f0", b"last", -1)[0].error, 0)
                node.kill()
                node.start()
                client = Connection(node.zk)


def test_hybridlog(folder):
    fill_and_look(folder, "hybridlog")


def test_lsm(folder):
    fill_and_look(folder, "lsm")


def test_hybridlog_and_blobs(folder):
    """Data of changed nodes alone is put one by one: a sync each."""
    with Node(folder, "--engine=hybridlog", f"--engine-memory={ENGINE_MIB}", "--memory=64",
              "--keeper-storage=hybrid:2000", sync="none", zk=0) as node:
        client = Connection(node.zk)
        datas = {f"/b{number}": random.Random(number).randbytes(100000) for number in range(600)}
        equal([error for error, _ in all_of(client, [("create", path, data, OPEN_ACL, 0)
                                                     for path, data in datas.items()]) if error], [])
        check(rss_mib(node) < RSS_MIB + 64, f"the process has {rss_mib(node):.0f} MiB")
        node.kill()
        node.start()
        client = Connection(node.zk)
        for path, (_, body) in zip(datas, all_of(client, [("get", path, False) for path in datas])):
            check(body[0] == datas[path], f"{path} has other data")
        check(rss_mib(node) < RSS_MIB + 64, f"the process has {rss_mib(node):.0f} MiB")


if __name__ == "__main__":
    main([test_hybridlog, test_lsm, test_hybridlog_and_blobs])
