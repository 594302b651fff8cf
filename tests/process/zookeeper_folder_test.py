#!/usr/bin/env python3
"""cairn keeper dump and load against a ZooKeeper of Debian's package, which is killed in the middle of its work.

Catches a node, stat, ACL or session of its data folder that comes out otherwise than the ZooKeeper told it to a client, a
snapshot that is damaged and taken, a log that is missing or damaged and not told, and a folder that is changed or made;
a tree that is loaded otherwise, or in which the names of sequential nodes begin anew.
Skipped if Debian's zookeeper is not installed.
"""
import glob
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import time

from cairnproc import CAIRN, Node, Skip, check, equal, main

JAVA = shutil.which("java")
JARS = "/usr/share/java"
OPEN = struct.pack(">ii", 1, 31) + b"\0\0\0\x05world\0\0\0\x06anyone"
STAT = ">qqqqiiiqiiq"


def text(value):
    """A string or buffer."""
    if value is None:
        return struct.pack(">i", -1)
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(value)) + value


class Client:
    """As much of ZooKeeper's protocol as is needed here."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.send(struct.pack(">iqiq", 0, 0, 40000, 0) + text(bytes(16)) + b"\0")
        self.session = struct.unpack(">iiq", self.receive()[:16])[2]
        self.xid = 0

    def send(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def take(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def receive(self):
        return self.take(struct.unpack(">i", self.take(4))[0])

    def ask(self, op, body):
        self.xid += 1
        self.send(struct.pack(">ii", self.xid, op) + body)
        reply = self.receive()
        return struct.unpack(">iqi", reply[:16])[2], reply[16:]


class ZooKeeper:
    def __init__(self, folder):
        self.data = os.path.join(folder, "data")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = os.path.join(folder, "zoo.cfg")
        with open(config, "w") as file:
            file.write(f"tickTime=2000\ndataDir={self.data}\nclientPort={self.port}\n"
                       "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n")
        with open(os.path.join(folder, "zookeeper.output"), "w") as output:
            self.process = subprocess.Popen(
                [JAVA, "-Xmx64m", "-Dzookeeper.preAllocSize=4", "-Dzookeeper.snapCount=40",
                 "-Dzookeeper.extendedTypesEnabled=true", "-cp", f"{JARS}/zookeeper.jar:{JARS}/*",
                 "org.apache.zookeeper.server.quorum.QuorumPeerMain", config],
                stdout=output, stderr=subprocess.STDOUT)
        for _ in range(200):
            try:
                Client(self.port).ask(-11, b"")
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("ZooKeeper does not start")

    def kill(self):
        self.process.kill()
        self.process.wait()


def create(path, data, flags):
    return text(path) + text(data) + OPEN + struct.pack(">i", flags)


def work(chance, clients):
    """Something at random; most of it may fail."""
    client = chance.choice(clients)
    path = "/" + chance.choice("abcdef") + chance.choice(["", "/x", "/y", "/x/z", "/\u00e9"])
    data = chance.choice([None, b"", b"data", bytes(range(256)), bytes(chance.randrange(2000))])
    kind = chance.randrange(10)
    if kind < 4:
        client.ask(1, create(path, data, chance.choice([0, 0, 0, 1, 2, 3])))
    elif kind == 4:
        client.ask(2, text(path) + struct.pack(">i", -1))
    elif kind < 7:
        client.ask(5, text(path) + text(data) + struct.pack(">i", -1))
    elif kind == 7:
        client.ask(7, text(path) + chance.choice([OPEN, struct.pack(">ii", 1, 31) + text("ip") + text("127.0.0.1")])
                   + struct.pack(">i", -1))
    elif kind == 8:
        client.ask(*chance.choice([(19, create(path, data, 4)),
                                   (21, create(path, data, 5) + struct.pack(">q", 86400000))]))
    else:
        parts = [(1, create(path, data, 0)), (5, text("/a") + text(data) + struct.pack(">i", -1)),
                 (chance.choice([2, 13]), text(chance.choice([path, "/none"])) + struct.pack(">i", -1))]
        client.ask(14, b"".join(struct.pack(">i?i", op, False, -1) + body for op, body in parts)
                   + struct.pack(">i?i", -1, True, -1))


def told(client, path="/"):
    """What it tells of the node and all below it, in order."""
    error, reply = client.ask(4, text(path) + b"\0")
    equal(error, 0, path)
    size = struct.unpack(">i", reply[:4])[0]
    stat = struct.unpack(STAT, reply[4 + max(size, 0):])
    yield path, None if size < 0 else reply[4:4 + size], client.ask(6, text(path))[1][:-68], stat
    reply = client.ask(8, text(path) + b"\0")[1]
    names, at = [], 4
    for _ in range(struct.unpack(">i", reply[:4])[0]):
        size = struct.unpack(">i", reply[at:at + 4])[0]
        names.append(reply[at + 4:at + 4 + size])
        at += 4 + size
    for name in sorted(names):
        yield from told(client, (path if path != "/" else "") + "/" + name.decode())


def dump(folder, want=0):
    done = subprocess.run([CAIRN, "keeper", "dump", "--zookeeper", folder], capture_output=True, timeout=60, check=False)
    equal(done.returncode, want, done.stderr.decode())
    return done.stdout if want == 0 else done.stderr.decode()


def same(lines, nodes):
    """The dump's nodes and those that were told."""
    import base64

    def data(value):
        if isinstance(value, dict):
            return base64.b64decode(value["base64"])
        return None if value is None else value.encode()

    dumped = [json.loads(line) for line in lines.splitlines()]
    found = [line for line in dumped if "path" in line]
    equal([line["path"] for line in found], [node[0] for node in nodes], "paths")
    for line, (path, content, acl, stat) in zip(found, nodes):
        owner = int(line["owner"], 16)
        if owner >> 56 in (0x80, 0xff):
            owner = 0  # as clients are told of containers, and of nodes with a time to live
        equal((int(line["czxid"], 16), int(line["mzxid"], 16), line["ctime"], line["mtime"], line["version"],
               2 * line["creates"] - line["children"], line["aversion"], owner, len(content or b""), line["children"],
               int(line["pzxid"], 16)), stat, f"stat of {path}")
        equal(data(line["data"]), content, f"data of {path}")
        if path != "/zookeeper/config":  # whose ACL it does not tell
            equal(struct.pack(">i", len(line["acl"])) + b"".join(
                struct.pack(">i", entry["perms"]) + text(entry["scheme"]) + text(entry["id"])
                for entry in line["acl"]), acl, f"ACL of {path}")
    equal(dumped[-1]["nodes"], len(nodes), "the count at the end")
    return dumped


