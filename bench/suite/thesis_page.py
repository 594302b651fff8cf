"""Puts what thesis.py measured into docs/engines.md: between the lines that mark its place,

    <!-- figure 4.1 -->
    (a table; what the thesis found, and whether it is so here)
    <!-- end -->

and <!-- summary --> has all findings, <!-- sides --> the engines side by side, <!-- dumps --> snapshots against dumps.
A finding is a ratio of two measurements; up to SAME either way it counts as no change.
"""
import re
import statistics

from . import thesis_draw
from .base import human
from .thesis import ENGINES, LOG_STRUCTURED
from .thesis_draw import chosen

PLACE = re.compile(r"(<!-- (?:figure )?([\w.]+) -->\n)(.*?)(<!-- end -->)", re.S)
SAME = 1.4
GOALS = {"lsm": ("<=", 1.2), "hybridlog": ("<=", 1.2), "appendlog": ("<=", 1.2), "memory": (">=", 1.7)}
ENDS = 100  # increments at either end whose means are compared


class Finding:
    """thesis: what it found (grows, falls, stays); None: it does not say."""

    def __init__(self, what, ratio, thesis):
        self.what, self.ratio, self.thesis = what, ratio, thesis

    def here(self):
        return "falls" if self.ratio < 1 / SAME else "grows" if self.ratio > SAME else "stays"

    def verdict(self):
        if not self.thesis:
            return "not in the thesis"
        return "as in the thesis" if self.here() == self.thesis else f"the thesis: {self.thesis}"

    def line(self):
        return f"- {self.what}: × {human(self.ratio)}, {self.here()}; {self.verdict()}"


def rows_of(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(["---"] + ["---:"] * (len(header) - 1)) + "|"]
    return lines + ["| " + " | ".join(cell if isinstance(cell, str) else human(cell) for cell in row) + " |"
                    for row in rows]


def at(points, x, engine=None):
    return next(p for p in points if p["x"] == x and engine in (None, p["engine"]))


def ratio(points, to, of, take, engine=None):
    return take(at(points, to, engine)) / take(at(points, of, engine))


def us(kind, key="p50_us"):
    return lambda point: point["result"][kind][key]


WRITE, READ = us("write"), us("read")


def parameter_table(label, points, *more):
    """more: (header, function of a point)."""
    header = [label, "write p50 us", "p95", "read p50 us", "p95"] + [name for name, _ in more]
    return rows_of(header, [
        [f"{p['x']:,}", WRITE(p), us("write", "p95_us")(p), READ(p), us("read", "p95_us")(p)] +
        [take(p) for _, take in more] for p in points])


def in_kb(take):
    return lambda point: take(point) / 1000


def of_engine(points, engine):
    return [p for p in points if p["engine"] == engine]


def figure_1(points):
    lsm, merges = of_engine(points, "lsm"), thesis_draw.written_by_merges
    lines = parameter_table("`max_runs_per_level`, lsm", lsm, ("merged bytes/byte", merges))
    lines += [""] + parameter_table("the same, appendlog", of_engine(points, "appendlog"),
                                    ("merged bytes/byte", merges))
    return lines, [Finding("lsm, writes at 16 files against 2", ratio(lsm, 16, 2, WRITE), "falls"),
                   Finding("lsm, reads at 16 files against 2", ratio(lsm, 16, 2, READ), "grows"),
                   Finding("appendlog, reads at 16 files against 2", ratio(points, 16, 2, READ, "appendlog"), "stays"),
                   Finding("lsm, bytes written by merges at 16 files against 2", ratio(lsm, 16, 2, merges), "falls"),
                   Finding("appendlog, bytes written by merges at 16 files against 2",
                           ratio(points, 16, 2, merges, "appendlog"), "falls")]


def figure_2(points):
    return parameter_table("`density_factor`", points), [
        Finding("writes at 1,000 records between fences against 10", ratio(points, 1000, 10, WRITE), "stays"),
        Finding("reads at 1,000 records between fences against 10", ratio(points, 1000, 10, READ), "grows")]


