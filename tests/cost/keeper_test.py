#!/usr/bin/env python3
"""cairn cost keeper prints the tables of the FaaSKeeper paper, to the printed digit.

Catches a price, an item or a formula that is another than the paper's, flags that are not heeded, a price list of one's
own that is not used, JSON that says other than the text, a drawing that is no SVG or lacks lines or cells.  What is
expected is computed here in fractions, from the prices as the paper has them.
"""
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree
from fractions import Fraction

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
from cairnproc import check, equal, main  # noqa: E402

CAIRN = os.path.abspath(os.environ.get("CAIRN", "build/cairn"))
# Google's, of a write of 1 kB: two messages, four entries, the node, two calls and their time; of a read.
GOOGLES = {"standard": (2 * 0.0745 + 3 * 1.8 + 0.6 + 5 + 2 * 0.4 + (0.016 + 0.02963) * 18.5, 0.4),
           "hybrid": (2 * 0.0745 + 3 * 1.8 + 0.6 + 1.8 + 2 * 0.4 + (0.016 + 0.0155) * 18.5, 0.6)}
RATES = 100000, 500000, 1000000, 2000000, 5000000
MACHINES = {"t3.small": "0.0208", "t3.medium": "0.0416", "t3.large": "0.0832"}
# Rows of the paper's tables, as they are printed there.
PAPERS = {(90, "standard", 3, "t3.small"): "10.15 2.03 1.01 0.51 0.20",
          (80, "hybrid", 9, "t3.large"): "109.92 21.98 10.99 5.50 2.20"}


