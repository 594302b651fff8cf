#!/usr/bin/env python3
"""A real node whose wall clock somebody sets while it runs.

Catches a jump that moves the node's time, makes it stand still, or makes it go back, through a kill too; one that ages
idempotency keys or moves moments that states are looked up by; one that is not told; `cairn clock` and its HTTP pages
when they do not say or do what the reference promises.
"""
import contextlib
import json
import os
import struct
import subprocess
import time

import cairnproc
from cairnproc import Node, check, equal, guest, main

PRELOAD = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The wall clock is moved by so many milliseconds as the file says that CLOCK_MOVED names. */
static const volatile long *moved;

__attribute__((constructor)) static void begin(void)
{
    int fd = open(getenv("CLOCK_MOVED"), O_RDONLY);

    moved = mmap(NULL, sizeof *moved, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
}

int clock_gettime(clockid_t id, struct timespec *to)
{
    long status = syscall(SYS_clock_gettime, id, to);

    if (moved && id == CLOCK_REALTIME) {
        long ns = to->tv_nsec + *moved % 1000 * 1000000;
        to->tv_sec += *moved / 1000;
        to->tv_sec += ns < 0 ? -1 : ns >= 1000000000 ? 1 : 0;
        to->tv_nsec = ns < 0 ? ns + 1000000000 : ns >= 1000000000 ? ns - 1000000000 : ns;
    }
    return (int)status;
}
"""


class Clock:
    """A wall clock for a node's process, to be set."""

    def __init__(self, folder):
        self.library = os.path.join(folder, "moved.so")
        self.path = os.path.join(folder, "moved")
        source = os.path.join(folder, "moved.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(PRELOAD)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.library, source], check=True)
        self.set(0)

    def set(self, ms):
        mode = "r+b" if os.path.exists(self.path) else "wb"  # the process has it mapped
        with open(self.path, mode) as file:
            file.write(struct.pack("<q", ms))

    def words(self):
        return ("env", f"LD_PRELOAD={self.library}", f"CLOCK_MOVED={self.path}")


def cairn(node, *words, status=0):
    done = subprocess.run([cairnproc.CAIRN, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, CAIRN_URL=f"http://127.0.0.1:{node.http}"), check=False, timeout=60)
    equal(done.returncode, status, f"status of cairn {' '.join(words)}, which said {done.stdout!r}")
    return done.stdout


def state(node):
    return json.loads(cairn(node, "clock", "--json"))


def now(node):
    with node.redis() as redis:
        return redis.ok("FCALL", "Probe.time", 1, "clock")


def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.02)


@contextlib.contextmanager
def begin(folder):
    clock = Clock(folder)
    with Node(folder, before=clock.words()) as node:
        with node.redis() as redis:
            redis.ok("FUNCTION", "LOAD", guest("probe"))
        yield clock, node


def test_there_and_back(folder):
    with begin(folder) as (clock, node):
        started = now(node)
        for days in (2, -2):
            clock.set(days * 86400000)
            wait_for(lambda: state(node)["jump_ms"] != 0, "the jump is seen")
            check(abs(state(node)["jump_ms"] - days * 86400000) < 10000, f"its size: {state(node)}")
            check("cairn clock accept" in cairn(node, "clock"), "what to do is told")
            check("wall clock has jumped" in node.output(), "the operator is told")
            first = now(node)
            check(started <= first < started + 60000, f"time does not follow: {started}, then {first}")
            time.sleep(0.5)
            second = now(node)
            check(400 <= second - first, f"time goes on: {second - first} ms in half a second")
            clock.set(0)
            wait_for(lambda: state(node)["jump_ms"] == 0, "it is over")
            check(abs(now(node) - int(time.time() * 1000)) < 2000, "the time is the wall clock's again")
        said = cairn(node, "clock", "accept", status=1)
        check("nothing to accept" in said, said)


def test_moments(folder):
    """While the node's time is not the wall clock's, a date and time of day could be of either."""
    with begin(folder) as (clock, node):
        with node.redis() as redis:
            redis.ok("FCALL", "Probe.add", 1, "a")
        show = ("objects", "show", "Probe/a", "--at")
        written = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
        check("two moments" not in cairn(node, *show, written, status=1), "the times agree")
        for days in (2, -2):
            clock.set(days * 86400000)
            wait_for(lambda: state(node)["jump_ms"] != 0, "the jump is seen")
            said = cairn(node, *show, written, status=2)
            check("could mean two moments" in said and ("behind" if days > 0 else "ahead of") in said, said)
            check("two moments" not in cairn(node, *show, str(now(node)), status=1), "milliseconds are the node's")
            clock.set(0)
            wait_for(lambda: state(node)["jump_ms"] == 0, "it is over")
        clock.set(3600000)
        wait_for(lambda: state(node)["jump_ms"] != 0, "the jump is seen")
        cairn(node, "clock", "accept")
        check("two moments" not in cairn(node, *show, written, status=1), "forward it follows at once")
        clock.set(0)
        wait_for(lambda: state(node)["jump_ms"] != 0, "set back")
        cairn(node, "clock", "accept")
        said = cairn(node, *show, written, status=2)
        check("could mean two moments" in said and "ahead of" in said, f"time runs slower until they agree: {said}")


def test_keys(folder):
    """A day has passed for the wall clock alone: the key counts."""
    with begin(folder) as (clock, node):
        with node.redis() as redis:
            equal(redis.ok("FCALL", "Probe.add", 2, "a", "key"), 1, "the first time")
            clock.set(3 * 86400000)
            wait_for(lambda: state(node)["jump_ms"] != 0, "the jump is seen")
            for n in range(3):  # eviction looks at the oldest with each new key
                redis.ok("FCALL", "Probe.add", 2, "b", f"other {n}")
            equal(redis.ok("FCALL", "Probe.add", 2, "a", "key"), 1, "the key again")
        cairn(node, "clock", "accept")
        check(now(node) > int(time.time() * 1000) + 2 * 86400000, "an accepted jump moves the time")
        ahead = now(node)
        with node.redis() as redis:
            redis.ok("FCALL", "Probe.add", 1, "a")
        clock.set(0)
        node.kill()
        node.start()
        check(now(node) >= ahead, "a node that starts with a clock before its last time goes on from there")
        check("before the last time" in node.output(), "and says so")


def test_steps(folder):
    """Less than a jump is followed, without going back, through kills too."""
    with begin(folder) as (clock, node):
        last = now(node)
        for n, step in enumerate((3000, -1000, 2500, -1500, 2500)):
            clock.set(step)
            for _ in range(5):
                at = now(node)
                check(at >= last, f"time went back from {last} to {at}")
                last = at
                time.sleep(0.02)
            equal(state(node)["jump_ms"], 0, "a step is no jump")
            if n % 2:
                node.kill()
                node.start()
                at = now(node)
                check(at >= last, f"time went back from {last} to {at} over a kill")
                last = at


if __name__ == "__main__":
    main([test_there_and_back, test_moments, test_keys, test_steps])