def figure_3(points):
    memory, disk = (thesis_draw.mean_of(name) for name in ("rest_memory", "rest_disk"))
    return rows_of(["`density_factor`", "memory, KB", "disk, KB"],
                   [[f"{p['x']:,}", memory(p) / 1000, disk(p) / 1000] for p in points]), [
        Finding("memory at a fence each record against one each 1,000", ratio(points, 1, 1000, memory), "grows"),
        Finding("disk at a fence each record against one each 1,000", ratio(points, 1, 1000, disk), "grows")]


def figure_4(points):
    return parameter_table("`memtable_bytes_limit`", points, ("files written", lambda p: p["result"]["flushes"])), [
        Finding("writes at 6,000 against 250", ratio(points, 6000, 250, WRITE), "falls"),
        Finding("reads at 6,000 against 250", ratio(points, 6000, 250, READ), "falls"),
        Finding("reads at 10,000, where no file is needed, against 250", ratio(points, 10000, 250, READ), "falls")]


def figure_5(points):
    memory = thesis_draw.mean_of("memory")
    return rows_of(["`memtable_bytes_limit`", "memory, KB"], [[f"{p['x']:,}", memory(p) / 1000] for p in points]), [
        Finding("memory at 6,000 against 250", ratio(points, 6000, 250, memory), "grows")]


def figure_6(points):
    return parameter_table("`mem_segment_len`", points, ("files written", lambda p: p["result"]["flushes"])), [
        Finding("writes at 100,000 against 5,000", ratio(points, 100000, 5000, WRITE), "stays"),
        Finding("reads at 100,000 against 5,000", ratio(points, 100000, 5000, READ), "stays"),
        Finding("writes at 2,100, just above the sum of the two, against 5,000", ratio(points, 2100, 5000, WRITE),
                "stays"),
        Finding("reads at 2,100 against 5,000", ratio(points, 2100, 5000, READ), "stays")]


def figure_7(points):
    memory = thesis_draw.mean_of("memory")
    return rows_of(["`mem_segment_len`", "it, KB", "memory, KB"],
                   [[f"{p['x']:,}", p["told"]["mem_segment_len"] / 1000, memory(p) / 1000] for p in points]), [
        Finding("memory at 10,000 against 2,500", ratio(points, 10000, 2500, memory), "grows")]


def figure_8(points):
    return parameter_table("`ro_lag_interval`", points, ("files written", lambda p: p["result"]["flushes"])), [
        Finding("writes at 2,000 against 10", ratio(points, 2000, 10, WRITE), "falls"),
        Finding("reads at 2,000 against 10", ratio(points, 2000, 10, READ), "falls")]


def figure_9(points):
    return parameter_table("`flush_interval`", points, ("files written", lambda p: p["result"]["flushes"]),
                           ("merges", lambda p: p["result"]["merges"])), [
        Finding("writes at 1,000 against 10", ratio(points, 1000, 10, WRITE), "falls"),
        Finding("reads at 1,000 against 10", ratio(points, 1000, 10, READ), "falls"),
        Finding("writes at 8,000, which leaves nothing to update in place, against 1,000",
                ratio(points, 8000, 1000, WRITE), "falls")]


def rate_table(points, kind):
    """A line per rate, a column per engine."""
    mine = chosen(points, kind=kind, on_disk=False)
    engines = list(dict.fromkeys(p["engine"] for p in mine))
    rows = []
    for rate in sorted({p["rate"] for p in mine if "rate" in p}):
        row = [f"{rate:,}"]
        for engine in engines:
            found = [p for p in chosen(mine, engine=engine, rate=rate) if thesis_draw.kept(p)]
            row += [us(kind)(found[0]), us(kind, "p95_us")(found[0])] if found else ["", ""]
        if any(row[1:]):
            rows.append(row)
    last = ["as fast as it goes"]
    for engine in engines:
        last += [us(kind)(top_of(mine, engine, kind)), us(kind, "p95_us")(top_of(mine, engine, kind))]
    header = [f"{kind}s/s"]
    for engine in engines:
        header += [f"{engine} p50 us", "p95"]
    return rows_of(header, rows + [last])


