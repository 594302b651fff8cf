#!/usr/bin/env python3
"""bench/run.py [NAME ...] [--rounds N] [--seconds S] [--out FILE] [--before BINARY]: cairn beside its peers.

Runs the benchmarks named (all without names; --list tells them), prints a table, and writes FILE (build/bench.json): a
list of {name, unit, cairn, peer, peer_name, ratio}.  ratio is cairn / peer; where there is no peer, both are null.
Every figure is the median of the rounds, in which cairn and its peers take turns on the same machine.  Each module of
bench/suite says at its head what its sides have in common and what they have not.

`make bench` calls this through tools/bench, which sets CAIRN (the binary), CAIRN_BUILD (where the programs and
modules lie) and CAIRN_REDIS_SERVER.  Data folders are made below CAIRN_BENCH_DATA, or the build folder: a real disk.
"""
import argparse
import json
import os
import sys
import time
import traceback

from suite import (base, before, durable, engines, faaskeeper, figures, growth, inprocess, keeper, keys, messages,
                   namespaces, nodes, ordered, paper, platforms, recovery, report, results, retwis, single, timers, transfer,
                   values)

CASES = {
    "retwis": retwis.run,        # Redis functions, by redis-benchmark
    "paper": paper.run,          # aggregated against disaggregated
    "platforms": platforms.run,  # workerd's Durable Objects, Restate
    "inprocess": inprocess.run,  # what an invocation costs
    "messages": messages.run,    # awaited calls; BullMQ on Redis, Restate
    "durable": durable.run,      # three durable steps, Restate
    "results": results.run,      # those that are kept, and that none is stale
    "keys": keys.run,            # the cache, beside Redis
    "values": values.run,        # its large values, beside Redis
    "transfer": transfer.run,    # transactions: two calls, Redis functions, PostgreSQL
    "ordered": ordered.ordered,  # an ordered map beside a map, in process
    "leaders": ordered.leaders,  # a leaderboard, beside Redis' sorted sets
    "objects": growth.objects,
    "followers": growth.followers,
    "workers": growth.workers,
    "single": single.run,        # one client, one post at a time
    "engines": engines.run,      # the state engines as a library, beside RocksDB, LevelDB, LMDB
    "nodes": nodes.run,          # the node on its engines on disk, beside the one in memory
    "keeper": keeper.run,        # ZooKeeper's clients, beside ZooKeeper
    "keeper-growth": faaskeeper.run_growth,  # a million nodes, a million children; minutes
    "timers": timers.run,        # a million, and ten thousand due a second
    "namespaces": namespaces.run,  # ten thousand that nobody uses
    "idle": recovery.idle,
    "restart": recovery.restart,
    "stall": recovery.stall,
    "before": before.run,        # an older cairn, --before; left out without it
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of one measurement")
    parser.add_argument("--out")
    parser.add_argument("--before", metavar="BINARY", help="an older cairn, with its tree's programs beside it")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--docs", action="store_true", help="also put the figures into docs/performance.md")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CASES))
        return 0
    names = [name for given in options.names for name in given.replace(",", " ").split()]
    names = names or [name for name in CASES if name != "before" or options.before]
    unknown = [name for name in names if name not in CASES]
    if unknown:
        print(f"bench: there is no {', '.join(unknown)}; there are: {', '.join(CASES)}", file=sys.stderr)
        return 2

    bench = base.Bench(options.rounds, options.seconds, options.before)
    begin = time.monotonic()
    failed, by_case = [], {}
    bench.warn_if_busy()
    try:
        for name in names:
            start, rows, notes = time.monotonic(), len(bench.rows), len(bench.notes)
            bench.say(f"{name} ...")
            try:
                CASES[name](bench)
            except base.Broken as error:
                failed.append(name)
                bench.say(f"{name} FAILED: {error}")
            except Exception:  # pylint: disable=broad-exception-caught
                failed.append(name)  # the others are still worth measuring
                bench.say(f"{name} FAILED:\n{traceback.format_exc()}")
            finally:
                bench.stop_all()
            by_case[name] = (bench.rows[rows:], bench.notes[notes:])
            bench.say(f"{name} took {time.monotonic() - start:.0f} s")
    finally:
        bench.close()
    out = options.out or os.path.join(bench.build, "bench.json")
    with open(out, "w", encoding="utf-8") as file:
        json.dump([row.record() for row in bench.rows], file, indent=1)
        file.write("\n")
    base.print_table(bench.rows)
    for line in bench.notes:
        print("  " + line)
    print(f"\n{len(bench.rows)} figures in {out} after {time.monotonic() - begin:.0f} s; "
          f"{options.rounds} rounds, medians; load at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if options.docs:
        report.write(bench, os.path.join(bench.source, "docs", "performance.md"), by_case)
    if any(row.name.startswith(paper.PREFIX) for row in bench.rows):
        figures.draw(out, os.path.join(bench.source, "docs") if options.docs else bench.build)
    if failed:
        print(f"FAILED: {', '.join(failed)}")
        return 1
    return 0


sys.exit(main())
