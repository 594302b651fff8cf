#!/usr/bin/env python3
"""Blob stores: a folder, and S3 as a server of our own speaks it, which can misbehave in every way we could think of.

Catches what would be believed though it is not so: bodies cut short, answers that were lost, lists that are broken,
other objects than were asked for; and tries that never end, or are not made.  The server checks each signature and each
hash as AWS documents them.  minio_test.py does the same with a real server.
"""
import concurrent.futures
import os
import shutil
import subprocess
import time

import contract
from blobs import (BUCKET, OPTIONS, TOKEN, Store, bytes_of, check, equal, error, fails, free_port, listed, made, ok,
                   run)
from cairnproc import Skip, main

MIB = 1 << 20
SMALL_PARTS = OPTIONS + ",single_bytes=100000,part_bytes=70000,range_bytes=60000"


def test_folder(folder):
    for url, largest in (os.path.join(folder, "blobs"), 100), ("file://" + os.path.join(folder, "others"), 1):
        contract.round_trips(url, folder, [0, 1, 5 * MIB, largest * MIB])
        contract.names(url, folder)
        contract.creates(url, rounds=5, processes=6)
        ok(url, "threads", "threads", 5)


def test_s3(folder):
    with Store() as store:
        for url in store.url, store.url.replace(BUCKET, BUCKET + "/a/prefix"):
            contract.round_trips(url, folder, [0, 1, 5 * MIB])
            contract.names(url, folder)
            contract.creates(url, rounds=3, processes=6)
            fails("not_found", url, "get", "n")  # of which there are others below
            ok(url, "threads", "threads", 5)
        contract.round_trips(store.url + "&region=x", folder, [60000, 60001, 100000, 100001, 140000, 350001],
                             options=SMALL_PARTS)
        check(not any(key.startswith("cairn-probe/") for key in store.objects), "what was tried on opening is there")


def test_s3_100_mib(folder):
    with Store() as store:
        path, back = made(folder, "in", 100 * MIB), os.path.join(folder, "out")
        ok(store.url, "put_file", "big", path, options="")
        equal(store.count("part"), 7, "parts of 16 MiB")
        ok(store.url, "get_file", "big", back, options="")
        equal(store.count("get"), 2, "ranges of 64 MiB")
        check(bytes_of(path) == bytes_of(back), "100 MiB came back as others")


def test_pages():
    with Store() as store:
        now = time.time()
        for i in range(2500):
            store.objects[f"many/{i:04}"] = b"x" * (i % 7), {}, '"e"', now - 5000
            store.objects[f"many/{i:04}/below"] = b"x", {}, '"e"', now
        for foreign in "many/", "many/with space", "many/<&>\"'", "many/ümlaut", "many/" + "x" * 300, "many/a+b":
            store.objects[foreign] = b"", {}, '"e"', now
        for keys in 1000, 999, 7:
            store.page_keys = keys
            found = listed(store.url, "many")
            equal({name: size for name, (size, _) in found.items()}, {f"{i:04}": i % 7 for i in range(2500)}, "a list")
            check(all(4_990_000 < age < 5_060_000 for _, age in found.values()), f"ages {sorted(found.values())[:3]}")
        # A page may be empty, and the list go on.
        real, pages = store.do_list, [0]

        def emptier(request):
            pages[0] += 1
            if pages[0] % 2:
                return 200, {}, (b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>"
                                 + request.query.get("continuation-token", "after ").encode() + b" "
                                 + b"</NextContinuationToken></ListBucketResult>")
            request.query["continuation-token"] = request.query.get("continuation-token", "").rstrip(" ")
            return real(request)
        store.page_keys = 700
        store.do_list = emptier
        equal(len(listed(store.url, "many")), 2500, "with empty pages between")


