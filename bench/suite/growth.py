"""How cost grows, in process, without protocol and sync: cairn beside itself at another size.

objects    Post by users with 10 followers each, of 10^3 .. 10^6 users.  Equal at all sizes: the work of a post; every
           timeline has an entry before, none is full (a fresh node each time), so no delivery drops one.  Not equal:
           with more users fewer of them are at hand (in the processor's caches, in the node's of active objects),
           which is what is asked.
followers  Post with 1 .. 1000 followers; always 2000 users in all, timelines full.  The cost of a follower is the slope
           between neighbouring sizes.
workers    the same Post with one worker thread and with two, each submitting and running in its own loop; the log's
           thread shares the cores.  How far apart these are is told beside it: what one line of their caches takes there
           and back, which a virtual machine's host changes from one minute to the next.
"""
from .base import median

POSTS = 7000


def post(bench, **options):
    command = [bench.program("inprocess"), "post", "--data", bench.new_folder("post"), "--guests", bench.guests]
    for name, value in options.items():
        command += ["--" + name, str(value)]
    return bench.run(command)


def objects(bench):
    sizes = {1000: "10^3", 10000: "10^4", 100000: "10^5", 1000000: "10^6"}
    figures = {size: [] for size in sizes}
    for _, size in bench.turns(list(sizes)):
        figures[size].append(post(bench, objects=size, authors=min(size, 20000), followers=10, fill=1,
                                  count=POSTS))
    least = median([one["throughput"] for one in figures[1000]])
    bench.note("Post by users, CPU time of the worker, us: " + ", ".join(
        f"{name}: {median([one['post_worker_us'] for one in figures[size]]):.1f}" for size, name in sizes.items()))
    for size, name in sizes.items():
        if size != 1000:
            bench.row(f"Post, {name} users", "posts/s", median([one["throughput"] for one in figures[size]]), least,
                      "cairn, 10^3 users", goal=("ratio", ">=", 0.75) if size == 1000000 else None)


def followers(bench):
    users, deliveries = 2000, 200000
    figures = {size: [] for size in (0, 1, 10, 100, 1000)}
    for _, size in bench.turns(list(figures)):
        authors = users if size < 10 else 20000 // size
        fill = {0: 100, 1: 50}.get(size, 10)  # times that everybody posts until all timelines are full
        count = deliveries // (size + 5) + 40
        figures[size].append(post(bench, objects=users, authors=authors, followers=size, fill=fill, count=count))
    cost = {size: median([one["post_us"] for one in figures[size]]) for size in figures}
    cpu = {size: median([one["post_worker_us"] for one in figures[size]]) for size in figures}
    bench.note("Post by followers, us: " + ", ".join(f"{size}: {us:.1f}" for size, us in cost.items())
               + "; CPU time of the worker: " + ", ".join(f"{size}: {us:.1f}" for size, us in cpu.items()))
    slope = {(a, b): (cost[b] - cost[a]) / (b - a) for a, b in ((1, 10), (10, 100), (100, 1000))}
    for (a, b), us in slope.items():
        if (a, b) != (1, 10):
            bench.row(f"cost of a follower, {a} to {b}", "us", us, slope[1, 10], "cairn, 1 to 10 followers",
                      goal=("ratio", "within", 0.2))


def workers(bench):
    figures = {1: [], 2: []}
    for _, count in bench.turns([1, 2]):
        figures[count].append(post(bench, objects=10000, authors=10000, followers=10, count=40000, workers=count))
    bench.row("Post, 2 workers", "posts/s", median([one["throughput"] for one in figures[2]]),
              median([one["throughput"] for one in figures[1]]), "cairn, 1 worker", goal=("ratio", ">=", 1.6))
    for count, of in figures.items():
        bench.note(f"Post, {count} worker{'s' if count > 1 else ''}: " + ", ".join(
            f"{median([one[key] for one in of]):.1f} us {what}" for key, what in (
                ("post_us", "each"), ("post_all_us", "CPU time of all threads"))))
    bench.note("a line of the caches went from core to core and back, before and after each run of 2 workers, in " +
               ", ".join("{:.0f} and {:.0f}".format(*one["bounce_ns"]) for one in figures[2]) + " ns")
