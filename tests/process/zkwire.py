"""ZooKeeper's protocol over a raw socket, and Debian's ZooKeeper as a process: for tests that compare the two servers.

Requests are (name, fields...) as OPS has them; a reply comes back as Reply, an event as Event.  Nothing is interpreted
but the fields, so that what a server sends is what a test sees.
"""
import collections
import contextlib
import os
import shutil
import socket
import struct
import subprocess
import time

from cairnproc import Lost, Skip

OPEN_ACL = [(31, "world", "anyone")]
Stat = collections.namedtuple("Stat", "czxid mzxid ctime mtime version cversion aversion owner bytes children pzxid")
Reply = collections.namedtuple("Reply", "xid zxid error body")
Event = collections.namedtuple("Event", "zxid type state path")

# name: (type, kinds of the request's fields, kinds of the reply's)
CREATE = "path data acl int"
OPS = {
    "create": (1, CREATE, "path"), "create2": (15, CREATE, "path stat"), "container": (19, CREATE, "path stat"),
    "ttl": (21, CREATE + " long", "path stat"), "delete": (2, "path int", ""), "exists": (3, "path bool", "stat"),
    "get": (4, "path bool", "data stat"), "set": (5, "path data int", "stat"), "getacl": (6, "path", "acl stat"),
    "setacl": (7, "path acl int", "stat"), "ls": (8, "path bool", "names"), "ls2": (12, "path bool", "names stat"),
    "sync": (9, "path", "path"), "ping": (11, "", ""), "check": (13, "path int", ""), "multi": (14, None, None),
    "multiread": (22, None, None), "checkwatches": (17, "path int", ""), "removewatches": (18, "path int", ""),
    "ephemerals": (103, "path", "names"), "number": (104, "path", "int"), "addwatch": (106, "path int", "int"),
    "whoami": (107, "", "ids"), "setwatches": (101, "long names names names", ""),
    "setwatches2": (105, "long names names names names names", ""), "auth": (100, "int path data", ""),
    "close": (-11, "", ""),
}
BY_TYPE = {op[0]: name for name, op in OPS.items()}
XIDS = {"ping": -2, "auth": -4, "setwatches": -8, "setwatches2": -8}


def jute(kind, value):
    if kind == "int":
        return struct.pack(">i", value)
    if kind == "long":
        return struct.pack(">q", value)
    if kind == "bool":
        return b"\1" if value else b"\0"
    if kind in ("path", "data"):
        raw = value.encode() if isinstance(value, str) else value
        return b"\xff\xff\xff\xff" if raw is None else struct.pack(">i", len(raw)) + raw
    if value is None:
        return b"\xff\xff\xff\xff"
    if kind == "names":
        return struct.pack(">i", len(value)) + b"".join(jute("path", one) for one in value)
    return struct.pack(">i", len(value)) + b"".join(  # acl
        struct.pack(">i", perms) + jute("path", scheme) + jute("path", who) for perms, scheme, who in value)


def fields(name, values):
    if name in ("multi", "multiread"):
        return b"".join(struct.pack(">i?i", OPS[part[0]][0], False, -1) + fields(part[0], part[1:])
                        for part in values[0]) + struct.pack(">i?i", -1, True, -1)
    return b"".join(map(jute, OPS[name][1].split(), values))


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        got = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return got[0] if len(got) == 1 else got

    def bytes(self):
        size = self.take("i")
        if size < 0:
            return None
        if self.at + size > len(self.data):
            raise ValueError("a string is longer than its frame")
        self.at += size
        return self.data[self.at - size:self.at]

    def one(self, kind):
        if kind == "int":
            return self.take("i")
        if kind == "path":
            return self.bytes().decode("utf-8", "replace")
        if kind == "data":
            return self.bytes()
        if kind == "stat":
            return Stat(*self.take("qqqqiiiqiiq"))
        count = self.take("i")
        if kind == "names":
            return [self.one("path") for _ in range(count)]
        if kind == "acl":
            return [(self.take("i"), self.one("path"), self.one("path")) for _ in range(count)]
        return [(self.one("path"), self.one("path")) for _ in range(count)]  # ids

    def slots(self):
        got = []
        while True:
            kind, done, error = self.take("i?i")
            if done:
                return got
            if kind == -1:
                got.append(("error", error, self.take("i")))
            else:
                got.append((BY_TYPE[kind], *map(self.one, OPS[BY_TYPE[kind]][2].split())))


