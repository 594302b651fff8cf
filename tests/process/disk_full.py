"""A full disk under a real node: writes are refused, reads go on, nothing acknowledged is lost, and it heals.

Needs root, for file systems of its own in a mount namespace of its own; they are gone when the test ends.
"""
import os
import shutil
import subprocess
import sys
import time

from cairnproc import Error, Node, Skip, check, equal, guest
from contents import Contents

MIB = 1 << 20
HEALS_SECONDS = 10
QUIET_SECONDS = .3  # longer than a node waits until it tries again
INSIDE = "CAIRN_TEST_MOUNTS"  # set in the namespace


class Disk:
    """A small file system, and a file that takes all of its room."""

    def __init__(self, folder, kind):
        if os.geteuid() != 0:
            raise Skip("mounting a small file system needs root")
        if not os.environ.get(INSIDE):
            raise Skip("a mount namespace cannot be had here (unshare -m)")
        self.path = os.path.join(folder, "disk")
        self.data, self.ballast = os.path.join(self.path, "data"), os.path.join(self.path, "ballast")
        os.mkdir(self.path)
        if kind == "tmpfs":
            commands = [["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", self.path]]
        else:
            image = os.path.join(folder, "image")
            commands = [["truncate", "-s", "320M", image], ["mkfs.ext4", "-q", "-F", "-m", "0", image],
                        ["mount", "-o", "loop", image, self.path]]
        for words in commands:
            if not shutil.which(words[0], path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin"):
                raise Skip(f"{words[0]} is not installed")
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                                  env=dict(os.environ, PATH=os.environ.get("PATH", "") + ":/sbin:/usr/sbin"), check=False)
            if done.returncode != 0:
                raise Skip(f"{' '.join(words)}: {done.stdout.strip()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=False, timeout=60)

    def room(self):
        about = os.statvfs(self.path)
        return about.f_bavail * about.f_frsize

    def fill(self):
        """Takes what there is, and what a node gives back that has tried to make a file."""
        end, quiet_since = time.monotonic() + 30, time.monotonic()
        with open(self.ballast, "ab", buffering=0) as file:
            while time.monotonic() < end:
                try:
                    file.write(bytes(MIB if self.room() > MIB else 4096))
                    quiet_since = time.monotonic()
                except OSError:
                    if self.room() < 4096 and time.monotonic() > quiet_since + QUIET_SECONDS:
                        return
                    time.sleep(.005)
        raise AssertionError(f"the disk cannot be filled: {self.room()} bytes are left")

    def give_back(self):
        os.truncate(self.ballast, 0)


def write_until_refused(node, contents):
    """Smaller and smaller writes until not even the smallest is taken; what was acknowledged is in the contents."""
    number = 0
    with node.redis() as redis:
        for size in (200_000, 20_000, 2_000, 0):
            end = time.monotonic() + 60
            while time.monotonic() < end:
                number += 1
                reply = redis.call("FCALL", "Pair.set", 1, "filler", number, bytes(size))
                if isinstance(reply, Error):
                    if reply.code == "DISK_FULL":
                        break
                    check(reply.code == "OVERLOADED", f"a write while the disk is filling: {reply}")
                    continue  # the next segment is being made
                contents.pairs["filler"] = [number, size, b"%d" % number, b"%d" % number, number]
            else:
                raise AssertionError("no write is refused although the disk is full")
        for _ in range(100_000):  # records take what room they need, and these need least
            reply = redis.call("FCALL", "Counter.add", 1, "f")
            if isinstance(reply, Error):
                equal(reply.code, "DISK_FULL", "the last write")
                return
            contents.counters["f"] = reply
        raise AssertionError("no small write is refused although the disk is full")


def check_full(node, contents):
    """What holds while there is no room."""
    web = node.web()
    with node.redis() as redis:
        for words in (["FCALL", "Counter.add", 1, "counter 0"], ["FCALL", "Counter.add", 1, "new"],
                      ["FCALL", "Counter.add", 2, "counter 0", "new key"], ["FUNCTION", "LOAD", guest("probe")]):
            redis.fails("DISK_FULL", *words)
        problem = web.fails(507, "disk_full", "POST", "/v1/objects/Counter/new/add", "[]")
        check("room" in problem["detail"], f"the reason is not told: {problem}")
        web.fails(507, "disk_full", "DELETE", "/v1/objects/Counter/counter%200")
        web.fails(507, "disk_full", "PUT", "/v1/modules/probe", guest("probe"))
    contents.verify(node)  # reads, listings, and outcomes of keys that are known
    equal(node.metrics()["cairn_log_full"], 1, "cairn_log_full")
    equal(node.metrics()["cairn_log_failed"], 0, "cairn_log_failed")


def wait_for_room(node, contents):
    begin = time.monotonic()
    with node.redis() as redis:
        while time.monotonic() < begin + HEALS_SECONDS:
            reply = redis.call("FCALL", "Counter.add", 1, "healed")
            if not isinstance(reply, Error):
                contents.counters["healed"] = reply
                print(f"    written again {(time.monotonic() - begin) * 1000:.0f} ms after there was room")
                return
            equal(reply.code, "DISK_FULL", "the error before it heals")
            time.sleep(.02)
    raise AssertionError(f"nothing can be written {HEALS_SECONDS} s after there is room again")


def through_all_of_it(folder, kind, rounds):
    with Disk(folder, kind) as disk:
        node, contents = Node(folder, data=disk.data), Contents()
        try:
            node.start()
            contents.fill(node)
            for _ in range(rounds):
                disk.fill()
                write_until_refused(node, contents)
                disk.fill()
                check_full(node, contents)
                disk.give_back()
                wait_for_room(node, contents)
                contents.fill(node)
                contents.verify(node)
            equal(contents.counters.get("new"), None, "an object that was refused")
            # Killed while it is full, and started before and after there is room.
            disk.fill()
            write_until_refused(node, contents)
            node.kill()
            disk.fill()
            for _ in range(2):
                said = node.refuses()
                check("No space left on device" in said and "make room" in said, f"a start without room: {said}")
                disk.fill()
            disk.give_back()
            node.start()
            contents.verify(node)
            wait_for_room(node, contents)
            # Stopped while it is full: a checkpoint may not fit, which costs nothing but time at the next start.
            disk.fill()
            write_until_refused(node, contents)
            disk.fill()
            node.process.terminate()
            status = node.process.wait(timeout=60)
            check(status == 0 or status == 1 and "No space left on device" in node.output(),
                  f"stopped with status {status}: {node.output()}")
            node.process = None
            disk.give_back()
            node.start()
            contents.verify(node)
            contents.fill(node)
            node.stop()
            # A new folder where there is no room for one.
            shutil.rmtree(disk.data)
            disk.fill()
            said = node.refuses()
            check("No space left on device" in said, f"a new folder without room: {said}")
            disk.give_back()
            node.start()
            Contents().fill(node).verify(node)
        finally:
            node.kill()


def with_mounts(run):
    """Runs the tests of a file in a mount namespace of their own, if there can be one."""
    within = ["unshare", "-m", "--propagation", "private"]
    if os.geteuid() == 0 and not os.environ.get(INSIDE) and shutil.which(within[0]):
        if subprocess.run([*within, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
                          check=False).returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp(within[0], [*within, sys.executable, *sys.argv])
    run()
