"""The thesis's figures from what thesis.py measured: docs/figures/engines-4.01.svg and so on, with gnuplot."""
import math
import os
import shutil
import statistics
import subprocess

COLOURS = {"hybridlog": "#1b6ca8", "appendlog": "#c0504d", "lsm": "#e39b4f", "memory": "#8a8a8a",
           "write": "#1b6ca8", "read": "#c0504d"}
NETWORK_US = 1  # a byte
EVERY = 10  # increments; more points would only make the files large
PERCENTILES = (("p50_us", "p50", ""), ("p95_us", "p95", "dt 2"))


class Panel:
    def __init__(self, x, y, log="", title=""):
        self.x, self.y, self.log, self.title, self.series = x, y, log, title, []

    def add(self, title, colour, points, dash="", how="linespoints pt 7 ps 0.5"):
        points = sorted(points)
        if points:
            self.series.append((title, colour, points, dash, how))
        return self


def chosen(points, **labels):
    return [p for p in points if all(p.get(name) == value for name, value in labels.items())]


def latency(points, x_label, log="x"):
    """p50 and p95 of writes and reads against the parameter."""
    panel = Panel(x_label, "latency, us", log + "y")
    for kind in ("write", "read"):
        for key, name, dash in PERCENTILES:
            panel.add(f"{kind} {name}", COLOURS[kind], [(p["x"], p["result"][kind][key]) for p in points], dash)
    return panel


def mean_of(name):
    return lambda point: statistics.mean(point["result"][name])


def space(points, x_label, y_label, take, title, colour="#1b6ca8"):
    return Panel(x_label, y_label, "xy").add(title, colour, [(p["x"], take(p) / 1000) for p in points])


def written_by_merges(point):
    """For each byte of a key or value that was put."""
    told = point["told"]
    puts = told["writes"] * told["samples"] + told["keys"]
    return point["result"]["merged_bytes"] / (puts * (told["key_bytes"] + told["value_bytes"]))


def runs(points):
    label = "max\\_runs\\_per\\_level"
    merges = Panel(label, "bytes merges write for a byte put")
    for engine in ("lsm", "appendlog"):
        merges.add(engine, COLOURS[engine], [(p["x"], written_by_merges(p)) for p in points if p["engine"] == engine])
    return [latency([p for p in points if p["engine"] == "lsm"], label, ""), merges]


def against_throughput(points, kinds, title="", engines=None):
    """Rates that were kept up, and at the end the closed loop."""
    panel = Panel("throughput, operations/s", "latency, us", "xy", title)
    for engine in dict.fromkeys(p["engine"] for p in points):
        for kind in kinds:
            mine = chosen(points, engine=engine, kind=kind, on_disk=False)
            mine = [p for p in mine if kept(p)]
            for key, name, dash in PERCENTILES:
                panel.add(f"{engine if engines else kind} {name}", COLOURS[engine if engines else kind],
                          [(p["result"][kind]["ops_per_s"], p["result"][kind][key]) for p in mine], dash)
    return panel


def kept(point):
    rate = point.get("rate")
    return not rate or point["result"][point["kind"]]["ops_per_s"] >= 0.95 * rate


def by_distribution(points, kind):
    return [against_throughput([p for p in points if p["distribution"] == distribution], [kind], distribution, True)
            for distribution in ("uniform", "Zipf")]


def memory(points):
    panel = Panel("keys and values put, KB", "memory, KB", "y")
    for p in points:
        step = p["told"]["writes"] * (p["told"]["key_bytes"] + p["told"]["value_bytes"]) / 1000
        line = [(step * (i + 1), bytes_ / 1000) for i, bytes_ in enumerate(p["result"]["rest_memory"])]
        panel.add(p["engine"], COLOURS[p["engine"]], line, how="lines lw 2")
    return [panel]


def snapshot_us(point, network):
    """Of each increment."""
    result = point["result"]
    return [us + (NETWORK_US * bytes_ if network else 0)
            for us, bytes_ in zip(result["snapshot_us"][1:], result["snapshot_bytes"][1:])]


def cumulative(points, network, title):
    panel = Panel("keys and values put, KB", "cumulative snapshot time, s", "", title)
    for p in points:
        told, total, line = p["told"], 0, []
        pair = (told["key_bytes"] + told["value_bytes"]) / 1000
        for i, us in enumerate(snapshot_us(p, network)):
            total += us / 1e6
            if (i + 1) % EVERY == 0:
                line.append(((told["first"] + told["writes"] * (i + 1)) * pair, total))
        panel.add("" if p["on_disk"] else p["engine"], COLOURS[p["engine"]], line, "dt 2" if p["on_disk"] else "",
                  "lines lw 2")
    return panel


def snapshots(points):
    others = [p for p in points if p["engine"] != "memory"]
    here = [p for p in points if not p["on_disk"]]
    return [cumulative(here, True, "with a network of 1 MB/s"),
            cumulative(others, True, "without memory; dashed: on a disk"),
            cumulative(here, False, "without a network"),
            cumulative(others, False, "without memory; dashed: on a disk")]


