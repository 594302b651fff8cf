#!/usr/bin/env python3
"""Namespaces by the real program: over HTTP, the Redis protocol and the command line.

Catches anything of one namespace that shows or can be changed in another (objects, types, modules, log lines, keys,
exports, metrics under a wrong label), a namespace that does not come back after a kill or does after its removal, one
that is removed although there is something in it, a connection that stays in a namespace that is gone, and errors that
do not say how to go on.
"""
import http.client
import json
import os
import subprocess
import threading

from cairnproc import CAIRN, Error, Node, check, equal, guest, main


def cli(node, *words, space=None):
    """(status, what it said on both outputs)"""
    env = dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{node.http}")
    env.pop("CAIRN_NAMESPACE", None)
    if space is not None:
        env["CAIRN_NAMESPACE"] = space
    done = subprocess.run([CAIRN, *words], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.strip()


def create(node, *names):
    for name in names:
        node.web().json("PUT", f"/v1/namespaces/{name}", want=201)


def names(node):
    return [space["name"] for space in node.web().json("GET", "/v1/namespaces")]


def redis_in(node, space):
    redis = node.redis()
    redis.ok("CAIRN.NAMESPACE", space)
    return redis


def write(folder, name):
    path = os.path.join(folder, name + ".wasm")
    with open(path, "wb") as file:
        file.write(guest(name))
    return path


def test_nothing_crosses(folder):
    """Each operation, tried from another namespace."""
    with Node(folder) as node:
        web = node.web()
        create(node, "acme", "blue")
        with redis_in(node, "acme") as acme, redis_in(node, "blue") as blue, node.redis() as plain:
            acme.ok("FUNCTION", "LOAD", guest("register"))
            equal(acme.ok("FCALL", "Counter.add", 2, "c", "key", 5), 5, "acme's counter")
            for other, where in ((blue, "blue"), (plain, "default")):
                equal(other.ok("FUNCTION", "LIST"), [], f"modules of {where}")
                for words in (("FCALL", "Counter.add", 1, "c", 1), ("FCALL_RO", "Counter.get", 1, "c")):
                    equal(other.call(*words).code, "UNKNOWN_TYPE", f"{words} in {where}")
                equal(other.call("FUNCTION", "DELETE", "register").code, "NOT_FOUND", f"undeploying in {where}")
            # The same module beside it: other objects, other keys, other versions.
            blue.ok("FUNCTION", "LOAD", guest("register"))
            equal(blue.ok("FCALL", "Counter.add", 2, "c", "key", 70), 70, "the same key and object in blue")
            equal(acme.ok("FCALL", "Counter.add", 2, "c", "key", 5), 5, "acme's key again")
            equal(acme.ok("FCALL", "Counter.get", 1, "c"), 5, "acme's counter after blue's")
        # Over HTTP: the objects and what tells of them.
        for path, status, code in (("/v1/objects/Counter", 404, "unknown_type"),
                                   ("/v1/objects/Counter/c", 404, "unknown_type"),
                                   ("/v1/ns/default/objects/Counter/c/get", 404, "unknown_type")):
            web.fails(status, code, "GET", path)
        for method, path in (("DELETE", "/v1/objects/Counter/c"), ("PUT", "/v1/objects/Counter/c?version=1")):
            web.fails(404, "unknown_type", method, path)
        for path in ("modules", "types"):
            equal(web.json("GET", f"/v1/{path}"), [], f"default's {path}")
            equal(len(web.json("GET", f"/v1/ns/acme/{path}")), 1 if path == "modules" else 2, f"acme's {path}")
        web.json("POST", "/v1/ns/blue/objects/Counter/only/add", [1])
        equal(web.json("GET", "/v1/ns/acme/objects/Counter")["ids"], ["c"], "acme's counters")
        equal(web.json("GET", "/v1/ns/blue/objects/Counter")["ids"], ["c", "only"], "blue's counters")
        equal(web.json("DELETE", "/v1/ns/acme/objects/Counter/c")["deleted"], True, "deleting acme's")
        equal(web.json("GET", "/v1/ns/blue/objects/Counter/c/get"), 70, "blue's after that")
        web.fails(404, "not_found", "POST", "/v1/modules/register/rollback")
        web.fails(404, "not_found", "GET", "/v1/ns/acme/versions")  # these are the node's
        web.fails(404, "not_found", "GET", "/v1/ns/acme/namespaces")
        # What was undeployed in one is there in the other.
        web.json("DELETE", "/v1/ns/acme/modules/register")
        equal(len(web.json("GET", "/v1/ns/blue/modules")), 1, "blue's modules after acme's went")
        samples = node.metrics()
        for space, count in (("acme", 2), ("blue", 2)):
            sample = f'cairn_invocations_total{{namespace="{space}",type="Counter",method="add"}}'
            equal(samples.get(sample), count, sample)
        check(not any('namespace="default"' in sample and "Counter" in sample for sample in samples), "default's metrics")


def test_log_lines(folder):
    """A namespace has its own, also when another writes more than are kept."""
    with Node(folder, "--workers=1") as node:
        create(node, "acme", "blue")
        for space in ("acme", "blue"):
            with redis_in(node, space) as redis:
                redis.ok("FUNCTION", "LOAD", guest("probe"))
                for n in range(3):
                    redis.ok("FCALL", "Probe.say", 1, space, f"line {n} of {space}")
        for space in ("acme", "blue"):
            lines = [line["line"] for line in node.web().json("GET", f"/v1/ns/{space}/logs")]
            equal(lines, [f"line {n} of {space}" for n in range(3)], f"lines of {space}")
            equal(len(node.web().json("GET", f"/v1/ns/{space}/logs?limit=2")), 2, f"two lines of {space}")
        equal(node.web().json("GET", "/v1/logs"), [], "lines of default")


def test_life(folder):
    """Made, used, restarted, refused, removed."""
    with Node(folder) as node:
        web = node.web()
        equal(names(node), ["default"], "at first")
        status, said = cli(node, "namespaces", "create", "acme")
        check(status == 0 and "CAIRN_NAMESPACE=acme" in said, f"create: {status} {said}")
        web.fails(409, "conflict", "PUT", "/v1/namespaces/acme")
        for bad in ("Acme", "1a", "-a", "a.b", "a%20b", "a" * 65):
            web.fails(400, "bad_request", "PUT", f"/v1/namespaces/{bad}")
        equal(cli(node, "--namespace=acme")[0], 2, "the flag without a command")
        equal(cli(node, "deploy", write(folder, "register"), "--namespace=acme")[0], 0, "deploying there")
        equal(cli(node, "call", "Counter/c", "add", "3", space="acme"), (0, "3"), "calling there")
        equal(cli(node, "objects", "ls", "Counter", "--namespace", "acme"), (0, "c"), "listing there")
        check("no type Counter" in cli(node, "objects", "ls", "Counter")[1], "listing elsewhere")
        node.kill()
        node.start()
        equal(names(node), ["acme", "default"], "after a kill")
        equal(cli(node, "call", "Counter/c", "get", space="acme"), (0, "3"), "its object after a kill")
        # Removed only when it is empty, or told.
        status, said = cli(node, "namespaces", "rm", "acme")
        check(status == 1 and "--drop" in said, f"rm: {status} {said}")
        web = node.web()
        web.fails(400, "bad_request", "DELETE", "/v1/namespaces/default")
        with redis_in(node, "acme") as redis:
            equal(redis.ok("FCALL", "Counter.get", 1, "c"), 3, "after a refused removal")
            equal(cli(node, "namespaces", "rm", "acme", "--drop"), (0, "acme removed, with all that it had"), "rm --drop")
            reply = redis.call("FCALL", "Counter.get", 1, "c")
            check(isinstance(reply, Error) and reply.code == "NOT_FOUND" and "namespaces create acme" in reply,
                  f"a connection of a namespace that is gone: {reply}")
            reply = redis.call("FUNCTION", "LOAD", guest("register"))
            check(isinstance(reply, Error) and reply.code == "NOT_FOUND", f"a deploy to it: {reply}")
            # It works again with one of that name, which has nothing of the old.
            create(node, "acme")
            equal(redis.ok("FUNCTION", "LIST"), [], "modules of the new one")
            redis.ok("FUNCTION", "LOAD", guest("register"))
            equal(redis.call("FCALL", "Counter.get", 1, "c"), 0, "the new one's counter")
            redis.ok("FUNCTION", "DELETE", "register")
        web.json("DELETE", "/v1/namespaces/acme")
        for done in ("created", "removed"):
            check(f"a namespace was {done}" in node.output(), f"the node's log does not tell that one was {done}")
        node.kill()
        node.start()
        equal(names(node), ["default"], "after the removal and a kill")


def test_missing(folder):
    """One that does not exist is told so everywhere, and how it is made."""
    with Node(folder) as node:
        web = node.web()
        for path in ("/v1/ns/nope/types", "/v1/ns/nope/objects/A/b", "/v1/namespaces/nope"):
            problem = web.fails(404, "not_found", "GET", path)
            check("cairn namespaces create nope" in json.dumps(problem), f"{path}: {problem}")
        web.fails(404, "not_found", "DELETE", "/v1/namespaces/nope")
        status, said = cli(node, "types", "--namespace", "nope")
        check(status == 1 and "cairn namespaces create nope" in said, f"{status} {said}")
        with node.redis() as redis:
            reply = redis.call("CAIRN.NAMESPACE", "nope")
            check(reply.code == "NOT_FOUND" and "cairn namespaces create nope" in reply, reply)
            equal(redis.ok("CAIRN.NAMESPACE"), b"default", "where the connection is after that")
            create(node, "acme")
            redis.ok("CAIRN.NAMESPACE", "acme")
            equal(redis.ok("CAIRN.NAMESPACE"), b"acme", "where it is now")
            redis.ok("MULTI")
            equal(redis.call("CAIRN.NAMESPACE", "default").code, "ERR", "within a transaction")
            equal(redis.call("EXEC").code, "EXECABORT", "its end")
            equal(redis.call("RESET"), "RESET", "RESET")
            equal(redis.ok("CAIRN.NAMESPACE"), b"default", "after RESET")


def test_compartments(folder):
    """The name of what the node itself has in a namespace is nobody's (that it is refused where there is one:
    tests/admin/compartments_test.c)."""
    with Node(folder) as node:
        create(node, "acme")
        web = node.web()
        for name in ("zk:acme", "zk%3Aacme", "zk:default"):
            web.fails(404, "not_found", "GET", f"/v1/ns/{name}/types")
            web.fails(400, "bad_request", "PUT", f"/v1/namespaces/{name}")
            web.fails(400, "bad_request", "DELETE", f"/v1/namespaces/{name}")
        with node.redis() as redis:
            equal(redis.call("CAIRN.NAMESPACE", "zk:acme").code, "NOT_FOUND", "over the Redis protocol")
        for words in (("types", "--namespace", "zk:acme"), ("namespaces", "create", "zk:acme")):
            status, said = cli(node, *words)
            check(status == 1 and "has 1 to 64 lower-case letters" in said, f"{words}: {status} {said}")


def test_completion(folder):
    with Node(folder) as node:
        create(node, "acme")
        with redis_in(node, "acme") as redis:
            redis.ok("FUNCTION", "LOAD", guest("register"))
        for words, want in ((("namespaces", "rm", ""), "acme\ndefault"), (("types", "--namespace", ""), "acme\ndefault"),
                            (("modules", "rm", "--namespace", "acme", ""), "register"), (("modules", "rm", ""), "")):
            equal(cli(node, "completion", "names", "--", *words)[1], want, f"names for {words}")


def test_export(folder):
    """One namespace, or all of them, each with its own."""
    with Node(folder) as node:
        create(node, "acme?requests=1000&memory=1000000", "blue", "empty")
        for n, space in enumerate(("acme", "blue")):
            with redis_in(node, space) as redis:
                redis.ok("FUNCTION", "LOAD", guest("register"))
                redis.ok("FCALL", "Counter.add", 2, "c", "key", n + 1)
                for _ in range(3 + n):
                    redis.ok("CAIRN.SEND", "DELAY", 10 ** 9, "Counter.add", 1, "c", 1)
        told = {space: kept(node, space) for space in ("acme", "blue")}
        check(told["blue"][0] == 1 and told["blue"][1] > told["blue"][3] > 0, f"what they keep: {told}")
        equal([told[space][2] for space in ("acme", "blue")], [3, 4], "messages")
        streams = {space: os.path.join(folder, f"{space}.stream") for space in ("all", "blue")}
        equal(cli(node, "export", streams["all"])[0], 0, "exporting all")
        equal(cli(node, "export", streams["blue"], "--namespace", "blue")[0], 0, "exporting one")
        equal(cli(node, "export", "--namespace", "nope", streams["blue"] + "2")[0], 1, "exporting none")
        node.web().fails(404, "not_found", "POST", "/v1/ns/nope/export")
        begun = node.web().json("POST", "/v1/ns/acme/export")
        if not begun[1]:
            node.web().fails(404, "not_found", "POST", f"/v1/ns/blue/export/{begun[0]}/1")
    offline = os.path.join(folder, "offline.stream")
    equal(cli(node, "export", "--data", node.data, offline, "--namespace", "blue")[0], 0, "exporting one of a folder")
    for stream, there, counters in ((streams["all"], ["acme", "blue", "default", "empty"], {"acme": 1, "blue": 2}),
                                    (streams["blue"], ["blue", "default"], {"blue": 2}),
                                    (offline, ["blue", "default"], {"blue": 2})):
        data = os.path.join(folder, "imported-" + os.path.basename(stream))
        equal(cli(node, "import", "--data", data, "--shards", "3", stream)[0], 0, f"importing {stream}")
        with Node(folder, data=data, name=os.path.basename(stream)) as other:
            equal(names(other), there, f"namespaces of {stream}")
            if "acme" in there:
                equal(other.web().json("GET", "/v1/namespaces/acme")["limits"],
                      limits(requests=1000, memory=1000000), "acme's limits")
                for space in ("acme", "blue"):
                    objects, size, messages, of_messages = kept(other, space)
                    equal((objects, size - of_messages, messages), (told[space][0], told[space][1] - told[space][3],
                                                                    told[space][2]), f"what {space} keeps")
                    # Messages have other numbers, which take at most 5 bytes less.
                    check(told[space][3] - 5 * messages <= of_messages <= told[space][3], f"{of_messages} of messages")
            for space, count in counters.items():
                with redis_in(other, space) as redis:
                    equal(redis.ok("FCALL", "Counter.get", 1, "c"), count, f"counter of {space}")
                    equal(redis.ok("FCALL", "Counter.add", 2, "c", "key", count), count, f"key of {space}")


def limits(**there):
    names = ["requests", "connections", "memory", "bytes", "objects", "cpu", "instances", "weight"]
    of_method = ("cpu", "memory", "calls", "result", "write_set", "journal", "transaction", "transaction_objects",
                 "transaction_time")
    return {name: there.get(name, 0) for name in names + [f"limit_{name}" for name in of_method] + ["messages", "message_bytes"]}


def kept(node, space):
    usage = node.web().json("GET", f"/v1/namespaces/{space}")["usage"]
    return usage["objects"], usage["bytes"], usage["messages"], usage["message_bytes"]


def add(node, space, count):
    """What `count` calls to the counter c of the namespace were answered with, over RESP."""
    with redis_in(node, space) as redis:
        return [redis.call("FCALL", "Counter.add", 1, "c", 1) for _ in range(count)]


def test_requests_limit(folder):
    """Refused before anything ran, with the limit and when to come again; others do not feel it."""
    with Node(folder) as node:
        create(node, "blue")
        status, said = cli(node, "namespaces", "create", "acme", "--requests", "5/s", "--memory", "64MiB")
        check(status == 0, said)
        for space in ("acme", "blue"):
            equal(cli(node, "deploy", write(folder, "register"), space=space)[0], 0, f"deploying to {space}")
        for again in (False, True):
            if again:  # limits are state
                node.kill()
                node.start()
            replies = add(node, "acme", 40)
            done = [reply for reply in replies if not isinstance(reply, Error)]
            refused = [reply for reply in replies if isinstance(reply, Error)]
            check(refused and {reply.code for reply in refused} == {"QUOTA"}, f"replies: {replies}")
            check(all("acme" in reply and "(requests)" in reply and "try again in 0." in reply for reply in refused),
                  f"refusals: {refused[0]}")
            status, head, body = raw(node, "POST", "/v1/ns/acme/objects/Counter/c/add", times=10)
            check(status == 429 and head["Retry-After"] == "1" and b'"code":"quota"' in body and b'"effects":"none"' in body,
                  f"over HTTP: {status} {dict(head)} {body}")
            equal([isinstance(reply, Error) for reply in add(node, "blue", 40)], [False] * 40, "blue's")
            equal(cli(node, "namespaces", "set", "acme", "--requests", "none")[0], 0, "without a limit")
            total = add(node, "acme", 1)[0] - 1
            ran = int(node.metrics()['cairn_invocations_total{namespace="acme",type="Counter",method="add"}']) - 1
            check(ran >= len(done) and total >= ran, f"{total} of {ran} invocations took effect, of {len(done)} acknowledged")
            equal([isinstance(reply, Error) for reply in add(node, "acme", 40)], [False] * 40, "acme's without a limit")
            equal(cli(node, "namespaces", "set", "acme", "--requests", "5")[0], 0, "with a limit again")
        shown = node.web().json("GET", "/v1/namespaces/acme")
        equal(shown["limits"], limits(requests=5, memory=64 << 20), "limits")
        check(shown["usage"]["refused"] > 10 and shown["usage"]["invocations"] > 40 and shown["usage"]["cpu_us"] > 0,
              f"usage: {shown['usage']}")
        samples = node.metrics()
        check(samples['cairn_namespace_refused_total{namespace="acme"}'] >= shown["usage"]["refused"], "refused in metrics")
        equal(samples['cairn_namespace_refused_total{namespace="blue"}'], 0, "blue's refused in metrics")
        status, said = cli(node, "namespaces", "show", "acme")
        check(status == 0 and "at most 5 requests/s" in said and "of 67108864 (--memory)" in said, said)


def raw(node, method, path, times=1):
    """The last of so many requests on one connection: (status, head, body)"""
    connection = http.client.HTTPConnection("127.0.0.1", node.http, timeout=60)
    for _ in range(times):
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
    connection.close()
    return response.status, response.headers, body


def test_connections_limit(folder):
    with Node(folder) as node:
        create(node, "acme?connections=2")
        node.web().fails(400, "bad_request", "POST", "/v1/namespaces/default?connections=5")
        node.web().fails(400, "bad_request", "PUT", "/v1/namespaces/blue?instance=5")
        node.web().fails(400, "bad_request", "POST", "/v1/namespaces/default?objects=5")
        node.web().fails(400, "bad_request", "PUT", "/v1/namespaces/blue?requests=10000001")
        equal(cli(node, "namespaces", "create", "blue", "--requests", "5/h")[0], 2, "a wrong unit")
        first, second = redis_in(node, "acme"), redis_in(node, "acme")
        with node.redis() as third:
            reply = third.call("CAIRN.NAMESPACE", "acme")
            check(reply.code == "QUOTA" and "2 connections" in reply, reply)
            equal(third.ok("CAIRN.NAMESPACE"), b"default", "where it is after that")
            status, head, body = raw(node, "GET", "/v1/ns/acme/types")
            check(status == 429 and "Retry-After" in head and b"2 connections" in body, f"over HTTP: {status} {body}")
            second.ok("CAIRN.NAMESPACE", "default")  # it has left
            third.ok("CAIRN.NAMESPACE", "acme")
            equal(raw(node, "GET", "/v1/ns/acme/types")[0], 429, "over HTTP again")
            first.close()
            for _ in range(200):  # until the node has noticed; each request's own connection counts as long, too
                status = raw(node, "GET", "/v1/ns/acme/types")[0]
                if status == 200:
                    break
            equal(status, 200, "after one was closed")
        second.close()


def test_method_limits(folder):
    """What a module declares and a namespace caps: in force, told, listed, state."""
    module = os.path.join(folder, "limited.wasm")
    with open(module, "wb") as file:
        file.write(guest("limited"))
    with Node(folder) as node:
        create(node, "blue")
        status, said = cli(node, "namespaces", "create", "acme", "--limit-cpu", "20ms", "--limit-result", "1KiB")
        check(status == 0, said)
        for space in ("acme", "blue"):
            equal(cli(node, "deploy", module, space=space)[0], 0, f"deploying to {space}")
        for again in (False, True):
            if again:
                node.kill()
                node.start()
            web = node.web()
            for space, method, told in (("acme", "spin", "limit-cpu of 20 ms, set for the namespace"),
                                        ("acme", "spin_less", "limit-cpu of 10 ms, declared by the method Tight.spin_less"),
                                        ("blue", "spin", "limit-cpu of 40 ms, declared by the type Tight")):
                status, _, body = raw(node, "POST", f"/v1/ns/{space}/objects/Tight/a/{method}")
                check(status == 500 and b'"code":"cpu_limit"' in body and told.encode() in body, f"{space}: {body}")
            with redis_in(node, "acme") as redis:
                said = redis.call("FCALL", "Tight.result", 1, "a", 2)
                check(said.code == "LIMIT" and "`cairn namespaces set acme --limit-result`" in said, said)
            types = {t["type"]: {m["name"]: m["limits"] for m in t["methods"]} for t in web.json("GET", "/v1/ns/acme/types")}
            check({"name": "limit-cpu", "in_force": 20, "by": "namespace", "declared": 40} in types["Tight"]["spin"],
                  types["Tight"]["spin"])
            check({"name": "limit-result", "in_force": 1024, "by": "namespace", "declared": 0} in types["Plain"]["spin"],
                  types["Plain"]["spin"])
        status, said = cli(node, "types", space="acme")
        check("limit-cpu 20 ms (namespace; 40 ms declared)" in said and "limit-cpu 10 ms" in said, said)
        status, said = cli(node, "namespaces", "set", "acme", "--limit-cpu", "none", "--limit-memory", "256KiB")
        check(status == 0 and "limit-memory  at most 256 KiB" in said and "limit-cpu" not in said, said)
        equal(web.json("GET", "/v1/namespaces/acme")["limits"], limits(limit_result=1024, limit_memory=256 << 10), "limits")
        status, _, body = raw(node, "POST", "/v1/ns/acme/objects/Plain/a/hold_freely?arg=1024")
        check(status == 500 and b"limit-memory of 256 KiB, set for the namespace" in body, f"memory: {body}")
        equal(cli(node, "namespaces", "set", "acme", "--limit-cpu", "0x5")[0], 2, "no number")
        web.fails(400, "bad_request", "POST", "/v1/namespaces/acme?limit_cpu=86400001")
        web.fails(400, "bad_request", "POST", "/v1/namespaces/acme?limit_speed=1")


def test_kept_limits(folder):
    """Bytes and objects: over every protocol, after kills, and others do not feel it."""
    with Node(folder) as node:
        status, said = cli(node, "namespaces", "create", "acme", "--objects", "3", "--bytes", "1KiB")
        check(status == 0, said)
        create(node, "blue")
        for space in ("acme", "blue"):
            equal(cli(node, "deploy", write(folder, "register"), space=space)[0], 0, f"deploying to {space}")
        for space, want in (("acme", 3), ("blue", 5)):
            with redis_in(node, space) as redis:
                replies = [redis.call("FCALL", "Counter.add", 1, f"c{n}", 1) for n in range(5)]
                equal([reply for reply in replies if not isinstance(reply, Error)], [1] * want, f"{space}'s")
                for reply in replies[want:]:
                    check(reply.code == "QUOTA" and "3 objects" in reply and "set acme --objects" in reply, reply)
        told = kept(node, "acme")
        check(told[0] == 3 and 0 < told[1] <= 1024, told)
        node.kill()
        node.start()
        equal(kept(node, "acme"), told, "after a kill")
        status, head, body = raw(node, "POST", "/v1/ns/acme/objects/Counter/c9/add")
        check(status == 429 and b'"effects":"none"' in body and b"(objects)" in body, f"over HTTP: {status} {body}")
        equal(cli(node, "namespaces", "set", "acme", "--objects", "none")[0], 0, "without a limit")
        with redis_in(node, "acme") as redis:
            count, reply = 3, 1
            while reply == 1:
                reply = redis.call("FCALL", "Counter.add", 1, f"c{count}", 1)
                count += 1
            check(reply.code == "QUOTA" and "(bytes)" in reply and "set acme --bytes" in reply, reply)
            equal(redis.ok("FCALL", "Counter.add", 1, "c0", 1), 2, "what adds nothing")
        objects, size = kept(node, "acme")[:2]
        check(objects == count - 1 and size <= 1024, f"{objects} objects of {size} bytes")
        sample = node.metrics()
        equal(sample['cairn_namespace_objects{namespace="acme"}'], objects, "objects in metrics")
        equal(sample['cairn_namespace_kept_bytes{namespace="acme"}'], size, "bytes in metrics")
        equal(cli(node, "call", "Counter/c0", "get", space="acme"), (0, "2"), "a reader at the limit")
        equal(cli(node, "objects", "rm", "Counter/c0", space="acme")[0], 0, "deleting at the limit")
        with redis_in(node, "acme") as redis:
            for _ in range(500):  # until what is left of it has been purged
                if redis.call("FCALL", "Counter.add", 1, f"c{count}", 1) == 1:
                    break
            equal(redis.ok("FCALL", "Counter.get", 1, f"c{count}"), 1, "after a deletion")
        status, said = cli(node, "namespaces", "show", "acme")
        check(status == 0 and "of 1024 (--bytes)" in said and "operations" in said, said)


def test_message_limits(folder):
    """Messages that wait: over both protocols, after a kill, and others do not feel it."""
    with Node(folder) as node:
        status, said = cli(node, "namespaces", "create", "acme", "--messages", "2", "--message-bytes", "1MiB")
        check(status == 0, said)
        create(node, "blue")
        for space in ("acme", "blue"):
            equal(cli(node, "deploy", write(folder, "register"), space=space)[0], 0, f"deploying to {space}")
            with redis_in(node, space) as redis:
                for n in range(2):
                    redis.ok("CAIRN.SEND", "DELAY", 10 ** 9, "Counter.add", 1, f"c{n}", 1)
        node.kill()
        node.start()
        with redis_in(node, "acme") as redis:
            reply = redis.call("CAIRN.SEND", "Counter.add", 1, "c", 1)
            check(reply.code == "QUOTA" and "2 messages" in reply and "set acme --messages" in reply, reply)
            equal(redis.ok("FCALL", "Counter.add", 1, "c", 1), 1, "what sends nothing")
        status, head, body = raw(node, "POST", "/v1/ns/acme/objects/Counter/c/add?send")
        check(status == 429 and b"(messages)" in body and head["Retry-After"] == "1", f"{status} {head} {body}")
        with redis_in(node, "blue") as redis:
            redis.ok("CAIRN.SEND", "Counter.add", 1, "c", 1)
        equal(kept(node, "acme")[2], 2, "messages")
        sample = node.metrics()
        equal(sample['cairn_namespace_messages{namespace="acme"}'], 2, "messages in metrics")
        equal(sample['cairn_namespace_message_bytes{namespace="acme"}'], kept(node, "acme")[3], "their bytes")
        status, said = cli(node, "namespaces", "show", "acme")
        check("2 that wait or are dead letters of 2 (--messages)" in said, said)
        check("of 1048576 (--message-bytes)" in said, said)
        node.web().fails(400, "bad_request", "POST", "/v1/namespaces/default?messages=5")
        equal(cli(node, "namespaces", "set", "acme", "--messages", "3")[0], 0, "with room")
        with redis_in(node, "acme") as redis:
            redis.ok("CAIRN.SEND", "Counter.add", 1, "c", 1)


def test_processor_limit(folder):
    """One percent of a processor is used up by a loop; it is told when it may come again, and may then."""
    with Node(folder, "--workers=1") as node:
        create(node, "acme?cpu=1", "blue")
        for space in ("acme", "blue"):
            with redis_in(node, space) as redis:
                redis.ok("FUNCTION", "LOAD", guest("probe"))
        with redis_in(node, "acme") as redis, redis_in(node, "blue") as blue:
            for _ in range(3):  # 100 ms each, the limit of an invocation: ten seconds' share
                reply = redis.call("FCALL", "Probe.spin", 1, "a")
                if reply.code == "QUOTA":
                    break
            check(reply.code == "QUOTA" and "1 % of a processor (cpu)" in reply, reply)
            check(float(reply.split("try again in ")[1].split(" ")[0]) > 2, reply)
            equal(redis.call("FCALL_RO", "Probe.get", 1, "a").code, "QUOTA", "any other method")
            equal(blue.ok("FCALL", "Probe.add", 1, "a", 1), 1, "another namespace")
            equal(cli(node, "namespaces", "set", "acme", "--cpu", "none")[0], 0, "without a limit")
            equal(redis.ok("FCALL", "Probe.count", 1, "a"), 0, "after that")


def slices(node):
    return sum(count for sample, count in node.metrics().items() if sample.startswith("cairn_slices_total"))


def test_wild_neighbour(folder):
    """Loops, a flood and jobs that call in one namespace; methods of several slices in another go on beside them.

    What is counted is slices, as time tells more of the machine. In one line with thirty loops each slice of the calm one
    would come with sixty of these.
    """
    calls = 5
    with Node(folder, "--workers=1") as node:
        create(node, "wild", "calm")
        for space in ("wild", "calm"):
            with redis_in(node, space) as redis:
                redis.ok("FUNCTION", "LOAD", guest("probe"))
        over = threading.Event()

        def keep_on(number, *words):
            with redis_in(node, "wild") as redis:
                while not over.is_set():
                    redis.call("FCALL", words[0], 1, f"w{number}", *words[1:])

        wild = [threading.Thread(target=keep_on, args=(n, "Probe.spin")) for n in range(30)]
        wild += [threading.Thread(target=keep_on, args=(n, "Probe.count")) for n in range(60, 62)]
        wild += [threading.Thread(target=keep_on, args=(62, "Probe.many_calls", "x", 5000))]

        def work(redis):
            before = slices(node)
            for _ in range(calls):
                redis.ok("FCALL", "Probe.work", 1, "c", 3000000)
            return slices(node) - before

        with redis_in(node, "calm") as redis:
            work(redis)
            alone = work(redis)
            check(alone >= 2 * calls, f"alone it takes {alone} slices")
            for thread in wild:
                thread.start()
            try:
                while slices(node) < 200:
                    pass
                beside = work(redis)
            finally:
                over.set()
                for thread in wild:
                    thread.join()
        check(beside < 10 * alone, f"{calls} calls took {alone} slices alone, and with those of a wild neighbour {beside}")


if __name__ == "__main__":
    main([test_nothing_crosses, test_log_lines, test_life, test_missing, test_compartments, test_completion, test_export,
          test_requests_limit, test_connections_limit, test_kept_limits, test_message_limits, test_processor_limit,
          test_wild_neighbour])
