"""A node by itself: idle; its memory per object; its restart after SIGKILL; the stall that a checkpoint causes.

idle     RSS and CPU of a node with ReTwis deployed that nobody talks to, over IDLE_SECONDS.
restart  10^6 objects (16-byte id, one value of 100 bytes) and at least 200 MiB of log beyond the checkpoint; SIGKILL
         in the middle of a load; then from the start of the process to the first answer of /readyz.  --log-max is 512
         MiB instead of 256: otherwise checkpoints begin at 128 MiB of log, and there would hardly be 200.
         Memory per object is what the resident memory grew by, less the 116 bytes of data; once after they were
         written, and once after the restart.
stall    10^6 objects with values of 1 KiB are checkpointed, as the log beyond the last checkpoint has grown too long,
         while STALL_CLIENTS clients write; one other client reads objects that nobody writes, one at a time, and the
         longest time that a read took is the figure.  The peer is the same with checkpoints kept away by a large
         --log-max: what the machine and the load cost by themselves.
"""
import subprocess
import time

from .base import Broken, Cairn, Process, median

MILLION = 1000000
IDLE_SECONDS = 10
STALL_CLIENTS, STALL_SECONDS_MAX = 8, 60


def idle(bench):
    memory, cpu = [], []
    node = Cairn(bench).deploy("retwis")
    time.sleep(2)
    for _ in range(bench.rounds):
        before, start = node.process.cpu_seconds(), time.monotonic()
        time.sleep(IDLE_SECONDS / 2)
        cpu.append(100 * (node.process.cpu_seconds() - before) / (time.monotonic() - start))
        memory.append(node.process.rss_bytes() / 1e6)
    bench.row("idle node, resident memory", "MB", median(memory), goal=("cairn", "<=", 60))
    bench.row("idle node, CPU", "% of a core", median(cpu), goal=("cairn", "<=", 0.5))


def fill(bench, node, text_bytes, users=MILLION):
    return bench.load(node, "create", users=users, text_bytes=text_bytes, id_bytes=16, connections=32, pipeline=32)


def restart(bench):
    node = Cairn(bench, "cairn", "--log-max", "512").deploy("retwis")
    empty = node.process.rss_bytes()
    one = fill(bench, node, 100)
    bench.say(f"  a million objects created, {one['throughput']:,.0f} a second")
    time.sleep(2)  # what the log still holds in memory is written
    grown = (node.process.rss_bytes() - empty) / MILLION - 116
    for _ in range(20):
        if node.metrics()["cairn_checkpoint_log_bytes"] >= 208 << 20:
            break
        bench.load(node, "create", users=MILLION // 10, text_bytes=100, id_bytes=16, connections=32, pipeline=32)
    beyond = node.metrics()["cairn_checkpoint_log_bytes"]
    if beyond < 200 << 20:
        raise Broken(f"only {beyond / (1 << 20):.0f} MiB of log lie beyond the checkpoint")
    seconds, memory = [], []
    for _ in range(bench.rounds):
        with subprocess.Popen(bench.load_command(node, "create", users=MILLION, text_bytes=100, id_bytes=16,
                                                 connections=8), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as load:
            time.sleep(0.3)
            node.kill()
            load.wait(timeout=60)
        seconds.append(node.start())
        time.sleep(0.5)
        memory.append((node.process.rss_bytes() - empty) / MILLION - 116)
        bench.load(node, "profile", users=MILLION, id_bytes=16, connections=8, count=10000)
    bench.note(f"restart: {beyond / (1 << 20):.0f} MiB of log beyond the checkpoint")
    bench.row("restart after SIGKILL, 10^6 objects", "s", median(seconds), goal=("cairn", "<=", 3))
    bench.row("memory per object over its data", "bytes", grown, goal=("cairn", "<=", 250))
    bench.row("memory per object over its data, after a restart", "bytes", median(memory), goal=("cairn", "<=", 250))


def probe(bench, node, checkpoint):
    """The longest read, in ms, while others write; and the longest write."""
    before = node.metrics()["cairn_checkpoints_total"]
    writers = Process(bench, bench.load_command(node, "create", users=MILLION, text_bytes=1024, id_bytes=16,
                                                connections=STALL_CLIENTS), "writers")
    worst, ran, start = 0, 0, time.monotonic()
    while time.monotonic() - start < STALL_SECONDS_MAX:
        one = bench.load(node, "profile", users=1000, first=2 * MILLION, id_bytes=16, connections=1, pause_us=200,
                         seconds=1)
        ran += 1
        worst = max(worst, one["max_us"] / 1e3)
        if writers.process.poll() is not None:
            raise Broken(f"the writers ended: {writers.output()[-500:]}")
        written = node.metrics()["cairn_checkpoints_total"] - before
        if (ran >= 8 and not checkpoint) or written >= 16:  # every shard once
            break
    written = node.metrics()["cairn_checkpoints_total"] - before
    writers.kill()
    if checkpoint and written < 16:
        raise Broken(f"only {written:.0f} of 16 shards were checkpointed in {STALL_SECONDS_MAX} s")
    if not checkpoint and written:
        raise Broken("a checkpoint was written where none should be")
    return worst, ran


def stall(bench):
    figures = {}
    for checkpoint, log_max in ((True, "256"), (False, "16384")):
        node = Cairn(bench, "cairn", "--log-max", log_max).deploy("retwis")
        fill(bench, node, 1024)
        bench.load(node, "create", users=1000, first=2 * MILLION, text_bytes=100, id_bytes=16, connections=8)
        worst, seconds = probe(bench, node, checkpoint)
        bench.say(f"  {'with' if checkpoint else 'without'} a checkpoint: {worst:.1f} ms in {seconds} s")
        figures[checkpoint] = worst
        node.kill()
    bench.row("longest stall of others while 1 GiB is checkpointed", "ms", figures[True], figures[False],
              "no checkpoint", goal=("cairn", "<=", 20))
