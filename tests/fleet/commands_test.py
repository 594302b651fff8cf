#!/usr/bin/env python3
"""cairn cache trace and cairn cache simulate, as a user runs them.

Catches a trace that is another once it was written and read; flags that are not heeded; JSON that lacks what the reference
names; a wrong policy or file that is taken, or told without what is wrong.
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
from cairnproc import check, equal, main  # noqa: E402

CAIRN = os.path.abspath(os.environ.get("CAIRN", "build/cairn"))


def run(*words, status=0, given=""):
    done = subprocess.run([CAIRN, "cache", *words], input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120, check=False)
    equal(done.returncode, status, done.stderr)
    return done.stdout if status == 0 else done.stderr


def test_a_trace_goes_through_a_file():
    table = run("trace", "--hours", "2", "--gets", "600", "--seed", "9", "--csv")
    equal(len(table.splitlines()), 1201, "lines")
    made = json.loads(run("trace", "--hours", "2", "--gets", "600", "--seed", "9", "--json"))
    equal(json.loads(run("trace", "-", "--json", given=table)), made, "what the trace is like")
    equal(made["gets"], 1200, "GETs")
    large = json.loads(run("trace", "-", "--json", "--least", "10mb", given=table))
    check(0 < large["keys"] < made["keys"] and large["key_bytes"]["0.1"] >= 10 << 20, large)
    check("1200 GETs of" in run("trace", "-", given=table), "the text tells the number of GETs")


def test_flags_are_heeded():
    table = run("trace", "--hours", "4", "--gets", "400", "--csv")

    def one(*words):
        cases = json.loads(run("simulate", "-", "--json", "--backup", "0", *words, given=table))["cases"]
        equal(len(cases), 1, "cases")
        return cases[0]

    never = one("--reclaim", "never")
    equal((never["losses"], never["reclaimed"], never["availability_percent"]), (0, 0, 100), "with nothing reclaimed")
    bare = one("--reclaim", "never", "--warm-up", "0")
    equal((bare["hit_percent"], bare["warm_dollars"]), (never["hit_percent"], 0), "without calls that keep instances")
    script = one("--reclaim", "script:" + ",".join(["0"] * 59 + ["400"]))
    equal(script["reclaimed"], 4 * 400, "in minutes 59, 119, 179 and 239")
    check(script["losses"] > 0 and script["hit_percent"] < never["hit_percent"], script)
    less = one("--reclaim", "never", "--instances", "12", "--instance-memory", "20MiB")
    check(less["evicted"] > 0 and less["hit_percent"] < never["hit_percent"], less)
    lossy = one("--reclaim", "poisson:2000", "--redundancy", "4+0")
    check(lossy["losses"] > one("--reclaim", "poisson:2000", "--redundancy", "4+2")["losses"], lossy)
    hours = one("--by-hour", "--reclaim", "never")["by_hour"]
    equal((len(hours), sum(hour["gets"] for hour in hours)), (4, 1600), "hours and their GETs")
    cases = json.loads(run("simulate", "-", "--json", given=table))["cases"]
    equal([case["name"] for case in cases], ["all values", "above 10 MB", "no backup"], "cases")
    equal(cases[2]["backup_dollars"], 0, "dollars of no backup")


def test_what_is_wrong_is_told():
    check("'often' is no policy" in run("simulate", "--reclaim", "often", status=2), "a policy")
    check("--redundancy" in run("simulate", "--redundancy", "10", status=2), "a redundancy")
    check("from 12" in run("simulate", "--instances", "4", status=2), "too few instances")
    check("line 2" in run("trace", "-", status=1, given="ms,key,bytes\n1,2\n"), "a row without a size")
    check("no-such-file" in run("trace", "no-such-file", status=1), "a file that is not there")


main([test_a_trace_goes_through_a_file, test_flags_are_heeded, test_what_is_wrong_is_told])
