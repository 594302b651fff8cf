#!/usr/bin/env python3
"""The Python binding of the state engines (sdk/python) over the library that was built.

Catches a binding whose structures or prototypes are no longer the header's, answers and errors that are not what the
package promises, in all four engines, a stream job that loses or doubles what it has read when it is killed, and misuse
(other threads, signals, forks, use after close) that crashes or hangs instead of being refused.
"""
import array
import collections
import contextlib
import copy
import ctypes
import errno
import gc
import os
import pickle
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
from cairnproc import Skip, check, equal, main  # noqa: E402

SOURCE = os.path.abspath(os.path.join(HERE, "..", ".."))
PACKAGE = os.path.join(SOURCE, "sdk", "python")
LIBRARY = os.path.abspath(os.path.join(os.environ.get("CAIRN_BUILD", "build"), "libcairn-engine.so.0.1.0"))
ENGINES = "hybridlog", "appendlog", "lsm", "memory"
MIB = 1 << 20
# So small that a few thousand keys make files, and merges of them.
SMALL = {"hybridlog": {"mem_segment_len": 60000}, "appendlog": {"threshold": 10000},
         "lsm": {"memtable_bytes_limit": 10000}, "memory": {}}
KILLS = 3  # of each job,
TOLD_BEFORE_KILL = range(3, 12)  # which tells so often before that that it has read 500 lines more

sys.dont_write_bytecode = True
sys.path.insert(0, PACKAGE)
os.environ["CAIRN_ENGINE_LIBRARY"] = LIBRARY


def with_sanitizers():
    with open(LIBRARY, "rb") as file:
        data = file.read()
    return any(name in data for name in (b"__asan", b"__tsan", b"__ubsan"))


def test_skipped():
    raise Skip("this build is for sanitizers, which Python does not load")


if not with_sanitizers():
    import cairn_state as cairn
    from cairn_state import State


def raises(kind, function, *arguments, code=None, **named):
    """Expects that exception; returns it."""
    try:
        got = function(*arguments, **named)
    except Exception as error:
        check(isinstance(error, kind), f"got {type(error).__name__}: {error}, wanted {kind}")
        if code:
            equal(error.code, code, f"code of '{error}'")
        return error
    raise AssertionError(f"got {got!r:.200}, wanted {kind}")


def contents(state):
    """All that is there; by items() and, where that gives the key, by get()."""
    pairs = list(state.items())
    everything = dict(pairs)
    equal(len(pairs), len(everything), "keys, of which none comes twice")
    for key, value in everything.items():
        equal(state.get(key), value, f"the value of {key!r}")
    return everything


def python(*words, **environment):
    return subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, check=False, env=dict(os.environ, PYTHONPATH=PACKAGE, **environment))


# --- the header ---

def read_header(name):
    with open(os.path.join(SOURCE, "include", "cairn", name), encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)  # comments, and lines of the preprocessor
    return re.sub(r"^\s*#.*$", " ", text, flags=re.M)


def declarator_name(declaration):
    """x of "int x", "const char *x", "char x[9]", "bool (*x)(int)"."""
    return re.search(r"\(\s*\*\s*(\w+)|(\w+)\s*(?:\[.*\])?\s*$", declaration).group(1, 2)


def members(body):
    """The names that a structure's body declares; "uint64_t a, b" are two."""
    names = []
    for declaration in body.split(";"):
        if "(" in declaration:
            names.append(next(filter(None, declarator_name(declaration))))
        elif declaration.strip():
            names += [declarator_name(part)[1] for part in declaration.split(",")]
    return names


def in_header():
    """({structure: members}, {enumeration: enumerators}, {function: (result, parameters)})"""
    text = read_header("err.h") + read_header("engine.h")
    structures = {name: members(body) for name, body in re.findall(r"\bstruct (\w+)\s*\{(.*?)\}", text, re.S)}
    enumerations = {name: [word.split("=")[0].strip() for word in body.split(",") if word.strip()]
                    for name, body in re.findall(r"\benum (\w+)\s*\{(.*?)\}", text, re.S)}
    functions = {}
    for result, name, rest in re.findall(r"^((?:const )?(?:struct |enum )?\w+ \**)(cairn_\w+)\((.*?)\);", text,
                                         re.S | re.M):
        parameters, depth = [""], 0
        for letter in rest:
            depth += (letter == "(") - (letter == ")")
            if letter == "," and depth == 0:
                parameters.append("")
            else:
                parameters[-1] += letter
        functions[name] = (result, parameters)
    return structures, enumerations, functions


