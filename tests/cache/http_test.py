#!/usr/bin/env python3
"""Would catch: a value that HTTP writes and the Redis protocol reads as another, or the other way; a range, an entity tag or a
condition that is not as RFC 9110 says; a time that max-age does not set; a key of another namespace or database; a key
that is cut at a slash; a wrong request that is taken, or told without what is wrong."""
import http.client
import time

import differential
from cairnproc import Node, check, equal, main


class Client:
    def __init__(self, node, prefix="/v1/cache/"):
        self.connection = http.client.HTTPConnection("127.0.0.1", node.http, timeout=20)
        self.prefix = prefix

    def ask(self, method, key, body=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, self.prefix + key, body=body, headers=names)
        reply = self.connection.getresponse()
        return reply.status, reply.read(), reply.headers


def redis(node, *words):
    connection = differential.Connection(node.resp, 2)
    return connection.call(*[word.encode() if isinstance(word, str) else word for word in words])[0]


def test_values_are_those_of_redis(folder):
    with Node(folder, "--cache=64MiB", sync="none") as node:
        client = Client(node)
        for size in (0, 1, 4096, 4097, 100000, 1 << 20):
            value = bytes(i * 7 % 251 for i in range(size))
            equal(client.ask("PUT", "k", value)[0], 201 if size == 0 else 204, f"PUT of {size} bytes")
            check(redis(node, "GET", "k") == b"$%d\r\n%s\r\n" % (size, value), f"GET of {size} bytes over RESP")
            status, body, headers = client.ask("GET", "k")
            check(status == 200 and body == value, f"GET of {size} bytes")
            equal(headers["Content-Type"], "application/octet-stream", "type")
            status, body, headers = client.ask("HEAD", "k")
            equal((status, body, headers["Content-Length"]), (200, b"", str(size)), "HEAD")
        redis(node, "SET", "a/b c", "deep", "PX", "90500")
        status, body, headers = client.ask("GET", "a/b%20c")
        equal((status, body), (200, b"deep"), "a key with a slash and a blank")
        check(85 <= int(headers["Cache-Control"].removeprefix("max-age=")) <= 90, headers["Cache-Control"])
        equal(client.ask("GET", "a%2Fb%20c")[1], b"deep", "the slash encoded")
        equal(client.ask("GET", "absent")[0], 404, "a key that is not there")
        equal(client.ask("DELETE", "k")[0], 204, "DELETE")
        equal(client.ask("DELETE", "k")[0], 404, "DELETE of what is gone")
        equal(redis(node, "EXISTS", "k"), b":0", "EXISTS")


def test_ranges(folder):
    value = bytes(range(200))
    with Node(folder, "--cache=64MiB", sync="none") as node:
        client = Client(node)
        client.ask("PUT", "r", value)
        for text, first, until in (("0-99", 0, 100), ("0-0", 0, 1), ("100-", 100, 200), ("-20", 180, 200), ("-999", 0, 200),
                                   ("150-999", 150, 200), ("199-199", 199, 200)):
            status, body, headers = client.ask("GET", "r", Range=f"bytes={text}")
            check(status == 206 and body == value[first:until], f"{text}: {status}, {len(body)} bytes")
            equal(headers["Content-Range"], f"bytes {first}-{until - 1}/200", text)
        for text in ("200-", "500-600", "-0"):
            status, _, headers = client.ask("GET", "r", Range=f"bytes={text}")
            equal((status, headers["Content-Range"]), (416, "bytes */200"), text)
        for text in ("bytes=5-2", "bytes=0-1,3-4", "lines=0-1", "bytes=", "bytes=-", "bytes=x-3", "bytes=1-2x"):
            status, body, _ = client.ask("GET", "r", Range=text)
            check(status == 200 and body == value, f"{text} is all of it")
        equal(client.ask("HEAD", "r", Range="bytes=0-9")[0], 200, "HEAD has no ranges")


def test_conditions_and_times(folder):
    with Node(folder, "--cache=64MiB", sync="none") as node:
        client = Client(node)
        status, _, headers = client.ask("PUT", "c", b"one", If_None_Match="*")
        first = headers["ETag"]
        equal(status, 201, "PUT of a key that is not there")
        equal(client.ask("PUT", "c", b"two", If_None_Match="*")[0], 412, "PUT of one that is")
        equal(client.ask("GET", "c", If_None_Match=first)[0], 304, "GET with its tag")
        equal(client.ask("GET", "c", If_None_Match=f'"0", W/{first}')[0], 304, "GET with a list of tags")
        equal(client.ask("GET", "c", If_None_Match='"0"')[1], b"one", "GET with another tag")
        second = client.ask("PUT", "c", b"two", If_Match=first)[2]["ETag"]
        check(second and second != first, f"{first} {second}")
        equal(client.ask("PUT", "c", b"three", If_Match=first)[0], 412, "PUT with the tag before")
        redis(node, "APPEND", "c", "!")
        check(client.ask("HEAD", "c")[2]["ETag"] != second, "a change by another protocol changes the tag")
        equal(client.ask("DELETE", "c", If_Match=second)[0], 412, "DELETE with a tag that is none any more")
        equal(client.ask("GET", "c")[1], b"two!", "what is there")
        equal(client.ask("PUT", "gone", b"x", If_Match="*")[0], 412, "PUT of what must be there")
        client.ask("PUT", "t", b"x", Cache_Control="no-transform, max-age=1")
        check(0 < int(redis(node, "PTTL", "t")[1:]) <= 1000, "max-age")
        time.sleep(1.1)
        equal(client.ask("GET", "t")[0], 404, "after its time")
        client.ask("PUT", "t", b"x")
        equal(redis(node, "PTTL", "t"), b":-1", "without one")
        for text in ("max-age=0", "max-age=", "max-age=x", "max-age=1x", "max-age=99999999999"):
            equal(client.ask("PUT", "t", b"y", Cache_Control=text)[0], 400, text)
        equal(client.ask("GET", "t")[1], b"x", "refused requests change nothing")


def test_whose_keys_and_wrong_requests(folder):
    with Node(folder, "--cache=64MiB", sync="none") as node:
        client = Client(node)
        http.client.HTTPConnection("127.0.0.1", node.http).request("PUT", "/v1/namespaces/acme")
        time.sleep(0.3)
        client.ask("PUT", "k", b"default's")
        client.ask("PUT", "k?database=3", b"third")
        equal(Client(node, "/v1/ns/acme/cache/").ask("PUT", "x/y", b"acme's")[0], 201, "a namespace's key")
        equal(Client(node, "/v1/ns/acme/cache/").ask("GET", "k")[0], 404, "not default's")
        equal(client.ask("GET", "x/y")[0], 404, "not acme's")
        equal(client.ask("GET", "k?database=3")[1], b"third", "database 3")
        equal(client.ask("GET", "k")[1], b"default's", "database 0")
        for path in ("k?database=16", "k?database=", "k?database=1x", "k?base=1", "%zz", ""):
            check(client.ask("GET", path)[0] in (400, 404), path)
        equal(client.ask("POST", "k", b"")[0], 405, "POST")
        equal(client.ask("PUT", "k", b"v" * ((1 << 20) + 1))[0], 413, "a value that is too large")
    with Node(folder, sync="none") as node:
        status, body, _ = Client(node).ask("GET", "k")
        check(status == 404 and b"--cache" in body, body)


main([test_values_are_those_of_redis, test_ranges, test_conditions_and_times, test_whose_keys_and_wrong_requests])
