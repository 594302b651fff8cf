#!/usr/bin/env python3
"""Modules that must be refused, over HTTP, the Redis protocol and `cairn deploy`: the reason is told, nothing changes.

Catches a module that is taken although it must not be, a refusal that does not say why or leaves something behind, and
uploads that are larger than allowed, or than they say, costing the node memory or other clients time.
"""
import json
import os
import re
import socket
import subprocess
import time

from cairnproc import CAIRN, Error, Lost, Node, Web, check, equal, guest, main
import wasm

MIB = 1 << 20
MODULE_BYTES_MAX = 32 * MIB  # --limit-module
HUGE = 100 * MIB
MEMORY_BYTES_MAX = 160 * MIB  # of a node that is offered HUGE, over what it has anyway


def padded(module, size):
    """The module with a custom section that makes it `size` bytes."""
    for bytes_of_size in (4, 3, 2, 1):
        whole = wasm.with_custom(module, "pad", bytes(size - len(module) - 5 - bytes_of_size))
        if len(whole) == size:
            return whole
    raise AssertionError(f"no padding makes {size} bytes")


def with_import(module, old, new):
    """The module with one import's name exchanged for one that is as long."""
    old, new = wasm.sized(old), wasm.sized(new)
    parts = [(kind, content.replace(old, new, 1) if kind == wasm.IMPORT else content)
             for kind, content in wasm.sections(module)]
    check(parts != wasm.sections(module), "the import to exchange is not there")
    return wasm.build(parts)


