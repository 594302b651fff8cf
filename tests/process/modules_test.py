#!/usr/bin/env python3
"""Versions of a module: going back by number, and types that a version leaves out.

Catches a rollback that deploys another version or says that it is new, a type that vanishes while objects of it exist,
objects that can then be neither listed, shown nor removed, also after a restart, a name that is wrong without the
nearest right one, and integers of lists and maps that functions read otherwise than they wrote them.
"""
import os
import subprocess

from cairnproc import CAIRN, Node, check, equal, guest, main
import wasm


def cli(node, *words):
    """(status, what it said on both outputs)"""
    done = subprocess.run([CAIRN, *words], env=dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{node.http}"),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout.strip()


def without_counter():
    """The module register without its type Counter."""
    module = guest("register")
    lines = [line for line in wasm.types_text(module).splitlines(True) if "Counter" not in line]
    return wasm.with_types(module, "".join(lines))


def write(folder, name, module):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(module)
    return path


def types(node):
    return {t["type"]: (t["version"], t["dropped"], len(t["methods"])) for t in node.web().json("GET", "/v1/types")}


def test_rollback(folder):
    one = write(folder, "one.wasm", guest("register"))
    two = write(folder, "two.wasm", wasm.with_custom(guest("register"), "pad", b"two"))
    with Node(folder) as node:
        check("register version 1 deployed" in cli(node, "deploy", one)[1], "the first version")
        check("register version 2 deployed" in cli(node, "deploy", two)[1], "the second version")
        status, said = cli(node, "modules", "rollback", "register")
        check(status == 0 and said.startswith("register: version 2 -> 1 ("), f"rollback: {status} {said}")
        status, said = cli(node, "deploy", two)
        check(said.startswith("register: version 1 -> 2 ("), f"deploying an earlier file: {said}")
        check("is deployed already" in cli(node, "deploy", two)[1], "the same once more")
        equal(node.web().json("POST", "/v1/modules/register/rollback?version=1")["previous"], 2, "over HTTP")
        node.kill()
        node.start()
        equal(node.web().json("GET", "/v1/modules")[0]["version"], 1, "the version after a restart")
        for words, says in ((("register",), "no version before 1"), (("register", "7"), "no version 7"),
                            (("nosuch",), "no module nosuch")):
            status, said = cli(node, "modules", "rollback", *words)
            check(status == 1 and says in said, f"rollback {words}: {status} {said}")


def test_dropped_type(folder):
    whole = write(folder, "whole.wasm", guest("register"))
    part = write(folder, "part.wasm", without_counter())
    with Node(folder) as node:
        cli(node, "deploy", whole)
        # Without objects it simply goes.
        equal(cli(node, "deploy", part)[0], 0, "exit status without objects")
        equal(sorted(types(node)), ["Register"], "types without Counter")
        equal(cli(node, "modules", "rollback", "register")[0], 0, "exit status of going back")
        equal(node.redis().call("FCALL", "Counter.add", 1, "c", 7), 7, "Counter again")
        before = types(node)
        status, said = cli(node, "deploy", part)
        check(status == 1 and "objects of type Counter exist" in said and "--drop Counter" in said, f"{status} {said}")
        equal(types(node), before, "types after a refusal")
        equal(node.redis().call("FCALL", "Counter.add", 1, "c", 1), 8, "a call after a refusal")
        equal(cli(node, "deploy", "--drop", "Nosuch,Counter", part)[0], 0, "exit status when told")
        for again in (False, True):
            if again:
                node.kill()
                node.start()
            equal(types(node)["Counter"], (2, True, 0), "Counter, dropped")
            equal(cli(node, "objects", "ls", "Counter"), (0, "c"), "its objects")
            check("8" in cli(node, "objects", "show", "Counter/c")[1], "what is in one")
            status, said = cli(node, "call", "Counter/c", "add", "1")
            check(status == 1 and "no methods" in said and "rollback" in said, f"a call: {said}")
        status, said = cli(node, "modules", "rm", "register")
        check(status == 1 and "of Counter" in said, f"removing the module: {status} {said}")
        # And it comes back with what it had.
        equal(cli(node, "modules", "rollback", "register", "1")[0], 0, "exit status of going back")
        equal(node.redis().call("FCALL", "Counter.add", 1, "c", 1), 9, "Counter is back")
        equal(cli(node, "deploy", "--drop", "Counter", part)[0], 0, "dropped once more")
        equal(cli(node, "objects", "rm", "Counter/c")[0], 0, "exit status of removing")
        equal(cli(node, "modules", "rm", "register")[0], 0, "exit status of removing the module")
        equal(types(node), {}, "types at the end")


def test_names(folder):
    with Node(folder) as node:
        node.deploy("register")
        for words, says in ((("call", "Countr/c", "add"), "did you mean 'Counter'?"),
                            (("call", "Counter/c", "ad"), "did you mean 'add'?"),
                            (("objects", "ls", "counter"), "did you mean 'Counter'?")):
            status, said = cli(node, *words)
            check(status == 1 and says in said, f"{words}: {status} {said}")


INTEGERS = """#include <cairn/guest.h>
CAIRN_MODULE(ints);
CAIRN_TYPE(Ints);
CAIRN_LIST(Ints, list);
CAIRN_MAP(Ints, map);
CAIRN_METHOD(Ints, set, CAIRN_PUBLIC)
{
    cairn_map_set_int(Ints_map, cairn_arg(0), cairn_arg_int(1));
    cairn_list_push_int(Ints_list, cairn_arg_int(1));
    cairn_list_set_int(Ints_list, cairn_list_count(Ints_list) - 1, cairn_arg_int(1) + 1);
}
CAIRN_METHOD(Ints, get, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_pack p = {0};
    cairn_pack_list(&p, 4);
    cairn_pack_int(&p, cairn_map_get_int(Ints_map, cairn_arg(0), -1));
    cairn_pack_int(&p, cairn_map_get_int(Ints_map, cairn_str("nosuch"), -1));
    cairn_pack_int(&p, cairn_list_get_int(Ints_list, 0, -1));
    cairn_pack_int(&p, cairn_list_get_int(Ints_list, 99, -1));
    cairn_result_packed(cairn_packed(&p));
}
"""


def test_integers(folder):
    source, module = os.path.join(folder, "ints.c"), os.path.join(folder, "ints.wasm")
    with open(source, "w", encoding="ascii") as file:
        file.write(INTEGERS)
    include = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "include")
    subprocess.run([CAIRN, "build", source, "-o", module, "--include", include], stdout=subprocess.DEVNULL, check=True)
    with Node(folder) as node, node.redis() as redis:
        cli(node, "deploy", module)
        redis.ok("FCALL", "Ints.set", 1, "i", "k", -5000000000)
        equal(redis.call("FCALL_RO", "Ints.get", 1, "i", "k"), [-5000000000, -1, -4999999999, -1], "integers")


if __name__ == "__main__":
    main([test_rollback, test_dropped_type, test_names, test_integers])
