"""Puts measured figures into docs/performance.md: a table per benchmark, between the lines that mark its place.

    <!-- bench NAME: ... -->
    (the table)
    <!-- end -->
"""
import os
import platform
import re
import subprocess
import time

from .base import human

PLACE = re.compile(r"(<!-- bench (\w+) -->\n)(.*?)(<!-- end -->)", re.S)


def revision(source):
    done = subprocess.run(["git", "-C", source, "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL, check=False)
    return done.stdout.strip() or "unknown"


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def table(rows, notes, where):
    lines = ["| | unit | cairn | peer | | cairn / peer | goal |", "|---|---|---:|---:|---|---:|---|"]
    for row in rows:
        goal = ""
        if row.goal:
            of, relation, bound = row.goal
            sign = {">=": f"≥ {bound:g}", "<=": f"≤ {bound:g}", "within": f"1 ± {bound:g}"}[relation]
            goal = sign + ("" if of == "cairn" else " ×") + (" holds" if row.verdict().startswith("holds") else " **missed**")
        lines.append(f"| {row.name} | {row.unit} | {human(row.cairn)} | {human(row.peer)} | {row.peer_name or ''} | "
                     f"{human(row.ratio)} | {goal} |")
    lines += [""] + [f"- {note}" for note in notes] + ([""] if notes else [])
    return "\n".join(lines) + f"\n{where}\n"


def write(bench, path, by_case):
    """by_case: name -> (rows, notes)."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    where = (f"Measured {time.strftime('%Y-%m-%d')} at {revision(bench.source)}: {os.cpu_count()} cores of {processor()}, "
             f"Linux {platform.release()}; {bench.rounds} rounds, medians.")

    def fill(match):
        rows, notes = by_case.get(match[2], ([], []))
        return match[0] if not rows else match[1] + table(rows, notes, where) + match[4]

    with open(path, "w", encoding="utf-8") as file:
        file.write(PLACE.sub(fill, text))