def refusals():
    """(label, module, code, HTTP status, what the message says)"""
    register, retwis = guest("register"), guest("retwis")
    types = wasm.types_text(register)
    renamed = types.replace("module register", "module other")
    check(types.startswith("abi 2\n") and "field Counter 1 count value" in types, f"cairn.types is {types!r}")
    with open(CAIRN, "rb") as file:
        program = file.read(100000)
    return [
        ("nothing", b"", "bad_module", 422, "not a WebAssembly module"),
        ("text", b"hello world, hello world\n", "bad_module", 422, "not a WebAssembly module"),
        ("a program", program, "bad_module", 422, "not a WebAssembly module"),
        ("a component", b"\0asm\x0d\0\1\0" + register[8:], "bad_module", 422, "not a core WebAssembly module"),
        ("half a module", register[:len(register) // 2], "bad_module", 422, "beyond the end"),
        ("a module and one byte", register + b"\0", "bad_module", 422, "malformed"),
        ("an unknown import", with_import(retwis, "list_push", "list_pull"), "bad_module", 422, "'cairn.list_pull'"),
        ("an import of others", with_import(retwis, "cairn", "wasi_"), "bad_module", 422, "unknown import 'wasi_."),
        ("no cairn.types", wasm.without_custom(register, "cairn.types"), "bad_module", 422, "no section cairn.types"),
        ("bad cairn.types", wasm.with_types(register, types + "nonsense\n"), "bad_module", 422, "cairn.types line"),
        ("a method that is not there", wasm.with_types(register, types + "method Counter nosuch public\n"),
         "bad_module", 422, "Counter.nosuch is declared and not exported"),
        ("another ABI", wasm.with_types(register, types.replace("abi 2", "abi 3")), "version", 422, "guest ABI 3"),
        ("another module's type", wasm.with_types(register, renamed), "conflict", 409, "belongs to module register"),
        ("a field of another kind", wasm.with_types(register, types.replace("count value", "count list")),
         "conflict", 409, "field count of type Counter"),
        ("one byte too large", padded(register, MODULE_BYTES_MAX + 1), "limit", 422, str(MODULE_BYTES_MAX)),
    ]


def state(node):
    """All that a deploy could have changed."""
    web = node.web()
    with node.redis() as redis:
        return (sorted(web.json("GET", "/v1/modules"), key=str), sorted(web.json("GET", "/v1/types"), key=str),
                redis.ok("FCALL_RO", "Counter.get", 1, "c"), redis.ok("FCALL_RO", "User.posts", 1, "alice"))


def deploy_by_command(node, path, *more):
    """(status, what it said)"""
    done = subprocess.run([CAIRN, "deploy", *more, path], env=dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{node.http}"),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                          check=False)
    equal(done.stdout if done.returncode else "", "", "standard output of a deploy that failed")
    return done.returncode, done.stderr


def with_state(node):
    node.deploy("register", "retwis")
    with node.redis() as redis:
        redis.ok("FCALL", "Counter.add", 1, "c", 7)
        redis.ok("FCALL", "User.post", 1, "alice", "hello")
    return state(node)


def test_refused_and_nothing_changed(folder):
    path = os.path.join(folder, "module.wasm")
    with Node(folder) as node:
        before = with_state(node)
        for label, module, code, status, says in refusals():
            problem = node.web().fails(status, code, "POST", "/v1/modules", module)
            check(says in problem["detail"], f"{label}, over HTTP: {problem['detail']}")
            with node.redis() as redis:
                said = redis.fails(code.upper(), "FUNCTION", "LOAD", "REPLACE", module)
                check(says in said, f"{label}, over the Redis protocol: {said}")
            with open(path, "wb") as file:
                file.write(module)
            status, said = deploy_by_command(node, path)
            equal(status, 1, f"exit status of cairn deploy, {label}, which said {said!r}")
            check(said.startswith(f"cairn: {code}: ") and says in said, f"{label}, cairn deploy: {said}")
            equal(state(node), before, f"the state after {label}")
        problem = node.web().fails(422, "bad_module", "PUT", "/v1/modules/other", guest("register"))
        check("its name is register, not other" in problem["detail"], problem)
        with open(path, "wb") as file:
            file.write(guest("register"))
        equal(deploy_by_command(node, path, "--name", "other")[0], 1, "exit status with another name")
        status, said = deploy_by_command(node, os.path.join(folder, "nosuch.wasm"))
        check(status == 1 and "nosuch.wasm" in said, f"a file that is not there: {status}, {said}")
        equal(state(node), before, "the state after all")
        # As large as it may be, with the same types, is taken.
        equal(node.web().ask("POST", "/v1/modules", padded(guest("register"), MODULE_BYTES_MAX))[0], 201, "the largest")
        after = state(node)
        node.kill()
        node.start()
        equal(state(node), after, "the state after a restart")
        equal(len(os.listdir(os.path.join(node.data, "modules"))), 3, "module files: two of register, one of retwis")


def memory_peak(node):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) * 1024


class Raw:
    """A connection of bytes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)

    def send(self, data):
        """False if the node has closed meanwhile."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def end(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def all(self):
        """What comes until the node closes."""
        parts = []
        try:
            while more := self.socket.recv(1 << 16):
                parts.append(more)
        except ConnectionResetError:
            pass
        self.socket.close()
        return b"".join(parts)


def post(*headers):
    return "\r\n".join(["POST /v1/modules HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def statuses(answer):
    return [int(one) for one in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]


def test_uploads_that_are_too_large(folder):
    with Node(folder) as node:
        before = with_state(node)
        enough = memory_peak(node) + MEMORY_BYTES_MAX
        bystander = node.redis()

        def others_are_served(during):
            begin = time.monotonic()
            equal(bystander.call("FCALL", "Counter.add", 1, "bystander", 0), 0, f"somebody else during {during}")
            check(time.monotonic() - begin < 2, f"somebody else waited {time.monotonic() - begin:.1f} s during {during}")

        # Announced: refused at once, before a byte of it was sent, and without 100 Continue.
        for more in ([], ["Expect: 100-continue"]):
            raw = Raw(node.http)
            raw.send(post(f"Content-Length: {HUGE}", *more))
            raw.end()
            answer = raw.all()
            equal(statuses(answer), [413], f"{HUGE} bytes announced, {more}")
            check(str(HUGE).encode() in answer, f"the size is not told: {answer}")
        # Announced and sent all the same.
        try:
            status, data = Web(node.http).ask("POST", "/v1/modules", padded(guest("register"), HUGE))
        except OSError as error:
            node.check_alive()
            raise AssertionError(f"100 MiB that were announced: no answer, but {error!r}") from error
        equal((status, json.loads(data)["status"]), (413, 413), "100 MiB")
        # In chunks, which do not tell how many will come.
        raw, chunk, sent = Raw(node.http), b"%x\r\n%s\r\n" % (MIB, bytes(MIB)), 0
        raw.send(post("Transfer-Encoding: chunked"))
        while sent < HUGE and raw.send(chunk):
            sent += MIB
            if sent % (10 * MIB) == 0:
                others_are_served("an upload in chunks")
        raw.end()
        answer = raw.all()
        check(statuses(answer) in ([413], []), f"100 MiB in chunks: {answer[:300]}")
        check(statuses(answer) == [413] or sent < HUGE, "100 MiB in chunks were not answered")
        # Over the Redis protocol.
        with node.redis() as redis:
            try:
                said = redis.call("FUNCTION", "LOAD", padded(guest("register"), HUGE))
                check(isinstance(said, Error) and "Protocol error" in said, f"100 MiB as a word: {said!r}")
            except Lost:
                pass
        with node.redis() as redis:
            redis.send_raw(b"*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$%d\r\n" % HUGE)
            check("Protocol error" in redis.receive(), "a word of 100 MiB that is announced")
            check(redis.ended(), "the connection stays after a protocol error")
        # With the command.
        path = os.path.join(folder, "huge.wasm")
        with open(path, "wb") as file:
            file.write(padded(guest("register"), HUGE))
        status, said = deploy_by_command(node, path)
        equal(status, 1, f"exit status of cairn deploy of 100 MiB, which said {said!r}")
        check(str(HUGE) in said and "allowed" in said, f"cairn deploy of 100 MiB: {said}")
        others_are_served("nothing more")
        equal(memory_peak(node) < enough, True, f"memory: {memory_peak(node) // MIB} of {enough // MIB} MiB")
        node.web().json("DELETE", "/v1/objects/Counter/bystander")
        equal(state(node), before, "the state after uploads that are too large")


def test_lengths_that_lie(folder):
    module = guest("pair")
    with Node(folder) as node:
        before = with_state(node)
        length = len(module)
        half = length // 2
        for label, headers, body, want in (
                ("longer than what comes", [f"Content-Length: {length + 1}"], module, [[400], []]),
                ("longer, within a request", [f"Content-Length: {length}"], module[:half], [[400], []]),
                ("shorter than what comes", [f"Content-Length: {half}"], module, [[422, 400]]),
                ("zero", ["Content-Length: 0"], module, [[422, 400]]),
                ("negative", [f"Content-Length: -{length}"], module, [[400]]),
                ("no number", ["Content-Length: many"], module, [[400]]),
                ("beyond 64 bits", ["Content-Length: 36893488147419103233"], module, [[400], [413]]),
                ("two that differ", [f"Content-Length: {length}", f"Content-Length: {half}"], module, [[400]]),
                ("with chunks as well", [f"Content-Length: {length}", "Transfer-Encoding: chunked"],
                 b"%x\r\n%s\r\n0\r\n\r\n" % (length, module), [[400]]),
                ("a chunk longer than what comes", ["Transfer-Encoding: chunked"], b"%x\r\n%s" % (length + 1, module),
                 [[400], []]),
                ("a chunk shorter than what comes", ["Transfer-Encoding: chunked"], b"%x\r\n%s\r\n0\r\n\r\n" % (
                    half, module), [[400]]),
                ("a chunk of no number", ["Transfer-Encoding: chunked"], b"zz\r\n%s\r\n0\r\n\r\n" % module, [[400]]),
                ("no end of the chunks", ["Transfer-Encoding: chunked"], b"%x\r\n%s\r\n" % (length, module), [[400], []]),
        ):
            raw = Raw(node.http)
            raw.send(post(*headers) + body)
            raw.end()
            answer = raw.all()
            check(statuses(answer) in want, f"Content-Length {label}: {statuses(answer)} instead of {want}: {answer[:300]}")
            equal(state(node), before, f"the state after a Content-Length that is {label}")
            node.check_alive()
        # The same module with the truth is taken, either way.
        raw = Raw(node.http)
        raw.send(post("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (
            half, module[:half], length - half, module[half:]))
        raw.send(post(f"Content-Length: {length}", "Connection: close") + module)
        equal(statuses(raw.all()), [201, 200], "the truth")


if __name__ == "__main__":
    main([test_refused_and_nothing_changed, test_uploads_that_are_too_large, test_lengths_that_lie])