def worked(folder):
    """A ZooKeeper that has done something at random, killed; what it told before, and its clients."""
    if not JAVA or not os.path.exists(f"{JARS}/zookeeper.jar"):
        raise Skip("Debian's zookeeper is not installed")
    seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
    print(f"    SEED={seed}")
    chance = random.Random(seed)
    server = ZooKeeper(folder)
    try:
        clients = [Client(server.port) for _ in range(4)]
        for _ in range(400):
            work(chance, clients)
        clients.pop().ask(-11, b"")
        nodes = list(told(clients[0]))
    finally:
        server.kill()
    return server, nodes, clients


def load(node, folder):
    done = subprocess.run([CAIRN, "keeper", "load", "--zookeeper", folder], capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, CAIRN_ZK=f"127.0.0.1:{node.zk}"), check=False)
    return done.returncode, done.stdout + done.stderr


def lasting(nodes):
    """(path, data, ACL, creations) of what is not ephemeral, nor ZooKeeper's own."""
    return [(path, data, acl, (stat[5] + stat[9]) // 2) for path, data, acl, stat in nodes
            if stat[7] <= 0 and not path.startswith("/zookeeper")]


def test_loaded(folder):
    server, nodes, _ = worked(folder)
    home = os.path.join(folder, "node")
    os.mkdir(home)
    with Node(home, zk=0) as node:
        status, said = load(node, server.data)
        equal(status, 0, said)
        check(f"{len(lasting(nodes))} nodes were loaded" in said, said)
        got = list(told(Client(node.zk)))
        for mine, its in zip(lasting(got), lasting(nodes)):
            equal(mine, its, "a node")
        equal(len(lasting(got)), len(lasting(nodes)), "nodes")
        status, said = load(node, server.data)
        check(status == 1 and "already" in said, said)


def test_quota(folder):
    """Limits are as they were, what is used is counted anew, and a subtree that is above its hard limit is loaded."""
    if not JAVA or not os.path.exists(f"{JARS}/zookeeper.jar"):
        raise Skip("Debian's zookeeper is not installed")
    server = ZooKeeper(folder)
    limits = b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3"
    try:
        client = Client(server.port)
        for path, data in (("/z", b"1"), ("/z/a", b"22"), ("/z/b", b"333"), ("/z/b/c", b""), ("/zookeeper/quota/z", b""),
                           ("/zookeeper/quota/z/zookeeper_limits", limits),
                           ("/zookeeper/quota/z/zookeeper_stats", b"count=0,bytes=0")):
            equal(client.ask(1, create(path, data, 0))[0], 0, path)
    finally:
        server.kill()
    home = os.path.join(folder, "node")
    os.mkdir(home)
    with Node(home, zk=0) as node:
        status, said = load(node, server.data)
        equal(status, 0, said)
        check("5 nodes were loaded, and 3 of quotas" in said, said)
        client = Client(node.zk)
        got = {path: data for path, data, *_ in told(client)}
        equal(got["/zookeeper/quota/z/zookeeper_limits"], limits, "limits")
        equal(got["/zookeeper/quota/z/zookeeper_stats"], b"count=4,bytes=6", "what is used")
        equal(client.ask(1, create("/z/d", b"", 0))[0], -125, "one more")
        equal(client.ask(2, text("/z/b/c") + struct.pack(">i", -1))[0], 0, "one less")


def test_as_it_was(folder):
    server, nodes, clients = worked(folder)
    before = {path: os.stat(path).st_mtime_ns for path in glob.glob(server.data + "/**", recursive=True)}
    whole = dump(server.data)
    dumped = same(whole, nodes)
    equal(sorted(int(line["session"], 16) for line in dumped if "session" in line),
          sorted(client.session for client in clients), "sessions")
    equal({path: os.stat(path).st_mtime_ns for path in glob.glob(server.data + "/**", recursive=True)}, before, "files")

    files = os.path.join(server.data, "version-2")
    newest = max(glob.glob(files + "/snapshot.*"), key=lambda path: int(path.rsplit(".", 1)[1], 16))
    check(int(newest.rsplit(".", 1)[1], 16) > 40, "it has written no snapshot in the middle")
    with open(newest, "r+b") as file:
        file.seek(200)
        byte = file.read(1)
        file.seek(200)
        file.write(bytes([byte[0] ^ 4]))
    equal(dump(server.data), whole, "from the snapshot before it")

    logs = sorted(glob.glob(files + "/log.*"), key=lambda path: int(path.rsplit(".", 1)[1], 16))
    with open(logs[-1], "r+b") as file:
        file.seek(60)
        byte = file.read(1)
        file.seek(60)
        file.write(bytes([byte[0] ^ 4]))
    check("the checksum of a transaction is another" in dump(server.data, 1), "a damaged log")
    for path in logs[:-1]:
        os.remove(path)
    check("has no log from" in dump(server.data, 1), "a missing log")
    check("there is no folder" in dump(folder + "/none", 1), "a missing folder")
    check(not os.path.exists(folder + "/none"), "it was made")


if __name__ == "__main__":
    main([test_as_it_was, test_loaded, test_quota])
