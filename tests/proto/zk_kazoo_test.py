#!/usr/bin/env python3
"""tests/proto/zk_golden.txt holds what kazoo, a ZooKeeper client in Python, writes and reads.

Catches a golden file that is not kazoo's any more, and one with a reply that kazoo reads otherwise than the text beside
it says.  The codec is checked against the file by zk_test.c, with or without kazoo.  A line is a direction, the bytes in
hexadecimal digits, and the message as tests/proto/zk_text.h writes it.  With --write it writes the file.
"""
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
sys.path.insert(0, os.path.join(HERE, "..", "wire"))

from cairnproc import check, equal, main  # noqa: E402
from clients import from_pip  # noqa: E402

VERSION = "2.11.0"
GOLDEN = os.path.join(HERE, "zk_golden.txt")
sys.dont_write_bytecode = True


def text(name, **members):
    """As zk_text.c: what is 0 or absent is left out."""
    words = [name]
    for key, value in members.items():
        if isinstance(value, bool):
            value = int(value)
        if value is None or value == 0 or value == []:
            continue
        if isinstance(value, bytes):
            words.append(f"{key}={value.hex()}")
        elif isinstance(value, str):
            words.append(f'{key}="{value}"')
        elif isinstance(value, int):
            words.append(f"{key}={value}")
        elif isinstance(value, tuple):
            words.append(f"{key}=({' '.join(str(one) for one in value)})")
        elif key == "acl":
            words.append(f"acl=[{', '.join(f'{one.perms} {one.id.scheme} {one.id.id}' for one in value)}]")
        elif key == "parts":
            words += ["{" + part + "}" for part in value]
        else:
            words.append(f"{key}=[{', '.join(value)}]")
    return " ".join(words)


def requests(kazoo):
    """(bytes, text) of each."""
    wire, acls = kazoo.protocol.serialization, kazoo.security
    acl = [acls.make_acl("world", "anyone", all=True), acls.make_digest_acl("bob", "s3cret", read=True)]
    head = struct.Struct("!ii").pack
    out = []

    def add(xid, request, named, parts=None):
        members = dict(named)
        if parts is not None:
            members["parts"] = parts
        names = {1: "create", 2: "delete", 3: "exists", 4: "getData", 5: "setData", 6: "getACL", 7: "setACL",
                 8: "getChildren", 9: "sync", 11: "ping", 12: "getChildren2", 13: "check", 14: "multi", 15: "create2",
                 16: "reconfig", 100: "auth", 102: "sasl", -11: "closeSession"}
        out.append((head(xid, request.type) + bytes(request.serialize()), text(names[request.type], xid=xid, **members)))

    path = "/s\u00e4le/\u4e16"
    add(1, wire.Create("/a", b"\0\xffdata", acl, 3), dict(path="/a", data=b"\0\xffdata", acl=acl, flags=3))
    add(2, wire.Create("/a", b"", acl[:1], 0), dict(path="/a", data=b"", acl=acl[:1]))
    add(3, wire.Create(path, None, [], 1), dict(path=path, flags=1))
    add(4, wire.Create2("/b", b"x", acl, 2), dict(path="/b", data=b"x", acl=acl, flags=2))
    add(5, wire.Delete("/a", -1), dict(path="/a", version=-1))
    add(6, wire.Exists("/a", True), dict(path="/a", watch=True))
    add(7, wire.GetData("/a", False), dict(path="/a"))
    add(8, wire.SetData("/a", b"new", 7), dict(path="/a", data=b"new", version=7))
    add(9, wire.GetACL("/a"), dict(path="/a"))
    add(10, wire.SetACL("/a", acl, 2), dict(path="/a", acl=acl, version=2))
    add(11, wire.GetChildren("/", True), dict(path="/", watch=True))
    add(12, wire.GetChildren2("/", True), dict(path="/", watch=True))
    add(13, wire.Sync("/"), dict(path="/"))
    add(-2, wire.PingInstance, {})
    add(14, wire.Reconfig("server.1=x", None, None, 9), dict(zxid=9, joining="server.1=x"))
    add(-4, wire.Auth(0, "digest", "bob:s3cret"), dict(data=b"bob:s3cret", scheme="digest"))
    add(15, wire.SASL(b"token"), dict(data=b"token"))
    add(2147483647, wire.CloseInstance, {})
    parts = [wire.Create("/m", b"1", acl[:1], 0), wire.CheckVersion("/m", 0), wire.SetData("/m", b"2", 0),
             wire.Create2("/n", b"", acl[:1], 1), wire.Delete("/m", 1)]
    add(16, wire.Transaction(parts), {}, [
        text("create", path="/m", data=b"1", acl=acl[:1]), text("check", path="/m"),
        text("setData", path="/m", data=b"2"), text("create2", path="/n", data=b"", acl=acl[:1], flags=1),
        text("delete", path="/m", version=1)])
    add(17, wire.Transaction([]), {}, [])
    return out


def connects(kazoo):
    wire = kazoo.protocol.serialization
    request = wire.Connect(0, 0x300000001, 10000, 0x1234567890abcdef, b"0123456789abcdef", True)
    return [(bytes(request.serialize()), text("connect", timeout=10000, seen=0x300000001, session=0x1234567890abcdef,
                                              password=b"0123456789abcdef", read_only=True)),
            (bytes(request._replace(last_zxid_seen=0, session_id=0, passwd=b"\0" * 16).serialize())[:-1],
             text("connect", timeout=10000, password=b"\0" * 16))]