def top_of(points, engine, kind, **labels):
    """The closed loop."""
    return next(p for p in chosen(points, engine=engine, kind=kind, **labels) if "rate" not in p)


def ops(point, kind):
    return point["result"][kind]["ops_per_s"]


def figure_10(kind):
    def figure(points):
        top = ops(top_of(points, "hybridlog", kind), kind)
        return rate_table(points, kind) + ["", f"As fast as it goes is {human(top)} {kind}s/s."], []
    return figure


def figure_12(points):
    def drift(point):
        return us("write", "p95_us")(point) / WRITE(point)

    return parameter_table("`threshold`", points, ("write p95/p50", drift),
                           ("files written", lambda p: p["result"]["flushes"])), [
        Finding("writes at 30,000 against 250", ratio(points, 30000, 250, WRITE), "falls"),
        Finding("write p95/p50 at 100,000 against 1,000", ratio(points, 100000, 1000, drift), "grows"),
        Finding("reads at 1,000 against 250", ratio(points, 1000, 250, READ), "stays"),
        Finding("reads at 1,000,000, where memory has everything, against 250", ratio(points, 1000000, 250, READ),
                "stays")]


def figure_13(points):
    lines, findings, tops = [], [], {}
    for distribution in ("uniform", "Zipf"):
        lines += [f"Keys drawn {distribution}:", ""]
        lines += rate_table(chosen(points, distribution=distribution), "write") + [""]
    for engine in LOG_STRUCTURED:
        for distribution in ("uniform", "Zipf"):
            for on_disk in (False, True):
                tops[engine, distribution, on_disk] = ops(
                    top_of(points, engine, "write", distribution=distribution, on_disk=on_disk), "write")
    lines += rows_of(["writes/s, as fast as it goes", "uniform", "Zipf", "uniform, on a disk", "Zipf, on a disk"],
                     [[engine] + [tops[engine, distribution, on_disk] for on_disk in (False, True)
                                  for distribution in ("uniform", "Zipf")] for engine in LOG_STRUCTURED])
    for engine in ("hybridlog", "appendlog"):
        findings.append(Finding(f"uniform, most writes/s: {engine} against lsm",
                                tops[engine, "uniform", False] / tops["lsm", "uniform", False], "grows"))
    for engine, want in (("lsm", "grows"), ("hybridlog", "grows"), ("appendlog", "falls")):
        findings.append(Finding(f"{engine}, most writes/s: Zipf against uniform",
                                tops[engine, "Zipf", False] / tops[engine, "uniform", False], want))
    findings.append(Finding("Zipf, most writes/s: hybridlog against the better of the others", tops[
        "hybridlog", "Zipf", False] / max(tops["lsm", "Zipf", False], tops["appendlog", "Zipf", False]), "grows"))
    return lines, findings


def figure_14(points):
    by = {(p["engine"], p["distribution"]): ops(p, "write") for p in points}
    engines = list(dict.fromkeys(p["engine"] for p in points))
    return rows_of(["writes/s", "uniform", "Zipf"],
                   [[engine, by[engine, "uniform"], by[engine, "Zipf"]] for engine in engines]), [
        Finding(f"{distribution}: hybridlog against lsm", by["hybridlog", distribution] / by["lsm", distribution],
                "grows")
        for distribution in ("uniform", "Zipf")]


def reads_of(points, engine, distribution, kind):
    found = chosen(points, engine=engine, distribution=distribution, kind=kind)
    return next((us("read")(p) for p in found if "rate" not in p), "")


