#!/usr/bin/env python3
"""bench/thesis.py BUILD [FIGURE ...] [--rounds N] [--draw]: the thesis's experiments on the state engines.

Runs those of the figures named (all without names: 4.1 .. 4.16, 4.17a, 4.17b) with BUILD/bench_thesis, keeps what they
measured in BUILD/figures.json beside what was there of others, and from that draws docs/figures/engines-*.svg and fills
the tables of docs/engines.md.  --draw only does the latter.  `make figures` calls this.

Data folders are made in memory, and where it matters on a disk: below CAIRN_BENCH_DATA, or BUILD.
"""
import argparse
import json
import os
import platform
import sys
import time

sys.dont_write_bytecode = True
from suite import base, report, thesis, thesis_draw, thesis_page  # noqa: E402 pylint: disable=wrong-import-position


def where(bench, points):
    kinds = sorted({p["file_system"] for p in points})
    rounds = sorted({len(p["rounds"]) for p in points})
    return (f"Measured {time.strftime('%Y-%m-%d')} at {report.revision(bench.source)}: {os.cpu_count()} cores of "
            f"{report.processor()}, Linux {platform.release()}, folders on {' and '.join(kinds)}; "
            f"{' or '.join(str(count) for count in rounds)} round{'s, medians' if rounds[-1] > 1 else ''}.")


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def measure(bench, figures, rounds, kept):
    """{names: {where, points}} of all that is measured by now."""
    try:
        bench.warn_if_busy()
        for names, points in thesis.run(bench, figures, rounds).items():
            kept[names] = {"where": where(bench, points), "points": points}
    finally:
        bench.close()
    return {names: kept[names] for names in thesis.EXPERIMENTS if names in kept}


def main():
    known = [name for names in thesis.EXPERIMENTS for name in names.split()]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build")
    parser.add_argument("figures", nargs="*", metavar="FIGURE")
    parser.add_argument("--rounds", type=int, default=thesis.ROUNDS)
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    options = parser.parse_intermixed_args()
    unknown = set(options.figures) - set(known)
    if unknown:
        print(f"figures: there is no {', '.join(sorted(unknown))}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    begin = time.monotonic()
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    build = os.path.join(source, options.build)
    out = os.path.join(build, "figures.json")
    kept = read(out)
    if not options.draw:
        os.environ["CAIRN_BUILD"] = build
        kept = measure(base.Bench(options.rounds, 0), options.figures or known, options.rounds, kept)
        with open(out, "w", encoding="utf-8") as file:
            json.dump(kept, file)
            file.write("\n")
    experiments = {names: each["points"] for names, each in kept.items()}
    drawn = thesis_draw.draw(experiments, os.path.join(source, "docs", "figures"))
    texts = thesis_page.fill(experiments, {names: each["where"] for names, each in kept.items()},
                             os.path.join(source, "docs", "engines.md"))
    for line in texts.get("summary", "").splitlines() + texts.get("4.17b", "").splitlines():
        print(line)
    print(f"\n{drawn} figures in docs/figures, their numbers in {os.path.relpath(out, source)} and docs/engines.md, "
          f"after {time.monotonic() - begin:.0f} s; load at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


sys.exit(main())
