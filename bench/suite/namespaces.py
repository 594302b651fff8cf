"""What an idle namespace costs: 10,000 of them, which nobody uses.

Two nodes with --sync always, with one namespace beside `default` and with COUNT.  Bytes are the growth of resident memory by
making them, divided by their number, and the same over a restart.  CPU is of all threads over IDLE_SECONDS.  Start-up is from the
start of the process to the first answer of /readyz, after SIGKILL, in turns.
"""
import http.client
import time

from .base import Broken, Cairn, median

COUNT, IDLE_SECONDS = 10000, 5


def make(node, first, count):
    connection = http.client.HTTPConnection("127.0.0.1", node.http, timeout=60)
    for number in range(first, first + count):
        connection.request("PUT", f"/v1/namespaces/tenant-{number:05}")
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != 201:
            raise Broken(f"making a namespace: {reply.status} {body[:300]}")
    connection.close()


def run(bench):
    few, many = [Cairn(bench, name, "--sync", "always").deploy("retwis") for name in ("one", "many")]
    make(few, 0, 1)
    make(many, 0, 1)
    time.sleep(1)
    before = many.process.rss_bytes()
    begin = time.monotonic()
    make(many, 1, COUNT - 1)
    seconds = time.monotonic() - begin
    made = (many.process.rss_bytes() - before) / (COUNT - 1)
    bench.note(f"namespaces: {COUNT:,} were made in {seconds:.1f} s, one after the other")
    time.sleep(2)
    cpu = []
    for _ in range(bench.rounds):
        spent, start = many.process.cpu_seconds(), time.monotonic()
        time.sleep(IDLE_SECONDS)
        cpu.append(100 * (many.process.cpu_seconds() - spent) / (time.monotonic() - start))
    starts, memory = {few: [], many: []}, {few: [], many: []}
    for _, node in bench.turns([few, many], max(5, bench.rounds)):
        node.kill()
        starts[node].append(1e3 * node.start())
        time.sleep(0.5)
        memory[node].append(node.process.rss_bytes())
    bench.row("10,000 idle namespaces: memory of each", "bytes", made, goal=("cairn", "<=", 4096))
    bench.row("10,000 idle namespaces: memory of each, after a restart", "bytes",
              (median(memory[many]) - median(memory[few])) / (COUNT - 1), goal=("cairn", "<=", 4096))
    bench.row("10,000 idle namespaces: CPU", "% of a core", median(cpu), goal=("cairn", "<=", 0.1))
    bench.row("10,000 idle namespaces: start-up", "ms", median(starts[many]), median(starts[few]), "one namespace",
              goal=("ratio", "<=", 1.2))