class Connection:
    """One connection, of a new session or of one that there is: (session, password)."""

    def __init__(self, port, timeout_ms=40000, session=(0, bytes(16)), seen=0):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(15)
        self.buffer, self.waiting, self.xid, self.seen = b"", collections.deque(), 0, seen
        self.send_frame(struct.pack(">iqiq", 0, seen, timeout_ms, session[0]) + jute("data", session[1]) + b"\0")
        reader = Reader(self.frame())
        _, self.timeout_ms, session = reader.take("iiq")
        self.session = (session, reader.bytes())

    def send_frame(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def frame(self):
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack_from(">i", self.buffer)[0]:
            try:
                more = self.socket.recv(1 << 20)
            except ConnectionError as error:
                raise Lost(str(error)) from error
            if not more:
                raise Lost("the server has closed the connection")
            self.buffer += more
        size = 4 + struct.unpack_from(">i", self.buffer)[0]
        body, self.buffer = self.buffer[4:size], self.buffer[size:]
        return body

    def send(self, requests):
        out = b""
        for name, *values in requests:
            xid = XIDS.get(name)
            if xid is None:
                self.xid += 1
                xid = self.xid
            body = struct.pack(">ii", xid, OPS[name][0]) + fields(name, values)
            out += struct.pack(">i", len(body)) + body
            self.waiting.append(name)
        self.socket.sendall(out)

    def read(self):
        """The next Reply or Event."""
        reader = Reader(self.frame())
        xid, zxid, error = reader.take("iqi")
        if xid == -1:
            kind, state = reader.take("ii")
            got = Event(zxid, kind, state, reader.one("path"))
        else:
            name, body = self.waiting.popleft(), []
            self.seen = max(self.seen, zxid)
            if error == 0:
                body = reader.slots() if OPS[name][2] is None else [*map(reader.one, OPS[name][2].split())]
            got = Reply(xid, zxid, error, body)
        if reader.at != len(reader.data):
            raise ValueError(f"{len(reader.data) - reader.at} bytes are behind {got}")
        return got

    def call(self, *request):
        """The reply, and the events before it."""
        events = []
        self.send([request])
        while isinstance(got := self.read(), Event):
            events.append(got)
        return got, events

    def end(self):
        self.socket.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


JARS = [f"/usr/share/java/{name}.jar" for name in ("zookeeper", "zookeeper-jute", "slf4j-simple")]
SUPER = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="  # base64 of SHA-1 of super:test


@contextlib.contextmanager
def zookeeper(folder):
    """Debian's ZooKeeper on the loopback, ended with the block; yields its port.

    It syncs nothing, and reaps containers never: that is compared elsewhere, as it depends on time."""
    if not shutil.which("java") or not all(map(os.path.exists, JARS)):
        raise Skip("ZooKeeper is not installed: apt-get install zookeeper")
    port = free_port()
    data = os.path.join(folder, "zookeeper")
    os.makedirs(data)
    with open(os.path.join(folder, "zoo.cfg"), "w", encoding="ascii") as config:
        config.write(f"tickTime=2000\ndataDir={data}\nclientPort={port}\nclientPortAddress=127.0.0.1\n"
                     "maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n")
    switches = {"zookeeper.extendedTypesEnabled": "true", "zookeeper.enforceQuota": "true", "zookeeper.forceSync": "no",
                "znode.container.checkIntervalMs": "2000000000", "zookeeper.admin.enableServer": "false",
                "zookeeper.DigestAuthenticationProvider.superDigest": SUPER, "zookeeper.jmx.log4j.disable": "true"}
    with open(os.path.join(folder, "zookeeper.log"), "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            ["java", "-Xmx512m", "-cp", ":".join(JARS),
             *(f"-D{key}={value}" for key, value in switches.items()),
             "org.apache.zookeeper.server.ZooKeeperServerMain", os.path.join(folder, "zoo.cfg")],
            stdout=log, stderr=log)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as probe:
                probe.sendall(b"srvr")
                if b"ookeeper version" in probe.recv(100):
                    break
            if process.poll() is not None:
                raise Skip(f"ZooKeeper has ended by itself: {folder}/zookeeper.log")
            time.sleep(0.1)
        else:
            raise Skip("ZooKeeper has not begun within 30 s")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