def test_credentials():
    with Store() as store:
        for missing in "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY":
            fails("auth", store.url, "list", "a", says="AWS_SECRET_ACCESS_KEY", **{missing: None})
            fails("auth", store.url, "list", "a", says="AWS_ACCESS_KEY_ID", **{missing: ""})
        equal(len(store.log), 0, "requests without credentials")
        ok(store.url, "create", "a/b", "text", AWS_SESSION_TOKEN=TOKEN)
        check(all(request.headers["x-amz-security-token"] == TOKEN for request in store.log), "the session's token")
        store.log.clear()
        fails("auth", store.url, "list", "a", says="403 SignatureDoesNotMatch", AWS_SECRET_ACCESS_KEY="wrong")
        equal(len(store.log), 1, "tries with wrong credentials")
        fails("auth", store.url, "list", "a", says="line break", AWS_SESSION_TOKEN="a\r\nx-other: b")
        for code, status in ("ExpiredToken", 400), ("AccessDenied", 403), ("RequestTimeTooSkewed", 403):
            store.rule("get", store.says(status, code))
            fails("auth", store.url, "get", "a/b", says=code)
            equal(store.count("get"), 1, f"tries after {code}")


def test_urls():
    for url, says in (("s3://", "s3://BUCKET"), ("s3:///x", "s3://BUCKET"), ("s3://KEY:SECRET@bucket/x", "s3://BUCKET"),
                      ("s3://bucket/a//b", "prefix"), ("s3://bucket/../x", "prefix"), ("s3://bucket/a b", "prefix"),
                      ("s3://bucket/x?endpoint=ftp://x", "endpoint"), ("s3://bucket/x?endpoint=http://a/b", "endpoint"),
                      ("s3://bucket/x?endpoint=", "endpoint"), ("s3://bucket/x?region=", "region"),
                      ("s3://bucket/x?region=a:b", "region"), ("s3://bucket?x=1", "x=1"), ("ftp://x/y", "ftp")):
        ran = fails("bad_request", url, "list", "", says=says)
        check("SECRET" not in ran.text, f"a credential is shown: {ran.text}")
    with Store() as store:
        for name in "", "/a", "a/", "a//b", "..", "a/../b", "./a", "a b", "a?b", "a%2Fb", "ü", "x" * 256:
            fails("bad_request", store.url, "create", name, "text", says="name of a blob")
        ok(store.url, "create", "x" * 255, "text")
        fails("not_found", store.url.replace(BUCKET, "another"), "list", "", says="no bucket 'another'")


def test_conditions_are_needed():
    with Store() as store:
        store.conditional = False
        fails("bad_request", store.url, "list", "", says="If-None-Match")
        equal(store.objects, {}, "what is left of trying")
    with Store() as store:
        store.do_create = lambda request: error(501, "NotImplemented", "A header you provided implies nothing good")
        fails("bad_request", store.url, "list", "", says="501 NotImplemented")


def test_busy(folder):
    """503 and the like twice, then an answer; and forever."""
    with Store() as store:
        path, back = made(folder, "in", 200000), os.path.join(folder, "out")
        busy = [(503, "SlowDown"), (500, "InternalError"), (502, ""), (504, ""), (429, ""), (400, "RequestTimeout"),
                (409, "ConditionalRequestConflict"), (400, "BadDigest"), (404, "")]
        for status, code in busy:
            for kind, *words in (("put", "put", "a/b", path), ("create", "create", "a/b", "x"), ("get", "get", "a/b"),
                                 ("list", "list", "a"), ("delete", "remove", "a/b")):
                if status == 404 and kind == "delete":
                    continue  # gone is gone
                store.objects["a/b"] = b"text", {}, '"e"', time.time()
                if kind == "create":
                    del store.objects["a/b"]
                store.count(kind)
                store.rule(kind, store.says(status, code), times=2)
                ok(store.url, *words)
                equal(store.count(kind), 3, f"tries of {kind} with {status} {code} twice")
                store.rule(kind, store.says(status, code), times=3)
                ran = fails("io", store.url, *words, says=f"{status} {code}".strip())
                equal(store.count(kind), 3, f"tries of {kind} with {status} {code} forever")
                check("3 tries" in ran.text, f"it does not say how often it was tried: {ran.text}")
        for kind in "begin", "part", "complete", "head":
            store.count(kind)
            store.rule(kind, store.says(503, "SlowDown"), times=2, skip=kind == "part")
            ok(store.url, "put_file", "parts", path, options=SMALL_PARTS)
            equal(store.count(kind), 5 if kind == "part" else 3, f"tries of {kind}")
            ok(store.url, "get_file", "parts", back, options=SMALL_PARTS)
            check(bytes_of(path) == bytes_of(back), f"after 503 to {kind} others came back")
            equal(store.uploads, {}, "uploads that are left")
        store.rule("part", store.says(500, "InternalError"), times=3, skip=1)
        fails("io", store.url, "put_file", "never", path, says="500 InternalError", options=SMALL_PARTS)
        equal((store.uploads, "never" in store.objects), ({}, False), "what is left of an upload that failed")