# figure -> the panels that its experiment's points make; 4.14 has bars
FIGURES = {
    "4.1": runs,
    "4.2": lambda points: [latency(points, "density\\_factor, records")],
    "4.3": lambda points: [space(points, "density\\_factor, records", "memory, KB", mean_of("rest_memory"), "memory"),
                           space(points, "density\\_factor, records", "disk, KB", mean_of("rest_disk"), "files",
                                 "#c0504d")],
    "4.4": lambda points: [latency(points, "memtable\\_bytes\\_limit, bytes of keys and values")],
    "4.5": lambda points: [space(points, "memtable\\_bytes\\_limit, bytes of keys and values", "memory, KB",
                                 mean_of("memory"), "memory")],
    "4.6": lambda points: [latency(points, "mem\\_segment\\_len, records")],
    "4.7": lambda points: [space(points, "mem\\_segment\\_len, records", "memory, KB", mean_of("memory"), "memory")],
    "4.8": lambda points: [latency(points, "ro\\_lag\\_interval, records")],
    "4.9": lambda points: [latency(points, "flush\\_interval, records")],
    "4.10": lambda points: [against_throughput(points, ["write"])],
    "4.11": lambda points: [against_throughput(points, ["read"])],
    "4.12": lambda points: [latency(points, "threshold, bytes of keys and values")],
    "4.13": lambda points: by_distribution(points, "write"),
    "4.14": None,
    "4.15": lambda points: by_distribution(points, "read"),
    "4.16": memory,
    "4.17a": snapshots,
    "4.17b": snapshots,
}


def file_name(figure):
    chapter, _, number = figure.partition(".")
    letter = number.lstrip("0123456789")
    return f"engines-{chapter}.{int(number[:len(number) - len(letter)]):02}{letter}.svg"


def ticks(axis, panel):
    """Of a logarithmic axis: its range, and 1, 2 and 5 times a power of ten, or over many powers those alone."""
    values = [point[axis == "y"] for _, _, points, _, _ in panel.series for point in points]
    low, high = (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))))
    steps = (1, 2, 5) if high - low <= 3 else (1,)
    listed = [step * 10.0 ** power for power in range(low, high + 1) for step in steps]
    return (f"set {axis}range [{min(values) / 1.2:.6g}:{max(values) * 1.2:.6g}]\n"
            f"set {axis}tics ({', '.join(f'{tick:.6g}' for tick in listed)})\n")


def script_of(panels):
    columns = 1 if len(panels) == 1 else 2
    rows = (len(panels) + 1) // 2
    width, height = 720 if columns == 1 else 1000, 380 * rows
    data, plots, number = [], [], 0
    for panel in panels:
        parts = []
        for title, colour, points, dash, how in panel.series:
            data.append(f"$d{number} << EOD\n" + "".join(f"{x:.6g} {y:.6g}\n" for x, y in points) + "EOD\n")
            parts.append(f"$d{number} using 1:2 with {how} lc rgb '{colour}' {dash} title '{title}'")
            number += 1
        axes = "unset logscale\nset xrange [*:*]\nset yrange [0:*]\nset xtics auto\nset ytics auto\n"
        if panel.log:
            axes += f"set logscale {panel.log}\n" + "".join(ticks(axis, panel) for axis in panel.log)
        axes += "set format x '%.0s%c'\n" if "x" in panel.log else "set format x '%g'\n"
        axes += "set format y '%g'\n"
        plots.append(f"{axes}set title '{panel.title}'\nset xlabel '{panel.x}'\n"
                     f"set ylabel '{panel.y}'\nplot " + ", ".join(parts) + "\n")
    style = "set grid\nset key outside top center horizontal maxrows 2\n"
    return width, height, "".join(data) + style + f"set multiplot layout {rows},{columns}\n" + "".join(plots) + \
        "unset multiplot\n"


def bars(points):
    """4.14: write throughput when all fits memory."""
    engines = list(dict.fromkeys(p["engine"] for p in points))
    rows = []
    for distribution in ("uniform", "Zipf"):
        by_engine = {p["engine"]: p["result"]["write"]["ops_per_s"] / 1e6 for p in points
                     if p["distribution"] == distribution}
        rows.append(f'"{distribution}" ' + " ".join(f"{by_engine[engine]:.6g}" for engine in engines))
    plots = ", ".join(f"$data using {i + 2}:xtic(1) title '{engine}' lc rgb '{COLOURS[engine]}'"
                      for i, engine in enumerate(engines))
    return 720, 380, ("$data << EOD\n" + "\n".join(rows) + "\nEOD\nset style data histograms\n"
                      "set style histogram clustered gap 1\nset style fill solid 0.9 border -1\nset boxwidth 0.9\n"
                      "set grid ytics\nset key outside top center horizontal\nset xtics scale 0\nset yrange [0:*]\n"
                      f"set ylabel 'million writes/s'\nplot {plots}\n")


def render(width, height, commands, out):
    script = (f"set terminal svg size {width},{height} font 'sans,12' background 'white'\nset output '{out}'\n" +
              commands)
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    with open(out, "r+", encoding="utf-8") as file:  # without the blanks that gnuplot leaves at ends of lines
        lines = [line.rstrip() for line in file]
        file.seek(0)
        file.truncate()
        file.write("\n".join(lines) + "\n")


def draw(experiments, folder):
    """experiments: {names: points}.  Returns the number of figures."""
    if not shutil.which("gnuplot"):
        print("figures: gnuplot is not there; no figures are drawn")
        return 0
    os.makedirs(folder, exist_ok=True)
    count = 0
    for names, points in experiments.items():
        for name in names.split():
            panels = FIGURES[name]
            render(*(script_of(panels(points)) if panels else bars(points)), os.path.join(folder, file_name(name)))
            count += 1
    return count