def compiled(folder, lines):
    """What a program says that prints these expressions."""
    source, program = os.path.join(folder, "layout.c"), os.path.join(folder, "layout")
    with open(source, "w", encoding="ascii") as file:
        file.write("#include <cairn/engine.h>\n#include <stdio.h>\nint main(void)\n{\n")
        file.writelines(f'printf("{name} %zu\\n", (size_t)({expression}));\n' for name, expression in lines)
        file.write("return 0;\n}\n")
    built = subprocess.run(["cc", "-std=gnu17", "-Wall", "-Werror", "-I" + os.path.join(SOURCE, "include"), source,
                            "-o", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    check(built.returncode == 0, f"the header's program does not compile: {built.stdout}")
    said = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name: int(number) for name, number in (line.rsplit(" ", 1) for line in said.splitlines())}


def test_layout(folder):
    structures, enumerations, _ = in_header()
    equal(set(cairn._STRUCTURES), set(structures), "the structures")
    lines = []
    for name, fields in structures.items():
        check(len(fields) > 1, f"struct {name} was not understood: {fields}")
        lines.append((name, f"sizeof(struct {name})"))
        for field in fields:
            lines += [(f"{name}.{field} at", f"offsetof(struct {name}, {field})"),
                      (f"{name}.{field} size", f"sizeof(((struct {name} *)0)->{field})")]
    lines += [(word, word) for words in enumerations.values() for word in words]
    got, want = {}, compiled(folder, lines)
    for name, structure in cairn._STRUCTURES.items():
        got[name] = ctypes.sizeof(structure)
        for field, _ in structure._fields_:
            got[f"{name}.{field} at"] = getattr(structure, field).offset
            got[f"{name}.{field} size"] = getattr(structure, field).size
    got.update({"CAIRN_STATE_LOG_" + name.upper(): number for name, number in cairn._LOGS.items()})
    codes = {word: want.pop(word) for word in enumerations["cairn_code"]}
    for word in sorted(set(got) | set(want)):
        check(got.get(word) == want.get(word),
              f"{word} is {got.get(word)} in the package, {want.get(word)} in the header")
    # Every error that the package knows by name is one of the library's.
    count = codes.pop("CAIRN_CODE_COUNT")
    names = {cairn._library.cairn_code_name(number).decode() for number in codes.values()}
    equal(len(names), count, "codes")
    equal(set(cairn._ERRORS) - names, set(), "errors of the package that are none of the library's")


def kind_of(declaration):
    """A type of the header as the package should have it, by what is passed."""
    words = declaration.replace("*", " * ").split()
    if "*" in words or "(" in declaration:
        return "pointer"
    if words[0] == "enum":
        return ctypes.c_int
    return {"bool": ctypes.c_bool, "size_t": ctypes.c_size_t, "uint64_t": ctypes.c_uint64, "void": None}[words[0]]


def kind_in(argument):
    pointers = ctypes.c_void_p, ctypes.c_char_p
    if argument in pointers or hasattr(argument, "contents") or hasattr(argument, "_flags_"):
        return "pointer"
    return argument


def test_prototypes():
    _, _, functions = in_header()
    check(len(functions) >= 19, f"{len(functions)} functions were found in the header")
    equal(set(cairn._FUNCTIONS), set(functions), "the functions")
    for name, (result, parameters) in functions.items():
        got_result, got_parameters = cairn._FUNCTIONS[name]
        equal([kind_in(got_result), *map(kind_in, got_parameters)], [kind_of(result), *map(kind_of, parameters)], name)
    # What the library calls back, too.
    for name, kind in {"cairn_state_visit": cairn._EACH_ITEM, "cairn_state_versions": cairn._EACH_VERSION}.items():
        callback = next(parameter for parameter in functions[name][1] if "(*each)" in parameter)
        result, parameters = re.match(r"\s*(\w+) \(\*each\)\((.*)\)", callback, re.S).groups()
        equal([kind_in(kind._restype_), *map(kind_in, kind._argtypes_)],
              [kind_of(result), *map(kind_of, parameters.split(","))], f"the callback of {name}")


def test_header_reader_sees_changes():
    """The two tests above can fail."""
    equal(members("const char *engine;\n uint64_t number, parent; char text[CAIRN_N]; bool (*each)(void *a, int b);"),
          ["engine", "number", "parent", "text", "each"], "members")
    equal(kind_of("const void *key"), "pointer", "")
    equal(kind_of("enum cairn_code "), ctypes.c_int, "")
    equal(kind_in(cairn._EACH_ITEM), "pointer", "")
    check(kind_in(ctypes.c_uint64) != kind_of("bool pinned"), "a number is no bool")


# --- keys and values ---

def test_keys(folder):
    for engine in ENGINES:
        with State(os.path.join(folder, engine), engine) as state:
            equal(state.get(b"a"), None, "get of nothing")
            state.prefetch([b"a", b"b" * 100, bytearray(b"c")])
            state.prefetch([])
            equal(state.get(b"a", b"x"), b"x", "the default")
            state.set(b"a", b"1")
            state[b"b"] = b""
            state[b"\0"] = b"\0\xff\0"
            equal((state.get(b"a"), state[b"b"], state.get(b"b", b"x"), state[b"\0"]), (b"1", b"", b"", b"\0\xff\0"),
                  engine)
            equal((b"a" in state, b"b" in state, b"c" in state), (True, True, False), "in")
            equal(raises(KeyError, lambda: state[b"c"]).args, (b"c",), "the key of the KeyError")
            state[b"a"] = b"longer than before"
            equal(state[b"a"], b"longer than before", "what was updated")
            state.delete(b"a")
            state.delete(b"a")
            equal(state.get(b"a"), None, "what was deleted")
            del state[b"b"]
            raises(KeyError, state.__delitem__, b"b")
            equal(contents(state), {b"\0": b"\0\xff\0"}, "what remains")
            equal(raises(TypeError, iter, state) is not None, True, "iter(state)")


def test_buffers(folder):
    with State(os.path.join(folder, "state")) as state:
        key, value = bytearray(b"key"), bytearray(b"value")
        state[key] = value
        key[:], value[:] = b"xxx", b"xxxxx"
        equal(contents(state), {b"key": b"value"}, "what was set before the buffers changed")
        state.write([(bytearray(b"k"), memoryview(b"0123456789")[::3])])
        equal(state[memoryview(b"k")], b"0369", "a part of a buffer")
        numbers = array.array("i", [1, -1])
        state[b"array"] = numbers
        equal(state[b"array"], numbers.tobytes(), "an array")
        state[b"ctypes"] = (ctypes.c_char * 3)(b"a", b"b", b"c")
        equal(state[b"ctypes"], b"abc", "a ctypes array")

        class Sub(bytes):
            """Bytes of another name."""

        state[Sub(b"sub")] = Sub(b"way")
        equal(state[b"sub"], b"way", "a subclass of bytes")
        value = state[b"sub"]
        for i in range(1000):
            state[b"%d" % i] = b"other"
            state.get(b"%d" % i)
        equal(value, b"way", "a value, after other calls")
        version = state.snapshot(bytearray(b"meta"))
        equal([(v.number, v.metadata) for v in state.versions()], [(version, b"meta")], "metadata from a bytearray")


def test_types_refused(folder):
    with State(os.path.join(folder, "state")) as state:
        state[b"k"] = b"v"
        for wrong in "text", 5, None, 1.5, [1], object(), ("a", b"b"):
            raises(TypeError, state.get, wrong)
            raises(TypeError, state.set, wrong, b"v")
            raises(TypeError, state.delete, wrong)
            raises(TypeError, state.__contains__, wrong)
            raises(TypeError, state.write, [(wrong, b"v")])
            raises(TypeError, state.snapshot, wrong)
            raises(TypeError, state.snapshot_begin, wrong)
            raises(TypeError, state.set, b"k", wrong)
            if wrong is not None:
                raises(TypeError, state.write, [(b"k", wrong)])
        for wrong in "1", b"1", 1.5, [1]:
            for call in state.restore, state.pin, state.unpin, state.forget, state.wait:
                raises(TypeError, call, wrong)
        raises(TypeError, state.write, 5)
        raises((TypeError, ValueError), state.write, [b"ab"])
        raises((TypeError, ValueError), state.write, [(b"a", b"b", b"c")])
        check("str" in str(raises(TypeError, state.get, "text")), "the text does not say which type it was")
        equal((contents(state), state.versions()), ({b"k": b"v"}, []), "what was there before")


def test_sizes(folder):
    for engine in ENGINES:
        with State(os.path.join(folder, engine), engine, memory_bytes=8 * MIB) as state:
            raises(cairn.BadRequest, state.get, b"", code="bad_request")
            raises(ValueError, state.set, b"", b"v")
            raises(cairn.BadRequest, state.set, b"k" * (MIB + 1), b"v", code="bad_request")
            long = [b"k" * size for size in (1, 65535, 65536, 65537, 100_000, MIB - 1, MIB)]
            for key in long:
                state[key] = b"%d" % len(key)
            raises(cairn.Limit, state.set, b"k", bytes(64 * MIB + 1), code="limit")
            raises(cairn.Limit, state.write, [(b"a", b"1"), (b"k", bytes(64 * MIB + 1))], code="limit")
            raises(cairn.Limit, state.write, [(b"a", bytes(40 * MIB)), (b"k", bytes(40 * MIB))], code="limit")
            raises(cairn.Limit, state.write, [(b"a", b""), (b"k", bytes(64 * MIB))], code="limit")
            raises(cairn.Error, state.snapshot, bytes(65537))
            equal(contents(state), {key: b"%d" % len(key) for key in long}, "what was taken")
            version = state.snapshot()
            del state[long[-1]], state[long[3]]
            equal(sorted(map(len, contents(state))), [1, 65535, 65536, 100_000, MIB - 1], "what is left")
            state.snapshot()
            state.restore(version)
            equal(contents(state), {key: b"%d" % len(key) for key in long}, "what the version has")
            if engine == "hybridlog":
                value = random.randbytes(64 * MIB)
                state[b"large"] = value
                check(state[b"large"] == value, "64 MiB came back as something else")
            equal(len(state.versions()), 2, "versions, and none of the snapshot that was refused")
            version = state.snapshot(bytes(65536))
            equal((version, len(state.versions()[-1].metadata)), (3, 65536), "the largest metadata")
            state.restore()
            check(engine != "hybridlog" or state[b"large"] == value, "64 MiB came back from disk as something else")


def test_write(folder):
    for engine in ENGINES:
        with State(os.path.join(folder, engine), engine) as state:
            state.write([(b"a", b"1"), (b"b", b"2"), (b"a", None), (b"c", b""), (b"b", b"3")])
            equal(contents(state), {b"b": b"3", b"c": b""}, "in their order")
            state.write({b"d": b"4", b"c": None})
            equal(contents(state), {b"b": b"3", b"d": b"4"}, "a dict")
            state.write([])
            state.write((key, state[key] + b"!") for key in (b"b", b"d"))  # reads the state while it is made
            equal(contents(state), {b"b": b"3!", b"d": b"4!"}, "a generator")
            for wrong in ([(b"a", b"1"), ("b", b"2")], [(b"a", b"1"), (b"", b"2")], [(b"a", b"1"), (b"b",)]):
                raises((TypeError, ValueError), state.write, wrong)
            equal(contents(state), {b"b": b"3!", b"d": b"4!"}, "nothing of a batch that was refused")
            for count in 1, 2, 3, 4, 5, 127, 128, 129, 5000:
                state.write((b"%d" % i, b"%d" % count) for i in range(count))
                equal(state[b"%d" % (count - 1)], b"%d" % count, "the last of a batch")
            state.write((key, None) for key, _ in state.items())
            equal(contents(state), {}, "everything was deleted")


def test_tickets(folder):
    for log in "off", "always", "none", .05:
        with State(os.path.join(folder, str(log)), log=log) as state:
            tickets = [state.write([(b"k", b"%d" % i)], wait=False) for i in range(100)]
            equal(state[b"k"], b"99", "seen before it is durable")
            for ticket in tickets[50], tickets[10], tickets[99], tickets[99]:
                state.wait(ticket)
            with State(os.path.join(folder, f"{log}.other"), log=log) as other:
                raises(ValueError, other.wait, tickets[0])
            raises(TypeError, state.wait, 1 << 40)


def test_items(folder):
    for engine in ENGINES:
        with State(os.path.join(folder, engine), engine, **SMALL[engine]) as state:
            equal(list(state.items()), [], "items of nothing")
            want = {b"%d" % i: os.urandom(i % 300) for i in range(3000)}
            state.write(want)
            state.write((b"%d" % i, None) for i in range(0, 3000, 7))
            for i in range(0, 3000, 7):
                del want[b"%d" % i]
            equal(contents(state), want, engine)
            if engine == "lsm":
                keys = [key for key, _ in state.items()]
                equal(keys == sorted(keys), True, "the order of the lsm")
            items = state.items()  # what is there now, whatever happens meanwhile
            got = {}
            for key, value in items:
                got[key] = value
                del state[key]
            equal(got, want, "while it was changed")
            equal(contents(state), {}, "afterwards")
            equal(list(items), [], "an iterator that has ended")
            next(iter(state.items()), None)  # dropped at once


def test_items_need_little_memory(folder):
    with State(os.path.join(folder, "state"), memory_bytes=4 * MIB) as state:
        for i in range(200):
            state[b"%d" % i] = bytes([i]) * MIB
        try:
            with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                file.write("5")  # the peak begins anew
        except OSError as error:
            raise Skip(f"this kernel does not tell how much memory was used: {error}") from error

        def kib(name):
            with open("/proc/self/status", encoding="ascii") as status:
                return int(re.search(name + r":\s+(\d+)", status.read())[1])

        before, total = kib("VmRSS"), 0
        old, tempfile.tempdir = tempfile.tempdir, folder  # where it lies on disk
        try:
            for key, value in state.items():
                equal(value, bytes([int(key)]) * MIB, "a large value")
                total += 1
        finally:
            tempfile.tempdir = old
        equal(total, 200, "items")
        more = (kib("VmHWM") - before) // 1024
        check(more < 64, f"walking through 200 MiB took {more} MiB of memory")
        raises(OSError, with_broken_tempfile, state)
        equal(len(state[b"7"]), MIB, "a value after a failed walk")


def with_broken_tempfile(state):
    old, tempfile.tempdir = tempfile.tempdir, "/dev/null/none"
    try:
        return state.items()
    finally:
        tempfile.tempdir = old


# --- versions ---

def test_versions(folder):
    for engine in ENGINES:
        path = os.path.join(folder, engine)
        with State(path, engine, **SMALL[engine]) as state:
            equal(state.versions(), [], "versions of nothing")
            raises(cairn.NotFound, state.restore, code="not_found")
            begin = time.time()
            state[b"k"] = b"1"
            one = state.snapshot(b"first")
            state.write({b"k": b"2", b"more": b"x" * 30000})
            two = state.snapshot()
            first, second = state.versions()
            check(isinstance(first, cairn.Version) and isinstance(first, tuple), "it is a named tuple")
            equal((first.number, first.parent, first.current, first.pinned, first.metadata),
                  (one, 0, False, False, b"first"), "the first version")
            equal((second.number, second.parent, second.current, second.pinned, second.metadata),
                  (two, one, True, False, b""), "the second version")
            check(begin - 1 < first.time <= second.time < time.time() + 1, f"times {first.time} {second.time}")
            check(0 < first.bytes < second.bytes, f"bytes {first.bytes} {second.bytes}")
            state[b"k"] = b"lost"
            state.restore(one)
            equal(contents(state), {b"k": b"1"}, "the first again")
            state[b"branch"] = b"b"
            three = state.snapshot(b"branch")
            equal([(v.number, v.parent, v.current) for v in state.versions()],
                  [(one, 0, False), (two, one, False), (three, one, True)], "the branches")
            state.restore(two)
            equal(state[b"k"], b"2", "forth to the second")
            state[b"k"] = b"lost"
            state.restore()
            equal((state[b"k"], b"branch" in state), (b"2", False), "the current one again")
            for call in state.restore, state.pin, state.unpin, state.forget:
                for number in 0, -1, 99, 1 << 64, 1 << 65:
                    raises(LookupError, call, number)
                    raises(cairn.NotFound, call, number, code="not_found")
            state.pin(one)
            equal([v.pinned for v in state.versions()], [True, False, False], "pinned")
            raises(cairn.Conflict, state.forget, one, code="conflict")
            raises(cairn.Conflict, state.forget, two, code="conflict")
            state.forget(three)
            raises(cairn.NotFound, state.restore, three)
            check(state.collect() > 0, "nothing was freed")
            equal(state.collect(), 0, "freed for the second time")
        with State(path) as state:
            equal([(v.number, v.pinned, v.current) for v in state.versions()], [(one, True, False), (two, False, True)],
                  "after reopening")
            state.unpin(one)
            state.forget(one)
            equal([v.number for v in state.versions()], [two], "what is left")
            equal(state.snapshot() > three, True, "numbers are never used again")


def test_retain(folder):
    with State(os.path.join(folder, "state")) as state:
        for i in range(6):
            state[b"k"] = b"%d" % i
            state.snapshot()
        state.pin(1)
        state.restore(2)
        equal(state.retain(last=10), 0, "nothing was too much")
        equal(state.retain(interval=10_000_000, intervals=10) >= 2, True, "all of one stretch of time but the newest")
        kept = [v.number for v in state.versions()]
        equal({1, 2, 6} <= set(kept), True, f"pinned, current and newest are kept: {kept}")
        equal(state.retain(last=1), len(kept) - 3, "forgotten")
        equal([v.number for v in state.versions()], [1, 2, 6], "the last one")
        equal(state.retain(), 1, "forgotten at last")
        equal([v.number for v in state.versions()], [1, 2], "only what cannot be forgotten")
        for wrong in ({"last": -1}, {"last": 1 << 32}, {"intervals": 1 << 32}, {"interval": -1},
                      {"interval": float("nan")}):
            raises(ValueError, state.retain, **wrong)
        for wrong in {"last": "1"}, {"last": 1.5}, {"interval": "1"}:
            raises(TypeError, state.retain, **wrong)


def test_snapshots_in_two_steps(folder):
    for engine in ENGINES:
        with State(os.path.join(folder, engine), engine, **SMALL[engine]) as state:
            raises(cairn.Conflict, state.snapshot_end, code="conflict")
            equal(state.snapshot_done(), True, "nothing to wait for")
            want = {b"%d" % i: b"x" * 100 for i in range(1000)}
            state.write(want)
            state.snapshot_begin(b"meta")
            raises(cairn.Conflict, state.snapshot, code="conflict")
            raises(cairn.Conflict, state.snapshot_begin, code="conflict")
            state.write((key, b"later") for key in want)
            end = time.monotonic() + 60
            while not state.snapshot_done():
                check(time.monotonic() < end, "the snapshot is not done after a minute")
                time.sleep(.001)
            for call in state.restore, state.pin, state.unpin, state.forget:
                raises(cairn.Error, call, 1)
            version = state.snapshot_end()
            equal(state.get(b"7"), b"later", "what was written between")
            equal([(v.number, v.metadata) for v in state.versions()], [(version, b"meta")], "the version")
            state.restore(version)
            equal(contents(state), want, "the version has what was there at begin")
            state.snapshot_begin()
            state.close()  # between the two steps


def test_reopen(folder):
    for engine in ENGINES:
        path = os.path.join(folder, engine)
        with State(path, engine) as state:
            state[b"k"] = b"1"
            one = state.snapshot()
            state[b"k"] = b"2"
            two = state.snapshot()
            state[b"k"] = b"3"
        with State(path) as state:
            equal(state[b"k"], b"2", "what came after the last version is dropped")
        with State(path, engine, version=one) as state:
            equal((state[b"k"], [v.number for v in state.versions() if v.current]), (b"1", [one]), "opened at one")
        with State(os.fsencode(path), version=two) as state:
            equal(state[b"k"], b"2", "and at the other")
        raises(cairn.NotFound, State, path, version=99, code="not_found")
        raises(cairn.NotFound, State, path, version=0)
        other = ENGINES[ENGINES.index(engine) - 1]
        raises(cairn.Conflict, State, path, other, code="conflict")


def test_logs(folder):
    for engine in ENGINES:
        for log in "off", "always", "interval", .01, 2, "none":
            path = os.path.join(folder, f"{engine}.{log}")
            with State(path, engine, log=log, log_file_bytes=65536, log_bytes_max=MIB) as state:
                state[b"k"] = b"1"
                state.snapshot()
                state[b"k"] = b"2"
                state.write([(b"a", b"b"), (b"b", b"c")])
                state.delete(b"b")
            with State(path, log=log, log_file_bytes=65536) as state:
                want = {b"k": b"1"} if log == "off" else {b"k": b"2", b"a": b"b"}
                equal(contents(state), want, f"{engine} with the log {log}")
                state.restore()
                equal(contents(state), {b"k": b"1"}, "restored")
            with State(path, log=log, log_file_bytes=65536) as state:
                equal(contents(state), {b"k": b"1"}, "restored, and opened again")


def test_stats(folder):
    for engine in ENGINES:
        with State(os.path.join(folder, engine), engine, max_runs_per_level=2, **SMALL[engine]) as state:
            for i in range(3000):
                state[b"%d" % i] = b"x" * 100
            state.snapshot()
            stats = state.stats()
            check(isinstance(stats, cairn.Stats), "it is Stats")
            check(stats.memory_bytes > 0 and stats.disk_bytes > 3000 * 100 and stats.files > 0 and stats.flushes > 0,
                  f"{engine}: {stats}")
            if engine != "memory":
                check(stats.merges > 0 and stats.merged_bytes > 0, f"{engine}: {stats}")


def test_compression(folder):
    sizes = {}
    for compression in "none", "lz4", "zstd", "none,lz4,zstd":
        with State(os.path.join(folder, compression), compression=compression) as state:
            state.write((b"%d" % i, b"the same again, " * 10) for i in range(3000))
            state.snapshot()
            sizes[compression] = state.versions()[0].bytes
            state.restore()
            equal(len(contents(state)), 3000, "items")
    check(sizes["zstd"] < sizes["none"] / 3 and sizes["lz4"] < sizes["none"] / 3, f"sizes {sizes}")
    raises(cairn.BadRequest, State, os.path.join(folder, "none"), compression="rar", code="bad_request")
    raises(TypeError, State, os.path.join(folder, "none"), compression=5)
    raises(ValueError, State, os.path.join(folder, "none"), compression="lz4\0")


def test_blob(folder):
    """Versions are in another folder, too, and a new one takes them over from there."""
    for engine in ENGINES:
        blob = os.path.join(folder, engine + ".blob")
        os.mkdir(blob)
        with State(os.path.join(folder, engine + ".here"), engine, blob=blob) as state:
            want = {b"%d" % i: b"v" * 100 for i in range(1000)}
            state.write(want)
            state.snapshot(b"offset 5")
        with State(os.path.join(folder, engine + ".there"), engine, blob=blob, blob_grace_s=60) as state:
            equal(contents(state), want, f"{engine}: what came from there")
            equal([v.metadata for v in state.versions()], [b"offset 5"], "its versions")


# --- errors ---

def test_errors_of_opening(folder):
    path = os.path.join(folder, "state")
    with State(path) as state:
        error = raises(cairn.Locked, State, path, code="locked")
        check(path in str(error), f"the text does not name the folder: {error}")
        done = python("-c", f"import cairn_state; cairn_state.State({path!r})")
        check(done.returncode == 1 and "cairn_state.Locked" in done.stdout, f"another process: {done.stdout}")
        state[b"k"] = b"v"
    raises(cairn.BadRequest, State, path + ".new", "btree", code="bad_request")
    check(not os.path.exists(path + ".new"), "a folder was made for an engine that there is not")
    # Python's own ways of saying that an argument is wrong.
    raises(TypeError, State, path, colour="red")
    raises(TypeError, State, path, interval_ms=5)
    raises(TypeError, State, path, 7)
    raises(TypeError, State, 7)
    raises(TypeError, State)
    raises(TypeError, State, path, memory_bytes="1")
    raises(TypeError, State, path, version="1")
    raises(ValueError, State, path, "lsm\0")
    raises(ValueError, State, path + "\0x")
    for wrong in -1, 1 << 64:
        raises(ValueError, State, path, memory_bytes=wrong)
    raises(ValueError, State, path, max_runs_per_level=1 << 32)
    raises(ValueError, State, path, memory_bytes=1000)
    for wrong in "sometimes", "", 0, -1, 1e-9, 1e9, float("nan"), float("inf"):
        raises(ValueError, State, path, log=wrong)
    for wrong in None, True, b"off", [1]:
        raises(TypeError, State, path, log=wrong)
    raises(cairn.BadRequest, State, path, "hybridlog", mem_segment_len=2000, ro_lag_interval=2000)
    with open(path + ".file", "w", encoding="ascii"):
        pass
    for wrong in path + ".file", path + ".file/below":
        error = raises(cairn.Error, State, wrong)
        print(f"    {error.code}: {error}")
    with State(path, memory_bytes=None, threshold=None) as state:  # the same as nothing
        equal(state.versions(), [], "opened after all")


def test_damage(folder):
    for engine in ENGINES:
        path = os.path.join(folder, engine)
        with State(path, engine) as state:
            state[b"k"] = b"1"
            one = state.snapshot()
            state.write((b"%d" % i, os.urandom(100)) for i in range(1000))
            before = {os.path.join(at, name) for at, _, names in os.walk(path) for name in names}
            two = state.snapshot()
        new = {os.path.join(at, name) for at, _, names in os.walk(path) for name in names} - before
        largest = max(new, key=os.path.getsize)
        with open(largest, "r+b") as file:
            file.seek(os.path.getsize(largest) // 2)
            file.write(b"damage")
        try:
            with State(path) as state:  # what is not read is not missed
                error = raises(cairn.Corrupt, state.restore, two, code="corrupt")
                raises(cairn.Corrupt, lambda: list(state.items()))
        except cairn.Corrupt as refused:
            error = refused
        check(os.path.basename(largest) in str(error), f"the text does not name {largest}: {error}")
        with State(path, version=one) as state:
            equal(contents(state), {b"k": b"1"}, "the version that is whole")


def test_no_room(folder):
    """A process that may write files of 200 KB at most stands for a full disk: the kernel refuses to write more."""
    done = python("-c", f"""
import resource, signal, cairn_state
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
state = cairn_state.State({os.path.join(folder, "state")!r}, "memory")
state[b"k"] = b"small"
one = state.snapshot()
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
state.write((b"%d" % i, bytes(1000)) for i in range(1000))
try:
    state.snapshot()
except cairn_state.Error as error:
    print(error.code, isinstance(error, OSError), type(error).__name__, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(state.snapshot() > one, len(list(state.items())))
""")
    lines = done.stdout.splitlines()
    check(done.returncode == 0 and len(lines) == 2, f"it said {done.stdout}")
    check(lines[0].split()[0] in ("disk_full", "io") and lines[0].split()[1] == "True", lines[0])
    equal(lines[1], "True 1001", "after there was room")


def test_error_classes():
    for code, kind in cairn._ERRORS.items():
        error = kind(code, "what happened")
        equal((error.code, str(error), isinstance(error, cairn.Error)), (code, "what happened", True), "an error")
        again = pickle.loads(pickle.dumps(error))
        equal((type(again), again.code, str(again)), (kind, code, "what happened"), "pickled")
        check(getattr(cairn, kind.__name__) is kind and kind.__name__ in cairn.__all__, f"{kind} is public")
    for kind, base in {cairn.BadRequest: ValueError, cairn.Limit: ValueError, cairn.NotFound: LookupError,
                       cairn.Full: OSError, cairn.IoError: OSError, cairn.Permission: PermissionError,
                       cairn.NoMemory: MemoryError}.items():
        check(issubclass(kind, base), f"{kind} is no {base}")
    equal((cairn.Full("disk_full", "").errno, cairn.Permission("permission", "").errno), (errno.ENOSPC, errno.EACCES),
          "errno")
    equal(raises(cairn.Error, State, "x", "nonsense").code, "bad_request", "")


# --- the life of a state ---

def test_closed(folder):
    path = os.path.join(folder, "state")
    state = State(path)
    equal((state.closed, state.folder, repr(state)), (False, path, f"<cairn_state.State {path!r}>"), "open")
    state[b"k"] = b"v"
    items = state.items()
    state.snapshot_begin()
    ticket = state.write([(b"k", b"w")], wait=False)
    state.close()
    state.close()
    equal((state.closed, repr(state)), (True, f"<cairn_state.State {path!r} (closed)>"), "closed")
    calls = [lambda: state.get(b"k"), lambda: state.set(b"k", b"v"), lambda: state.delete(b"k"), lambda: state[b"k"],
             lambda: b"k" in state, lambda: state.__delitem__(b"k"), lambda: state.write([]),
             lambda: state.wait(ticket), lambda: state.prefetch([b"k"]),
             state.items, state.snapshot, state.snapshot_begin, state.snapshot_done, state.snapshot_end, state.versions,
             state.restore, lambda: state.pin(1), lambda: state.unpin(1), lambda: state.forget(1), state.retain,
             state.collect, state.stats, state.__enter__]
    for call in calls:
        error = raises(ValueError, call)
        check("closed" in str(error) and not isinstance(error, cairn.Error), f"it said {error}")
    equal(list(items), [(b"k", b"v")], "items that were collected before")
    tested = {name for name in vars(State) if not name.startswith("_")}
    equal(tested - {"get", "set", "delete", "write", "wait", "items", "snapshot", "snapshot_begin", "snapshot_done",
                    "snapshot_end", "versions", "restore", "pin", "unpin", "forget", "retain", "collect", "stats",
                    "close", "closed", "folder", "prefetch"}, set(), "methods that this test does not know")


def test_collected(folder):
    path = os.path.join(folder, "state")
    state = State(path)
    state[b"k"] = b"v"
    state.snapshot()
    state.versions()
    list(state.items())
    del state
    with State(path) as state:  # closed when it was dropped: nothing else refers to it
        equal(state[b"k"], b"v", "")
        raises(cairn.Locked, State, path)
    with contextlib.suppress(ZeroDivisionError):
        with State(path) as state:
            1 / 0  # pylint: disable=pointless-statement
    equal(state.closed, True, "after an exception")
    loop = [State(path)]
    loop.append(loop)
    del loop
    gc.collect()
    State.__new__(State).__del__()  # of which __init__ never ran
    State(path).close()
    # At the end of the interpreter.
    done = python("-c", f"import cairn_state; state = cairn_state.State({path!r}, log='always'); state[b'end'] = b'1'\n"
                        f"import atexit; atexit.register(lambda: state.set(b'exit', b'1'))")
    equal((done.returncode, done.stdout), (0, ""), "a process that does not close")
    with State(path, log="always") as state:
        equal((state.get(b"end"), state.get(b"exit")), (b"1", b"1"), "what it has set")


def test_no_copies(folder):
    with State(os.path.join(folder, "state")) as state:
        for call in pickle.dumps, copy.copy, copy.deepcopy:
            raises(TypeError, call, state)
        state[b"k"] = b"v"
        equal(contents(state), {b"k": b"v"}, "it is as it was")
        version = state.snapshot()
        equal(pickle.loads(pickle.dumps(state.versions()))[0].number, version, "a Version can be pickled")
        equal(pickle.loads(pickle.dumps(state.stats())), state.stats(), "and Stats")


def test_threads(folder):
    """Not what it is made for; nothing may crash, hang, or mix up answers."""
    for engine in ENGINES:
        state = State(os.path.join(folder, engine), engine, log="none", **SMALL[engine])
        failures, end = [], time.monotonic() + .5

        def use(number, state=state, failures=failures, end=end):
            draw, own = random.Random(number), {}
            try:
                while time.monotonic() < end:
                    key = b"%d.%d" % (number, draw.randrange(50))
                    what = draw.random()
                    if what < .5:
                        own[key] = os.urandom(draw.randrange(1000))
                        state[key] = own[key]
                    elif what < .9:
                        check(state.get(key) == own.get(key), "a value of this thread's own is another")
                    elif what < .95:
                        state.write([(key, None)])
                        own.pop(key, None)
                    elif what < .97:
                        mine = {k: v for k, v in state.items() if k.startswith(b"%d." % number)}
                        check(mine == own, "this thread's items are others")
                    elif what < .99:
                        check(all(len(v.metadata) == 3 for v in state.versions()), "a version's metadata")
                    else:
                        state.snapshot(b"abc")
                        check(state.stats().files > 0, "files")
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        use(9)
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        # Closed while others use it.
        outcomes = []

        def read(state=state, outcomes=outcomes):
            try:
                while True:
                    state.get(b"k")
                    list(state.items())
                    state.versions()
            except Exception as error:
                outcomes.append(error)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(.05)
        state.close()
        for thread in threads:
            thread.join(60)
        equal([type(error) for error in outcomes], [ValueError] * 3, f"what the threads ended with: {outcomes}")


class Interrupt(BaseException):
    """What the handler below raises."""


def test_interrupts(folder):
    """A handler that raises at any place: no item, no version is missing in what comes back, nothing hangs."""
    if sys.version_info < (3, 11):
        raise Skip("before Python 3.11 a lock may stay locked when `with` is interrupted in its end")
    path = os.path.join(folder, "state")
    state = State(path, "lsm", memtable_bytes_limit=20000)
    want = {b"%d" % i: b"%d" % i * 20 for i in range(2000)}
    state.write(want)
    for i in range(50):
        state.snapshot(b"%d" % i)
    versions = [(i + 1, b"%d" % i) for i in range(50)]
    draw = random.Random(5)
    calls = {
        "items": lambda: equal(dict(state.items()) == want, True, "all items are there"),
        "versions": lambda: equal([(v.number, v.metadata) for v in state.versions()], versions, "all versions"),
        "get": lambda: [equal(state[b"%d" % i], want[b"%d" % i], "a value") for i in range(0, 2000, 20)],
        "set": lambda: [state.set(b"%d" % i, want[b"%d" % i]) for i in range(0, 2000, 20)],
        "write": lambda: state.write(want),
        "stats": lambda: [check(state.stats().files > 0, "files") for _ in range(100)],
    }

    armed = []

    def interrupt(*_):
        if armed:
            armed.clear()
            raise Interrupt

    def interrupted(call, seconds):
        """Whether it was, at some moment of these seconds."""
        try:
            armed.append(True)
            signal.setitimer(signal.ITIMER_REAL, draw.uniform(.00005, seconds))
            call()
            armed.clear()
            return False
        except Interrupt:
            return True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def open_and_close():
        with State(path):
            pass

    lost = []  # exceptions of callbacks; others that cannot be raised are those of half-made objects of Python's own
    hook, sys.unraisablehook = sys.unraisablehook, lambda one: lost.append(one.err_msg) if one.err_msg else None
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for name, call in calls.items():
            begin = time.monotonic()
            call()
            now = time.monotonic()
            seconds, outcomes = 2 * (now - begin), collections.Counter()
            while now < begin + .7 or (min(outcomes[True], outcomes[False]) < 5 and now < begin + 30):
                outcomes[interrupted(call, seconds)] += 1
                now = time.monotonic()
            print(f"    {name}: {outcomes[True]} were interrupted, {outcomes[False]} were not")
            check(min(outcomes[True], outcomes[False]) >= 5, f"{name}: {outcomes}")
        equal(contents(state), want, "afterwards")
        state.close()
        open_and_close()
        outcomes = collections.Counter()
        for _ in range(100):
            outcomes[interrupted(open_and_close, .01)] += 1
            gc.collect()
        print(f"    opening: {outcomes[True]} were interrupted, {outcomes[False]} were not")
        open_and_close()  # it is not locked
    finally:
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = hook
    equal(lost, [], "exceptions that were lost in callbacks")


def test_call_from_a_handler(folder):
    """Refused, or answered, but it neither hangs nor crashes."""
    with State(os.path.join(folder, "state")) as state:
        state[b"k"] = b"v" * 1000
        outcomes = collections.Counter()

        def handler(*_):
            try:
                state[b"k"] = b"w" * 1000
                state.write([(b"x", os.urandom(100)) for _ in range(20)])
                state.versions()
                outcomes["answered"] += 1
            except RuntimeError as error:
                check("handler" in str(error), str(error))
                outcomes["refused"] += 1
            signal.setitimer(signal.ITIMER_REAL, .0005)

        before = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, .0005)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                check(state[b"k"] in (b"v" * 1000, b"w" * 1000), "a value")
                list(state.items())
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        print(f"    {dict(outcomes)}")
        check(outcomes["answered"] + outcomes["refused"] > 50, f"the handler ran too seldom: {outcomes}")


def test_fork(folder):
    done = python("-W", "ignore::DeprecationWarning", "-c", f"""
import os, sys, threading, cairn_state
path = {os.path.join(folder, "state")!r}
state = cairn_state.State(path, log="always")
state[b"k"] = b"v"
stop = threading.Event()
def busy():
    while not stop.is_set():
        state.get(b"k"), state.versions()
thread = threading.Thread(target=busy)
thread.start()
for _ in range(20):  # some of them while the other thread is inside of a call
    child = os.fork()
    if child == 0:
        refused = 0
        for call in state.versions, state.snapshot, state.stats, lambda: state.get(b"k"), lambda: list(state.items()):
            try:
                call()
            except ValueError as error:
                refused += "fork" in str(error)
        try:
            cairn_state.State(path)
        except cairn_state.Locked:
            refused += 1
        with cairn_state.State(path + ".child") as own:
            own[b"a"] = b"b"
            refused += len(list(own.items()))
        os.remove(path + ".child/lock")
        state.close()
        del state
        os._exit(refused)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 7:
        print("the child saw something else")
stop.set()
thread.join()
state[b"k"] = b"w"
state.snapshot()
print(state[b"k"], len(state.versions()))
state.close()
cairn_state.State(path).close()
""")
    equal((done.returncode, done.stdout), (0, "b'w' 1\n"), "a process that forks")


# --- a stream job ---

def job(folder, engine, log, path):
    """Counts the words of a file: with a version for every 500 of them, or with a log and the offset in each batch."""
    with State(folder, engine, log=log, log_file_bytes=65536, log_bytes_max=200000, **SMALL[engine]) as state, \
            open(path, "rb") as source:
        if log == "off":
            offset = max((int(v.metadata) for v in state.versions() if v.current), default=0)
        else:
            offset = int(state.get(b"offset", b"0"))
        source.seek(offset)
        print("from", offset)
        begun = False
        for lines, line in enumerate(iter(source.readline, b""), 1):
            word, offset = line.strip(), source.tell()
            count = struct.pack("<Q", struct.unpack("<Q", state.get(b"word " + word, bytes(8)))[0] + 1)
            if log == "off":
                state[b"word " + word] = count
                if lines % 500 == 0:
                    state.snapshot(b"%d" % offset)
            else:
                state.write([(b"word " + word, count), (b"offset", b"%d" % offset)],
                            wait=log != "always" or lines % 200 == 0)
                if lines % 1000 == 0:
                    state.snapshot_begin()
                    begun = True
                elif lines % 1000 == 500 and begun:
                    state.snapshot_end()
                    begun = False
                    state.retain(last=2)
                    state.collect()
            if lines % 500 == 250:
                print("more", lines, flush=True)
        if begun:
            state.snapshot_end()
        state.snapshot(b"%d" % offset)
        for key, value in state.items():
            if key != b"offset":
                print(key[5:].decode(), struct.unpack("<Q", value)[0])


def test_a_job_that_is_killed(folder):
    seed = random.randrange(1 << 31)
    draw = random.Random(seed)
    print(f"    seed {seed}")
    words = [f"word{int(draw.paretovariate(.6))}" for _ in range(20_000)]
    path = os.path.join(folder, "text")
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(words) + "\n")
    want = collections.Counter(words)
    for engine in ENGINES:
        for log in "off", "none", "always":
            command = [sys.executable, __file__, "job", os.path.join(folder, f"{engine}.{log}"), engine, log, path]
            begin = time.monotonic()
            for _ in range(KILLS):  # none comes so far that the others have nothing left
                with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as running:
                    for _ in range(draw.choice(TOLD_BEFORE_KILL)):
                        check(running.stdout.readline(), "the job ended by itself")
                    time.sleep(draw.uniform(0, .005))
                    running.kill()
            done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                                  check=False)
            check(done.returncode == 0,
                  f"seed {seed}, {engine}, log {log}: the job ended with {done.returncode}: {done.stdout}")
            out = [line.split() for line in done.stdout.splitlines()]
            start = int(out[0][1])
            check(start > 0, "the last run began with nothing")
            got = {word: int(count) for word, count in (words for words in out[1:] if words[0] != "more")}
            equal(got == dict(want), True, f"the counts of seed {seed}, {engine}, log {log}, after {KILLS} kills")
            print(f"    {engine}, log {log}: the last run began at {start} of {os.path.getsize(path)}, "
                  f"{time.monotonic() - begin:.1f} s")