def test_hopeless(folder):
    """Answers that another try would not change."""
    with Store() as store:
        path = made(folder, "in", 200000)
        for status, code, want in ((507, "XMinioStorageFull", "disk_full"), (400, "QuotaExceeded", "disk_full"),
                                   (400, "EntityTooLarge", "io"), (413, "", "limit"), (405, "MethodNotAllowed", "io"),
                                   (301, "PermanentRedirect", "bad_request"),
                                   (400, "AuthorizationHeaderMalformed", "bad_request"),
                                   (404, "NoSuchBucket", "not_found"), (412, "PreconditionFailed", "io")):
            store.count("put")
            store.rule("put", store.says(status, code, "because", Location="/other"))
            says = "no bucket" if want == "not_found" else f"{status} {code}".strip()
            fails(want, store.url, "put", "a/b", path, says=says)
            equal(store.count("put"), 1, f"tries with {status} {code}")
        store.rule("put", store.says(301, "PermanentRedirect", **{"x-amz-bucket-region": "mars-1"}))
        fails("bad_request", store.url, "put", "a/b", path, says="mars-1")


def test_short_bodies(folder):
    with Store() as store:
        path, back = made(folder, "in", 200000), os.path.join(folder, "out")
        ok(store.url, "put", "a/b", path)
        ok(store.url, "create", "a/empty", "")
        whole = bytes_of(path)
        bad = {
            "cut": store.cut,
            "no length": store.body(whole, **{"Content-Length": None, "Connection": "close"}),
            "chunked, cut": store.body(b"5\r\nhello\r\n", **{"Content-Length": None, "Transfer-Encoding": "chunked",
                                                             "Connection": "close"}),
            "chunked": store.body(b"5\r\nhello\r\n0\r\n\r\n", **{"Content-Length": None,
                                                                "Transfer-Encoding": "chunked"}),
            "the wrong part": store.body(whole[7:60007], 206, **{"Content-Range": "bytes 7-60006/200000"}),
            "too short a part": store.body(whole[:50000], 206, **{"Content-Range": "bytes 0-49999/200000"}),
            "a part that lies": store.body(whole[:50000], 206, **{"Content-Range": "bytes 0-59999/200000"}),
            "a part of what?": store.body(whole[:60000], 206),
            "another status": store.body(whole[:60000], 204),
        }
        for label, action in bad.items():
            print(f"    {label}")
            for words, options in ((("get", "a/b"), OPTIONS), (("get_file", "a/b", back), SMALL_PARTS)):
                store.count("get")
                store.rule("get", action, times=2)
                ran = ok(store.url, *words, options=options)
                check((ran.output if words[0] == "get" else bytes_of(back)) == whole, f"{label}: others were believed")
                store.rules.clear()
                store.rule("get", action, times=99)
                fails("io", store.url, *words, options=options, seconds=30)
                store.rules.clear()
                if words[0] == "get_file":
                    check(not os.path.exists(back), f"{label}: a file is left")
        store.rule("get", bad["cut"], times=2, skip=1)  # in the middle of the file
        ok(store.url, "get_file", "a/b", back, options=SMALL_PARTS)
        check(bytes_of(back) == whole, "others were believed")