def run(*words, status=0):
    done = subprocess.run([CAIRN, "cost", "keeper", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    equal(done.returncode, status, done.stderr)
    return done.stdout if status == 0 else done.stderr


def write_cost(storage):
    """Of one write of 1 kB."""
    lambda_time = {"standard": Fraction("0.02963"), "hybrid": Fraction("0.0155")}[storage]
    node = {"standard": Fraction("0.000005"), "hybrid": Fraction("0.00000125")}[storage]
    gb_second, call = Fraction("0.0000166667"), Fraction("0.0000002")
    return (2 * Fraction("0.0000005") + 3 * Fraction("0.00000125") + Fraction("0.00000025") + node +
            Fraction("0.016") * gb_second + call + lambda_time * gb_second + call)


def cell(reads, storage, count, machine, requests):
    read = {"standard": Fraction("0.0000004"), "hybrid": Fraction("0.00000025")}[storage]
    share = Fraction(reads, 100)
    functions = requests * (share * read + (1 - share) * write_cost(storage))
    ratio = count * Fraction(MACHINES[machine]) * 24 / functions
    hundredths = (ratio * 100 + Fraction(1, 2)).__floor__()
    return f"{hundredths // 100}.{hundredths % 100:02}"


def tables(text):
    """{(reads, storage): {(count, machine): cells}}"""
    found, now = {}, None
    for line in text.splitlines():
        head = re.fullmatch(r"(\d+) % reads, (standard|hybrid)", line)
        row = re.fullmatch(r"(\d+) x (\S+) +(.*)", line)
        if head:
            now = found.setdefault((int(head[1]), head[2]), {})
        elif row and now is not None:
            now[int(row[1]), row[2]] = row[3].split()
    return found


def test_tables():
    found = tables(run())
    cells = 0
    equal(sorted(found), [(80, "hybrid"), (80, "standard"), (90, "hybrid"), (90, "standard")])
    for (reads, storage), rows in found.items():
        equal(len(rows), 6)
        for (count, machine), row in rows.items():
            want = [cell(reads, storage, count, machine, requests) for requests in RATES]
            equal(row, want, f"{reads} % reads, {storage}, {count} x {machine}")
            cells += len(row)
    equal(cells, 120)
    for (reads, storage, count, machine), row in PAPERS.items():
        equal(" ".join(found[reads, storage][count, machine]), row, "the paper's own row")


def test_items():
    text = run()
    check(re.search(r"a write +11\.1605 +7\.1750", text), text)
    check(re.search(r"a read +0\.4000 +0\.2500", text), text)
    check("key-value store 2.50, object store 4.00 dollars; calls of 30 ms, 2 GB, ARM: 10.00." in text, text)
    check("aws-us-east-1, 2024-06" in text, "when and whose the prices are is not told")


def test_json():
    told = json.loads(run("--json"))
    found = tables(run())
    for storage in "standard", "hybrid":
        items = told["dollars_a_million"][storage]
        total = sum(items[name] for name in ("queues", "system_storage", "node_storage", "follower", "leader"))
        check(abs(total - items["write"]) < 1e-6, f"the items are {total}, a write is {items['write']}")
        check(abs(items["write"] - float(write_cost(storage) * 10**6)) < 1e-6, items)
    equal(len(told["machines_to_functions"]), 24)
    for row in told["machines_to_functions"]:
        texts = found[row["reads"], row["storage"]][row["machines"], row["machine"]]
        equal([f"{one['ratio']:.2f}" for one in row["ratios"]], texts)
        equal([one["requests"] for one in row["ratios"]], list(RATES))


def test_flags():
    """Each flag changes what it says."""
    rows = json.loads(run("--json", "--reads", "0", "--requests", "1000", "--machines", "5", "--machine", "t3.medium",
                          "--storage", "hybrid"))["machines_to_functions"]
    equal(len(rows), 1)
    equal({key: rows[0][key] for key in ("reads", "storage", "machines", "machine")},
          {"reads": 0, "storage": "hybrid", "machines": 5, "machine": "t3.medium"})
    want = 5 * 0.0416 * 24 / (1000 * 7.175e-6)
    check(abs(rows[0]["ratios"][0]["ratio"] / want - 1) < 1e-4, rows)

    def standard(*words):
        return json.loads(run("--json", *words))["dollars_a_million"]

    base, large = standard(), standard("--size", "65537")
    equal((large["standard"]["queues"], large["standard"]["node_storage"]), (2 * base["standard"]["queues"], 5))
    equal((large["hybrid"]["node_storage"], large["hybrid"]["read"]), (6.25, 0.65))
    double = standard("--function-memory", "1024")["standard"]
    check(abs(double["follower"] - 0.2 - 2 * (base["standard"]["follower"] - 0.2)) < 1e-6, double)
    timed = standard("--follower-ms", "0", "--leader-ms", "120")["hybrid"]
    check(abs(timed["follower"] - 0.2) < 1e-9 and abs(timed["leader"] - 0.2 - 0.06 * 16.6667) < 1e-6, timed)


def test_own_prices(folder):
    path = os.path.join(folder, "own.prices")
    with open(os.path.join(HERE, "..", "..", "share", "prices", "aws-us-east-1.prices"), encoding="ascii") as file:
        text = file.read()
    with open(path, "w", encoding="ascii") as file:
        file.write(text.replace("name aws-us-east-1", "name <&> mine").replace("t3.small 0.0208", "t3.small 0.0416"))
    own = tables(run("--prices", path))
    equal(own[90, "standard"][3, "t3.small"], own[90, "standard"][3, "t3.medium"])
    check("<&> mine" in run("--prices", path), "the list's name is not told")
    equal(json.loads(run("--prices", path, "--json"))["prices"]["name"], "<&> mine")
    picture = os.path.join(folder, "own.svg")
    run("--prices", path, "--draw", picture)
    texts = [one.text for one in xml.etree.ElementTree.parse(picture).iter() if one.tag.endswith("text")]
    check(any("<&> mine" in text for text in texts), "the list's name is not drawn")
    with open(path, "w", encoding="ascii") as file:
        file.write("name x\nnonsense\n")
    check("line 2: there is no price 'nonsense'" in run("--prices", path, status=1), "no word of what is wrong")
    with open(path, "w", encoding="ascii") as file:
        file.write("#" * 70000)
    check("65536 bytes" in run("--prices", path, status=1), "no word of the size")
    check("No such file" in run("--prices", os.path.join(folder, "none"), status=1), "no word of what is missing")


def test_free(folder):
    """Functions that cost nothing."""
    path = os.path.join(folder, "free.prices")
    with open(path, "w", encoding="ascii") as file:
        file.write("name free\ndate 2024\nsource nowhere\nobject-write 0\nobject-read 0\nentry-write 0 per 1\n"
                   "entry-read 0 per 1\nmessage 0 per 1\ncall 0\ngb-second 0\nmachine m 0\n")
    told = json.loads(run("--prices", path, "--json"))
    equal(told["machines_to_functions"][0]["ratios"][0]["ratio"], None)
    picture = os.path.join(folder, "free.svg")
    run("--prices", path, "--draw", picture)
    with open(picture, encoding="utf-8") as file:
        check(not re.search(r"nan|inf", file.read()), "the picture has places that are no numbers")
    check(not re.search(r"nan|inf", run("--prices", path)), "a table has cells that are no numbers")


def test_drawing(folder):
    picture = os.path.join(folder, "cost.svg")
    run("--draw", picture)
    drawn = list(xml.etree.ElementTree.parse(picture).iter())
    texts = [one.text for one in drawn if one.tag.endswith("}text")]
    lines = [one for one in drawn if one.tag.endswith("}line")]
    cells = [text for rows in tables(run()).values() for row in rows.values() for text in row]
    for value in cells:
        check(value in texts, f"{value} is not in the heat maps")
    equal(sum(one.tag.endswith("}rect") for one in drawn), 1 + 120)
    # Of each of two plots: 2 lines of functions and 6 of machines, and the same again in the legend.
    equal(sum("stroke-width" in one.attrib for one in lines), 2 * 2 * 2)
    equal(sum("stroke-width" not in one.attrib and one.get("stroke") != "#ddd" for one in lines), 2 * 2 * 6)
    root = drawn[0]
    for one in lines:
        check(all(0 <= float(one.get(key)) <= float(root.get("width" if key[0] == "x" else "height"))
                  for key in ("x1", "y1", "x2", "y2")), f"a line leaves the picture: {one.attrib}")
    run("--draw", os.path.join(folder, "none", "x.svg"), status=1)


def test_many_machines(folder):
    """Nothing is drawn over something else, nor outside, when a list has as many machines as it may."""
    path, picture = os.path.join(folder, "many.prices"), os.path.join(folder, "many.svg")
    with open(os.path.join(HERE, "..", "..", "share", "prices", "aws-us-east-1.prices"), encoding="ascii") as file:
        lines = [line for line in file if not line.startswith("machine")]
    with open(path, "w", encoding="ascii") as file:
        file.writelines(lines + [f"machine a-rather-long-name-of-one-{n:x} {n}\n" for n in range(16)])
    run("--prices", path, "--draw", picture)
    drawn = list(xml.etree.ElementTree.parse(picture).iter())
    texts = [one for one in drawn if one.tag.endswith("}text")]
    places = [(one.get("x"), one.get("y")) for one in texts]
    equal(len(set(places)), len(places), "texts in one place")
    check(all(float(one.get("y")) < float(drawn[0].get("height")) for one in texts), "a text is below the picture")
    labels = [one for one in texts if one.text.startswith("9 x a-rather") and float(one.get("x")) < 100]
    cells = [float(one.get("x")) for one in drawn if one.tag.endswith("}rect") and one.get("x")]
    equal(len(labels), 4 * 16)
    check(60 + 6 * len(labels[0].text) < min(cells), "labels reach into the cells")


def test_google():
    told = json.loads(run("--cloud", "gcp", "--json"))
    equal((told["prices"]["name"], told["machines_to_functions"]), ("gcp-us", []))
    for storage, (write, read) in GOOGLES.items():
        for what, want in (("write", write), ("read", read)):
            got = told["dollars_a_million"][storage][what]
            check(abs(got - want) < 1e-6, f"{storage} {what}: {got}, not {want}")
    check("no machines" in run("--cloud", "gcp"), "machines that there are none of")
    equal(run("--cloud", "aws"), run())
    for words in (["--cloud", "azure"], ["--cloud", ""], ["--cloud", "gcp", "--prices", "x"],
                  ["--cloud", "gcp", "--draw", "/dev/null"]):
        run(*words, status=2)


def test_refused():
    check("t3.huge" in run("--machine", "t3.huge", status=2), "no word of the machine")
    run("--storage", "tape", status=2)
    run("--reads", "101", status=2)
    run("--size", "0", status=2)
    run("--size", "256001", status=2)
    run("--leader-ms", "fast", status=2)
    run("--follower-ms", "-1", status=2)
    run("--leader-ms", "nan", status=2)


main([test_tables, test_google, test_items, test_json, test_flags, test_own_prices, test_free, test_drawing,
      test_many_machines, test_refused])
