"""What every blob store must do, whatever its kind: run by the tests of each."""
import os

from blobs import bytes_of, check, equal, fails, listed, made, ok, start

MIB = 1 << 20


def round_trips(url, folder, sizes, **more):
    for number, size in enumerate(sizes):
        path, back = made(folder, f"in{number}", size), os.path.join(folder, "out")
        begin = ok(url, "put_file", f"trips/file{number}", path, **more)
        check(size == 0 or f"moved {size} of {size}" in begin.error.decode(), "the end was not told")
        with open(back, "wb") as file:  # of an earlier try, longer
            file.write(b"x" * min(size + 10, MIB))
        ok(url, "get_file", f"trips/file{number}", back, **more)
        check(bytes_of(path) == bytes_of(back), f"{size} bytes came back as others")
        check(ok(url, "get", f"trips/file{number}", **more).output == bytes_of(path), f"{size} bytes got as others")
        ok(url, "put", f"trips/bytes{number}", path, **more)
        ok(url, "get_file", f"trips/bytes{number}", back, **more)
        check(bytes_of(path) == bytes_of(back), f"{size} bytes put at once came back as others")
        if size > 1:
            fails("limit", url, "get", f"trips/file{number}", size - 1, **more)
        equal(len(ok(url, "get", f"trips/file{number}", max(size, 1), **more).output), size, "got with just room")
    found = listed(url, "trips", **more)
    equal({name: size for name, (size, _) in found.items()},
          {f"{kind}{number}": size for number, size in enumerate(sizes) for kind in ("file", "bytes")}, "the list")
    check(all(age < 600000 for _, age in found.values()), f"ages of what has just been made: {found}")
    path = made(folder, "other", 100)
    ok(url, "put", "trips/file0", path, **more)
    equal(ok(url, "get", "trips/file0", **more).output, bytes_of(path), "what was put over another")


def names(url, folder, **more):
    ok(url, "create", "n/one", "1", **more)
    ok(url, "create", "n/deep/er/two", "2", **more)
    ok(url, "create", "three.x-y_Z", "3", **more)
    equal(sorted(listed(url, "n", **more)), ["one"], "a folder, without those below it")
    equal(sorted(listed(url, "n/deep", **more)), [], "a folder of folders")
    equal(sorted(listed(url, "n/deep/er", **more)), ["two"], "a folder below")
    equal(sorted(listed(url, "", **more)), ["three.x-y_Z"], "the top")
    equal(listed(url, "nothing", **more), {}, "a folder that is not there")
    fails("not_found", url, "get", "n/none", **more)
    fails("not_found", url, "get_file", "n/none", os.path.join(folder, "none"), **more)
    check(not os.path.exists(os.path.join(folder, "none")), "a file of what is not there")
    ok(url, "remove", "n/none", **more)
    ok(url, "remove", "n/one", **more)
    ok(url, "remove", "n/one", **more)
    fails("not_found", url, "get", "n/one", **more)
    equal(listed(url, "n", **more), {}, "after a removal")


def creates(url, rounds, processes, **more):
    for number in range(rounds):
        running = [start(url, "create", f"race/{number}", f"writer {i}", **more) for i in range(processes)]
        ends = [(process.communicate(timeout=60)[1].decode(), process.returncode) for process in running]
        won = [i for i, (_, status) in enumerate(ends) if status == 0]
        equal(len(won), 1, f"how many of {processes} made the same object: {ends}")
        check(all(text.startswith("conflict: ") for text, status in ends if status), f"{ends}")
        equal(ok(url, "get", f"race/{number}", **more).output, f"writer {won[0]}".encode(), "who made it")
    ok(url, "remove", "race/0", **more)
    ok(url, "create", "race/0", "again", **more)