def figure_15(points):
    lines, findings = [], []
    for distribution in ("uniform", "Zipf"):
        lines += [f"Keys drawn {distribution}:", ""]
        lines += rate_table(chosen(points, distribution=distribution), "read") + [""]
    lines += rows_of(["closed loop, read p50 us", "uniform, after loading", "after 10⁶ updates",
                      "Zipf, after loading", "after 10⁶ updates"],
                     [[engine] + [reads_of(points, engine, distribution, kind) for distribution in ("uniform", "Zipf")
                                  for kind in ("read", "after updates")] for engine in LOG_STRUCTURED] +
                     [["lsm, blocks of 4 KiB"] + [cell for distribution in ("uniform", "Zipf") for cell in (
                         reads_of(points, "lsm", distribution, "4 KiB blocks"), "")]])
    for engine in ("hybridlog", "appendlog"):
        findings.append(Finding(f"uniform, reads: {engine} against lsm", reads_of(points, engine, "uniform", "read") /
                                reads_of(points, "lsm", "uniform", "read"), "falls"))
    findings.append(Finding(
        "uniform, reads: appendlog against lsm with blocks of the same size",
        reads_of(points, "appendlog", "uniform", "read") / reads_of(points, "lsm", "uniform", "4 KiB blocks"), None))
    return lines, findings


