#!/usr/bin/env python3
"""cairn cost cache gives the figures of InfiniCache's model.

Catches an item or a formula that is another than the paper's, flags that are not heeded, JSON that says other than the
text.  What is expected is computed here in fractions.
"""
import json
import os
import re
import subprocess
import sys
from fractions import Fraction

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
from cairnproc import check, equal, main  # noqa: E402

CAIRN = os.path.abspath(os.environ.get("CAIRN", "build/cairn"))
CALL, SECOND = Fraction("0.0000002"), Fraction("0.0000166667")


def run(*words, status=0):
    done = subprocess.run([CAIRN, "cost", "cache", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    equal(done.returncode, status, done.stderr)
    return done.stdout if status == 0 else done.stderr


def cases(*words):
    return {case["name"]: case for case in json.loads(run("--json", *words))["cases"]}


def hour(gets, chunks=12, nodes=400, memory=Fraction(3, 2), ms=100, backup="1.84"):
    def call(seconds):
        return CALL + seconds * memory * SECOND
    return (gets * chunks * call(Fraction(ms, 1000)) + nodes * 60 * call(Fraction(1, 10)) +
            (nodes * 12 * call(Fraction(backup)) if backup else 0))


def near(got, expected):
    check(abs(got - float(expected)) <= 1e-8 * abs(float(expected)), f"{got} is not {float(expected)}")


def test_the_paper_s_three_cases():
    got = cases()
    for name, cost, printed in (("all values", hour(3654), 20.2), ("above 10 MB", hour(750), 15.5),
                                ("no backup", hour(750, backup=None), 4.46)):
        near(got[name]["hours"], 50 * cost)
        check(abs(got[name]["hours"] - printed) < 0.06, name)
        near(got[name]["ratio"], Fraction("10.368") / cost)
        near(got[name]["hour"], cost)
        near(got[name]["machine_hours"], Fraction("518.4"))
    check(311000 < got["all values"]["even_at_gets_an_hour"] < 311500, "with backup")
    check(317500 < got["no backup"]["even_at_gets_an_hour"] < 318500, "without")


def test_flags():
    given = cases("--gets", "1000", "--redundancy", "4+2", "--nodes", "10", "--function-memory", "3072", "--get-ms", "7.2",
                  "--hours", "2")["given"]
    near(given["hours"], 2 * hour(1000, 6, 10, 3, 8))
    near(cases("--get-ms", "7.2", "--billed-ms", "100")["all values"]["hour"], hour(3654, backup="1.9"))
    near(cases("--backup", "0")["all values"]["hour"], hour(3654, backup=None))
    near(cases("--machine", "1")["all values"]["ratio"], 1 / hour(3654))
    near(cases("--warm-up", "0.5", "--backup", "0")["no backup"]["warm_up"], 2 * 24000 * (CALL + Fraction("0.15") * SECOND))
    for words in (("--gets", "-1"), ("--gets", "x"), ("--redundancy", "10"), ("--warm-up", "0"), ("--nodes", "0")):
        check("--" + words[0][2:] in run(*words, status=2), words)


def test_text_says_the_same():
    text = run()
    found = re.search(r"^all hours +(\S+) +(\S+) +(\S+)$", text, re.M)
    equal([float(number) for number in found.groups()], [float(f"{case['hours']:.2f}") for case in cases().values()])


main([test_the_paper_s_three_cases, test_flags, test_text_says_the_same])