# --- the package ---


def test_library_missing(folder):
    environment = {"CAIRN_ENGINE_LIBRARY": os.path.join(folder, "nothing.so")}
    done = python("-c", "import cairn_state", **environment)
    check(done.returncode == 1 and "ImportError: cairn_state needs libcairn-engine.so.0" in done.stdout, done.stdout)
    done = python("-c", "import cairn_state", CAIRN_ENGINE_LIBRARY="libc.so.6")
    check(done.returncode == 1 and "ImportError" in done.stdout and "cairn_code_name" in done.stdout, done.stdout)
    # Found by its soname where the linker looks.
    os.symlink(LIBRARY, os.path.join(folder, "libcairn-engine.so.0"))
    environment = {"CAIRN_ENGINE_LIBRARY": "", "LD_LIBRARY_PATH": folder}
    done = python("-c", f"import cairn_state; cairn_state.State({folder + '/state'!r}).close()", **environment)
    equal((done.returncode, done.stdout), (0, ""), "found by its soname")


def test_wheel(folder):
    """The wheel works in an environment of its own, with no build tree, and none is made without the library."""
    source, wheels, venv = (os.path.join(folder, name) for name in ("source", "wheels", "venv"))
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__"))
    quiet = ["--quiet", "--disable-pip-version-check", "--no-index"]
    pip = [sys.executable, "-m", "pip", "wheel", *quiet, "--wheel-dir", wheels, source]
    outside = {name: value for name, value in os.environ.items()
               if name not in ("CAIRN_ENGINE_LIBRARY", "PYTHONPATH", "LD_LIBRARY_PATH")}
    done = subprocess.run(pip, env=outside, capture_output=True, text=True, check=False)
    check(done.returncode != 0 and "build cairn first" in done.stderr + done.stdout, done.stderr + done.stdout)
    done = subprocess.run(pip, env=dict(outside, CAIRN_ENGINE_LIBRARY=LIBRARY), capture_output=True, text=True,
                          check=False)
    equal(done.returncode, 0, "pip wheel: " + done.stderr)
    (wheel,) = os.listdir(wheels)
    check(wheel.startswith("cairn_state-") and "-py3-none-linux_" in wheel, wheel)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    shutil.rmtree(source)
    inside = os.path.join(venv, "bin", "python")
    done = subprocess.run([inside, "-m", "pip", "install", *quiet, os.path.join(wheels, wheel)], env=outside,
                          capture_output=True, text=True, check=False)
    equal(done.returncode, 0, "pip install: " + done.stderr)
    program = ("import cairn_state, sys\n"
               "with cairn_state.State(sys.argv[1]) as state:\n"
               "    state[b'k'] = b'v'\n"
               "    state.snapshot()\n"
               "maps = open('/proc/self/maps').read()\n"
               "print([line.split()[-1] for line in maps.splitlines() if 'libcairn-engine' in line][0])\n")
    done = subprocess.run([inside, "-c", program, os.path.join(folder, "state")], env=outside, cwd=folder,
                          capture_output=True, text=True, check=False)
    equal(done.returncode, 0, done.stderr)
    check(os.path.realpath(done.stdout.strip()).startswith(os.path.realpath(venv)), "not its own: " + done.stdout)


