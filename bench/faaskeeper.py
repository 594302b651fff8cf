#!/usr/bin/env python3
"""bench/faaskeeper.py BUILD [NAME ...] [--rounds N] [--seconds S] [--largest N] [--draw]: FaaSKeeper's experiments on the keeper.

Runs those that are named (all without names: sizes, shares, growth), keeps what they measured in BUILD/keeper-figures.json
beside what was there of others, draws docs/figures/keeper-*.svg from that, and fills the tables of docs/keeper.md.  --draw
only does the latter.  `make figures` calls this, `make figures ONLY=keeper` nothing else.
"""
import argparse
import json
import os
import platform
import sys
import time

sys.dont_write_bytecode = True
from suite import base, faaskeeper, faaskeeper_draw, report  # noqa: E402 pylint: disable=wrong-import-position


def fill(path, texts):
    """What stands between <!-- keeper:NAME --> and <!-- end --> is the table of that name."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    for name, text in texts.items():
        head, _, rest = page.partition(f"<!-- keeper:{name} -->\n")
        if rest:
            page = f"{head}<!-- keeper:{name} -->\n{text}\n<!-- end -->" + rest.partition("<!-- end -->")[2]
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def where(bench):
    return (f"Measured {time.strftime('%Y-%m-%d')} at {report.revision(bench.source)}: {os.cpu_count()} cores of "
            f"{report.processor()}, Linux {platform.release()}, folders on {base.file_system(bench.folder)}; load at the "
            f"begin {os.getloadavg()[0]:.1f}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build")
    parser.add_argument("names", nargs="*", metavar="NAME", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of one measurement")
    parser.add_argument("--largest", type=int, default=faaskeeper.COUNTS[-1], help="tree or folder of `growth`")
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    options = parser.parse_intermixed_args()
    unknown = set(options.names) - set(faaskeeper.EXPERIMENTS)
    if unknown:
        print(f"figures: there is no {', '.join(sorted(unknown))}; there are: {', '.join(faaskeeper.EXPERIMENTS)}",
              file=sys.stderr)
        return 2
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    build = os.path.join(source, options.build)
    out = os.path.join(build, "keeper-figures.json")
    try:
        with open(out, encoding="utf-8") as file:
            kept = json.load(file)
    except FileNotFoundError:
        kept = {}
    if not options.draw:
        os.environ.setdefault("CAIRN_BUILD", build)
        os.environ.setdefault("CAIRN", os.path.join(build, "cairn"))
        os.environ.setdefault("CAIRN_GUESTS", build)
        bench = base.Bench(options.rounds, options.seconds)
        try:
            bench.warn_if_busy()
            told = where(bench)
            for name in options.names or faaskeeper.EXPERIMENTS:
                bench.say(f"{name} ...")
                kept[name] = faaskeeper.EXPERIMENTS[name](bench, options.rounds, options.seconds, options.largest)
                kept["where"] = told
                with open(out, "w", encoding="utf-8") as file:
                    json.dump(kept, file)
        finally:
            bench.close()
    drawn = faaskeeper_draw.draw(kept, os.path.join(source, "docs", "figures"))
    fill(os.path.join(source, "docs", "keeper.md"), {"where": kept.get("where", ""), **faaskeeper_draw.texts(kept)})
    print(f"{drawn} figures in docs/figures, their numbers in {os.path.relpath(out, source)} and docs/keeper.md")
    return 0


sys.exit(main())
