"""What an invocation costs on a worker, without protocol and sync (bench_inprocess says how it is measured).

There is no peer: the figures stand beside their goals.  A nested call is measured as a call of a read-only method
of another object by a read-only method, less an invocation that does the same without the call.
"""
from .base import median

COUNT = 100000


def run(bench):
    figures = []
    for _ in range(bench.rounds):
        figures.append(bench.run([bench.program("inprocess"), "isolated", "--data", bench.new_folder("isolated"),
                                  "--guests", bench.guests, "--count", str(COUNT)]))
    for name, key, bound in (("read-only invocation", "get_us", 1.5), ("writing invocation", "set_us", 3),
                             ("a nested call adds", "nested_us", 3), ("a second nested call adds", "nested_more_us", None),
                             ("a nested writing call adds", "nested_set_us", None),
                             ("a second nested writing call adds", "nested_set_more_us", None)):
        bench.row(f"in process: {name}", "us", median([one[key] for one in figures]),
                  goal=("cairn", "<=", bound) if bound else None)
        bench.note(f"in process: {name}: " + ", ".join(
            f"{median([one[key.replace('_us', part)] for one in figures]):.2f} us {what}"
            for part, what in (("_worker_us", "CPU time of the worker"), ("_all_us", "of all threads"))))