def test_readme(folder):
    """Its example and its tour run as they are printed."""
    with open(os.path.join(PACKAGE, "README.md"), encoding="utf-8") as file:
        example, tour = re.findall(r"```python\n(.*?)```", file.read(), re.S)
    paths = {name: os.path.join(folder, name) for name in ("example.py", "tour.py", "words", "state")}
    with open(paths["example.py"], "w", encoding="utf-8") as file:
        file.write(example)
    with open(paths["words"], "w", encoding="ascii") as file:
        file.write("a b a\n" * 25_000)
    for _ in range(2):
        done = python(paths["example.py"], paths["state"], paths["words"])
        equal((done.returncode, sorted(done.stdout.splitlines())), (0, ["a 50000", "b 25000"]), "the example")
    with State(paths["state"]) as state:
        equal([int(v.metadata) for v in state.versions()][:3], [60_000, 120_000, 150_000], "its offsets")
    with open(paths["tour.py"], "w", encoding="utf-8") as file:
        file.write("import cairn_state\nimport os\nos.chdir(os.path.dirname(__file__))\n" + tour)
    done = python(paths["tour.py"])
    equal((done.returncode, done.stdout), (0, ""), "the tour")


def test_versions_agree():
    with open(os.path.join(PACKAGE, "pyproject.toml"), encoding="utf-8") as file:
        told = re.search(r'^version = "(.*)"$', file.read(), re.M)[1]
    equal(told, cairn.__version__, "the version in pyproject.toml and in the package")


if __name__ == "__main__":
    if with_sanitizers():
        main([test_skipped])
    elif sys.argv[1:2] == ["job"]:
        job(*sys.argv[2:])
    else:
        main([test_layout, test_prototypes, test_header_reader_sees_changes, test_keys, test_buffers,
              test_types_refused, test_sizes, test_write, test_tickets, test_items, test_items_need_little_memory,
              test_versions, test_retain, test_snapshots_in_two_steps, test_reopen, test_logs, test_stats,
              test_compression, test_blob, test_errors_of_opening, test_damage, test_no_room, test_error_classes,
              test_closed, test_collected, test_no_copies, test_threads, test_interrupts, test_call_from_a_handler,
              test_fork, test_a_job_that_is_killed, test_library_missing, test_wheel, test_readme, test_versions_agree])
