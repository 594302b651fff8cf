#!/usr/bin/env python3
"""Modules that are small and take the compiler very long or very much memory, and a compiler that is killed.

Catches a deploy that stops other deploys, other clients or the node's own end for as long as it compiles; two deploys of
one module that change places; a budget of the compiler that does not hold, or a refusal that does not say which one and
what to do; a compiler that is left behind; and compiled code of a child that is not kept for the next start.
"""
import os
import signal
import threading
import time

from cairnproc import Node, check, equal, guest, main
import wasm

DEEP = 40000  # nested loops: the compiler takes minutes for them, or hours
LONG = 700000  # additions in a row: it takes more than 256 MiB for them
CPU_S = 3


def bomb(name, loops=DEEP, adds=1):
    """A module whose only method has nested loops, each of which counts a local, and many additions."""
    add = bytes([0x20, 0, 0x41, 1, 0x6A, 0x21, 0])  # local 0 += 1
    one = b"\x01\x01\x7f" + (b"\x03\x40" + add) * loops + add * adds + b"\x0b" * loops + b"\x0b"
    types = f"abi 1\nmodule {name}\ntype {name.title()}\nmethod {name.title()} f public\n"
    return wasm.build([
        (wasm.TYPE, wasm.vector([b"\x60\0\0"])),
        (wasm.FUNCTION, wasm.vector([b"\0"])),
        (wasm.MEMORY, wasm.vector([b"\0\x01"])),
        (wasm.EXPORT, wasm.vector([wasm.sized("memory") + b"\2\0", wasm.sized(f"{name.title()}.f") + b"\0\0"])),
        (wasm.CODE, wasm.vector([wasm.sized(one)])),
        (wasm.CUSTOM, wasm.sized("cairn.types") + types.encode()),
    ])


def compilers(node):
    """Process ids of the node's children."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == node.process.pid and fields[0] != "Z":
                found.append(int(entry))
    return found


def until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.01)


class Deploy(threading.Thread):
    """A deploy under way."""

    def __init__(self, node, module):
        super().__init__(daemon=True)
        self.node, self.module, self.status, self.answer = node, module, None, None
        self.start()

    def run(self):
        try:
            self.status, self.answer = self.node.web().ask("POST", "/v1/modules", self.module)[:2]
        except Exception as error:  # the node ended
            self.answer = error


def test_time_is_bounded_and_others_go_on(folder):
    with Node(folder, f"--compile-cpu={CPU_S}") as node:
        slow = Deploy(node, bomb("slow"))
        until(lambda: compilers(node), "a compiler runs")
        node.deploy("register")
        with node.redis() as redis:
            equal(redis.ok("FCALL", "Counter.add", 1, "c", 7), 7, "a call of the new module")
        check(slow.is_alive(), "the other deploy was over before: this shows nothing")
        slow.join(120)
        check("CPU time" in str(slow.answer) and "--compile-cpu" in str(slow.answer), slow.answer)
        check("'limit'" in str(slow.answer) or '"limit"' in str(slow.answer), slow.answer)
        equal(compilers(node), [], "compilers left behind")
        with node.redis() as redis:
            equal(redis.ok("FCALL", "Counter.get", 1, "c"), 7, "afterwards")


def test_one_module_keeps_its_order(folder):
    with Node(folder) as node:
        first = Deploy(node, bomb("same", 5000))  # some seconds
        until(lambda: compilers(node), "a compiler runs")
        second = Deploy(node, bomb("same", 1))
        second.join(120)
        check(not first.is_alive(), "the later one of two deploys of a module was answered first")
        check('"version":1' in str(first.answer), first.answer)
        check('"version":2' in str(second.answer), second.answer)


def test_memory_is_bounded(folder):
    with Node(folder, "--compile-memory=256", "--compile-cpu=60") as node:
        large = Deploy(node, bomb("large", 0, LONG))
        large.join(200)
        check("256 MiB of memory" in str(large.answer) and "--compile-memory" in str(large.answer), large.answer)
        node.deploy("register")


def test_compiler_killed(folder):
    with Node(folder) as node:
        slow = Deploy(node, bomb("slow"))
        until(lambda: compilers(node), "a compiler runs")
        for pid in compilers(node):
            os.kill(pid, signal.SIGABRT)
        slow.join(60)
        check("the compiler crashed on the module (signal 6)" in str(slow.answer), slow.answer)
        node.deploy("register")


def test_stop_does_not_wait(folder):
    node = Node(folder, "--stop-timeout=1")
    with node:
        node.deploy("register")
        slow, other, third = (Deploy(node, bomb(name)) for name in ("slow", "slower", "slowest"))
        until(lambda: len(compilers(node)) == 2, "two compilers run")
        begin = time.monotonic()
        node.signal(signal.SIGTERM)
        node.process.wait(30)
        took = time.monotonic() - begin
        check(took < 15, f"the stop took {took:.1f} s")
        for deploy in (slow, other, third):
            deploy.join(10)


def test_killed_node_leaves_no_compiler(folder):
    with Node(folder) as node:
        Deploy(node, bomb("slow"))
        until(lambda: compilers(node), "a compiler runs")
        pid = compilers(node)[0]
        node.kill()
        until(lambda: not os.path.exists(f"/proc/{pid}"), "the compiler is gone")


def test_kept_for_the_next_start(folder):
    with Node(folder) as node:
        node.deploy("register")
        cache = os.path.join(node.data, "cache")
        (name,) = os.listdir(cache)
        path = os.path.join(cache, name)
        before = os.stat(path).st_mtime_ns
        node.kill()
        node.start()
        equal(os.stat(path).st_mtime_ns, before, "it was made anew although it was whole")
        with open(path, "rb") as file:
            whole = file.read()
        node.kill()
        with open(path, "r+b") as file:  # a byte of the machine code
            file.seek(len(whole) // 2)
            file.write(bytes([whole[len(whole) // 2] ^ 1]))
        node.start()
        with open(path, "rb") as file:
            equal(file.read() == whole, True, "a damaged one was made anew")
        with node.redis() as redis:
            equal(redis.ok("FCALL", "Counter.add", 1, "c", 7), 7, "a call")


if __name__ == "__main__":
    main([test_time_is_bounded_and_others_go_on, test_one_module_keeps_its_order, test_memory_is_bounded,
          test_compiler_killed, test_stop_does_not_wait, test_killed_node_leaves_no_compiler, test_kept_for_the_next_start])