def test_changes_while_it_is_read(folder):
    with Store() as store:
        path, back = made(folder, "in", 200000), os.path.join(folder, "out")
        ok(store.url, "put", "a/b", path)

        def change(handler, request):
            store.put_object("a/b", b"y" * 200000, {})
            handler.reply(store.serve(request))
        store.rule("get", change, skip=1)
        fails("io", store.url, "get_file", "a/b", back, says="changed while it was read", options=SMALL_PARTS)
        check(not os.path.exists(back), "a file of two objects")

        def shrink(handler, request):  # the first try got more than there is then
            answer = store.serve(request)
            store.put_object("a/b", b"y" * 100, {})
            handler.reply(answer, cut=len(answer[2]) // 2)
        store.rule("get", shrink)
        fails("io", store.url, "get_file", "a/b", back, says="changed while it was read", options=SMALL_PARTS)
        # No ranges: the whole of it, or nothing.
        store.put_object("a/b", bytes_of(path), {})
        store.rule("get", store.body(bytes_of(path)), times=99)
        store.count("get")
        ok(store.url, "get_file", "a/b", back, options=SMALL_PARTS)
        check(bytes_of(back) == bytes_of(path), "without ranges")
        equal(store.count("get"), 1, "requests")


def test_lost_answers(folder):
    """The store does what it is asked, and the answer does not arrive."""
    with Store() as store:
        path, back = made(folder, "in", 200000), os.path.join(folder, "out")
        for kind, *words in (("put", "put", "a/put", path), ("delete", "remove", "a/put"),
                             ("create", "create", "a/made", "mine"), ("list", "list", "a"), ("get", "get", "a/made"),
                             ("head", "put_file", "a/file", path)):
            store.count(kind)
            store.rule(kind, store.lose, times=2)
            ok(store.url, *words)
            equal(store.count(kind), 3, f"tries of {kind}")
        equal(store.objects["a/made"][0], b"mine", "what was made")
        fails("conflict", store.url, "create", "a/made", "other")
        # Somebody was there first, and it is our answer to that which is lost.
        store.rule("create", store.lose, times=2)
        fails("conflict", store.url, "create", "a/made", "other")
        # It was made, lost, and another removed it and made another.
        def replaced(handler, request):
            store.lose(handler, request)
            store.put_object("a/third", b"another's", {"x-amz-meta-cairn": "another's"})
        store.rule("create", replaced)
        fails("conflict", store.url, "create", "a/third", "mine")
        equal(store.objects["a/third"][0], b"another's", "who was second")
        # It was there, and is gone when we look.
        def vanishing(handler, request):
            del store.objects["a/third"]
            handler.reply(store.serve(request))
        store.rule("head", vanishing)
        ok(store.url, "create", "a/third", "mine")
        equal(store.objects["a/third"][0], b"mine", "what was made after all")
        for kind in "begin", "part", "complete", "head":
            name = f"a/lost-{kind}"
            store.rule(kind, store.lose, times=2)
            ok(store.url, "put_file", name, path, options=SMALL_PARTS)
            ok(store.url, "get_file", name, back, options=SMALL_PARTS)
            check(bytes_of(back) == bytes_of(path), f"{kind}: others came back")
        # The upload is gone, and what is there is not its end.
        def gone(handler, request):
            store.uploads.clear()
            handler.reply(store.serve(request))
        store.rule("complete", gone)
        fails("io", store.url, "put_file", "a/lost-complete", path, says="lost the upload", options=SMALL_PARTS)
        store.rule("put", store.lose, times=3)
        ran = fails("io", store.url, "put", "a/never", path)
        check("3 tries" in ran.text, ran.text)


def test_uploads_that_lie(folder):
    with Store() as store:
        path = made(folder, "in", 200000)
        store.rule("part", store.body(b""), skip=1)
        fails("io", store.url, "put_file", "a/b", path, says="ETag", options=SMALL_PARTS)
        equal((store.uploads, store.objects), ({}, {}), "what is left")
        for text in (b"", b"<InitiateMultipartUploadResult/>", b"<html>",
                     b"<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>",
                     b"<InitiateMultipartUploadResult><UploadId>x</UploadId>"):
            store.rule("begin", store.body(text), times=3)
            fails("io", store.url, "put_file", "a/b", path, says="something else", options=SMALL_PARTS)
        # "200", and then it was not so.
        wrong = error(200, "InternalError", "We encountered an internal error. Please try again.")[2]
        store.rule("complete", store.body(wrong), times=2)
        ok(store.url, "put_file", "a/b", path, options=SMALL_PARTS)
        store.rule("complete", store.body(wrong), times=3)
        fails("io", store.url, "put_file", "a/c", path, says="InternalError", options=SMALL_PARTS)
        store.rule("complete", store.body(b""), times=3)
        fails("io", store.url, "put_file", "a/c", path, says="something else", options=SMALL_PARTS)
        store.rule("complete", store.says(400, "InvalidPart"))
        fails("io", store.url, "put_file", "a/c", path, says="InvalidPart", options=SMALL_PARTS)
        equal((store.uploads, "a/c" in store.objects), ({}, False), "what is left")
        for options in OPTIONS, SMALL_PARTS:  # the store keeps less than it was sent, and says that all is well
            store.rule("head", store.body(b"x" * 199999))
            fails("io", store.url, "put_file", "a/d", path, says="199999", options=options)
            store.rule("head", store.says(404, ""))
            fails("io", store.url, "put_file", "a/d", path, says="has 0 bytes", options=options)


def test_lists_that_are_none():
    entry = ("<Contents><Key>a/x</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>")
    good = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entry}</ListBucketResult>"
    odd = {
        "a comment and a processing instruction": "<?a b?><!-- <Contents> -->" + good + "<!-- end -->\n",
        "entities": good.replace("a/x", "&#97;&#x2f;&#x78;"),
        "attributes": good.replace("<Size>", "<Size a='>' b = \"</Size>\" >"),
        "what is not known": good.replace("<Size>", "<New><Size>7</Size><Empty/></New><Size>"),
        "blanks in ends": good.replace("</Size>", "</Size \n>"),
        "a time without a fraction": good.replace("00.000Z", "00Z"),
        "a byte order mark": "\ufeff" + good,
    }
    bad = {
        "nothing": "", "blanks": "  \n", "no XML": "OK", "HTML": "<html><body>Hello</body></html>",
        "another root": good.replace("ListBucketResult", "ListResult"),
        "cut": good[:-5], "cut in the middle": good[:len(good) // 2],
        "cut before the end": good.replace("</ListBucketResult>", ""),
        "wrong end": good.replace("</Size>", "</Siz>"), "another end": good.replace("</Size>", "</Sile>"),
        "crossed": good.replace("1</Size></Contents>", "1</Contents></Size>"),
        "two roots": good + good, "text behind": good + "x", "a DTD": '<!DOCTYPE x [<!ENTITY a "b">]>' + good,
        "CDATA": good.replace("a/x", "<![CDATA[a/x]]>"), "an unknown entity": good.replace("a/x", "a/&x;"),
        "half an entity": good.replace("a/x", "a/&amp"), "a NUL": good.replace("a/x", "a/&#0;"),
        "a NUL as it is": good.replace("a/x", "a/x\0y"), "a number too large": good.replace("a/x", "a/&#x110000;"),
        "half a character": good.replace("a/x", "a/&#xd800;"), "deep": "<a>" * 1000 + "</a>" * 1000,
        "long": good.replace("a/x", "a/" + "x" * 5000), "no key": good.replace("<Key>a/x</Key>", ""),
        "no size": good.replace("<Size>1</Size>", ""), "no number": good.replace("<Size>1<", "<Size>-1<"),
        "a large number": good.replace("<Size>1<", "<Size>99999999999999999999<"),
        "no time": good.replace("2020-01-01T00:00:00.000Z", "yesterday"),
        "a bad time": good.replace("2020-01", "2020-13"),
        "local time": good.replace("000Z", "000+01:00"), "another folder": good.replace("a/x", "b/x"),
        "no end told": good.replace("<IsTruncated>false</IsTruncated>", ""), "maybe": good.replace("false", "maybe"),
        "more, but where": good.replace("false", "true"), "an error": error(200, "InternalError")[2].decode(),
        "endless": "<ListBucketResult>" + " " * (9 << 20),
    }
    with Store() as store:
        for label, text in odd.items():
            store.rule("list", store.body(text))
            equal(list(listed(store.url, "a")), ["x"], label)
        for label, text in bad.items():
            store.rules.clear()
            store.rule("list", store.body(text), times=3)
            ran = run(store.url, "list", "a")
            equal((ran.code, ran.output), ("io", b""), f"{label}: {ran.text}")
            check("3 tries" in ran.text, f"{label}: {ran.text}")
            store.rule("list", store.body(text), times=1)
            equal(listed(store.url, "a"), {}, f"{label}, once")
        store.rules.clear()
        # Lists without an end: the same page again and again, and nothing again and again.
        more = good.replace("false</IsTruncated>", "true</IsTruncated><NextContinuationToken>x</NextContinuationToken>")
        store.rule("list", store.body(more), times=1 << 30)
        fails("io", store.url, "list", "a", says="does not come to an end")
        store.rules.clear()
        number = [0]

        def nothing(handler, request):
            number[0] += 1
            handler.reply((200, {}, b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%d"
                                    b"</NextContinuationToken></ListBucketResult>" % number[0]))
        store.rule("list", nothing, times=1 << 30)
        fails("io", store.url, "list", "a", says="does not come to an end")


QUICK = OPTIONS.replace("tries=3", "tries=2")


def stalls_once():
    with Store() as store:
        ok(store.url, "create", "a/small", "x" * 100)
        for kind, words in (("put", ("put", "a/b", __file__)), ("get", ("get", "a/b")), ("list", ("list", "a"))):
            store.rule(kind, store.stall)
            ran = ok(store.url, *words, options=QUICK, seconds=20)
            check(ran.seconds > .9, f"{kind} did not wait")
        store.rule("get", store.stall_inside)
        equal(ok(store.url, "get", "a/small", options=QUICK, seconds=20).output, b"x" * 100, "after half of it")


def stalls_inside(folder):
    # What came quickly before counts for some seconds more: libcurl looks at an average.
    with Store() as store:
        path, back = made(folder, "in", 200000), os.path.join(folder, "out")
        ok(store.url, "put", "a/b", path)
        store.rule("get", store.stall_inside, times=2)
        fails("io", store.url, "get_file", "a/b", back, says="too slow", options=QUICK, seconds=25)
        check(not os.path.exists(back), "half a file is left")


def stalls_for_long():
    # The time for all tries together ends them too.
    with Store() as store:
        options = OPTIONS.replace("tries=3", "tries=99").replace("total_ms=20000", "total_ms=2500")
        store.rule("put", store.stall, times=99)
        ran = fails("io", store.url, "put", "a/b", __file__, options=options, seconds=30)
        check(2.5 <= ran.seconds < 15, f"it took {ran.seconds} s")


def nobody_is_there():
    url = f"s3://{BUCKET}?endpoint=http://127.0.0.1:{free_port()}"
    ran = fails("io", url, "list", "", says="connect", seconds=20)
    check(ran.seconds < 5, f"it took {ran.seconds} s")
    fails("io", f"s3://{BUCKET}?endpoint=http://host.invalid", "list", "", seconds=30)
    # The defaults: pauses of 0.2, 0.4, 0.8, 1.6, 3.2 s, less what chance takes off.
    ran = fails("io", url, "list", "", says="6 tries", options="", seconds=30)
    check(3 < ran.seconds < 12, f"the defaults took {ran.seconds} s")


def test_stalls(folder):
    """A server that does not answer, or stops in the middle, and one that is not there: an error, in time."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for done in [pool.submit(stalls_once), pool.submit(stalls_inside, folder), pool.submit(stalls_for_long),
                     pool.submit(nobody_is_there)]:
            done.result()


def test_early_refusal(folder):
    """A store that answers before it has a body, or ends the connection inside of its answer: the answer counts."""
    with Store() as store:
        path = made(folder, "in", 30 * MIB)
        store.rule("put", lambda handler, request: handler.reply(error(403, "AccessDenied"), cut=20))
        fails("auth", store.url, "put", "a/b", path, says="403")
        equal(store.count("put"), 1, "tries")
        store.refused_bytes = MIB
        fails("auth", store.url, "put_file", "a/b", path, says="403 AccessDenied")
        equal(store.count("put"), 0, "bodies that were sent")


def certificate(folder, name):
    path = os.path.join(folder, name)
    if not shutil.which("openssl"):
        raise Skip("no openssl to make a certificate with")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path, "-out", path + ".crt",
                    "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(path, "ab") as file:
        file.write(bytes_of(path + ".crt"))
    return path


def test_tls(folder):
    ours, theirs = certificate(folder, "ours"), certificate(folder, "theirs")
    with Store(certificate=ours) as store:
        path = made(folder, "in", 200000)
        contract.round_trips(store.url, folder, [0, 1, 5 * MIB], AWS_CA_BUNDLE=ours)
        contract.names(store.url, folder, AWS_CA_BUNDLE=ours)
        ok(store.url, "threads", "threads", 5, AWS_CA_BUNDLE=ours)
        for kind in "put", "part", "complete":  # connections that end where they should not
            for action in store.lose, store.drop_early:
                store.rule(kind, action, times=2)
                options = OPTIONS if kind == "put" else SMALL_PARTS
                ok(store.url, "put_file", "a/b", path, options=options, AWS_CA_BUNDLE=ours)
        store.log.clear()
        for authorities in None, theirs:
            fails("auth", store.url, "list", "", says="certificate", AWS_CA_BUNDLE=authorities)
        equal(len(store.log), 0, "requests to whom we do not know")


def test_memory(folder):
    """A large file moves through little memory, in both directions."""
    with Store() as store:
        path, back = made(folder, "in", 150 * MIB), os.path.join(folder, "out")
        for words in ("put_file", "a/b", path), ("get_file", "a/b", back):
            ok(store.url, "remove", "x")  # what the program needs by itself is in its limit too
            limited = limit_memory(store.url, words)
            check(limited.status == 0, f"{words[0]} within 200 MiB of address space: {limited.text}")


def limit_memory(url, words):
    import blobs
    plain = blobs.PROGRAM
    script = os.path.join(os.path.dirname(words[2]), "limited")
    with open(script, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nulimit -v 204800\nexec {plain} "$@"\n')
    os.chmod(script, 0o755)
    try:
        blobs.PROGRAM = script
        return run(url, *words, options="")
    finally:
        blobs.PROGRAM = plain


if __name__ == "__main__":
    main([test_folder, test_s3, test_s3_100_mib, test_pages, test_credentials, test_urls, test_conditions_are_needed,
          test_busy, test_hopeless, test_short_bodies, test_changes_while_it_is_read, test_lost_answers,
          test_uploads_that_lie, test_lists_that_are_none, test_stalls, test_early_refusal, test_tls, test_memory])