def kept_bytes(point):
    """The mean of the last quarter, as it goes up and down with what has been written to a file."""
    samples = point["result"]["rest_memory"]
    return statistics.mean(samples[-len(samples) // 4:])


def figure_16(points):
    kept = {p["engine"]: kept_bytes(p) for p in points}
    told = points[0]["told"]
    put = told["writes"] * told["samples"] * (told["key_bytes"] + told["value_bytes"])
    return rows_of([f"{put / 1000:,.0f} KB put", "memory, KB", "bytes/key"],
                   [[engine, kept[engine] / 1000, kept[engine] / (told["writes"] * told["samples"])]
                    for engine in ENGINES]), [
        Finding("hybridlog against appendlog", kept["hybridlog"] / kept["appendlog"], "grows"),
        Finding("appendlog against lsm", kept["appendlog"] / kept["lsm"], "grows")]


def ends(point, network):
    """Means of the first and the last increments, us."""
    all_us = thesis_draw.snapshot_us(point, network)
    return statistics.mean(all_us[:ENDS]), statistics.mean(all_us[-ENDS:])


def snapshots(figure):
    def table(points):
        rows, goals = [], []
        for point in points:
            result = point["result"]
            plain, network = ends(point, False), ends(point, True)
            rows.append([point["engine"] + (", on a disk" if point["on_disk"] else ""),
                         statistics.mean(result["snapshot_bytes"][1:]), plain[0], plain[1], plain[1] / plain[0],
                         statistics.median(result["snapshot_us"][1:]), max(result["snapshot_us"][1:]),
                         network[1] / network[0]])
            if figure == "4.17b" and not point["on_disk"]:
                relation, bound = GOALS[point["engine"]]
                for value, how in ((plain[1] / plain[0], "without a network"), (network[1] / network[0], "with it")):
                    holds = value <= bound if relation == "<=" else value >= bound
                    goals.append(f"- {point['engine']}, last {ENDS} against first {ENDS}, {how}: × {human(value)}; "
                                 f"goal {'≤' if relation == '<=' else '≥'} {bound} "
                                 f"{'holds' if holds else '**missed**'}")
        keys = points[0]["result"]["keys"]
        lines = rows_of(["", "bytes a snapshot", f"mean of the first {ENDS}, us", f"of the last {ENDS}", "ratio",
                         "median", "longest", "ratio with network"], rows)
        return lines + ["", f"In the end there are {human(keys)} keys."] + ([""] + goals if goals else []), []
    return table


FIGURES = {"4.1": figure_1, "4.2": figure_2, "4.3": figure_3, "4.4": figure_4, "4.5": figure_5, "4.6": figure_6,
           "4.7": figure_7, "4.8": figure_8, "4.9": figure_9, "4.10": figure_10("write"), "4.11": figure_10("read"),
           "4.12": figure_12, "4.13": figure_13, "4.14": figure_14, "4.15": figure_15, "4.16": figure_16,
           "4.17a": snapshots("4.17a"), "4.17b": snapshots("4.17b")}


# --- what takes several figures ---

def summary(findings):
    rows = [[figure, one.what, f"× {human(one.ratio)}", one.thesis or "", one.here() if one.thesis else ""]
            for figure, ones in findings.items() for one in ones]
    same = sum(row[3] == row[4] for row in rows if row[3])
    said = sum(bool(row[3]) for row in rows)
    table_ = ["| figure | what | here | the thesis: it | here it |", "|---|---|---:|---|---|"]
    return table_ + ["| " + " | ".join(row) + " |" for row in rows] + ["", f"{same} of {said} are as in the thesis."]


def sides(by_figure):
    """Needs 4.13, 4.15, 4.16 and 4.17b."""
    rates, memory, last = by_figure["4.13"], by_figure["4.16"], by_figure["4.17b"]
    rows = []
    for engine in LOG_STRUCTURED:
        snapshot = next(p for p in chosen(last, engine=engine, on_disk=False))
        on_disk = next((p for p in chosen(last, engine=engine, on_disk=True)), None)
        rows.append([engine] + [ops(top_of(rates, engine, "write", distribution=one, on_disk=False), "write")
                                for one in ("uniform", "Zipf")] +
                    [reads_of(rates, engine, one, "after updates") for one in ("uniform", "Zipf")] +
                    [kept_bytes(chosen(memory, engine=engine)[0]) / 1000,
                     statistics.median(snapshot["result"]["snapshot_us"][1:]),
                     statistics.median(on_disk["result"]["snapshot_us"][1:]) if on_disk else ""])
    return rows_of(["", "writes/s, uniform", "Zipf", "read us, uniform", "Zipf", "memory for 10⁵ keys, KB",
                    "snapshot of 100 pairs, us", "on a disk"], rows)


def dumps(by_figure):
    points = chosen(by_figure["4.17b"], on_disk=False)
    dump = chosen(points, engine="memory")[0]
    rows = []
    for point in points:
        row = [point["engine"]]
        for network in (False, True):
            row += [sum(thesis_draw.snapshot_us(point, network)) / 1e6,
                    sum(thesis_draw.snapshot_us(dump, network)) / sum(thesis_draw.snapshot_us(point, network))]
        rows.append(row + [sum(point["result"]["snapshot_bytes"][1:]) / 1e6])
    return rows_of(["1,000 snapshots", "s", "a dump takes so many times as long", "s with a network of 1 MB/s",
                    "a dump takes so many times as long", "MB written"], rows)


def fill(experiments, wheres, path):
    """experiments: {names: points}, wheres: {names: when and where they were measured}.  Returns the findings."""
    by_figure = {name: points for names, points in experiments.items() for name in names.split()}
    where_of = {name: where for names, where in wheres.items() for name in names.split()}
    texts, findings = {}, {}
    for name, take in FIGURES.items():
        if name in by_figure:
            lines, findings[name] = take(by_figure[name])
            lines += [""] + [one.line() for one in findings[name]] + ([""] if findings[name] else [])
            texts[name] = "\n".join(lines + [where_of[name]]) + "\n"
    if len(texts) == len(FIGURES):
        texts["summary"] = "\n".join(summary(findings)) + "\n"
        texts["sides"] = "\n".join(sides(by_figure)) + "\n"
        texts["dumps"] = "\n".join(dumps(by_figure)) + "\n"
    with open(path, encoding="utf-8") as file:
        page = file.read()

    def one(match):
        return match[1] + texts[match[2]] + match[4] if match[2] in texts else match[0]

    with open(path, "w", encoding="utf-8") as file:
        file.write(PLACE.sub(one, page))
    return texts
