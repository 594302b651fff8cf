"""FaaSKeeper's figures from what faaskeeper.py measured: docs/figures/keeper-*.svg, with gnuplot; and their tables."""
import os
import shutil

from .thesis_draw import Panel, render, script_of

COLOURS = {"in memory": "#8a8a8a", "engine on disk": "#1b6ca8", "blob store": "#c0504d", "hybrid": "#e39b4f",
           "ZooKeeper 3.8": "#5b8c5a", "get": "#1b6ca8", "exists": "#e39b4f", "set": "#c0504d",
           "follower": "#1b6ca8", "leader": "#c0504d", "log": "#e39b4f", "queues": "#8a8a8a", "rest": "#d9d9d9"}
PARTS = {"follower": "follower", "leader": "leader", "log": "log", "queues": "queues", "rest": "port, and the put"}


def sizes(points):
    panels = []
    for what, title in (("read_us", "getData"), ("write_us", "setData")):
        panel = Panel("bytes of a node", "p50, us", "xy", title)
        for side in dict.fromkeys(point["side"] for point in points):
            panel.add(side, COLOURS[side], [(point["bytes"], point[what]) for point in points if point["side"] == side])
        panels.append(panel)
    return script_of(panels)


def growth(experiment):
    panels = []
    for what, title in (("nodes", "nodes of the tree"), ("children", "children of the folder")):
        panel = Panel(title, "p50, us", "x", "")
        for work in dict.fromkeys(point["work"] for point in experiment[what]):
            panel.add(work, COLOURS[work],
                      [(point["count"], point["us"]) for point in experiment[what] if point["work"] == work])
        panels.append(panel)
    return script_of(panels)


def human(size):
    return f"{size} B" if size < 1000 else f"{size / 1000:.0f} kB"


def shares(points):
    """Stacked bars, a panel for each storage."""
    plots, data = [], []
    for number, storage in enumerate(dict.fromkeys(point["storage"] for point in points)):
        rows = [f'"{human(point["bytes"])}" ' + " ".join(f"{point[part] / 1e3:.6g}" for part in PARTS)
                for point in points if point["storage"] == storage]
        data.append(f"$d{number} << EOD\n" + "\n".join(rows) + "\nEOD\n")
        bars = ", ".join(f"$d{number} using {i + 2}:xtic(1) title '{title}' lc rgb '{COLOURS[part]}'"
                         for i, (part, title) in enumerate(PARTS.items()))
        title = "data in the engine" if storage == "engine" else "data in the blob store"
        plots.append(f"set title '{title}'\nset ylabel 'p50, ms'\nplot {bars}\n")
    style = ("set style data histograms\nset style histogram rowstacked\nset style fill solid 0.9 border -1\n"
             "set boxwidth 0.7\nset grid ytics\nset key outside top center horizontal maxrows 2\nset xtics scale 0\n"
             "set yrange [0:*]\n")
    return 1000, 400, "".join(data) + style + "set multiplot layout 1,2\n" + "".join(plots) + "unset multiplot\n"


def draw(kept, folder):
    """kept: {experiment: what was measured}.  Returns the number of figures."""
    if not shutil.which("gnuplot"):
        print("figures: gnuplot is not there; no figures are drawn")
        return 0
    os.makedirs(folder, exist_ok=True)
    for name, script in (("sizes", sizes), ("shares", shares), ("growth", growth)):
        if name in kept:
            render(*script(kept[name]), os.path.join(folder, f"keeper-{name}.svg"))
    return sum(name in kept for name in ("sizes", "shares", "growth"))


# --- tables ---


def rows(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|"] +
                     ["| " + " | ".join(line) + " |" for line in lines])


def ms(us):
    return f"{us / 1e3:.2f}" if us < 10000 else f"{us / 1e3:.0f}"


def size_table(points, what):
    counts = list(dict.fromkeys(point["bytes"] for point in points))
    by_side = {}
    for point in points:
        by_side.setdefault(point["side"], {})[point["bytes"]] = point[what]
    return rows(["ms, p50"] + [human(count) for count in counts],
                [[side] + [ms(of[count]) for count in counts] for side, of in by_side.items()])


def share_table(points):
    lines = []
    for point in points:
        total = sum(point[part] for part in PARTS)
        lines.append([point["storage"], human(point["bytes"]), ms(total)] +
                     [f"{100 * point[part] / total:.0f} %" for part in PARTS])
    return rows(["storage", "node", "ms"] + list(PARTS.values()), lines)


def growth_table(experiment):
    lines = []
    for what, points in experiment.items():
        for work in dict.fromkeys(point["work"] for point in points):
            of = sorted((point["count"], point["us"]) for point in points if point["work"] == work)
            lines.append([f"{what}, {work}", " / ".join(f"{us:.0f}" for _, us in of),
                          f"{max(us for _, us in of) / min(us for _, us in of):.2f}"])
    return rows(["by", "us, from few to many", "slowest / fastest"], lines)


def texts(kept):
    found = {}
    if "sizes" in kept:
        found["reads"] = size_table(kept["sizes"], "read_us")
        found["writes"] = size_table(kept["sizes"], "write_us")
    if "shares" in kept:
        found["shares"] = share_table(kept["shares"])
    if "growth" in kept:
        found["growth"] = growth_table(kept["growth"])
    return found
