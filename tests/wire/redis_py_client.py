"""redis_py_client.py PORT GUESTS: what a program that uses redis-py does, in both versions of the protocol."""
import asyncio
import os
import sys
import threading

import redis
import redis.asyncio

port, guests = int(sys.argv[1]), sys.argv[2]


def guest(name):
    with open(os.path.join(guests, name + ".wasm"), "rb") as file:
        return file.read()


def raises(kind, text, call):
    try:
        got = call()
    except kind as error:
        assert text in str(error), f"{error!r} does not say {text!r}"
        return error
    raise AssertionError(f"no {kind.__name__}, but {got!r}")


def through(protocol):
    name = f"py{protocol}"
    r = redis.Redis(port=port, protocol=protocol, client_name=name, socket_timeout=20)
    assert r.ping() is True
    assert r.echo("hello") == b"hello"
    assert r.client_getname() in (name, name.encode())
    assert isinstance(r.client_id(), int)
    assert any(one["name"] == name for one in r.client_list()), r.client_list()
    hello = r.execute_command("HELLO", protocol)
    assert hello, hello

    for module in ("register", "retwis", "probe"):
        assert r.function_load(guest(module), replace=True) == module.encode()
    libraries = r.function_list()
    assert "register" in str(libraries) and "Counter.add" in str(libraries), libraries

    # Values of every kind.
    assert r.fcall("Counter.add", 1, f"c{protocol}", 5) == 5
    assert r.fcall_ro("Counter.get", 1, f"c{protocol}") == 5
    assert r.fcall("Probe.set", 1, "p", "text") is None
    assert r.fcall("Probe.get", 1, "p") == b"text"
    assert r.fcall("Probe.get", 1, f"nothing {protocol}") is None
    binary = bytes(range(256)) * 1000
    assert r.fcall("Probe.set", 1, b"\x00\xff\r\n", binary) is None
    assert r.fcall_ro("Probe.get", 1, b"\x00\xff\r\n") == binary
    assert r.fcall("User.post", 1, f"u{protocol}", "hello") == 0
    author, when, text = r.fcall_ro("User.timeline", 1, f"u{protocol}", 10)[0]
    assert author == f"u{protocol}".encode() and isinstance(when, int) and text == b"hello"
    keyed = [r.fcall("Counter.add", 2, f"k{protocol}", "the key", 1) for _ in range(3)]
    assert keyed == [1, 1, 1], keyed

    # Errors are the library's own.
    raises(redis.ResponseError, "there is no type", lambda: r.fcall("Nothing.at_all", 1, "x"))
    raises(redis.ResponseError, "no method", lambda: r.fcall("Counter.fly", 1, "x"))
    raises(redis.ResponseError, "did you mean 'add'?", lambda: r.fcall("Counter.ad", 1, "x"))
    raises(redis.ResponseError, "did you mean 'Counter'?", lambda: r.fcall("Conter.add", 1, "x"))
    raises(redis.ResponseError, "internal", lambda: r.fcall("User.deliver", 1, "x", "y"))
    raises(redis.ResponseError, "only reading", lambda: r.fcall_ro("Counter.add", 1, "x"))
    raises(redis.ResponseError, "on purpose", lambda: r.fcall("Probe.add_then_fail", 1, "p"))
    raises(redis.ResponseError, "start it with --cache", lambda: r.set("a", "b"))
    raises(redis.ResponseError, "", lambda: r.execute_command("CONFIG", "SET", "x", "y"))
    raises((redis.AuthenticationError, redis.ResponseError), "credentials",
           lambda: redis.Redis(port=port, protocol=protocol, password="secret").ping())
    raises(redis.ResponseError, "out of range", lambda: redis.Redis(port=port, protocol=protocol, db=1).ping())

    # An error inside of a list stays inside of it.
    inside = r.fcall("Probe.fan", 1, f"fan{protocol}", "add_then_fail", "a", "b")
    assert len(inside) == 2 and all(isinstance(one, redis.ResponseError) for one in inside), inside

    # Pipelines: in order, and an error is its own command's.
    pipe = r.pipeline(transaction=False)
    for i in range(2000):
        pipe.fcall("Counter.add", 1, f"pipe{protocol}", 1)
        if i == 1000:
            pipe.fcall("Counter.fly", 1, "x")
    replies = pipe.execute(raise_on_error=False)
    assert isinstance(replies.pop(1001), redis.ResponseError)
    assert replies == list(range(1, 2001)), replies[:5]

    # Transactions, which are what a pipeline is by default: all is done, or an error and nothing is.
    pipe = r.pipeline()
    for i in range(200):
        pipe.fcall("Counter.add", 1, f"multi{protocol}", 1)
    assert pipe.execute() == list(range(1, 201))
    pipe.fcall("Counter.add", 1, f"multi{protocol}", 1)
    pipe.fcall("Counter.fly", 1, "x")
    pipe.fcall("Counter.add", 1, f"multi{protocol}", 1)
    raises(redis.exceptions.ExecAbortError, "UNKNOWN_METHOD call 2 of 3, Counter.fly of x", pipe.execute)
    pipe.reset()
    assert r.fcall_ro("Counter.get", 1, f"multi{protocol}") == 200
    pipe.fcall("Counter.add", 1, f"multi{protocol}", 1)
    pipe.set("a", "b")
    raises(redis.ResponseError, "start it with --cache", pipe.execute)
    pipe.reset()
    watched = f"Counter/multi{protocol}"
    pipe.watch(watched)
    r.fcall("Counter.add", 1, f"multi{protocol}", 1)
    pipe.multi()
    pipe.fcall("Counter.add", 1, f"multi{protocol}", 1)
    raises(redis.exceptions.WatchError, "Watched variable changed", pipe.execute)
    pipe.reset()

    def double(p):
        now = p.fcall_ro("Counter.get", 1, f"multi{protocol}")
        p.multi()
        p.fcall("Counter.add", 1, f"multi{protocol}", now)

    assert r.transaction(double, watched) == [402]
    raises(redis.ResponseError, "WATCH TYPE/ID", lambda: pipe.watch("x"))
    pipe.reset()
    assert r.fcall_ro("Counter.get", 1, f"multi{protocol}") == 402

    info = r.info()
    assert info["redis_mode"] == "standalone" and info["tcp_port"] == port and info["cairn_version"], info
    assert isinstance(r.info("memory")["used_memory"], int)
    assert r.config_get("appendonly")["appendonly"] == "yes"
    assert int(r.config_get("port")["port"]) == port
    assert r.command_count() > 10 if hasattr(r, "command_count") else True
    r.close()

    # Many threads share a pool.
    pool = redis.Redis(connection_pool=redis.ConnectionPool(port=port, protocol=protocol, max_connections=16))
    threads = [threading.Thread(target=lambda: [pool.fcall("Counter.add", 1, f"threads{protocol}") for _ in range(50)])
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.fcall_ro("Counter.get", 1, f"threads{protocol}") == 400
    pool.close()


async def through_asyncio(protocol):
    r = redis.asyncio.Redis(port=port, protocol=protocol)
    values = await asyncio.gather(*[r.fcall("Counter.add", 1, f"async{protocol}") for _ in range(100)])
    assert sorted(values) == list(range(1, 101))
    await (r.aclose() if hasattr(r, "aclose") else r.close())


for version in (2, 3):
    through(version)
    asyncio.run(through_asyncio(version))
print(f"redis-py {redis.__version__}: both protocols")
