#!/usr/bin/env python3
"""The state engines as another program uses them: installed, found by pkg-config, linked in both ways, killed.

Catches a library that lacks something or shows what it should not, and state that loses or doubles what a job has done
when the job is killed: examples/engine/wordcount.c counts every word exactly once.
"""
import collections
import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
from cairnproc import Skip, check, equal, main  # noqa: E402

SOURCE = os.path.join(HERE, "..", "..")
BUILD = os.environ.get("CAIRN_BUILD", "build")
KILLS = 20


def run(*words, **environment):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
                          env=dict(os.environ, **environment))
    check(done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}: {done.stdout}")
    return done.stdout


def build(folder):
    """{how it is linked: the program}"""
    root = os.path.join(folder, "root")
    run(os.path.join(SOURCE, "tools", "install"), BUILD, "/usr", DESTDIR=root)
    where = {"PKG_CONFIG_PATH": os.path.join(root, "usr/lib/pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": root}
    flags = run("pkg-config", "--cflags", "--libs", "cairn-engine", **where).split()
    private = [word for word in run("pkg-config", "--libs", "--static", "cairn-engine", **where).split()
               if word != "-lcairn-engine"]
    example = os.path.join(SOURCE, "examples", "engine", "wordcount.c")
    programs = {"shared": os.path.join(folder, "shared"), "archive": os.path.join(folder, "archive")}
    cc = ["cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", example]
    run(*cc, *flags, f"-Wl,-rpath,{root}/usr/lib", "-o", programs["shared"])
    run(*cc, f"-I{root}/usr/include", f"{root}/usr/lib/libcairn-engine.a", *private, "-o", programs["archive"])
    return programs


def words_of(size, draw):
    return " ".join(f"word{int(draw.paretovariate(.6))}" for _ in range(size))


def test_wordcount_counts_once(folder):
    if subprocess.run(["grep", "-q", "__asan\\|__tsan", os.path.join(BUILD, "libcairn-engine.a")],
                      check=False).returncode == 0:
        raise Skip("this build is for sanitizers")
    seed = random.randrange(1 << 31)
    draw = random.Random(seed)
    print(f"    seed {seed}")
    text = words_of(400_000, draw)
    path = os.path.join(folder, "text")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    want = collections.Counter(text.split())
    for how, program in build(folder).items():
        state, kills = os.path.join(folder, how + ".state"), 0
        command = [program, state, path, "20000"]
        while True:
            begin = time.monotonic()
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
                try:
                    out = job.communicate(timeout=draw.uniform(0, .1) if kills < KILLS else 120)[0]
                    break
                except subprocess.TimeoutExpired:
                    job.kill()
                    job.communicate()
                    kills += 1
        equal(job.returncode, 0, "status of the job")
        got = {word: int(count) for word, count in (line.split() for line in out.splitlines())}
        check(kills > 3, f"it was over after {kills} kills")
        equal(got == dict(want), True, f"the counts of seed {seed}, {how}, after {kills} kills")
        print(f"    {how}: {kills} kills, {len(want)} words, the last run took {time.monotonic() - begin:.2f} s")
        # The file grows, and what was there is not counted again.
        more = words_of(1000, draw)
        with open(path + ".more", "w", encoding="ascii") as file:
            file.write(text + "\n" + more)
        os.replace(path + ".more", path + ".grown")
        got = {word: int(count) for word, count in
               (line.split() for line in run(program, state, path + ".grown").splitlines())}
        equal(got == dict(want + collections.Counter(more.split())), True, f"the counts of the grown file, seed {seed}")


if __name__ == "__main__":
    main([test_wordcount_counts_once])