def replies(kazoo):
    """(bytes, text) of each; kazoo, which writes none, must read of the bytes what the text says."""
    wire, acls = kazoo.protocol.serialization, kazoo.security
    stat = (1, 2, 1700000000123, 1700000000456, 3, 4, 5, -9223372036854775808, 6, 7, 8)
    acl = [acls.make_acl("world", "anyone", all=True)]
    packed, string = wire.stat_struct.pack(*stat), wire.write_string
    int_pack = wire.int_struct.pack
    acl_bytes = int_pack(1) + int_pack(31) + string("world") + string("anyone")
    names = int_pack(2) + string("x") + string("y-0000000001")
    zxid = 0x500000007
    out = []

    def head(xid, zxid_told=zxid, error=0):
        return wire.reply_header_struct.pack(xid, zxid_told, error)

    def add(name, xid, request, body, want, members, error=0):
        data = head(xid, error=error) + body
        header, offset = wire.ReplyHeader.deserialize(data, 0)
        equal(tuple(header), (xid, zxid, error))
        if request is not None:
            got = request.deserialize(data, offset)
            equal(repr(got), repr(want))
        out.append((data, text(name, xid=xid, zxid=zxid, error=error, **members)))

    znode = kazoo.protocol.states.ZnodeStat._make(stat)
    add("create", 1, wire.Create, string("/a0000000001"), "/a0000000001", dict(path="/a0000000001"))
    add("create2", 2, wire.Create2, string("/b") + packed, ("/b", znode), dict(path="/b", stat=stat))
    add("delete", 3, None, b"", None, {})
    add("exists", 4, wire.Exists, packed, znode, dict(stat=stat))
    add("getData", 5, wire.GetData, wire.write_buffer(b"\1\2") + packed, (b"\1\2", znode), dict(data=b"\1\2", stat=stat))
    add("getData", 6, wire.GetData, wire.write_buffer(None) + packed, (None, znode), dict(stat=stat))
    add("setData", 7, wire.SetData, packed, znode, dict(stat=stat))
    add("getACL", 8, wire.GetACL, acl_bytes + packed, (acl, znode), dict(stat=stat, acl=acl))
    add("setACL", 9, wire.SetACL, packed, znode, dict(stat=stat))
    add("getChildren", 10, wire.GetChildren, names, ["x", "y-0000000001"], dict(names=["x", "y-0000000001"]))
    add("getChildren2", 11, wire.GetChildren2, names + packed, (["x", "y-0000000001"], znode),
        dict(stat=stat, names=["x", "y-0000000001"]))
    add("sync", 12, wire.Sync, string("/"), "/", dict(path="/"))
    add("sasl", 13, None, wire.write_buffer(b"ok"), None, dict(data=b"ok"))
    add("getData", 14, None, b"", None, {}, error=-101)
    add("ping", -2, None, b"", None, {})

    def slot(number, body, error=0, done=False):
        return bytes(wire.MultiHeader(number, done, error).serialize()) + body

    end = slot(-1, b"", -1, True)
    add("multi", 15, wire.Transaction, slot(1, string("/m")) + slot(13, b"") + slot(5, packed) + slot(2, b"") + end,
        ["/m", True, znode, True], dict(parts=[text("create", path="/m"), text("check"), text("setData", stat=stat),
                                               text("delete")]))
    data = head(16) + slot(-1, int_pack(0)) + slot(-1, int_pack(-110), -110) + slot(-1, int_pack(-2), -2) + end
    got = wire.Transaction.deserialize(data, wire.reply_header_struct.size)
    equal([type(one).__name__ for one in got], ["RolledBackError", "NodeExistsError", "RuntimeInconsistency"])
    out.append((data, text("multi", xid=16, zxid=zxid, parts=[text("error"), text("error", number=-110),
                                                             text("error", number=-2)])))
    return out


def events(kazoo):
    wire = kazoo.protocol.serialization
    body = wire.int_int_struct.pack(4, 3) + wire.write_string("/a/b")
    equal(tuple(wire.Watch.deserialize(body, 0)[0]), (4, 3, "/a/b"))
    return [(wire.reply_header_struct.pack(-1, -1, 0) + body, text("event", zxid=-1, type=4, state=3, path="/a/b"))]


def connecteds(kazoo):
    wire = kazoo.protocol.serialization
    out = []
    for tail, told in (b"", {}), (b"\1", dict(read_only=True)):
        data = wire.int_int_long_struct.pack(0, 4000, 77) + wire.write_buffer(b"p" * 16) + tail
        got, _ = wire.Connect.deserialize(data, 0)
        equal((got.time_out, got.session_id, got.passwd, got.read_only), (4000, 77, b"p" * 16, bool(told)))
        out.append((data, text("connected", timeout=4000, session=77, password=b"p" * 16, **told)))
    return out


def golden():
    sys.path.insert(0, from_pip("kazoo", VERSION))
    import kazoo.protocol.serialization
    import kazoo.protocol.states
    import kazoo.security
    lines = [f"# What kazoo {VERSION} writes and reads; made by zk_kazoo_test.py --write."]
    for direction, messages in (("connect", connects), ("request", requests), ("connected", connecteds),
                                ("reply", replies), ("event", events)):
        lines += [f"{direction} {data.hex()} {told}" for data, told in messages(kazoo)]
    return "\n".join(lines) + "\n"


def test_golden():
    want = golden()
    with open(GOLDEN, encoding="utf-8") as file:
        have = file.read()
    check(len(have.splitlines()) > 40, "the golden file is short")
    for mine, kazoos in zip(have.splitlines(), want.splitlines()):
        equal(mine, kazoos)
    equal(len(have), len(want))


if sys.argv[1:] == ["--write"]:
    with open(GOLDEN, "w", encoding="utf-8") as file:
        file.write(golden())
else:
    main([test_golden])
